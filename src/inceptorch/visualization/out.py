"""Whether a file can be written, before the work that fills it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from inceptorch.errors import InceptorchError

PNG = (".png",)


def require_writable(out: Path, inputs: Iterable[str | Path | None], suffixes: Sequence[str] = PNG) -> None:
    """Raise InceptorchError unless `out` has one of the suffixes, can be written, and is none of the inputs."""
    refusal = f"Cannot write {out}:"
    if out.suffix.lower() not in suffixes:
        raise InceptorchError(
            f"{refusal} its name must end in {' or '.join(suffixes)}. Try {out.stem or 'out'}{suffixes[0]}."
        )
    folder = out.absolute().parent
    if not os.path.isdir(folder):
        raise InceptorchError(f"{refusal} there is no folder {out.parent}. Try another --out.")
    if os.path.isdir(out):
        raise InceptorchError(f"{refusal} it is a folder. Try another --out.")
    if not os.access(folder, os.W_OK):
        raise InceptorchError(f"{refusal} its folder may not be written to. Try another --out.")
    if os.path.exists(out) and any(each and os.path.exists(each) and os.path.samefile(each, out) for each in inputs):
        raise InceptorchError(f"{refusal} it is an input. Try another --out.")
