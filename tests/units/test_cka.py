"""Linear CKA, beside the formulas as they are printed."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inceptorch.units.cka import linear_cka

Layer = NDArray[np.float64]


def layers(n: int = 40) -> list[Layer]:
    random = np.random.default_rng(0)
    one = random.normal(size=(n, 6)) + 3
    two = np.maximum(one @ random.normal(size=(6, 9)), 0) + random.normal(size=(n, 9))
    return [one, two, random.normal(size=(n, 300))]


def unbiased_hsic(a: Layer, b: Layer) -> float:
    """Equation 5 of Song et al., 2012."""
    k, m, n = a @ a.T, b @ b.T, len(a)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    ones = np.ones(n)
    value = (
        np.trace(k @ m) + ones @ k @ ones * (ones @ m @ ones) / ((n - 1) * (n - 2)) - 2 / (n - 2) * ones @ k @ m @ ones
    )
    return float(value / (n * (n - 3)))


def plain_cka(a: Layer, b: Layer) -> float:
    """Equation 5 of Kornblith et al., 2019."""
    a, b = a - a.mean(0), b - b.mean(0)
    return float(np.linalg.norm(b.T @ a) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)))


def test_it_is_the_unbiased_formula() -> None:
    given = layers()
    found = linear_cka(given, given[:2])
    assert found is not None
    for row, a in enumerate(given):
        for column, b in enumerate(given[:2]):
            expected = unbiased_hsic(a, b) / np.sqrt(unbiased_hsic(a, a) * unbiased_hsic(b, b))
            assert found[row, column] == pytest.approx(expected, rel=1e-9)


def test_it_nears_the_plain_formula_with_many_images() -> None:
    one, two, _ = layers(800)
    found = linear_cka([one], [two])
    assert found is not None
    assert found[0, 0] == pytest.approx(plain_cka(one, two), abs=0.02)


def test_unrelated_layers_of_many_units_are_not_alike() -> None:
    one, _, wide = layers()
    found = linear_cka([one], [wide])
    assert found is not None
    assert plain_cka(one, wide) > 0.3
    assert abs(found[0, 0]) < 0.1


def test_a_rotated_and_scaled_layer_is_the_same() -> None:
    one = layers()[0]
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))
    found = linear_cka([one], [5 * one @ rotation + 2])
    assert found is not None
    assert found[0, 0] == pytest.approx(1)


def test_too_few_images_and_constant_layers() -> None:
    assert linear_cka([np.ones((3, 2))], [np.ones((3, 2))]) is None
    one = layers()[0]
    found = linear_cka([one], [np.full((40, 4), 0.1)])
    assert found is not None
    assert np.isnan(found[0, 0])
