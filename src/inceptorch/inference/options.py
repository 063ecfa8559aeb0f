"""Predictions for images as entries, the JSON form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from inceptorch.errors import ImageError
from inceptorch.images.crops import CENTER, CropProtocol, get_protocol
from inceptorch.images.decode import ImageInput, describe_low_bits
from inceptorch.images.inputs import decode_input, is_one_image
from inceptorch.inference.engines import Engine, open_engine
from inceptorch.inference.inputs import Entry, each_image
from inceptorch.inference.predictor import Prediction, Predictor
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.classifier.classifier import Classifier


@dataclass(frozen=True)
class PredictOptions:
    """Options for every image.

    protocol        crops to average
    top             number of classes, the most probable first
    min_confidence  probability below which an image is unknown; None: no image is
    """

    protocol: CropProtocol = CENTER
    top: int = 5
    min_confidence: float | None = None

    def answer(self, entry: Entry, prediction: Prediction) -> Entry:
        """The entry with the prediction for its image."""
        if prediction.error is not None:
            return {**entry, "error": prediction.error.reason}
        result = {**entry, "predictions": prediction.top(self.top)}
        if self.min_confidence is not None:
            result["unknown"] = float(prediction.probabilities.max()) < self.min_confidence
        return result


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
    """Classify images, in order, as `inceptorch predict --json` does.

    images             one image or any number of them, as in `images.inputs`; a generator is read as needed
    top                number of classes for each image, the most probable first
    protocol           crops to average: a name, a YAML file or a `CropProtocol`
    min_confidence     probability below which "unknown" is true
    engine, precision  as for `open_engine`

    Each entry has "file" for a file, and "predictions", a list of {"label", "index", "probability"}, or "error" for an
    image that cannot be read. An image that uses only the lowest of its 16 bits has a "warning".
    """
    options = PredictOptions(get_protocol(protocol), top, min_confidence)
    several = not is_one_image(images)
    total = len(images) if several and isinstance(images, Sized) else 0
    progress = progress or Progress(quiet=True)
    answers = _predict(open_engine(model, engine, precision), each_image(images), options)
    return progress.track(report_low_bits(answers, progress.info), total, "predicting")


def predict_entries(
    engine: Engine, entries: Iterable[Entry], options: PredictOptions, threads: int | None = None, folder: Path = Path()
) -> Iterator[Entry]:
    """The results for entries of `image_entries`; relative names are of files in `folder`."""
    pairs = ((entry, None if "error" in entry else folder / entry["file"]) for entry in entries)
    return _predict(engine, pairs, options, threads)


def report_low_bits(entries: Iterable[Entry], say: Callable[[str], object]) -> Iterator[Entry]:
    """Pass results on, and tell `say` at the end how many are of images with a "warning"."""
    total, warned = 0, list[str]()
    for entry in entries:
        total += 1
        if "warning" in entry:
            warned.append(entry.get("file", "an image"))
        yield entry
    if warned:
        say(describe_low_bits(len(warned), total, warned[0]))


def _predict(
    engine: Engine, pairs: Iterable[tuple[Entry, Any]], options: PredictOptions, threads: int | None = None
) -> Iterator[Entry]:
    """The entries with their results. An entry with an "error" keeps it."""

    def read(pair: tuple[Entry, Any]) -> Image.Image:
        entry, image = pair
        if "error" in entry:
            raise ImageError(entry["file"], entry["error"])
        decoded = decode_input(image)
        if decoded.low_bits:
            entry["warning"] = decoded.low_bits
        return decoded.image

    predictor = Predictor(engine, options.protocol, threads=threads)
    for prediction in predictor.stream(pairs, read):
        entry, _ = prediction.source
        yield options.answer(entry, prediction)
