"""Boxes, lines and text that drawings are put together from."""

import pytest

from inceptorch.networks.drawing import BUS, GAP, Box, Path, escaped, leaf, side_by_side, stack, text_width


def test_a_stack_stands_on_one_axis() -> None:
    wide, narrow = leaf("conv", "a convolution with a long description of itself"), leaf("pool", "max")
    both = stack([wide, narrow])
    assert both.height == wide.height + narrow.height
    assert (both.width, both.axis) == (wide.width, wide.axis)
    boxes = [mark for mark in both.marks if isinstance(mark, Box)]
    assert {box.x + box.width / 2 for box in boxes} == {both.axis}


def test_branches_end_on_one_level() -> None:
    tall, low = stack([leaf("conv", "1x1"), leaf("conv", "3x3")]), leaf("pool", "max")
    fork = side_by_side([tall, low], "concat")
    assert fork.width == tall.width + GAP + low.width
    arrows = [mark for mark in fork.marks if isinstance(mark, Path) and mark.head]
    assert sum(mark.points[0][1] == BUS + tall.height for mark in arrows) == 2


def test_text_is_escaped_and_bold_text_is_wider() -> None:
    assert escaped("<a & b>\x00") == "&lt;a &amp; b&gt;\ufffd"
    assert text_width("3x3", bold=True) > text_width("3x3") > text_width("3x")


@pytest.mark.parametrize(
    ("end", "head"), [((0, 20), "0,20 -3.5,13 3.5,13"), ((20, 0), "20,0 13,-3.5 13,3.5")], ids=["down", "to the right"]
)
def test_an_arrows_head_is_seven_pixels_long_and_wide_and_points_along_its_line(
    end: tuple[float, float], head: str
) -> None:
    assert f'<polygon points="{head}"' in Path(((0, 0), end), head=True).xml()


def test_widths_of_text_are_those_of_signs_in_pixels() -> None:
    """0.6 of the size for small letters, 0.75 for capitals, all of it for the widest; a tenth more for bold text."""
    widths = [text_width("abc", size=10), text_width("A", size=10), text_width("m網", size=10)]
    assert widths == pytest.approx([18, 7.5, 20])
    assert text_width("abc", bold=True, size=10) == pytest.approx(19.8)
