"""The module of a detector: maps, boxes and the best of them."""

import math

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou, nms

from inceptorch.models.detector import Detector, best_boxes
from inceptorch.networks.detection import MAX_BOXES, MAX_IOU, MIN_SCORE, DetectionHead, default_levels
from inceptorch.networks.zoo import get_network

NET = get_network("googlenet_small")
HEAD = DetectionHead(default_levels(NET), 96, 64, 32, 1)


def model_of(classes: int = 2) -> Detector:
    torch.manual_seed(0)
    return Detector(NET, HEAD, classes).eval()


def test_a_place_without_answers_tells_its_own_cell() -> None:
    """Logarithms of 0: the edges are one stride away from the center on every side."""
    model = model_of()
    rows = torch.zeros(1, len(model.places), 2 + 5)
    boxes, scores = model.decode(rows)
    x, y, stride = model.places.unbind(1)
    expected = torch.stack([x - stride, y - stride, x + stride, y + stride], 1)
    limits = torch.tensor([96.0, 64.0, 96.0, 64.0])
    torch.testing.assert_close(boxes[0], expected.clamp(min=0).minimum(limits))
    torch.testing.assert_close(scores, torch.full_like(scores, 0.5))  # the geometric mean of two halves


def test_boxes_are_decoded_edge_by_edge() -> None:
    model = model_of()
    place = int(((model.places[:, 0] == 24) & (model.places[:, 1] == 40)).nonzero()[0])
    stride = float(model.places[place, 2])
    rows = torch.zeros(1, len(model.places), 2 + 5)
    distances = torch.tensor([5.0, 6.0, 20.0, 3.0])
    rows[0, place] = torch.tensor([2.0, -1.0, *(distances / stride).log(), 0.5])
    boxes, scores = model.decode(rows)
    torch.testing.assert_close(boxes[0, place], torch.tensor([24 - 5.0, 40 - 6.0, 24 + 20.0, 40 + 3.0]))
    probability, central = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-0.5))
    assert float(scores[0, place, 0]) == pytest.approx(math.sqrt(probability * central))
    assert float(scores[0, place, 1]) < float(scores[0, place, 0])


def test_boxes_end_with_the_image_and_never_overflow() -> None:
    model = model_of()
    rows = torch.full((1, len(model.places), 2 + 5), 1e4, requires_grad=True)
    boxes, scores = model.decode(rows)
    assert set(map(tuple, boxes[0].tolist())) == {(0, 0, 96, 64)}
    assert scores.max() == 1
    boxes.sum().backward()  # type: ignore[no-untyped-call]
    assert rows.grad is not None
    assert rows.grad.isfinite().all()  # or training would be lost with one such place


def test_packed_maps_are_the_maps() -> None:
    model = model_of()
    x = torch.randn(2, 3, 64, 96)
    maps = model.forward_maps(x)
    rows = model.pack(maps)
    assert rows.shape == (2, sum(math.prod(shape) for shape in model.shapes))
    for given, back in zip(maps, model.unpack(rows), strict=True):
        torch.testing.assert_close(back, given, rtol=0, atol=0)
    torch.testing.assert_close(model(rows), model(x))
    half = model.pack([each.half() for each in maps])
    assert half.dtype == torch.half


def test_maps_come_in_the_order_of_the_places() -> None:
    model = model_of()
    assert [tuple(each.shape[1:]) for each in model.forward_maps(torch.zeros(1, 3, 64, 96))] == model.shapes
    assert len(model.places) == sum(height * width for _, height, width in model.shapes)
    assert model(torch.zeros(2, 3, 64, 96)).shape == (2, len(model.places), 7)


def random_answers(images: int, count: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    corner = torch.rand(images, count, 2, generator=random) * 60
    boxes = torch.cat([corner, corner + 5 + torch.rand(images, count, 2, generator=random) * 30], 2)
    return boxes, torch.rand(images, count, classes, generator=random) ** 4


@pytest.mark.parametrize("count", [60, 1500])  # few, and so many that torchvision suppresses another way
def test_best_boxes_are_torchvisions_class_by_class(count: int) -> None:
    boxes, scores = random_answers(2, count, 3)
    for found, of_image, scores_of_image in zip(best_boxes(boxes, scores), boxes, scores, strict=True):
        expected = []
        for label in range(3):
            asked = (scores_of_image[:, label] > MIN_SCORE).nonzero()[:, 0]
            kept = asked[nms(of_image[asked], scores_of_image[asked, label], MAX_IOU)]
            expected += [(float(scores_of_image[place, label]), label, of_image[place].tolist()) for place in kept]
        expected = sorted(expected, reverse=True)[:MAX_BOXES]
        assert found.scores.tolist() == pytest.approx([score for score, _, _ in expected])
        assert found.labels.tolist() == [label for _, label, _ in expected]
        np.testing.assert_allclose(found.xyxy, [box for _, _, box in expected])


def test_best_boxes_are_bounded_in_score_overlap_and_number() -> None:
    boxes, scores = random_answers(1, 1500, 3)
    (found,) = best_boxes(boxes, scores)
    assert len(found) == MAX_BOXES
    assert (np.diff(found.scores) <= 0).all()
    for label in range(3):
        overlap = box_iou(*[torch.from_numpy(found.xyxy[found.labels == label])] * 2).fill_diagonal_(0)
        assert overlap.max() <= MAX_IOU
    (few,) = best_boxes(boxes, scores, min_score=0.999)
    assert 0 < len(few) < MAX_BOXES
    assert few.scores.min() > 0.999
    (none,) = best_boxes(boxes, scores * 0.01)
    assert (len(none), none.xyxy.shape) == (0, (0, 4))


def test_the_bodys_statistics_stay_whether_the_detector_is_new_or_in_training() -> None:
    net = get_network("googlenet_small")  # with batch normalization
    assert net.norm is not None
    model = Detector(net, DetectionHead(default_levels(net), 96, 64, 32, 1), 2)
    before = {name: tensor.clone() for name, tensor in model.body.state_dict().items()}
    for _ in range(2):
        model.forward_maps(torch.rand(2, 3, 64, 96))
        model.train()
    after = model.body.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    model.frozen_norm = False
    model.train().forward_maps(torch.rand(2, 3, 64, 96))
    assert not torch.equal(before["conv1.bn.running_mean"], model.body.state_dict()["conv1.bn.running_mean"])
    assert not any(module.training for module in model.eval().modules())
