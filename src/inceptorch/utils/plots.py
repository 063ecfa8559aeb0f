"""What images with words in them share: colors, letters for any class name, names short enough to stand there."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

INK, BLUE, ORANGE, GRID = "#22262b", "#2a6fbb", "#d9730d", "#d8dce0"
WIDE_FONTS = {  # with Chinese, Japanese and Korean letters, on Linux, macOS and Windows
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "WenQuanYi Zen Hei", "Droid Sans Fallback",
    "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic",
}  # fmt: skip


@contextmanager
def unicode_fonts() -> Iterator[None]:
    """While this lasts, text is drawn in matplotlib's own font, and in those of this computer that have what it lacks; a
    letter that none has becomes a box."""
    from matplotlib import rc_context
    from matplotlib.font_manager import get_font_names

    fonts = ["DejaVu Sans", *sorted(WIDE_FONTS & set(get_font_names()))]
    with warnings.catch_warnings(), rc_context({"font.family": fonts}):
        warnings.filterwarnings("ignore", "Glyph")
        yield


def shortened(name: str, most: int) -> str:
    """A class name on one line of at most `most` letters; a class may be called anything that a folder may."""
    name = re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", name)
    return name if len(name) <= most else name[: most - 1] + "…"
