"""Scores against another library's."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, top_k_accuracy_score

from inceptorch.metrics import rank_of_label, scores


def test_scores_equal_scikit_learns() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(200, 9)), random.integers(0, 9, 200)
    got = scores(logits, labels, [str(i) for i in range(9)])
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert got.n == 200
    assert got.top1 == pytest.approx(top_k_accuracy_score(labels, logits, k=1))
    assert got.top5 == pytest.approx(top_k_accuracy_score(labels, logits, k=5))
    assert got.loss == pytest.approx(log_loss(labels, probabilities, labels=range(9)))
    assert sum(one["n"] * one["top1"] for one in got.per_class.values()) / 200 == pytest.approx(got.top1)


def test_equal_scores_are_not_all_right() -> None:
    assert rank_of_label(np.zeros((3, 4)), np.array([0, 1, 3])).tolist() == [0, 1, 3]


def test_few_classes_and_large_logits() -> None:
    got = scores(np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([0, 0]), ["a", "b"])
    assert (got.top1, got.top5, got.loss) == (0.5, 1.0, 500.0)
    assert list(got.per_class) == ["a"]
