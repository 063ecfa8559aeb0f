"""The task of finding boxes."""

from types import SimpleNamespace

import pytest
import torch

from inceptorch.data.augmentation import AugmentationConfig
from inceptorch.models.detector import Detector
from inceptorch.tasks import Detection
from inceptorch.tasks.boxes import losses
from tests.helpers import detector


@pytest.fixture(scope="module")
def task() -> Detection:
    model = detector().model
    assert isinstance(model, Detector)
    return Detection(["ant", "bee", "cat"], model)


def test_the_loss_is_that_of_the_boxes_and_every_image_weighs_the_same(task: Detection) -> None:
    torch.manual_seed(0)
    outputs = torch.randn(2, len(task.model.places), 8)
    targets = torch.tensor([[[1.0, 10, 10, 40, 40]], [[-1.0, 0, 0, 0, 0]]])
    assert torch.equal(task.loss(outputs, targets, 0.1), losses(task.model, outputs, targets))
    assert task.image_weights(targets, torch.tensor([9.0, 9, 9])).tolist() == [1, 1]
    assert task.chance_loss is None


def test_images_with_boxes_are_not_mixed(task: Detection) -> None:
    images, targets = torch.rand(2, 3, 8, 8), torch.rand(2, 1, 5)
    mixed = task.mix(images, targets, AugmentationConfig(mixup_alpha=1.0, random_erasing_prob=1.0), 0)
    assert torch.equal(mixed[0], images)
    assert torch.equal(mixed[1], targets)


def test_images_without_objects_score_nothing(task: Detection) -> None:
    assert task.metrics(SimpleNamespace(map50=None)) == {"map50": 0}
    assert task.metrics(SimpleNamespace(map50=0.5)) == {"map50": 0.5}
