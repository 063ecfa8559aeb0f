"""Checkpoints: whole or the one before, and nothing executable."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from inceptorch.errors import RunError
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.training.checkpoint import Checkpointer, TrainState, is_finished, previous


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


def test_a_checkpoint_says_whether_its_run_is_finished(tiny: NetworkSpec, tmp_path: Path) -> None:
    model, path = Model(tiny, 2), tmp_path / "last.safetensors"
    checkpointer = Checkpointer(path, model, None, torch.optim.SGD(model.parameters(), lr=0.1))
    found = [is_finished(path)]  # there is none
    for finished in (False, True):
        checkpointer.save(TrainState(epoch=2, rows=[row(1), row(2)], finished=finished))
        found.append(is_finished(path))
    path.write_bytes(b"damaged")
    assert [*found, is_finished(path)] == [False, False, True, False]


def test_checkpoints_hold_nothing_that_is_run(tiny: NetworkSpec, tmp_path: Path) -> None:
    model = Model(tiny, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.zeros(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    path = tmp_path / "last.safetensors"
    state = TrainState(epoch=2, rows=[row(1), row(2)])
    Checkpointer(path, model, None, optimizer).save(state)
    assert "model.head.linear.weight" in load_file(path)
    other = Model(tiny, 2)
    other_optimizer = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    assert Checkpointer(path, other, None, other_optimizer).restore(3, 5, pytest.fail) == state
    for mine, theirs in zip(other.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert torch.equal(other_optimizer.state[mine]["momentum_buffer"], optimizer.state[theirs]["momentum_buffer"])


def saved(path: Path, state: TrainState, tiny: NetworkSpec) -> Checkpointer:
    model = Model(tiny, 2)
    checkpointer = Checkpointer(path, model, None, torch.optim.SGD(model.parameters(), lr=0.1))
    checkpointer.save(state)
    return checkpointer


def row(epoch: int) -> dict[str, Any]:
    return {"phase": "train", "epoch": epoch, "loss": 0.5, "top1": 0.5}


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": -5}, {"epoch": 10**9}, {"epoch": 1.5}, {"epoch": None}, {"step": -1}, {"step": 10**9}, {"loss": "x"},
        {"loss": float("nan")}, {"seconds": "x"}, {"seconds": -1.0}, {"seconds": float("inf")}, {"rows": []},
        {"rows": [{}, {}]}, {"rows": [row(1), {**row(2), "loss": "x"}]}, {"rows": 3}, {"finished": "yes"},
    ],
)  # fmt: skip
def test_impossible_progress_is_a_sentence(tiny: NetworkSpec, tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "checkpoints" / "last.safetensors"
    path.parent.mkdir()
    state = TrainState(epoch=2, step=3, rows=[row(1), row(2)])
    checkpointer = saved(path, state, tiny)
    assert checkpointer.restore(3, 5, pytest.fail) == state
    state.__dict__.update(change)
    path.unlink()
    checkpointer.save(state)
    with pytest.raises(RunError, match=r"^Cannot resume from .*last.safetensors: what it says of .* is impossible\."):
        checkpointer.restore(3, 5, pytest.fail)


def test_a_damaged_checkpoint_never_replaces_the_whole_one_before_it(tiny: NetworkSpec, tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    checkpointer = saved(path, TrainState(step=1), tiny)
    checkpointer.save(TrainState(step=2))
    path.write_bytes(path.read_bytes()[:-1])
    warnings: list[str] = []
    assert checkpointer.restore(3, 5, warnings.append).step == 1
    assert len(warnings) == 1
    before = previous(path).read_bytes()
    checkpointer.save(TrainState(step=3))
    assert previous(path).read_bytes() == before
    checkpointer.save(TrainState(step=4))
    assert previous(path).read_bytes() != before
    assert checkpointer.restore(3, 5, pytest.fail).step == 4


def test_both_checkpoints_damaged_are_a_sentence(tiny: NetworkSpec, tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    checkpointer = saved(path, TrainState(), tiny)
    checkpointer.save(TrainState(step=1))
    assert checkpointer.restore(3, 5, pytest.fail).step == 1
    for file in (path, previous(path)):
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    with pytest.raises(RunError, match=r"last.safetensors: it is damaged. Delete the folder .* to start the run from"):
        checkpointer.restore(3, 5, pytest.fail)


def test_a_changed_text_of_a_checkpoint_is_seen(tiny: NetworkSpec, tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    checkpointer = saved(path, TrainState(epoch=1, loss=0.25, rows=[row(1)]), tiny)
    path.write_bytes(path.read_bytes().replace(b'\\"loss\\": 0.25', b'\\"loss\\": 0.75'))
    with pytest.raises(RunError, match="it is damaged"):
        checkpointer.restore(3, 5, pytest.fail)
