"""Which place finds which box, and what that costs."""

import pytest
import torch

from inceptorch.images.boxes import NO_BOX
from inceptorch.models.detector import Detector
from inceptorch.networks.detection import DetectionHead
from inceptorch.networks.layers import Conv, GlobalAverage
from inceptorch.networks.network import NetworkSpec
from inceptorch.tasks.boxes import assign, centerness_of, losses

BODY = {"a": Conv(16, 3, 8), "b": Conv(16, 3, 2)}  # maps of 8 and 16 pixels a place
NET = NetworkSpec("two", "two maps", "a test", 128, BODY, {"avgpool": GlobalAverage()})
HEAD = DetectionHead(("a", "b"), 128, 64, 16, 1)
SMALL, LARGE = [1.0, 10, 10, 40, 40], [0.0, 0, 0, 128, 64]
NOTHING = [-1.0, 0, 0, 0, 0]


@pytest.fixture(scope="module")
def model() -> Detector:
    torch.manual_seed(0)
    return Detector(NET, HEAD, 2)


def test_places_near_the_center_find_a_box_on_the_map_of_its_size(model: Detector) -> None:
    labels, boxes = assign(torch.tensor([[SMALL]]), model.places)
    x, y, stride = model.places[labels[0] != NO_BOX].unbind(1)
    assert set(stride.tolist()) == {8.0}
    # Within 12 pixels of (25, 25), where all four edges are at most 64 away.
    assert sorted(set(x.tolist())) == sorted(set(y.tolist())) == [20, 28, 36]
    assert len(x) == 9
    assert (boxes[labels != NO_BOX] == torch.tensor(SMALL[1:])).all()
    labels, _ = assign(torch.tensor([[LARGE]]), model.places)
    assert set(model.places[labels[0] != NO_BOX][:, 2].tolist()) == {16.0}


def test_of_several_boxes_a_place_finds_the_smallest(model: Detector) -> None:
    inner = [0.0, 15, 15, 35, 35]
    labels, _ = assign(torch.tensor([[SMALL, inner]]), model.places)
    at = (model.places[:, :2] == torch.tensor([28.0, 28.0])).all(1)
    assert labels[0, at].tolist() == [0]


def test_rows_that_fill_a_batch_up_are_found_nowhere(model: Detector) -> None:
    labels, _ = assign(torch.tensor([[NOTHING, SMALL], [NOTHING, NOTHING]]), model.places)
    assert (labels[0] == 1).sum() == 9
    assert (labels[1] == NO_BOX).all()
    assert (assign(torch.zeros(3, 0, 5), model.places).labels == NO_BOX).all()


def test_centerness_is_1_at_the_center_and_falls_to_the_edges() -> None:
    places = torch.tensor([[20.0, 10, 8], [10, 10, 8], [0, 10, 8]])
    boxes = torch.tensor([[[0.0, 0, 40, 20]] * 3])
    assert centerness_of(boxes, places)[0].tolist() == pytest.approx([1, (10 / 30) ** 0.5, 0])


def perfect(model: Detector, targets: torch.Tensor) -> torch.Tensor:
    """The outputs that say exactly what the targets are."""
    labels, boxes = assign(targets, model.places)
    x, y, stride = model.places.unbind(1)
    left, top, right, bottom = boxes.unbind(2)
    edges = torch.stack([x - left, y - top, right - x, bottom - y], 2).clamp(min=1e-3) / stride[:, None]
    classes = torch.where(labels[..., None] == torch.arange(model.num_classes), 20.0, -20.0)
    central = centerness_of(boxes, model.places).clamp(1e-6, 1 - 1e-6)
    return torch.cat([classes, edges.log(), central.logit()[..., None]], 2)


def test_perfect_outputs_cost_nothing_but_the_entropy_of_the_centerness(model: Detector) -> None:
    targets = torch.tensor([[SMALL, LARGE], [LARGE, NOTHING]])
    found = assign(targets, model.places)
    central = centerness_of(found.boxes, model.places).clamp(1e-6, 1 - 1e-6)
    entropy = -(central * central.log() + (1 - central) * (1 - central).log())
    where = found.labels != NO_BOX
    least = (entropy * where).sum(1) / where.sum(1)
    assert losses(model, perfect(model, targets), targets).tolist() == pytest.approx(least.tolist(), abs=1e-4)


def test_each_part_of_the_loss_is_felt(model: Detector) -> None:
    targets = torch.tensor([[SMALL, NOTHING]])
    best = losses(model, perfect(model, targets), targets)
    for part in (slice(0, 2), slice(2, 6), slice(6, 7)):
        worse = perfect(model, targets)
        worse[..., part] = -worse[..., part] + 0.5
        assert losses(model, worse, targets) > best + 0.05


def test_an_image_costs_the_same_alone_and_in_a_batch(model: Detector) -> None:
    torch.manual_seed(1)
    targets = torch.tensor([[SMALL, LARGE], [NOTHING, NOTHING], [LARGE, NOTHING]])
    outputs = torch.randn(3, len(model.places), 7)
    together = losses(model, outputs, targets)
    alone = [losses(model, outputs[i : i + 1], targets[i : i + 1]).item() for i in range(3)]
    assert together.tolist() == pytest.approx(alone, rel=1e-5)
    assert together.isfinite().all()  # an image without boxes, too


def test_gradients_are_finite_where_there_is_no_box(model: Detector) -> None:
    outputs = torch.randn(2, len(model.places), 7, requires_grad=True)
    losses(model, outputs, torch.zeros(2, 0, 5)).sum().backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
