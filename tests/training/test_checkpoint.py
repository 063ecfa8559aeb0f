"""Checkpoints: whole or the one before, and nothing executable."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from inceptorch.errors import RunError
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.training.checkpoint import Checkpointer, TrainState


def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_old_one(tiny: NetworkSpec, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    from inceptorch.utils.files import atomic_write

    kept = tmp_path / "last.safetensors"
    kept.write_bytes(b"old")

    def write(path: Path) -> None:
        with open(full, "wb", buffering=0) as file:
            file.write(b"new")

    with pytest.raises(RunError, match=r"no space left on device\. What was there before is untouched\."):
        atomic_write(kept, write)
    with pytest.raises(RunError, match=r"no space left on device\.$"):
        atomic_write(tmp_path / "new.safetensors", write)
    assert kept.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["last.safetensors"]


def test_checkpoints_hold_nothing_that_is_run(tiny: NetworkSpec, tmp_path: Path) -> None:
    model = Model(tiny, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.zeros(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    path = tmp_path / "last.safetensors"
    Checkpointer(path, model, None, optimizer).save(TrainState(epoch=2, rows=[{"epoch": 2}]))
    assert "model.head.linear.weight" in load_file(path)
    other = Model(tiny, 2)
    other_optimizer = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    done = Checkpointer(path, other, None, other_optimizer).restore()
    assert (done.epoch, done.rows) == (2, [{"epoch": 2}])
    for mine, theirs in zip(other.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert torch.equal(other_optimizer.state[mine]["momentum_buffer"], optimizer.state[theirs]["momentum_buffer"])
