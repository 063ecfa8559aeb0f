"""Write the reference from the code, and the drawings of ideas.md from layers; with --check, only compare."""

import re
import sys
from collections.abc import Iterator
from inspect import Parameter, cleandoc, signature
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import griffe
from typer.models import ArgumentInfo, CommandInfo, OptionInfo

from inceptorch.cli import app
from inceptorch.networks.draw import compared_svg
from inceptorch.networks.layers import Conv, Fork, GlobalAverage, Layer, Linear, Pool, Shape
from inceptorch.networks.zoo import NETS
from inceptorch.networks.zoo.googlenet import block, naive_block

DOCS = Path(__file__).parent
THREE_A = (64, 96, 128, 16, 32, 32)  # Table 1's row 3a
HALVING = Pool("max", 3, 2, "valid")
# By the name of a drawing: its title, and what stands side by side with the shapes of the inputs.
IDEAS: dict[str, tuple[str, dict[str, tuple[Layer, Shape]]]] = {
    "reductions": (
        "GoogLeNet's module 3a without 1x1 reductions and with them",
        {
            "Figure 2(a), naive": (naive_block(*THREE_A), (192, 28, 28)),
            "Figure 2(b), with reductions": (block(*THREE_A), (192, 28, 28)),
        },
    ),
    "factorization": (
        "A 5x5 convolution, two 3x3, a 3x3, and 3x1 with 1x3",
        {
            "5x5": (Conv(64, 5), (64, 35, 35)),
            "two 3x3": ((Conv(64, 3), Conv(64, 3)), (64, 35, 35)),
            "3x3": (Conv(64, 3), (64, 35, 35)),
            "3x1 and 1x3": ((Conv(64, (3, 1)), Conv(64, (1, 3))), (64, 35, 35)),
        },
    ),
    "grid": (
        "Three ways from 35x35x320 to 17x17x640",
        {
            "pooling first": ((HALVING, Conv(640, 3)), (320, 35, 35)),
            "convolution first": ((Conv(640, 3), HALVING), (320, 35, 35)),
            "side by side": (Fork(Conv(320, 3, 2, "valid"), HALVING), (320, 35, 35)),
        },
    ),
    "average": (
        "A fully connected layer, and the average of each channel, before the classifier",
        {
            "fully connected": ((Linear(1024), Linear(1000, relu=False)), (1024, 7, 7)),
            "global average": ((GlobalAverage(), Linear(1000, relu=False)), (1024, 7, 7)),
        },
    ),
    "residual": (
        "A module of Inception-v4, and one of Inception-ResNet-v2",
        {
            "Inception-v4, 5c": (NETS["inception_v4"].body["5c"], (384, 35, 35)),
            "Inception-ResNet-v2, A1": (NETS["inception_resnet_v2"].body["A1"], (384, 35, 35)),
        },
    ),
}
HEADER = "<!-- Written by docs/generate.py from the code: change it there, then run `make docs`. -->\n"


def main() -> None:
    drawings = {f"ideas_{name}.svg": compared_svg(title, layers) for name, (title, layers) in IDEAS.items()}
    pages = {"reference/cli.md": cli_page(), "reference/api.md": api_page(), **drawings}
    stale = [name for name, text in pages.items() if not _is(DOCS / name, text)]
    if "--check" in sys.argv and stale:
        sys.exit(f"Out of date: {', '.join(stale)} in docs. Try: make docs.")
    for name in stale:
        (DOCS / name).write_text(pages[name], encoding="utf-8")


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def cli_page() -> str:
    """Every verb with its arguments and options, read from the functions that typer makes the verbs of."""
    lines = [
        HEADER + "# Command line",
        f"`inceptorch VERB --help` prints the same. {app.info.help}",
        "Exit codes: 0 done; 1 some images could not be read, or `check` found a problem; 2 a mistake, named in one "
        "sentence; 3 an unexpected error, with the file of its traceback; 130 after Ctrl-C; 143 after SIGTERM.",
    ]
    for command in app.registered_commands:
        lines += _verb(command)
    return "\n\n".join(lines) + "\n"


def _verb(command: CommandInfo) -> Iterator[str]:
    assert command.callback is not None
    yield f"## {command.name}"
    for paragraph in cleandoc(command.callback.__doc__ or "").split("\n\n"):
        yield f"```\n{paragraph}\n```" if paragraph.startswith("inceptorch ") else paragraph
    parameters = signature(command.callback, eval_str=True).parameters.values()
    rows = [_row(each) for each in parameters if not get_args(each.annotation)[1].hidden]
    yield "\n".join(["| option | meaning |", "| --- | --- |", *rows])


