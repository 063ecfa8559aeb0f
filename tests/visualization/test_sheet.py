"""Images side by side."""

from __future__ import annotations

import numpy as np

from inceptorch.visualization.sheet import GAP, LINE, MARGIN, Part, draw_sheet

RED, BLUE = (np.full((4, 4, 3), color, np.uint8) for color in ((255, 0, 0), (0, 0, 255)))


def test_tiles_lie_in_a_grid_under_their_labels() -> None:
    sheet = draw_sheet([[Part(f"4c:{number}", [RED, BLUE])] for number in range(5)], 32)
    panel = 2 * 32 + GAP + MARGIN
    assert sheet.shape == (2 * (LINE + 32 + MARGIN) + MARGIN, 3 * panel + MARGIN, 3)
    assert tuple(sheet[0, 0]) == (255, 255, 255)
    for number in range(5):
        x, y = MARGIN + number % 3 * panel, MARGIN + number // 3 * (LINE + 32 + MARGIN)
        tile = sheet[y + LINE : y + LINE + 32, x : x + 32]
        assert (tile == (255, 0, 0)).all()
        assert (sheet[y + LINE : y + LINE + 32, x + 32 + GAP : x + 64 + GAP] == (0, 0, 255)).all()
        assert (sheet[y : y + LINE, x : x + 64] < 128).any()  # a label


def test_a_long_label_stays_on_its_part() -> None:
    sheet = draw_sheet([[Part("a very long name of a class " * 9, [RED]), Part("", [BLUE])]], 64)
    labels = sheet[MARGIN : MARGIN + LINE]
    end = MARGIN + 64 + MARGIN - GAP
    assert (labels[:, MARGIN:end] < 128).any()
    assert (labels[:, end:] == 255).all()


def test_patches_share_a_tile() -> None:
    sheet = draw_sheet([[Part("", [RED] * 8 + [BLUE], across=3)]], 96)
    inner = sheet[MARGIN + LINE : MARGIN + LINE + 96, MARGIN : MARGIN + 96]
    assert tuple(inner[5, 5]) == (255, 0, 0)
    assert tuple(inner[90, 90]) == (0, 0, 255)
