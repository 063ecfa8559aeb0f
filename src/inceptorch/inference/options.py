"""What is asked about pictures, and the entry that answers it for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inceptorch.errors import ImageError
from inceptorch.images.crops import CENTER, Protocol, Views
from inceptorch.images.preprocessing import decode
from inceptorch.inference.engines import Engine
from inceptorch.inference.forward import pictures_at_once
from inceptorch.inference.predictor import Told, answered
from inceptorch.tasks import Classification

Entry = dict[str, Any]  # {"file"} with "predictions", and "unknown" if that was asked, or with "error"


@dataclass(frozen=True)
class Asked:
    """What is asked about every picture.

    protocol       which crops are averaged
    top            how many classes, the most probable first
    unknown_below  the probability below which a picture is of none of the classes; None: that is not asked
    """

    protocol: Protocol = CENTER
    top: int = 5
    unknown_below: float | None = None

    def answer(self, entry: Entry, told: Told, classes: list[str]) -> Entry:
        """The entry with what was told of its picture."""
        if isinstance(told, ImageError):
            return {**entry, "error": told.reason}
        answer = {**entry, "predictions": Classification(classes).answer(told.tolist(), self.top)}
        if self.unknown_below is not None:
            answer["unknown"] = float(told.max()) < self.unknown_below
        return answer


def predictions(
    engine: Engine, entries: Iterable[Entry], asked: Asked, threads: int | None = None, folder: Path = Path()
) -> Iterator[Entry]:
    """The answers to entries such as `picture_entries` makes, in their order, as the pictures are read and go through
    the network; relative names are of files in `folder`. One that has an "error" keeps it, one that cannot be read gets
    one. Raises BundleError for a network whose answers are not finite."""

    def read(entry: Entry) -> Views:
        if "error" in entry:
            raise ImageError(entry["file"], entry["error"])
        return asked.protocol.views(decode(folder / entry["file"]), engine.pixels)

    for entry, told in answered(engine, entries, read, pictures_at_once(engine, asked.protocol), threads):
        yield asked.answer(entry, told, engine.classes)
