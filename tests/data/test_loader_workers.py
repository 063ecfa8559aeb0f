"""Batches from any number of processes, which end with their parent."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from inceptorch.data import find_split
from inceptorch.data.augment import AugmentedDataset
from inceptorch.data.loader import load_batches
from inceptorch.errors import DiskError, ImageError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.training.recipe import Recipe, with_values
from tests.conftest import COLORS, hear_ctrl_c
from tests.training.helpers import Patches


@pytest.fixture
def data() -> tuple[Patches, Patches]:
    return Patches(36, 1), Patches(12, 2)


ENDLESS = """
    from pathlib import Path
    from inceptorch.data import find_split
    from inceptorch.data.augment import AugmentedDataset
    from inceptorch.data.loader import load_batches
    from inceptorch.images.preprocessing import default_preprocessing
    from inceptorch.data.augmentation import AugmentationConfig
    from inceptorch.training.signals import GracefulShutdown
    split = find_split(Path({images!r}), ["blue", "green", "red"], "train")
    data = AugmentedDataset(split, default_preprocessing(16), AugmentationConfig(), 0)
    batches = load_batches(data, [[0, 1, 2]] * 100000, {workers})
    next(batches)
"""


def begin(images: Path, workers: int, then: str) -> "subprocess.Popen[str]":
    """A process that loads images and then does `then`, once it has said that it is going."""
    script = textwrap.dedent(ENDLESS.format(images=str(images), workers=workers)) + textwrap.dedent(then)
    going = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )
    assert going.stdout is not None
    assert going.stdout.readline() == "going\n"
    return going


def after_ctrl_c(images: Path, workers: int, then: str) -> tuple[str, str]:
    """What it writes after Ctrl-C to it and its workers alike."""
    going = begin(images, workers, then)
    os.killpg(going.pid, signal.SIGINT)  # as a terminal does
    return going.communicate(timeout=60)  # which waits until no process holds the pipes


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_and_are_the_same_from_any_process(images: Path, recipe: Recipe, workers: int) -> None:
    split = find_split(images, list(COLORS), "train")
    data = AugmentedDataset(
        split,
        default_preprocessing(16),
        with_values(recipe, {"color_jitter": 0.3, "auto_augment": "trivial"}).augmentation,
        seed=1,
    )
    order = [[3, 30, 7], [0], [35, 1, 2, 4]]
    for (tensors, labels, indices), batch in zip(load_batches(data, order, workers), order, strict=True):
        assert indices.tolist() == batch
        assert labels.tolist() == [split.labels[index] for index in batch]
        assert torch.equal(tensors, torch.stack([data[index][0] for index in batch]))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_image_that_goes_during_training_is_named(images: Path, recipe: Recipe, workers: int) -> None:
    data = AugmentedDataset(
        find_split(images, list(COLORS), "train"), default_preprocessing(16), recipe.augmentation, seed=0
    )
    gone = images / "train" / "red" / "03.png"
    gone.unlink()
    with pytest.raises(ImageError, match=rf"^{gone} does not exist\.$") as caught:
        list(load_batches(data, [list(range(len(data)))], workers))
    assert (caught.value.path, caught.value.reason) == (str(gone), "does not exist")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.slow
def test_ctrl_c_ends_loading_with_no_process_left(images: Path, workers: int) -> None:
    then = """
        print("going", flush=True)
        for _ in batches:
            pass
    """
    _, errors = after_ctrl_c(images, workers, then)
    assert errors.count("KeyboardInterrupt") == 1
    assert "DataLoader worker" not in errors


@pytest.mark.parametrize("start", ["fork", "forkserver"])
@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(images: Path, start: str) -> None:
    then = f"""
        import signal, torch.multiprocessing
        torch.multiprocessing.set_start_method({start!r}, force=True)
        batches = load_batches(data, [[0, 1, 2]] * 100000, 2)
        next(batches)
        print("going", flush=True)
        signal.pause()
    """
    going = begin(images, 0, then)
    going.kill()
    said, errors = going.communicate(timeout=60)  # which waits until no process holds the pipes
    assert said == ""
    assert "Traceback" not in errors


@pytest.mark.slow
def test_workers_go_on_where_the_parent_puts_ctrl_c_off(images: Path) -> None:
    """As training does, until the step under way is done."""
    then = """
        with GracefulShutdown() as stopping:
            print("going", flush=True)
            while not stopping.requested_signal:
                next(batches)
            for _ in range(20):
                next(batches)
        print("twenty more")
    """
    assert after_ctrl_c(images, 2, then) == ("twenty more\n", "")


def test_ctrl_c_cannot_end_a_worker_that_is_still_starting(images: Path, recipe: Recipe) -> None:
    data = AugmentedDataset(
        find_split(images, list(COLORS), "train"), default_preprocessing(16), recipe.augmentation, seed=0
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inceptorch.data.loader._init_worker", ctrl_c_must_be_blocked)
        assert len(list(load_batches(data, [[0], [1]], 1))) == 2
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def ctrl_c_must_be_blocked(_: int) -> None:
    assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set())


@pytest.mark.slow
def test_workers_without_shared_memory_are_a_sentence_and_lose_nothing(images: Path, tmp_path: Path) -> None:
    """As in a container, whose /dev/shm is small."""
    can_mount = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]
    if shutil.which("unshare") is None or subprocess.run(can_mount, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    run = tmp_path / "run"
    words = ["train", images, "--net", "googlenet_small", "--size", 64, "--epochs", 1, "--batch-size", 36]
    train = shlex.join(map(str, [sys.executable, "-m", "inceptorch", *words, "--workers", 2, "--out", run]))
    small = ["unshare", "-m", "bash", "-c", f"mount -t tmpfs -o size=256k tmpfs /dev/shm; exec {train}"]
    done = subprocess.run(small, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "/dev/shm has 0.25 MiB, too little for 2 workers with batches of 0.422 MiB." in done.stderr
    assert "with --shm-size=2g, or use --workers 0" in done.stderr
    assert "Traceback" not in done.stderr
    resume = [sys.executable, "-m", "inceptorch", "train", "--resume", str(run), "--workers", "0"]
    again = subprocess.run(resume, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr


class Stuck(AugmentedDataset):
    """Never gives a batch; tells the parent first where `number` is a signal."""

    number = 0

    def __getitems__(self, batch: Any) -> Any:
        if self.number:
            os.kill(os.getppid(), self.number)
        signal.pause()


def stuck(images: Path, recipe: Recipe) -> Stuck:
    return Stuck(find_split(images, list(COLORS), "train"), default_preprocessing(16), recipe.augmentation, seed=0)


@pytest.mark.slow
def test_the_wait_for_a_worker_ends(images: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inceptorch.data.loader.MAX_WAITS", 1)
    with pytest.raises(DiskError, match=r"have given no batch for 1 seconds. Try --workers 0; .* --shm-size=2g"):
        list(load_batches(stuck(images, recipe), [[0]], 1))


@pytest.mark.slow
def test_a_worker_that_is_killed_is_a_sentence(images: Path, recipe: Recipe) -> None:
    class Killed(AugmentedDataset):
        def __getitems__(self, batch: Any) -> Any:
            os.kill(os.getpid(), signal.SIGKILL)

    data = Killed(find_split(images, list(COLORS), "train"), default_preprocessing(16), recipe.augmentation, seed=0)
    with pytest.raises(DiskError, match=r"^Cannot load images: DataLoader worker .*Try --workers 0"):
        list(load_batches(data, [[0], [1]], 1))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.slow
def test_a_signal_ends_the_wait_for_a_worker(images: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    script = (
        "import inceptorch.data.augment as augment\n"
        "from tests.data.test_loader_workers import Stuck\n"
        f"Stuck.number, augment.AugmentedDataset.__getitems__ = {int(number)}, Stuck.__getitems__\n"
        "augment.AugmentedDataset.number = Stuck.number\n"
        "from inceptorch.cli import main\n"
        "main()\n"
    )
    words = ["train", images, "--net", "googlenet_small", "--size", 28, "--workers", 1, "--out", tmp_path / "run"]
    command = [sys.executable, "-c", script, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, preexec_fn=hear_ctrl_c)
    assert done.returncode == code, done.stderr
    assert f"stopped. Resume with: inceptorch train --resume {tmp_path / 'run'}" in done.stderr
    assert (tmp_path / "run" / "checkpoints" / "last.safetensors").exists()
