"""Colors, fonts and names for plots."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

INK, BLUE, ORANGE, GRID = "#22262b", "#2a6fbb", "#d9730d", "#d8dce0"
WIDE_FONTS = {  # with Chinese, Japanese and Korean letters, on Linux, macOS and Windows
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "WenQuanYi Zen Hei", "Droid Sans Fallback",
    "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS", "Microsoft YaHei", "Yu Gothic",
    "Malgun Gothic",
}  # fmt: skip


@contextmanager
def unicode_fonts() -> Iterator[None]:
    """Draw text in matplotlib's font, with installed fonts for letters that it lacks; missing letters become boxes."""
    from matplotlib import rc_context
    from matplotlib.font_manager import get_font_names

    fonts = ["DejaVu Sans", *sorted(WIDE_FONTS & set(get_font_names()))]
    with warnings.catch_warnings(), rc_context({"font.family": fonts}):
        warnings.filterwarnings("ignore", "Glyph")
        yield


def shortened(name: str, length: int) -> str:
    """A name on one line of at most `length` letters; a class may have any name that a folder may."""
    name = re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", name)
    return name if len(name) <= length else name[: length - 1] + "…"
