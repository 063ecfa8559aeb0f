"""What commands print: with --json exactly one JSON value on standard output, and nothing else there."""

import json
import re
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON value on standard output.")]


def printable(text: str) -> str:
    """`text` on one line of a terminal: control characters, in file names say, are written as escapes."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", lambda found: ascii(found[0])[1:-1], text)


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False), flush=True)


def print_pictures(entries: Iterable[dict[str, Any]], json: bool, more: Callable[[dict[str, Any]], str]) -> None:
    """What was found of each picture: one JSON value, or a line each, as they come, with the answers and what `more` adds
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
            _print_picture(entry, more)
    if failed:
        raise typer.Exit(1)


def _print_picture(entry: dict[str, Any], more: Callable[[dict[str, Any]], str]) -> None:
    if "error" in entry:
        print(printable(f"{entry['file']}: {entry['error']}"), file=sys.stderr)
        return
    answers = ", ".join(f"{one['label']} {one['probability']:.1%}" for one in entry["predictions"])
    print(printable(f"{entry['file']}: {answers}{more(entry)}"), flush=True)