def _is_hidden(parameter: Parameter) -> bool:
    return any(getattr(info, "hidden", False) for info in get_args(parameter.annotation))


def _row(parameter: Parameter) -> str:
    """One argument or option as a line of a table."""
    kind, info = get_args(parameter.annotation)
    assert get_origin(parameter.annotation) is Annotated
    assert isinstance(info, ArgumentInfo | OptionInfo)
    if isinstance(info, ArgumentInfo):
        words = info.metavar or parameter.name.upper()
        words += "..." if get_origin(kind) is list and "..." not in words else ""
    else:
        # In an annotation, typer finds the first declared name in the place of the default.
        declared = [word for word in (info.default, *(info.param_decls or ())) if isinstance(word, str)]
        words = ", ".join(declared or [f"--{parameter.name.replace('_', '-')}"])
        words += f" {info.metavar or _value(kind)}".rstrip()
    given = parameter.default
    shown = isinstance(given, int | float | str) and not isinstance(given, bool)
    default = f" Default: `{given}`." if shown else ""
    return _cells(f"`{words}`", (info.help or "") + default)


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(kind: Any) -> str:
    """The word for an option's value, from its type; none for a switch."""
    kinds = [part for part in get_args(kind) or [kind] if part is not NoneType]
    return {bool: "", int: "N", float: "X", Path: "PATH"}.get(kinds[0], "TEXT")


def api_page() -> str:
    """Every public name with its signature and docstring, read without importing the package."""
    package = griffe.load("inceptorch", search_paths=[str(DOCS.parent / "src")])
    assert isinstance(package, griffe.Module)
    lines = [
        HEADER + "# Python API",
        "Everything that `import inceptorch` offers. Names are imported when first used, so that networks and costs "
        "need no torch.",
    ]
    stubs = {name: found for name, found in package.members.items() if isinstance(found, griffe.Alias)}
    for name in sorted(name for name, found in stubs.items() if found.target_path.startswith("inceptorch.")):
        lines += _entry(name, package[name])
    return "\n\n".join(lines) + "\n"


def _entry(name: str, found: Any) -> Iterator[str]:
    """A heading, the signature, the docstring; of a class its attributes and public methods too."""
    thing = found.final_target if found.is_alias else found
    yield f"## {name}"
    if thing.is_function:
        yield from _function(thing)
        return
    if thing.is_attribute:
        yield f"```python\n{_attribute(thing)}\n```"
        yield from _docstring(thing)
        return
    bases = ", ".join(str(base) for base in thing.bases)
    yield f"```python\nclass {name}({bases})\n```" if bases else f"```python\nclass {name}\n```"
    yield from _docstring(thing)
    public = [member for key, member in thing.members.items() if not key.startswith("_")]
    attributes = [member for member in public if member.is_attribute]
    if attributes:
        yield "```python\n" + "\n".join(_attribute(member) for member in attributes) + "\n```"
    for member in public:
        if member.is_function:
            yield f"### {name}.{member.name}"
            yield from _function(member)


def _attribute(member: griffe.Attribute) -> str:
    kind = f": {member.annotation}" if member.annotation is not None else ""
    return f"{member.name}{kind}" + (f" = {member.value}" if member.value is not None else "")


def _function(function: griffe.Function) -> Iterator[str]:
    if "property" in function.labels:
        yield f"```python\n{function.name}: {function.returns}\n```"
    else:
        for form in function.overloads or [function]:
            yield "```python\n" + _signature(form) + "\n```"
    yield from _docstring(function)


def _signature(function: griffe.Function) -> str:
    """The signature, one parameter a line where it would be too long for a page."""
    whole = function.signature()
    if len(whole) <= 88:
        return whole
    parts = []
    kind = griffe.ParameterKind
    for parameter in function.parameters:
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is kind.keyword_only and "*" not in parts:
            parts.append("*")
        word = f"{parameter.name}: {parameter.annotation}"
        parts.append(f"{word} = {parameter.default}" if parameter.default is not None else word)
    inside = "".join(f"    {part},\n" for part in parts)
    return f"{function.name}(\n{inside}) -> {function.returns}"


def _docstring(thing: Any) -> Iterator[str]:
    """Paragraphs; one that explains names in a column becomes a table."""
    for paragraph in (thing.docstring.value if thing.docstring else "").split("\n\n"):
        if not re.search(r"^\S.*?  +\S", paragraph):
            yield paragraph
            continue
        joined = re.sub(r"\n +", " ", paragraph)
        rows = [re.split(r"  +", line, maxsplit=1) for line in joined.splitlines()]
        yield "\n".join(["| name | meaning |", "| --- | --- |", *(_cells(f"`{name}`", text) for name, text in rows)])


if __name__ == "__main__":
    main()
