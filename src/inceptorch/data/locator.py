"""DATA as users write it: a path, a URL, or torchvision:NAME."""

from __future__ import annotations

import re
from pathlib import Path

from inceptorch.errors import DataError, RunError

TORCHVISION = "torchvision:"  # NAME or NAME:ROOT
PIPE = "pipe:"  # a shell command, which is refused
URL = "://"


def absolute(data: str | Path) -> str:
    """DATA written so that it means the same from another working directory."""
    text = str(data)
    if text.startswith(PIPE) or URL in text:
        return text
    if text.startswith(TORCHVISION):
        name, root = parse_torchvision(text)
        return f"{TORCHVISION}{name}" if root is None else f"{TORCHVISION}{name}:{root.absolute()}"
    return str(Path(data).absolute())


def short_name(data: str | Path) -> str:
    """A word for DATA, for a run's folder and its card: the last name of a path, the name of a data set, or the folder
    or host of a URL."""
    text = str(data)
    if text.startswith(TORCHVISION):
        return parse_torchvision(text)[0]
    if URL in text:
        return re.split(r"[/:]+", text.rpartition("/")[0])[-1] or "run"
    return Path(data).resolve().stem or "run"


def lies_inside(path: Path, data: str | Path) -> bool:
    """Whether `path` is DATA or lies in it, so that writing there would change DATA."""
    text = str(data)
    if URL in text:
        return False
    root = parse_torchvision(text)[1] if text.startswith(TORCHVISION) else Path(data)
    return root is not None and path.absolute().is_relative_to(root.absolute())


def ensure_outside(path: Path, data: str | Path) -> None:
    """Raise RunError if writing to `path` would change DATA."""
    if lies_inside(path, data):
        raise RunError(f"Cannot write {path}: it lies inside the images in {data}, which stay unchanged. Try another.")


def parse_torchvision(data: str) -> tuple[str, Path | None]:
    """The name of the data set and its folder, if one is given. Raises DataError."""
    name, _, root = data.removeprefix(TORCHVISION).partition(":")
    if not name.isidentifier():
        raise DataError(
            f"{data}: write it as torchvision:NAME or torchvision:NAME:FOLDER, such as torchvision:CIFAR10."
        )
    return name, Path(root).expanduser() if root else None
