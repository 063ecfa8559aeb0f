"""Benchmarks as plots."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from inceptorch.deployment.benchmark import BenchmarkResult
from inceptorch.deployment.per_layer import LayerTime
from inceptorch.deployment.plot import draw_engines, draw_layers


def test_a_plot_grows_with_its_lines(tmp_path: Path) -> None:
    result = BenchmarkResult("torch", "fp32", 1, 1, 50.0, 19.0, 25.0, None, 2.0, "torch fp32", 1.0, 0.0, None)
    layer = LayerTime("conv1", 3.0, 0.5, 1000, 0.25)
    heights = {}
    for count in (2, 8):
        draw_engines([result] * count, "a $title_", tmp_path / f"engines{count}.png")
        draw_layers([layer] * count, "a $title_", tmp_path / f"layers{count}.png")
        for name in ("engines", "layers"):
            with Image.open(tmp_path / f"{name}{count}.png") as image:
                heights[name, count] = image.height
    assert heights["engines", 8] > heights["engines", 2] > 100
    assert heights["layers", 8] > heights["layers", 2] > 100
