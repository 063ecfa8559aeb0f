import numpy as np
import pytest

from inceptorch.errors import DataError
from inceptorch.features.frechet import frechet_distance
from inceptorch.features.infinity import frechet_infinity
from tests.features.helpers import correlated, side_of


def test_the_line_takes_away_most_of_the_bias_of_a() -> None:
    b, errors, lines = side_of(correlated(20_000, 16, 2), alone=True), [], []
    for seed in range(10):
        a = side_of(correlated(300, 16, 2 * seed + 4))  # of the same distribution: the distance is 0
        found = frechet_distance(a, b)
        assert found.interval is not None
        line = frechet_infinity(a, b, found.interval)
        assert line.interval is not None
        assert line.interval[0] < line.value < line.interval[1]
        errors.append(found.value)
        lines.append(line.value)
    assert abs(np.mean(lines)) < 0.35 * np.mean(errors)


def test_it_is_the_same_again() -> None:
    a, b = side_of(correlated(40, 48, 1)), side_of(correlated(60, 48, 2))
    assert frechet_infinity(a, b, (0, 1)) == frechet_infinity(a, b, (0, 1))


def test_statistics_alone_and_few_images_are_refused() -> None:
    b = side_of(correlated(60, 8, 2))
    for a in (side_of(correlated(60, 8, 1), alone=True), side_of(correlated(19, 8, 1))):
        with pytest.raises(DataError, match="Cannot compute FID for infinitely many images of A"):
            frechet_infinity(a, b, (0, 1))
