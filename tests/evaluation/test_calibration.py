"""Calibration, temperature and rejection."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

import inceptorch
from inceptorch.evaluation.calibration import (
    at_threshold,
    calibration_error,
    calibration_interval,
    fit_temperature,
    threshold,
)
from inceptorch.tasks.metrics import PredictionSummary
from inceptorch.training.recipe import Recipe
from inceptorch.utils.arrays import log_softmax
from inceptorch.utils.progress import Progress

QUIET = Progress(quiet=True)


def overconfident(n: int, by: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits [n, 5] that are `by` times too large for labels drawn by the probabilities they would be without that."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (n, 5))
    labels = (np.exp(log_softmax(logits)).cumsum(1) < random.random((n, 1))).sum(1).clip(0, 4)
    return by * logits, labels


def test_the_calibration_error_is_torchmetrics() -> None:
    logits, labels = overconfident(2000, 2.0)
    expected = multiclass_calibration_error(
        torch.from_numpy(logits).softmax(1), torch.from_numpy(labels), num_classes=5, n_bins=15
    )
    answers = PredictionSummary.of(logits, labels)
    assert calibration_error(answers) == pytest.approx(float(expected), abs=1e-6)
    low, high = calibration_interval(answers)
    assert 0 < low < calibration_error(answers) < high


def test_the_interval_of_the_calibration_error_contains_the_truth() -> None:
    for by in (1.0, 1.5):
        truth = calibration_error(PredictionSummary.of(*overconfident(400_000, by)))
        held = 0
        for seed in range(60):
            low, high = calibration_interval(PredictionSummary.of(*overconfident(400, by, seed + 1000)), seed)
            held += low <= truth <= high
        assert held >= 0.88 * 60
        assert low > 0 or by == 1.0


def test_the_temperature_is_found() -> None:
    logits, labels = overconfident(20_000, 2.5)
    found = fit_temperature(lambda: [(logits[:7000], labels[:7000]), (logits[7000:], labels[7000:])])
    assert found == pytest.approx(2.5, rel=0.05)
    assert found is not None
    losses = [float(PredictionSummary.of(logits / (found * by), labels).nll.mean()) for by in (0.98, 1.0, 1.02)]
    assert losses[1] == min(losses)
    assert fit_temperature(lambda: [(np.array([[9.0, 0.0], [0.0, 9.0]]), np.array([0, 1]))]) is None
    much_too_sure = fit_temperature(lambda: [(100 * logits, labels)])
    assert much_too_sure == pytest.approx(100 * found, rel=1e-3)


def test_a_threshold_keeps_what_it_says_and_counts_what_it_costs() -> None:
    answers = PredictionSummary.of(*overconfident(1000, 1.0))
    found = threshold(answers, 0.9)
    assert found["coverage"] == pytest.approx(0.9, abs=0.002)
    assert found["selective_accuracy"] > found["accuracy"] > found["accuracy_with_rejection"]
    assert found["accuracy_with_rejection"] == pytest.approx(found["coverage"] * found["selective_accuracy"])
    assert at_threshold(answers, 0.0)["accuracy_with_rejection"] == found["accuracy"]
    assert at_threshold(answers, 1.1)["coverage"] == 0


def test_the_threshold_is_the_confidence_of_the_last_image_kept() -> None:
    answers = PredictionSummary.of(*overconfident(40, 1.0))
    ordered = sorted(answers.confidences, reverse=True)
    assert len(set(ordered)) == 40
    for coverage, kept in ((0.95, 38), (0.91, 37), (1.0, 40), (0.01, 1)):
        found = threshold(answers, coverage)
        assert found["threshold"] == ordered[kept - 1]
        assert found["coverage"] == kept / 40


def test_a_run_knows_when_it_had_better_say_nothing(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    result = inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    known = inceptorch.load(tmp_path / "run").config.metadata.threshold
    assert result.evaluation is not None
    assert known == pytest.approx(result.evaluation.threshold)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["metadata"]["threshold"]["coverage"] >= 0.95
