"""Fixtures of the tests of training."""

import pytest
import torch

from tests.training.helpers import Patches, Stop


@pytest.fixture
def stopped_after(monkeypatch: pytest.MonkeyPatch) -> object:
    """Make training fail as if killed: right after the given number of optimizer steps."""

    def arm(steps: int, error: type[BaseException] = Stop, kind: type[torch.optim.Optimizer] = torch.optim.SGD) -> None:
        left = [steps]
        step = kind.step

        def counted(self: torch.optim.Optimizer, *args: object) -> object:
            if left[0] == 0:
                monkeypatch.setattr(kind, "step", step)
                raise error
            left[0] -= 1
            return step(self, *args)  # type: ignore[call-overload]

        monkeypatch.setattr(kind, "step", counted)

    return arm


@pytest.fixture
def data() -> tuple[Patches, Patches]:
    return Patches(36, 1), Patches(12, 2)
