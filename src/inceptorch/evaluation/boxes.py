"""Evaluating detectors on images with boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inceptorch.classifier import Classifier
from inceptorch.data import Skipped
from inceptorch.data.box_split import BoxSplit, describe_problems
from inceptorch.errors import ProtocolError
from inceptorch.evaluation.detection import RULES, DetectionScores, best_threshold, evaluate_boxes
from inceptorch.evaluation.inputs import ModelInput, evaluation_split, open_model
from inceptorch.images.boxes import Boxes
from inceptorch.images.crops import CENTER
from inceptorch.inference.boxes import BoxPredictor
from inceptorch.inference.engines import Engine
from inceptorch.inference.engines.torch import Torch
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.runtime.distributed import DistributedContext


@dataclass(frozen=True, eq=False)
class BoxEvaluation:
    """Scores of the boxes that were `found` in the images of a split; and the images that could not be read."""

    scores: DetectionScores
    split: BoxSplit
    found: Sequence[Boxes]
    skipped: list[Skipped]

    @property
    def n(self) -> int:
        """The number of images."""
        return self.scores.n

    @property
    def map50(self) -> float | None:
        """Mean average precision at an IoU of 0.5, 0 to 1; None where the images have no boxes."""
        return self.scores.map50

    @property
    def threshold(self) -> float:
        """The score at which F1 is highest on these images."""
        return best_threshold(self.split.boxes, self.found, self.split.classes)

    def at(self, threshold: float | None) -> BoxEvaluation:
        """The same with intervals, and with precision and recall at this score; None: at that of the greatest F1."""
        scores = evaluate_boxes(self.split.boxes, self.found, self.split.classes, self.scores.rule, threshold=threshold)
        return replace(self, scores=scores)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: that of the scores, with "skipped"."""
        return {**self.scores.to_dict(), "skipped": self.skipped}


def evaluate_on_boxes(
    model: ModelInput,
    data: str | Path,
    *,
    split: str | None = None,
    protocol: str = "voc",
    exclude: str | Path | None = None,
    engine: str = "auto",
    precision: str | None = None,
    progress: Progress | None = None,
) -> BoxEvaluation:
    """Evaluate a detector on images with boxes, with intervals. Arguments as for `evaluate`.

    protocol  the rule: voc, voc07, coco or ilsvrc

    Raises DataError for images without boxes, ProtocolError for another rule.
    """
    progress = progress or Progress()
    rule = "voc" if protocol == CENTER.name else protocol
    if rule not in RULES:
        raise ProtocolError(f"Cannot evaluate a detector by {protocol}. Try --protocol {' or '.join(RULES)}.")
    detector = open_model(model, engine, precision)
    assert isinstance(detector, Engine)
    BoxPredictor(detector)  # refuses a classifier before the images are read
    whole, skipped = evaluation_split([detector], detector.config.classes, data, split, exclude, progress)
    assert isinstance(whole, BoxSplit)
    for line in describe_problems([whole]):
        progress.info(line)
    return evaluate_detector(detector, whole, skipped, rule, progress)


def evaluate_detector(
    engine: Engine, split: BoxSplit, skipped: list[Skipped], rule: str, progress: Progress
) -> BoxEvaluation:
    """Evaluate a detector by a rule, with intervals. Precision and recall are at the threshold of its own config."""
    progress.info(f"evaluating by {rule} on {len(split)} images{f' of {split.name}' if split.name else ''}")
    predictor = BoxPredictor(engine)
    predictions = progress.track(predictor.stream(range(len(split)), split.image), len(split), "evaluating")
    found = [prediction.boxes for prediction in predictions]
    threshold = engine.config.metadata.score_threshold
    return BoxEvaluation(
        evaluate_boxes(split.boxes, found, split.classes, rule, threshold=threshold), split, found, skipped
    )


def evaluate_box_split(
    classifier: Classifier,
    split: BoxSplit,
    skipped: list[Skipped],
    world: DistributedContext,
    progress: Progress,
    *,
    precision: str = "fp32",
    interrupt: Callable[[], object] = lambda: None,
) -> BoxEvaluation:
    """Evaluate a detector on readable images in all processes, as training does. `interrupt` is called for every image,
    and may raise."""
    mine = split.select(world.shard_padded(range(len(split))))
    predictor = BoxPredictor(Torch(classifier, precision, device=world.device))
    boxes = []
    for prediction in progress.track(predictor.stream(range(len(mine)), mine.image), len(mine), "evaluating"):
        interrupt()
        boxes.append(prediction.boxes)
    return evaluation_of(world.gather_objects(boxes, len(split)), split, skipped)


def evaluation_of(found: Sequence[Boxes], split: BoxSplit, skipped: list[Skipped]) -> BoxEvaluation:
    """The evaluation of the boxes found in a split's images by VOC's rule, without intervals."""
    return BoxEvaluation(evaluate_boxes(split.boxes, found, split.classes, bootstrap=0), split, found, skipped)
