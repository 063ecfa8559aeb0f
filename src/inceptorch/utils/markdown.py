"""Markdown: tables, and words from elsewhere; and the same tables for a terminal."""

from __future__ import annotations

import re

Grid = list[list[str]]  # lines of cells; the first one is the head


def in_markdown(text: str) -> str:
    """Any words as Markdown that shows them as they are, on one line: an address as it is, all else escaped."""
    line = " ".join(text.split())
    return line if re.fullmatch(r"https://[\w./%?=#:+-]+", line) else re.sub(r"[\\`*_\[\]<>|~$&]", r"\\\g<0>", line)


def markdown(grid: Grid) -> str:
    rules = ["---:" if right else "---" for right in figure_columns(grid)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (grid[0], rules, *grid[1:]))


def aligned(grid: Grid) -> str:
    """Columns of even width, figures to the right."""
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
    """Which columns hold figures and nothing else; the first one holds names."""
    columns = list(zip(*grid[1:], strict=True))
    return [False, *(all(not cell or cell[0] in "0123456789-<" for cell in column) for column in columns[1:])]
