"""Scores equal scikit-learn's, and intervals contain the truth."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, precision_score, top_k_accuracy_score

from inceptorch.tasks.metrics import (
    PredictionSummary,
    Scores,
    mean_interval,
    paired_difference_interval,
    rank_of_label,
    wilson_interval,
)
from inceptorch.tasks.metrics import scores as scores_of
from inceptorch.utils.arrays import Floats, Ints


def scores(logits: Floats, labels: Ints, classes: list[str]) -> Scores:
    return scores_of(PredictionSummary.of(logits, labels), classes)


def test_scores_equal_scikit_learns() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(200, 9)), random.integers(0, 9, 200)
    got = scores(logits, labels, [str(i) for i in range(9)])
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert got.n == 200
    assert got.top1 == pytest.approx(top_k_accuracy_score(labels, logits, k=1))
    assert got.top5 == pytest.approx(top_k_accuracy_score(labels, logits, k=5))
    assert got.loss == pytest.approx(log_loss(labels, probabilities, labels=range(9)))
    precision = precision_score(labels, logits.argmax(1), average=None)
    assert [one["precision"] for one in got.per_class.values()] == pytest.approx(precision.tolist())
    assert sum(one["n"] * one["top1"] for one in got.per_class.values()) / 200 == pytest.approx(got.top1)


def test_equal_scores_are_not_all_right() -> None:
    assert rank_of_label(np.zeros((3, 4)), np.array([0, 1, 3])).tolist() == [0, 1, 3]


def test_few_classes_and_large_logits() -> None:
    got = scores(np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([0, 0]), ["a", "b"])
    assert (got.top1, got.top5, got.loss) == (0.5, 1.0, 500.0)
    assert list(got.per_class) == ["a"]


def test_intervals_contain_the_truth_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(1)
    held = {"few": 0, "many": 0, "mean": 0, "gain": 0}
    for _ in range(2000):
        for name, n, truth in (("few", 40, 0.9), ("many", 500, 0.7)):
            low, high = wilson_interval(int(random.binomial(n, truth)), n)
            held[name] += low <= truth <= high
        mean = mean_interval(random.exponential(2.0, 200))
        assert mean is not None
        low, high = mean
        held["mean"] += low <= 2.0 <= high
        low, high = paired_difference_interval(random.choice([-1, 0, 1], 60, p=[0.05, 0.85, 0.1]))
        held["gain"] += low <= 0.05 <= high
    assert all(0.93 < count / 2000 < 0.975 for count in held.values()), held


def test_intervals_by_hand() -> None:
    mean = mean_interval(np.array([1.0, 3.0]))  # of deviation sqrt(2) by the n - 1 of a sample
    assert mean == pytest.approx((2 - 1.96, 2 + 1.96), abs=1e-3)
    gained = np.array([1, 1, 0, 0, 0, 0, 0, 0])  # 2.5 up and 0.5 down of 10
    half = 1.96 * np.sqrt((0.3 - 0.2**2) / 10)
    assert paired_difference_interval(gained) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-4)
    low, high = paired_difference_interval(gained)
    assert paired_difference_interval(-gained) == pytest.approx((-high, -low))


def test_intervals_at_the_ends() -> None:
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(10, 10)[1] == pytest.approx(1)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert 0.2 < wilson_interval(0, 10)[1] < 0.4
    assert mean_interval(np.array([1.0])) is None
    low, high = paired_difference_interval(
        np.zeros(20, np.int64)
    )  # that nothing changed does not mean that nothing would
    assert low < -0.02 < 0.02 < high


def test_the_interval_of_a_mean_is_by_the_unbiased_variance() -> None:
    values = np.array([1.0, 2.0, 4.0])
    half = 1.959964 * np.sqrt(7 / 3) / np.sqrt(3)
    assert mean_interval(values) == pytest.approx((7 / 3 - half, 7 / 3 + half))
