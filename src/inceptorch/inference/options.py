"""What is asked about images, and the entry that answers it for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from inceptorch.errors import ImageError
from inceptorch.images.crops import CENTER, CropProtocol, get_protocol
from inceptorch.images.decode import ImageInput
from inceptorch.images.inputs import is_one_image, load_image
from inceptorch.inference.engines import Engine, open_engine
from inceptorch.inference.inputs import Entry, each_image
from inceptorch.inference.predictor import Prediction, Predictor
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.classifier.classifier import Classifier


@dataclass(frozen=True)
class PredictOptions:
    """What is asked about every image.

    protocol        which crops are averaged
    top             how many classes, the most probable first
    min_confidence  the probability below which an image is of none of the classes; None: that is not asked
    """

    protocol: CropProtocol = CENTER
    top: int = 5
    min_confidence: float | None = None

    def answer(self, entry: Entry, prediction: Prediction) -> Entry:
        """The entry with the answer to its image."""
        if prediction.error is not None:
            return {**entry, "error": prediction.error.reason}
        answer = {**entry, "predictions": prediction.top(self.top)}
        if self.min_confidence is not None:
            answer["unknown"] = float(prediction.probabilities.max()) < self.min_confidence
        return answer


def predict(
    model: Classifier | Engine | str | Path,
    images: ImageInput | Iterable[ImageInput],
    *,
    top: int = 5,
    protocol: str | CropProtocol = CENTER,
    min_confidence: float | None = None,
    engine: str = "auto",
    precision: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Entry]:
    """Say what is in images, one by one and in their order, as `inceptorch predict --json` does.

    images          one, or any number of them: see `inference.inputs`. Of a generator no more is taken than is needed
    top             classes of each, the most probable first
    protocol        which crops are averaged: a name, a YAML file or a `CropProtocol`
    min_confidence  the probability below which "unknown" is true
    engine, precision  as `open_engine` takes them

    Each entry has "file" for a file, and "predictions", a list of {"label", "index", "probability"}, or "error" for an
    image that cannot be read.
    """
    options = PredictOptions(get_protocol(protocol), top, min_confidence)
    several = not is_one_image(images)
    total = len(images) if several and isinstance(images, Sized) else 0
    answers = _answers(open_engine(model, engine, precision), each_image(images), options)
    return (progress or Progress(quiet=True)).track(answers, total, "predicting")


def predict_entries(
    engine: Engine, entries: Iterable[Entry], options: PredictOptions, threads: int | None = None, folder: Path = Path()
) -> Iterator[Entry]:
    """The answers to entries such as `image_entries` makes; relative names are of files in `folder`."""
    pairs = ((entry, None if "error" in entry else folder / entry["file"]) for entry in entries)
    return _answers(engine, pairs, options, threads)


def _answers(
    engine: Engine, pairs: Iterable[tuple[Entry, Any]], options: PredictOptions, threads: int | None = None
) -> Iterator[Entry]:
    """The entries with their answers. One that has an "error" keeps it."""

    def read(pair: tuple[Entry, Any]) -> Image.Image:
        entry, image = pair
        if "error" in entry:
            raise ImageError(entry["file"], entry["error"])
        return load_image(image)

    predictor = Predictor(engine, options.protocol, threads=threads)
    for prediction in predictor.stream(pairs, read):
        entry, _ = prediction.source
        yield options.answer(entry, prediction)
