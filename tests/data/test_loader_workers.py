"""Batches from any number of processes, which end with their parent."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from inceptorch.data import find_split
from inceptorch.data.augment import AugmentedDataset
from inceptorch.data.loader import load_batches
from inceptorch.errors import ImageError
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
    with pytest.raises(ImageError, match=rf"^{gone} could not be read: no such file or directory\.$") as caught:
        list(load_batches(data, [list(range(len(data)))], workers))
    assert (caught.value.path, caught.value.reason) == (str(gone), "could not be read: no such file or directory")


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
