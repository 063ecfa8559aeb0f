"""Evaluating detectors: what they are evaluated on, and by which rule."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.data import BoxSplit, find_split
from inceptorch.errors import BundleError, DataError, ProtocolError
from inceptorch.evaluation import evaluate, evaluate_on_boxes
from inceptorch.images.boxes import Boxes
from inceptorch.inference.boxes import BoxPredictor
from inceptorch.inference.engines.torch import Torch
from inceptorch.networks.network import NetworkSpec
from inceptorch.utils.progress import Progress
from tests.helpers import classifier_of, detector

QUIET = Progress(quiet=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images whose boxes are the first two that the detector finds in each."""
    root = tmp_path_factory.mktemp("data")
    found, random, lines = detector(), np.random.default_rng(0), ["filename,class,xmin,ymin,xmax,ymax"]
    for number in range(3):
        image = random.integers(0, 256, (64, 96, 3), np.uint8)
        Image.fromarray(image).save(root / f"{number}.png")
        (boxes,) = Torch(found).detect(image[None])
        for label, edges in zip(boxes.labels[:2], boxes.xyxy[:2], strict=True):
            lines.append(f"{number}.png,{found.classes[label]},{','.join(map(str, edges))}")
    (root / "boxes.csv").write_text("\n".join(lines))
    return root / "boxes.csv"


def test_a_detector_is_evaluated_by_each_rule(data: Path) -> None:
    found = detector()
    for rule in ("voc", "voc07", "coco", "ilsvrc"):
        scored = evaluate_on_boxes(found, data, protocol=rule, progress=QUIET)
        assert (scored.n, scored.scores.objects) == (3, 6)
        assert scored.to_dict()["skipped"] == []
        assert scored.map50 is not None
        assert scored.map50 > 0.9  # the best boxes are the objects
        assert scored.scores.rule.name == rule
    assert evaluate_on_boxes(found, data, progress=QUIET).scores.rule.name == "voc"


def test_the_boxes_found_are_the_predictors(data: Path) -> None:
    found = detector()
    split = find_split(data, found.classes)
    assert isinstance(split, BoxSplit)
    scored = evaluate_on_boxes(found, data, progress=QUIET)
    expected: list[Boxes] = [each.boxes for each in BoxPredictor(Torch(found)).stream(range(3), split.image)]
    for one, other in zip(scored.found, expected, strict=True):
        np.testing.assert_allclose(one.xyxy, other.xyxy, atol=1e-3)


def test_what_does_not_belong_together_is_refused(data: Path, tiny: NetworkSpec, tmp_path: Path) -> None:
    for name in ("ant", "bee", "cat"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20)).save(tmp_path / name / "0.png")
    with pytest.raises(DataError, match="its images have no boxes. Try data as for training"):
        evaluate_on_boxes(detector(), tmp_path, progress=QUIET)
    with pytest.raises(ProtocolError, match="Cannot evaluate a detector by 10crop. Try --protocol voc or voc07"):
        evaluate_on_boxes(detector(), data, protocol="10crop", progress=QUIET)
    with pytest.raises(ProtocolError, match="it is a detector. Try inceptorch eval with it alone"):
        evaluate(detector(), data, progress=QUIET)
    classifier = classifier_of(tiny, classes=3)
    with pytest.raises(DataError, match="Cannot use a classifier on .*boxes.csv: its images have boxes"):
        evaluate(classifier, data, progress=QUIET)
    classifier.config.classes[:] = ["ant", "bee", "cat"]
    with pytest.raises(BundleError, match="Cannot find boxes with a classifier"):
        evaluate_on_boxes(classifier, data, progress=QUIET)
