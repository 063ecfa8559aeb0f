"""Tables and escaped text in Markdown, and tables for a terminal."""

from __future__ import annotations

import re

Grid = list[list[str]]  # rows of cells; the first one is the head


def in_markdown(text: str) -> str:
    """Text on one line, escaped for Markdown, unless it is an https address."""
    line = " ".join(text.split())
    return line if re.fullmatch(r"https://[\w./%?=#:+-]+", line) else re.sub(r"[\\`*_\[\]<>|~$&]", r"\\\g<0>", line)


def markdown(grid: Grid) -> str:
    rules = ["---:" if right else "---" for right in figure_columns(grid)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (grid[0], rules, *grid[1:]))


def aligned(grid: Grid) -> str:
    """Columns of equal width, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    figures = figure_columns(grid)
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, figures, strict=True)
        )
        for line in grid
    ]
    return "\n".join(line.rstrip() for line in lines)


def figure_columns(grid: Grid) -> list[bool]:
    """Which columns hold only figures; the first one holds names."""
    columns = list(zip(*grid[1:], strict=True))
    return [False, *(all(not cell or cell[0] in "0123456789-<" for cell in column) for column in columns[1:])]
