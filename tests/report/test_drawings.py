"""The curve of the learning-rate finder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from inceptorch.report.drawings import draw_lr_curve
from inceptorch.training import LRCurve


def test_the_curve_and_the_suggested_rate_are_drawn(tmp_path: Path) -> None:
    curve = LRCurve(rates=[0.001, 0.01, 0.1, 1.0], losses=[2.0, 1.5, 1.0, 9.0])
    draw_lr_curve(curve, tmp_path / "lr.png")
    with Image.open(tmp_path / "lr.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape[1] > 500
    for color in ((0x2A, 0x6F, 0xBB), (0xD9, 0x73, 0x0D)):  # the curve, and the suggested rate
        assert (np.abs(pixels - color).max(-1) < 12).any()
