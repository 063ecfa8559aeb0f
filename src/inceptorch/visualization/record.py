"""What a PNG says about its making, and what is asked for before it is made again.

Such a file may come from a stranger. Its values are checked like any input, and no path in it is ever written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from msgspec import Meta

from inceptorch import __version__
from inceptorch.classifier import Classifier
from inceptorch.classifier.hub import HUB
from inceptorch.errors import InceptorchError
from inceptorch.images.limits import read_image_file
from inceptorch.inference.engines import fingerprint
from inceptorch.inference.engines.torch import Torch
from inceptorch.utils.files import reading
from inceptorch.utils.progress import Progress
from inceptorch.utils.validation import convert

Threads = Annotated[int, Meta(ge=1, le=1024)]


def describe(command: str, model: str, classifier: Classifier, inputs: Sequence[Path]) -> dict[str, Any]:
    """The record of what is made now from files by a classifier, but for its settings."""
    return {
        "command": command,
        "version": __version__,
        "model": model,
        "weights": _weights(classifier),
        "threads": torch.get_num_threads(),
        "inputs": [{"file": str(path), "sha256": _sha256(path)} for path in inputs],
    }


def recorded_inputs(record: dict[str, Any], source: Path, count: range) -> list[Path]:
    """The files that something was made from, as named then. Raises InceptorchError."""
    inputs = convert(record.get("inputs"), list[dict[str, str]], f"{source}: inputs", InceptorchError)
    if len(inputs) not in count or not all(entry.get("file") for entry in inputs):
        raise InceptorchError(f"Cannot make {source} again: it does not name its inputs. Try another file.")
    return [Path(entry["file"]) for entry in inputs]


def recorded_model(record: dict[str, Any], source: Path) -> str:
    """The model that something was made with. One that would be fetched from the hub is not: a stranger chose it."""
    model: str = convert(record.get("model"), str, f"{source}: model", InceptorchError)
    if model.startswith(HUB):
        raise InceptorchError(f"Cannot fetch what {source} names: a file should not choose. Try --model {model}.")
    return model


def require_same(record: dict[str, Any], source: Path, classifier: Classifier, inputs: Sequence[Path]) -> None:
    """Raise InceptorchError unless weights and inputs are those of the record; then set its number of threads."""
    if record.get("weights") != _weights(classifier):
        raise InceptorchError(f"Cannot make {source} again: it was made with other weights. Try --model with those.")
    for entry, path in zip(record["inputs"], inputs, strict=True):
        if entry.get("sha256") != _sha256(path):
            raise InceptorchError(
                f"Cannot make {source} again: {path} is not the file it was made from. Name that one."
            )
    torch.set_num_threads(convert(record.get("threads"), Threads, f"{source}: threads", InceptorchError))


def remark_on(classifier: Classifier, progress: Progress) -> None:
    """Say what is known of networks that give poor images (tensorflow/lucid#61)."""
    if classifier.config.architecture.startswith("inception_v3"):
        progress.info("Inception-v3 gives poor images; why it does is an open question. googlenet.bvlc gives good ones")


def require_writable(out: Path, suffixes: Sequence[str], inputs: Sequence[Path]) -> None:
    """Raise InceptorchError unless `out` can be written and is none of the inputs, before the work is begun."""
    if out.suffix.lower() not in suffixes:
        raise InceptorchError(f"Cannot write {out}: its name must end in {' or '.join(suffixes)}. Try another --out.")
    folder = out.absolute().parent
    if not os.path.isdir(folder):
        raise InceptorchError(f"Cannot write {out}: there is no folder {out.parent}. Create it, or name another --out.")
    if os.path.isdir(out):
        raise InceptorchError(f"Cannot write {out}: it is a folder. Name a file with --out.")
    if not os.access(folder, os.W_OK):
        raise InceptorchError(f"Cannot write {out}: its folder may not be written to. Name another --out.")
    if any(os.path.exists(path) and os.path.exists(out) and os.path.samefile(path, out) for path in inputs):
        raise InceptorchError(f"Cannot write {out}: it is an input. Name another --out.")


def _weights(classifier: Classifier) -> str:
    return fingerprint(Torch(classifier, device=next(classifier.model.parameters()).device))


def _sha256(path: Path) -> str:
    with reading(path, InceptorchError):
        return hashlib.sha256(read_image_file(path)).hexdigest()
