"""The networks of an ensemble."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inceptorch.classifier.hub import load
from inceptorch.data import find_split
from inceptorch.data.box_split import BoxSplit
from inceptorch.images.boxes import iou
from inceptorch.papers.studies.detection_2014.maps import Corners, View, body_of, image_maps
from inceptorch.papers.studies.detection_2014.networks import (
    NETWORKS,
    Network,
    answers,
    detections,
    train_network,
)
from inceptorch.papers.studies.detection_2014.proposals import grid
from inceptorch.papers.studies.detection_2014.regions import moved
from inceptorch.utils.progress import Progress


def test_every_network_is_another_and_takes_a_layer_that_there_is() -> None:
    assert len(set(NETWORKS)) == len(NETWORKS) == 6
    assert Network(-2, View()).layer(("3b", "4e", "5b")) == "4e"
    assert Network(-2, View()).layer(("5b",)) == "5b"
    assert Network(-1, View(mirrored=True)).describe(("4e", "5b"), 3) == "maps of 5b, images mirrored, seed 3"


def splits(drawn: Path) -> list[BoxSplit]:
    found = [find_split(drawn, ["bright", "dark"], name) for name in ("train", "test")]
    assert isinstance(found[0], BoxSplit)
    assert isinstance(found[1], BoxSplit)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_network_tells_classes_and_moves_boxes_closer(
    drawn: Path, four: Path, tmp_path: Path, mirrored: bool
) -> None:
    classifier, (train, test), view = load(four), splits(drawn), View(mirrored)
    model = body_of(classifier, train, 128)
    maps = [
        image_maps(classifier, model, split, view, tmp_path / f"{split.name}.npy", Progress(quiet=True))
        for split in (train, test)
    ]
    proposals: list[Corners] = [grid(128, 96)[::4]] * len(train)
    network = train_network(maps[0], "c", proposals, seed=0)
    right, before, after = [], [], []
    for index, objects in enumerate(test.boxes):
        shifted = moved(objects.xyxy, np.tile([0.15, 0.1, 0.0, 0.0], (len(objects), 1)))
        probabilities, offsets = network.answer(maps[1], index, shifted)
        assert probabilities.shape == (2, len(objects), 3)
        assert probabilities.float().sum(2) == pytest.approx(torch.ones(2, len(objects)), abs=2e-3)
        right.append((probabilities[:, :, :2].argmax(2).numpy() == objects.labels).mean())
        own = offsets[torch.arange(len(objects)), torch.from_numpy(objects.labels).long()].double().numpy()
        before += np.diag(iou(objects.xyxy, shifted)).tolist()
        after += np.diag(iou(objects.xyxy, moved(shifted, own))).tolist()
    assert np.mean(right) > 0.8
    assert np.mean(after) > np.mean(before)
    whole = answers(maps[0], maps[1], "c", (proposals, [grid(128, 96)[:5]] * len(test)), seed=0)
    assert whole.probabilities.shape == (2, 5 * len(test), 3)
    assert whole.offsets.shape == (5 * len(test), 2, 4)


def test_detections_are_the_best_region_of_each_object_moved() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [0, 0, 10, 10]])
    probabilities = torch.tensor([[0.9, 0.0, 0.1], [0.8, 0.1, 0.1], [0.01, 0.0, 0.99], [0.0, 0.0, 1.0]]).half()
    found = detections(boxes, probabilities, None, (60, 60))
    assert found.labels.tolist() == [0, 1]
    assert found.xyxy.tolist() == [[0, 0, 10, 10], [1, 0, 11, 10]]
    assert found.scores == pytest.approx([0.9, 0.1], abs=1e-3)
    offsets = torch.zeros(4, 2, 4)
    offsets[0, 0, 0] = -0.5
    shifted = detections(boxes, probabilities, offsets.half(), (60, 60))
    assert shifted.xyxy.tolist() == [[0, 0, 5, 10], [1, 0, 11, 10], [1, 0, 11, 10]]
    assert len(detections(boxes, torch.zeros(4, 3), None, (60, 60))) == 0
