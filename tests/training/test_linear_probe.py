"""A linear classifier on the frozen body."""

from pathlib import Path

import pytest

import inceptorch


def test_a_linear_classifier_on_the_frozen_body_tells_flowers_apart(
    converted: Path, shared: Path, tmp_path: Path
) -> None:
    result = inceptorch.train(shared / "flowers12", weights=converted, recipe="head", out=tmp_path / "run")
    assert result.top1 >= 0.95
    assert inceptorch.evaluate(tmp_path / "run", shared / "flowers12").top1 == pytest.approx(result.top1, abs=0.005)
