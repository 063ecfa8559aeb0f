"""Rows for new classes, on normal distributions whose best rows are known."""

import numpy as np
import pytest
import torch

from inceptorch.classifier.statistics import Doubles, FeatureStatistics
from inceptorch.training.discriminant import MAX_DRAWS, draw_logits, estimate_accuracy, extend_rows
from inceptorch.training.linear_probe import fit
from inceptorch.training.recipe import RECIPES

HEAD = RECIPES["head"].replace(linear_probe_l2=0.01)
DIM = 30


def drawn(counts: list[int], seed: int) -> tuple[Doubles, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Features of classes that are 4 apart in directions of their own, with noise of unequal width."""
    random, labels = np.random.default_rng(seed), np.repeat(np.arange(len(counts)), counts)
    noise = random.normal(size=(len(labels), DIM)) * np.linspace(0.5, 2, DIM)
    return 4 * np.eye(DIM)[labels] + 1 + noise, labels


def head(features: Doubles, labels: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Doubles, Doubles]:
    *_, last = fit(torch.from_numpy(features).float(), torch.from_numpy(labels), int(labels.max()) + 1, HEAD)
    return last.weight.double().numpy(), last.bias.double().numpy()


def extended(count: int) -> tuple[Doubles, Doubles, Doubles, Doubles, FeatureStatistics]:
    """Given rows of four classes, and those of six of which the last two have `count` images."""
    features, labels = drawn([60] * 4, seed=1)
    weight, bias = head(features, labels)
    before = FeatureStatistics.of(features, labels, 4)
    new, new_labels = drawn([0] * 4 + [count] * 2, seed=2)
    return weight, bias, *extend_rows(weight, bias, before, before.updated(new, new_labels, 6), 0.1), before


@pytest.mark.parametrize(("count", "bar"), [(1, 0.6), (5, 0.85), (60, 0.92)])
def test_new_rows_stand_beside_the_old_ones_which_stay(count: int, bar: float) -> None:
    weight, bias, new_weight, new_bias, _ = extended(count)
    np.testing.assert_array_equal(new_weight[:4], weight)
    np.testing.assert_array_equal(new_bias[:4], bias)
    features, labels = drawn([500] * 6, seed=3)
    right = (features @ new_weight.T + new_bias).argmax(1) == labels
    old = labels < 4
    before = (features[old] @ weight.T + bias).argmax(1) == labels[old]
    assert right[~old].mean() > bar
    assert right[old].mean() > before.mean() - 0.06


def test_a_class_that_gets_more_images_moves_and_the_others_stay() -> None:
    features, labels = drawn([60] * 4, seed=1)
    weight, bias = head(features, labels)
    before = FeatureStatistics.of(features, labels, 4)
    shifted, new_labels = drawn([0, 0, 60], seed=2)
    shifted[:, 0] += 4  # now as near to class 0 as to its own place
    found, found_bias = extend_rows(weight, bias, before, before.updated(shifted, new_labels, 4), 0.1)
    np.testing.assert_array_equal(np.delete(found, 2, 0), np.delete(weight, 2, 0))
    test, _ = drawn([0, 0, 500], seed=3)
    test[:, 0] += 4
    recall, recall_before = (
        ((test @ one.T + other).argmax(1) == 2).mean() for one, other in ((found, found_bias), (weight, bias))
    )
    assert recall > recall_before + 0.02


def test_the_estimate_is_near_what_images_would_tell() -> None:
    weight, bias, new_weight, new_bias, before = extended(10)
    features, labels = drawn([2000] * 4, seed=3)
    known = float(((features @ weight.T + bias).argmax(1) == labels).mean())
    now = float(((features @ new_weight.T + new_bias).argmax(1) == labels).mean())
    assert estimate_accuracy(new_weight, new_bias, before, known) == pytest.approx(now, abs=0.02)
    assert estimate_accuracy(weight, bias, before, known) == known


def test_logits_are_drawn_with_their_means_and_covariance() -> None:
    random = np.random.default_rng(0)
    weight, bias, means = random.normal(size=(3, 5)), np.array([1.0, 2.0, 3.0]), random.normal(size=(40, 5))
    covariance = np.cov(random.normal(size=(5, 50)))
    draws = draw_logits(weight, bias, means, covariance, np.full(40, 2.0))
    assert draws.shape == (40, MAX_DRAWS, 3)
    centered = (draws - (means @ weight.T + bias)[:, None]).reshape(-1, 3)
    assert abs(centered.mean(0)).max() < 0.2
    np.testing.assert_allclose(np.cov(centered.T), 4 * weight @ covariance @ weight.T, rtol=0.1, atol=0.3)
