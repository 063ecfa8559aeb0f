"""What commands print: with --json exactly one JSON value on standard output, and nothing else there."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from inceptorch.utils.markdown import Grid, figure_columns

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON value on standard output.")]


def printable(text: str) -> str:
    """`text` on one line of a terminal: control characters, in file names say, are written as escapes."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", lambda found: ascii(found[0])[1:-1], text)


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False), flush=True)


def print_table(grid: Grid) -> None:
    """A table whose first line is the head, figures to the right; elsewhere than on a terminal as wide as it is long."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def line(cells: list[str]) -> list[Text]:
        return [Text(printable(cell)) for cell in cells]

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head, right in zip(line(grid[0]), figure_columns(grid), strict=True):
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for cells in grid[1:]:
        table.add_row(*line(cells))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100_000
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(table)
    print("\n".join(each.rstrip() for each in captured.get().splitlines()))


def print_images(entries: Iterable[dict[str, Any]], json: bool, more: Callable[[dict[str, Any]], str]) -> None:
    """What was found of each image: one JSON value, or a line each, as they come, with the answers and what `more` adds
    to them.

    Those that could not be read have an "error" and are named on standard error; then the exit code is 1.
    """
    failed = False
    if json:
        entries = list(entries)
        print_json(entries)
    for entry in entries:
        failed |= "error" in entry
        if not json:
            _print_image(entry, more)
    if failed:
        raise typer.Exit(1)


def _print_image(entry: dict[str, Any], more: Callable[[dict[str, Any]], str]) -> None:
    if "error" in entry:
        print(printable(f"{entry['file']}: {entry['error']}"), file=sys.stderr)
        return
    answers = ", ".join(f"{one['label']} {one['probability']:.1%}" for one in entry["predictions"])
    print(printable(f"{entry['file']}: {answers}{more(entry)}"), flush=True)
