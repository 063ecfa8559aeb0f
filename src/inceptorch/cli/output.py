"""What commands print: with --json exactly one JSON value on standard output, and nothing else there."""

import json
import re
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON value on standard output.")]


def printable(text: str) -> str:
    """`text` on one line of a terminal: control characters, in file names say, are written as escapes."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", lambda found: ascii(found[0])[1:-1], text)


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    print(json.dumps(value, ensure_ascii=False), flush=True)
