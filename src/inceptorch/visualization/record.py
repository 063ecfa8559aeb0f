"""What a PNG says about its making, and how it is made again from that.

Such a file may come from a stranger. Its values are checked like any input. No path in it is written to, and nothing is
fetched because of it but weights that are listed as published.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray

from inceptorch import __version__
from inceptorch.classifier import Classifier
from inceptorch.classifier.hub import HUB
from inceptorch.data.locator import TORCHVISION, URL
from inceptorch.errors import InceptorchError
from inceptorch.images.limits import read_image_file
from inceptorch.inference.engines import fingerprint
from inceptorch.inference.engines.torch import Torch
from inceptorch.runtime.device import torch_threads
from inceptorch.utils.files import reading
from inceptorch.utils.validation import build, check_fields
from inceptorch.visualization.png import read_settings

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class InputFile:
    """A file, or a data set by the hash of its pixels."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Record:
    """What a PNG says beside its settings.

    model    the weights as they were named
    weights  their fingerprint
    threads  of torch: with another number, sums have another order
    inputs   by the names of their arguments
    """

    model: str
    weights: str
    threads: Annotated[int, Meta(ge=1, le=1024)]
    inputs: dict[str, InputFile]

    def __post_init__(self) -> None:
        check_fields(self, InceptorchError)


class Repeat:
    """An earlier call of a command by the PNG that it wrote, whose values hold where none are given now. Weights and
    inputs must be the same, wherever they lie now. Without a PNG only what is given holds.

    Raises InceptorchError for a PNG that another command wrote, and for values that cannot be.
    """

    def __init__(self, file: Path | None, command: str):
        self.file, self.command = file, command
        self.said: dict[str, Any] = {}
        self.record: Record | None = None
        if file is not None:
            self.said = read_settings(file, command)
            with self._refusing():
                self.record = build(Record, self.said, "It", InceptorchError, more=True)

    def settings(self, cls: type[Settings], given: Mapping[str, Any]) -> Settings:
        """The settings of a dataclass. Raises InceptorchError."""
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        kept = {name: self.said[name] for name in names if name in self.said}
        with self._refusing():
            build(cls, kept, "It", InceptorchError)
        return build(cls, kept | dict(given), f"inceptorch {self.command}", InceptorchError)

    def model(self, given: str | None) -> str | None:
        """The weights' name. Raises InceptorchError for a repository that only the PNG names."""
        if given is None and self.record is not None:
            return self._local("model", self.record.model)
        return given

    def inputs(self, given: Mapping[str, str | Path | None]) -> dict[str, str]:
        """Where each input is; those that are None are where they were. Raises InceptorchError for one that would be
        fetched because the PNG names it."""
        found = {}
        for name, path in given.items():
            if path is not None:
                found[name] = str(path)
            elif self.record is not None and name in self.record.inputs:
                found[name] = self._local(name, self.record.inputs[name].file)
        return found

    def threads(self) -> AbstractContextManager[None]:
        """The context in which torch has as many threads as then."""
        return torch_threads(torch.get_num_threads() if self.record is None else self.record.threads)

    def describe(self, model: str, classifier: Classifier, inputs: Mapping[str, str]) -> dict[str, Any]:
        """What the new PNG will say, but for its settings. To be taken before the work, as files may change meanwhile.

        Raises InceptorchError for weights and inputs that are not those of then, and for a file that cannot be read.
        """
        weights = fingerprint(Torch(classifier, device=next(classifier.model.parameters()).device))
        if self.record is not None and weights != self.record.weights:
            raise InceptorchError(
                f"Cannot make {self.file} again: {model} has other weights than it was made with. Try another model."
            )
        found = {name: self.same(name, InputFile(path, _sha256(path))) for name, path in inputs.items()}
        record = Record(model, weights, torch.get_num_threads(), found)
        return {"command": self.command, "version": __version__, **asdict(record)}

    def same(self, name: str, found: InputFile) -> InputFile:
        """An input, if it is that of then or a new one. Raises InceptorchError."""
        before = self.record.inputs.get(name, found) if self.record is not None else found
        if before.sha256 != found.sha256:
            raise InceptorchError(
                f"Cannot make {self.file} again: {found.file} is not what it was made from. Try the original."
            )
        return found

    def _local(self, name: str, where: str) -> str:
        if URL in where or where.startswith((HUB, TORCHVISION)):
            raise InceptorchError(
                f"Cannot make {self.file} again: its {name} would be fetched. Try naming {where} yourself."
            )
        return where

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Name the PNG where its values are wrong."""
        try:
            yield
        except InceptorchError as error:
            raise InceptorchError(f"Cannot make {self.file} again: {error} Try another file.") from None


def to_json(out: Path, image: NDArray[np.uint8], record: dict[str, Any], began: float, **more: Any) -> dict[str, Any]:
    """What `--json` prints of an image that was written with this record; `began` is of `time.monotonic`."""
    height, width = image.shape[:2]
    return {
        "file": str(out),
        "width": width,
        "height": height,
        "interrupted": record["interrupted"],
        "seconds": round(time.monotonic() - began, 3),
        **more,
        "settings": record,
    }


def _sha256(path: str) -> str:
    with reading(path, InceptorchError):
        return hashlib.sha256(read_image_file(path)).hexdigest()
