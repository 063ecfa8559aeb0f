"""Sums over maps, beside numpy on all values at once."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from inceptorch.errors import NonFiniteOutputError
from inceptorch.units.statistics import (
    LayerSums,
    UnitStatistics,
    dimensions,
    effective_rank,
    neighbors,
    participation_ratio,
    spread,
)


def maps_of(images: int = 12, channels: int = 6, size: int = 7) -> Tensor:
    """Maps that are smooth and correlated, after a ReLU."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(images, channels, size + 2, size + 2, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(noise, 3, 1)
    mixed = torch.einsum("ij,njhw->nihw", torch.randn(channels, channels, generator=generator), smooth)
    return torch.relu(mixed)


def whole(*parts: Tensor) -> UnitStatistics:
    sums = LayerSums(parts[0].shape[1])
    for part in parts:
        sums.add(part)
    return sums.finish()


def test_correlation_at_the_same_place_is_numpys() -> None:
    maps = maps_of()
    rows = maps.permute(0, 2, 3, 1).reshape(-1, 6).double().numpy()
    found = whole(maps)
    assert found.places == len(rows)
    expected = np.corrcoef(rows.T)
    np.testing.assert_allclose(found.correlation, expected, atol=1e-5)
    beside = np.abs(expected[~np.eye(6, dtype=bool)])
    assert found.mean_correlation[0] == pytest.approx(beside.mean(), abs=1e-5)
    strongest = np.abs(expected - np.eye(6)).max(1).mean()
    assert found.nearest_correlation[0] == pytest.approx(strongest, abs=1e-5)


@pytest.mark.parametrize("distance", [1, 2])
def test_correlation_of_neighbors_is_numpys(distance: int) -> None:
    maps = maps_of().double().numpy()
    pairs = [
        (maps[..., :-distance], maps[..., distance:]),
        (maps[..., :-distance, :], maps[..., distance:, :]),
    ]
    a, b = (np.concatenate([each[side].transpose(0, 2, 3, 1).reshape(-1, 6) for each in pairs]) for side in (0, 1))
    expected = np.corrcoef(a.T, b.T)[:6, 6:]
    found = whole(torch.from_numpy(maps).float())
    assert found.self_correlation[distance] == pytest.approx(np.diagonal(expected).mean(), abs=1e-5)
    beside = np.abs(expected[~np.eye(6, dtype=bool)])
    assert found.mean_correlation[distance] == pytest.approx(beside.mean(), abs=1e-5)


def test_ranks_are_those_of_numpys_eigenvalues() -> None:
    maps = maps_of()
    rows = maps.permute(0, 2, 3, 1).reshape(-1, 6).double().numpy()
    values = np.linalg.eigvalsh(np.cov(rows.T))
    parts = values / values.sum()
    found = whole(maps)
    assert found.effective_rank == pytest.approx(math.exp(-(parts * np.log(parts)).sum()), rel=1e-5)
    assert found.participation_ratio == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-5)
    held = np.cumsum(np.sort(parts)[::-1])
    assert found.dimensions == {part: int((held < part).sum()) + 1 for part in (0.9, 0.95, 0.99)}


def test_known_spectra() -> None:
    equal = np.full(5, 3.0)
    assert effective_rank(equal) == pytest.approx(5)
    assert participation_ratio(equal) == pytest.approx(5)
    assert [dimensions(equal, part) for part in (0.2, 0.4, 0.9)] == [1, 2, 5]
    one = np.array([0.0, 0.0, 7.0, -1e-18])
    assert (effective_rank(one), participation_ratio(one), dimensions(one, 0.99)) == (1, 1, 1)
    nothing = np.zeros(3)
    assert (effective_rank(nothing), participation_ratio(nothing), dimensions(nothing, 0.9)) == (0, 0, 0)


def test_a_pass_in_parts_is_a_whole_pass() -> None:
    maps = maps_of(images=30)
    one, many = whole(maps), whole(*torch.split(maps, 7))
    np.testing.assert_allclose(one.correlation, many.correlation, atol=1e-5)
    np.testing.assert_array_equal(one.active, many.active)
    assert one.places == many.places
    assert one.zeros == many.zeros
    assert one.effective_rank == pytest.approx(many.effective_rank, rel=1e-5)
    for distance in (1, 2):
        assert one.mean_correlation[distance] == pytest.approx(many.mean_correlation[distance], abs=1e-5)


def test_large_means_do_not_swallow_small_deviations() -> None:
    maps = maps_of()
    near, far = whole(maps), whole(*torch.split(maps + 1000, 5))
    np.testing.assert_allclose(near.correlation, far.correlation, atol=1e-3)


def test_dead_rare_and_constant_units() -> None:
    maps = maps_of(size=20)
    maps[:, 1] = 0
    maps[:, 2] = 0
    maps[0, 2, :3, 5] = 4.0  # at 3 of 12 * 400 places
    maps[:, 3] = 1.5
    found = whole(maps)
    assert found.dead == [1]
    assert found.rare == [2]
    assert found.active[2] == pytest.approx(3 / 4800)
    assert found.zeros == pytest.approx(float((maps == 0).double().mean()))
    assert not found.varies[1]
    assert not found.varies[3]
    assert found.correlation[3].tolist() == [0, 0, 0, 1, 0, 0]


def test_a_unit_that_repeats_another_is_seen() -> None:
    maps = maps_of()
    maps[:, 4] = 3 * maps[:, 1]
    assert whole(maps).correlation[1, 4] == pytest.approx(1, abs=1e-5)


def test_vectors_are_maps_of_one_place() -> None:
    rows = maps_of()[:, :, 0, 0]
    found = whole(rows)
    np.testing.assert_allclose(found.correlation, np.corrcoef(rows.T.numpy()), atol=1e-5)
    assert found.mean_correlation[1] is None
    assert found.self_correlation[2] is None


def test_one_constant_image_has_no_figures_and_no_error() -> None:
    found = whole(torch.zeros(1, 4, 1, 1))
    assert (found.effective_rank, found.mean_correlation[0], found.zeros) == (0, None, 1)
    assert found.dead == [0, 1, 2, 3]


def test_large_maps_are_sampled_evenly() -> None:
    assert spread(3) == [0, 1, 2]
    assert spread(0) == spread(-1) == []
    assert spread(14) == [1, 3, 5, 7, 9, 11, 13]
    maps = torch.arange(28.0 * 28).reshape(1, 1, 28, 28)
    ((same, again),) = neighbors(maps, 0)
    assert same is again
    assert same.shape == (49, 1)
    right, below = neighbors(maps, 2)
    assert {float(value) for value in right[1] - right[0]} == {2}
    assert {float(value) for value in below[1] - below[0]} == {56}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_maps_that_are_no_numbers_are_refused(value: float) -> None:
    maps = maps_of(size=20)
    sums = LayerSums(6)
    sums.add(maps)
    maps[3, 2, 0, 0] = value  # a place that is not sampled
    with pytest.raises(NonFiniteOutputError):
        sums.add(maps)
