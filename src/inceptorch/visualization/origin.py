"""What an image was made from: what its file says, so that it can be made again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from msgspec import Meta

from inceptorch import __version__
from inceptorch.classifier import Classifier
from inceptorch.classifier.hub import HUB
from inceptorch.errors import InceptorchError, RunError
from inceptorch.images.limits import read_image_file
from inceptorch.inference.engines import fingerprint, open_engine
from inceptorch.utils.files import reading
from inceptorch.utils.validation import build, check_fields
from inceptorch.visualization.png import read_settings


@dataclass(frozen=True)
class InputFile:
    """A file and its hash."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Origin:
    """What an image was made from.

    model    the weights as they were named
    weights  their fingerprint
    threads  of torch: with another number, sums have another order
    inputs   the images, in the order of the command
    """

    model: str
    weights: str
    threads: Annotated[int, Meta(ge=1, le=256)]
    inputs: tuple[InputFile, ...]

    def __post_init__(self) -> None:
        check_fields(self, InceptorchError)

    @classmethod
    def of(cls, classifier: Classifier, model: str, inputs: Sequence[Path]) -> Origin:
        """Of an image about to be made. Raises ImageError for a file that cannot be read."""
        hashes = []
        for path in inputs:
            with reading(path, InceptorchError):
                hashes.append(InputFile(str(path), hashlib.sha256(read_image_file(path)).hexdigest()))
        return cls(model, fingerprint(open_engine(classifier)), torch.get_num_threads(), tuple(hashes))

    @classmethod
    def read(cls, file: Path, command: str) -> tuple[Origin, dict[str, Any]]:
        """Of an image made by `command`, with everything that its file says. Raises InceptorchError."""
        settings = read_settings(file, command)
        try:
            return build(cls, settings, "It", InceptorchError, more=True), settings
        except InceptorchError as error:
            raise InceptorchError(f"Cannot make {file} again: {error} Try another file.") from None

    def to_dict(self, command: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What the file says: this, the command and its settings."""
        return {"command": command, "version": __version__, **asdict(self), **settings}

    def require_same(self, found: Origin, file: Path) -> None:
        """Raise InceptorchError where the weights or inputs at hand are not those of the image `file`."""
        refusal = f"Cannot make {file} again:"
        if found.weights != self.weights:
            raise InceptorchError(f"{refusal} {found.model} has other weights than it was made with. Try --model.")
        if len(found.inputs) != len(self.inputs):
            raise InceptorchError(f"{refusal} it was made from {len(self.inputs)} images, not {len(found.inputs)}.")
        for before, now in zip(self.inputs, found.inputs, strict=True):
            if now.sha256 != before.sha256:
                raise InceptorchError(f"{refusal} {now.file} is not the file it was made from. Try the original.")

    def require_local(self, file: Path) -> None:
        """Raise InceptorchError for weights that would be downloaded because the image `file` says so."""
        if self.model.startswith(HUB):
            raise InceptorchError(f"Cannot make {file} again: its weights are on the hub. Try --model {self.model}.")


def check_out(out: Path, inputs: Sequence[Path]) -> None:
    """Raise RunError where `out` cannot be written, before the work begins."""
    refusal = f"Cannot write {out}:"
    if out.suffix.lower() != ".png":
        raise RunError(f"{refusal} only PNG files hold their settings. Try {out.stem or 'out'}.png.")
    if not out.parent.is_dir():
        raise RunError(f"{refusal} its folder does not exist. Try another --out.")
    if out.is_dir():
        raise RunError(f"{refusal} it is a folder. Try another --out.")
    if not os.access(out.parent, os.W_OK):
        raise RunError(f"{refusal} its folder may not be written. Try another --out.")
    if any(os.path.exists(path) and out.exists() and os.path.samefile(out, path) for path in inputs):
        raise RunError(f"{refusal} it is one of the inputs. Try another --out.")
