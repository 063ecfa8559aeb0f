"""The number of processes that load images."""

import pytest

from inceptorch.data.loader import choose_workers


@pytest.mark.parametrize(
    ("loading", "step", "spare", "workers"),
    [
        (0.010, 1.0, 8, 0),  # negligible
        (0.100, 1.0, 8, 1),
        (1.000, 1.0, 8, 2),
        (3.000, 1.0, 8, 4),
        (3.000, 1.0, 2, 2),  # as many as there are cores
        (3.000, 1.0, 0, 0),
        (0.000, 0.0, 8, 0),
    ],
)
def test_as_many_workers_as_keep_the_network_fed(loading: float, step: float, spare: int, workers: int) -> None:
    assert choose_workers(loading, step, spare) == workers
