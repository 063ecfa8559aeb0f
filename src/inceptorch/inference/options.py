"""Predictions for images as entries, the JSON form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from inceptorch.errors import ImageError, ProtocolError
from inceptorch.images.crops import CENTER, CropProtocol, get_protocol
from inceptorch.images.decode import ImageInput, describe_low_bits
from inceptorch.images.inputs import decode_input, is_one_image
from inceptorch.inference.boxes import BoxPrediction, BoxPredictor, score_threshold
from inceptorch.inference.distance import FeatureDistance, distance_of
from inceptorch.inference.engines import Engine, open_engine
from inceptorch.inference.inputs import Entry, each_image
from inceptorch.inference.predictor import Prediction, Predictor
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.classifier.classifier import Answer, Classifier

DEFAULT_TOP = 5


@dataclass(frozen=True)
class PredictOptions:
    """Options for every image.

    protocol        crops to average
    top             number of classes, the most probable first
    min_confidence  probability below which an image is unknown; None: no image is
    distance        from the training images, for every image
    """

    protocol: CropProtocol = CENTER
    top: int = DEFAULT_TOP
    min_confidence: float | None = None
    distance: FeatureDistance | None = None

    def predictor(self, engine: Engine, threads: int | None = None) -> Predictor:
        return Predictor(engine, self.protocol, threads=threads, distance=self.distance)

    def answer(self, entry: Entry, prediction: Prediction) -> Entry:
        """The entry with the prediction for its image."""
        if prediction.error is not None:
            return {**entry, "error": prediction.error.reason}
        result = {**entry, "predictions": prediction.top(self.top)}
        if self.min_confidence is not None:
            result["unknown"] = float(prediction.probabilities.max()) < self.min_confidence
        if self.distance is not None and prediction.distance is not None:
            result |= self.distance.entry(prediction.distance)
        return result

    def to_dict(self) -> dict[str, Any]:
        """The values that must be equal to resume a file."""
        options = {"protocol": self.protocol.to_dict(), "top": self.top, "threshold": self.min_confidence}
        return options if self.distance is None else {**options, "distance": dict(self.distance.reference)}


@dataclass(frozen=True)
class BoxOptions:
    """Options for every image of a detector.

    classes    names of the classes
    threshold  score below which a box is left out
    tile       whether large images are searched in tiles
    with_size  entries have "width" and "height" of the upright image, too
    """

    classes: tuple[str, ...]
    threshold: float
    tile: bool = False
    with_size: bool = False

    def predictor(self, engine: Engine, threads: int | None = None) -> BoxPredictor:
        return BoxPredictor(engine, threads=threads, tile_above=self.threshold if self.tile else None)

    def answer(self, entry: Entry, prediction: BoxPrediction) -> Entry:
        """The entry with the boxes of its image."""
        if isinstance(prediction.result, ImageError):
            return {**entry, "error": prediction.result.reason}
        boxes = prediction.result.to_json(self.classes)
        result = {**entry, "boxes": [box for box in boxes if box["score"] >= self.threshold]}
        if self.with_size:
            result |= dict(zip(("width", "height"), prediction.size, strict=True))
        return result

    def to_dict(self) -> dict[str, Any]:
        """The values that must be equal to resume a file."""
        return {"threshold": self.threshold, "tiling": self.tile}


def options_for(
    engine: Engine,
    top: int | None = None,
    protocol: str | CropProtocol | None = None,
    min_confidence: float | None = None,
    tile: bool = False,
    *,
    distance: bool = False,
    with_size: bool = False,
) -> PredictOptions | BoxOptions:
    """The options of a classifier or a detector; None stands for the default. Raises ProtocolError for one that does
    not apply."""
    config = engine.config
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise ProtocolError(f"Cannot use {min_confidence} as min-confidence: it must be from 0 to 1. Try 0.5.")
    if config.detection is None:
        if tile:
            raise ProtocolError("Cannot use tile with a classifier, which answers for the whole image. Try protocol.")
        crops = CENTER if protocol is None else get_protocol(protocol)
        if distance and crops != CENTER:
            raise ProtocolError("Cannot tell the distance of other crops than the center, for which it was measured.")
        measure = distance_of(engine) if distance else None
        return PredictOptions(crops, DEFAULT_TOP if top is None else top, min_confidence, measure)
    if distance:
        raise ProtocolError("Cannot tell distances with a detector. Try a run of recipe head.")
    for name, value in (("top", top), ("protocol", protocol)):
        if value is not None:
            raise ProtocolError(
                f"Cannot use {name} with a detector, which finds boxes in the whole image. Try min-confidence, the "
                "score below which boxes are left out."
            )
    threshold = score_threshold(config) if min_confidence is None else min_confidence
    return BoxOptions(tuple(config.classes), threshold, tile, with_size)


def predict(
    model: Classifier | Engine | str | Path,
    images: ImageInput | Iterable[ImageInput],
    *,
    top: int | None = None,
    protocol: str | CropProtocol | None = None,
    min_confidence: float | None = None,
    tile: bool = False,
    distance: bool = False,
    engine: str = "auto",
    precision: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Entry]:
    """Classify images, or find boxes in them, in order, as `inceptorch predict --json` does.

    images             one image or any number of them, as in `images.inputs`; a generator is read as needed
    top                number of classes for each image, the most probable first; by default 5
    protocol           crops to average: a name, a YAML file or a `CropProtocol`; by default the center
    min_confidence     probability below which "unknown" is true; of a detector, score below which a box is left out
    tile               of a detector: search images larger than the network's in overlapping tiles
    distance           "distance" from the training images, in standard deviations of the validation images, and whether
                       the image is "out_of_distribution"; on torch, by a run of recipe head
    engine, precision  as for `open_engine`

    Each entry has "file" for a file, and "predictions", a list of {"label", "index", "probability"}, or "error" for an
    image that cannot be read. Of a detector it has "boxes", a list of {"label", "index", "score", "box"}, best first;
    a box is left, top, width and height in pixels of the upright image. An image that uses only the lowest of its 16
    bits has a "warning".
    """
    opened = open_engine(model, "torch" if distance and engine == "auto" else engine, precision)
    options = options_for(opened, top, protocol, min_confidence, tile, distance=distance)
    several = not is_one_image(images)
    total = len(images) if several and isinstance(images, Sized) else 0
    progress = progress or Progress(quiet=True)
    answers = _predict(opened, each_image(images), options)
    return progress.track(report_low_bits(answers, progress.info), total, "predicting")


def answers(classifier: Classifier, images: Iterable[ImageInput], top: int | None = None) -> list[list[Answer]]:
    """The classes, or of a detector the boxes, of each image, on the classifier's device. Raises ImageError for one
    that cannot be read."""
    from inceptorch.inference.engines.torch import Torch

    engine = Torch(classifier, device=next(classifier.model.parameters()).device)
    options = options_for(engine, top)
    predictor: Any = options.predictor(engine)
    found: list[list[Answer]] = []
    for prediction in predictor.stream(images):
        if isinstance(prediction.result, ImageError):
            raise prediction.result
        entry = options.answer({}, prediction)
        found.append(entry["predictions"] if isinstance(options, PredictOptions) else entry["boxes"])
    return found


def predict_entries(
    engine: Engine,
    entries: Iterable[Entry],
    options: PredictOptions | BoxOptions,
    threads: int | None = None,
    folder: Path = Path(),
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
    engine: Engine,
    pairs: Iterable[tuple[Entry, Any]],
    options: PredictOptions | BoxOptions,
    threads: int | None = None,
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

    predictor: Any = options.predictor(engine, threads)  # each kind of options takes its own predictions
    for prediction in predictor.stream(pairs, read):
        entry, _ = prediction.source
        yield options.answer(entry, prediction)
