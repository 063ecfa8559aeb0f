"""Output of the commands. With --json, standard output holds one JSON value and nothing else."""

import json
import shutil
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from inceptorch.utils.markdown import Grid, figure_columns
from inceptorch.utils.progress import printable

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON value.")]


def print_json(value: Any) -> None:
    """One JSON value on one line; in ASCII where standard output cannot take every letter."""
    ascii = not (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, ensure_ascii=ascii, allow_nan=False), flush=True)


def print_table(grid: Grid) -> None:
    """A table with its head in the first line and figures to the right; folded on a terminal that is too narrow."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head, right in zip(grid[0], figure_columns(grid), strict=True):
        table.add_column(Text(printable(head)), justify="right" if right else "left", overflow="fold")
    for cells in grid[1:]:
        table.add_row(*(Text(printable(cell)) for cell in cells))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100_000
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_images(entries: Iterable[dict[str, Any]], json: bool, suffix: Callable[[dict[str, Any]], str]) -> None:
    """One JSON value; or, as they come, a line for each image with the predictions and what `suffix` adds, and a line
    for each box.

    Entries with an "error" are named on standard error; then the exit code is 1.
    """
    failed = False
    if json:
        entries = list(entries)
        print_json(entries)
    for entry in entries:
        failed |= "error" in entry
        if json:
            continue
        if "error" in entry:
            print(printable(f"{entry['file']}: {entry['error']}"), file=sys.stderr)
        elif "boxes" in entry:
            for line in map(_box_line, entry["boxes"]) if entry["boxes"] else ["no boxes"]:
                print(printable(f"{entry['file']}: {line}"), flush=True)
        else:
            predictions = ", ".join(f"{one['label']} {one['probability']:.1%}" for one in entry["predictions"])
            print(printable(f"{entry['file']}: {predictions}{suffix(entry)}"), flush=True)
    if failed:
        raise typer.Exit(1)


def _box_line(box: dict[str, Any]) -> str:
    left, top, width, height = box["box"]
    return f"{box['label']} {box['score']:.1%} at x {left:.0f}, y {top:.0f}, {width:.0f} x {height:.0f} pixels"
