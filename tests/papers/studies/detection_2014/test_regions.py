"""Regions: their labels, their features, hard negatives, and the regression of boxes."""

import numpy as np
import pytest
import torch

from inceptorch.images.boxes import Boxes
from inceptorch.papers.studies.detection_2014.regions import (
    CELLS,
    UNDECIDED,
    Components,
    fitted,
    label_regions,
    mine,
    moved,
    offsets_to,
    pooled,
    ridge,
)

OBJECTS = Boxes.of(
    [[0, 0, 10, 10], [20, 20, 40, 40], [60, 60, 80, 80], [100, 0, 140, 40]],
    [1, 0, 1, 0],
    difficult=[False, False, True, False],
    crowd=[False, False, False, True],
)


@pytest.mark.parametrize(
    ("region", "label"),
    [
        ([0, 0, 10, 10], 1),
        ([0, 0, 10, 20], 1),  # IoU 0.5
        ([0, 0, 10, 20.1], UNDECIDED),
        ([0, 0, 10, 33.3], UNDECIDED),  # IoU 0.3
        ([0, 0, 10, 33.4], 2),
        ([20, 20, 40, 41], 0),
        ([60, 60, 80, 80], UNDECIDED),  # difficult
        ([105, 5, 115, 15], UNDECIDED),  # within a crowd
        ([200, 200, 210, 210], 2),
    ],
)
def test_labels_are_those_of_r_cnn(region: list[float], label: int) -> None:
    labels, which, overlap = label_regions(np.array([region], float), OBJECTS, 2)
    assert labels[0] == label
    assert label in (UNDECIDED, 2) or OBJECTS.labels[which[0]] == label
    assert 0 <= overlap[0] <= 1


def test_every_region_of_an_empty_image_is_background() -> None:
    labels, which, overlap = label_regions(np.array([[0.0, 0, 5, 5]]), Boxes(), 2)
    assert (labels.tolist(), which.tolist(), overlap.tolist()) == ([2], [-1], [0.0])


def test_offsets_lead_to_their_objects() -> None:
    random = np.random.default_rng(0)
    regions, objects = (
        np.concatenate([corners, corners + random.uniform(5, 30, (20, 2))], 1)
        for corners in random.uniform(0, 100, (2, 20, 2))
    )
    assert moved(regions, offsets_to(regions, objects)) == pytest.approx(objects)
    shift = offsets_to(np.array([[0.0, 0, 10, 20]]), np.array([[5.0, 0, 25, 20]]))
    assert shift[0] == pytest.approx([1.0, 0.0, np.log(2), 0.0])


def test_box_regression_inverts_a_known_shift_exactly() -> None:
    """Every region lies as far off as the others, so the shift is in the bias, which is not shrunk."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    corners = random.uniform(0, 100, (50, 2))
    objects = np.concatenate([corners, corners + random.uniform(10, 40, (50, 2))], 1)
    regions = moved(objects, np.tile([0.1, -0.2, 0.3, -0.1], (50, 1)))
    features = torch.randn(50, 12)
    weight, bias = ridge(features, torch.from_numpy(offsets_to(regions, objects)).float())
    found = moved(regions, (features @ weight + bias).double().numpy())
    assert found == pytest.approx(objects, abs=1e-4)


def test_box_regression_learns_what_features_say_and_is_shrunk() -> None:
    torch.manual_seed(0)
    features, truth = torch.randn(4000, 3) * 10, torch.tensor([[0.5, 0, 0, 0], [0, -0.2, 0, 0], [0, 0, 0.1, 0]])
    weight, bias = ridge(features, features @ truth + 1)
    assert weight == pytest.approx(truth * 400_000 / 401_000, abs=2e-3)
    few, _ = ridge(features[:5] / 10, (features[:5] / 10) @ truth)
    assert few.abs().max() < 0.01
    assert bias == pytest.approx(torch.ones(4), abs=1e-3)


def test_features_are_pooled_in_the_cells_of_a_region() -> None:
    maps = torch.arange(12.0).repeat(12, 1)[None]  # the place from left to right
    cells = pooled(maps, np.array([[0.0, 0, 48, 48], [24.0, 0, 36, 48]]), (48, 48)).view(2, CELLS, CELLS)
    assert cells[0, 0] == pytest.approx(torch.tensor([1.5, 5.5, 9.5]))
    assert torch.equal(cells[:, 0], cells[:, 2])
    assert cells[1, 0] == pytest.approx(torch.tensor([6.0, 7.0, 8.0]))


def test_components_keep_what_varies() -> None:
    torch.manual_seed(0)
    places = torch.randn(500, 4) * torch.tensor([0.1, 5.0, 1.0, 0.01]) + 3
    components = Components.of(places)
    maps = places.T.view(4, 20, 25)
    reduced = components(maps)
    assert reduced.flatten(1).std(1) == pytest.approx(torch.tensor([5.0, 1.0, 0.1, 0.01]), rel=0.1)
    assert reduced.flatten(1).mean(1).abs().max() < 1e-4


def test_mining_takes_all_objects_and_the_negatives_most_like_them() -> None:
    torch.manual_seed(0)
    positive = torch.randn(40, 2) + torch.tensor([4.0, 0])
    easy, hard = torch.randn(400, 2) - torch.tensor([6.0, 0]), torch.randn(30, 2) + torch.tensor([2.5, 0])
    features = torch.cat([positive, easy, hard])
    labels = torch.tensor([0] * 40 + [1] * 430)
    chosen = mine(features, labels, 1, seed=0)
    assert len(set(chosen.tolist())) == len(chosen) == 40 * 4
    assert set(range(40)) <= set(chosen.tolist())
    assert set(range(440, 470)) <= set(chosen.tolist())
    weight, bias = fitted(features[chosen], labels[chosen], 1)
    assert ((features @ weight.T + bias).argmax(1) == labels).float().mean() > 0.9


def test_mining_ends_where_no_negatives_are_left() -> None:
    features, labels = torch.randn(10, 2), torch.tensor([0] * 8 + [1] * 2)
    assert sorted(mine(features, labels, 1, seed=0).tolist()) == list(range(10))
