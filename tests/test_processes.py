"""Several processes train as one would: the same images, the same gradients, one run folder."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import multiprocessing

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.data import find_split
from inceptorch.data.sampler import epoch_batches
from inceptorch.errors import RecipeError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import to_yaml
from inceptorch.runtime.distributed import DistributedContext, init_distributed
from inceptorch.tasks import Classification
from inceptorch.training.optimizers import build_optimizer
from inceptorch.training.recipe import SCRATCH, Recipe, with_values
from inceptorch.training.setup import TrainRequest, new_run
from inceptorch.training.step import TrainStep
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, TINY

CPU = torch.device("cpu")
# Without batch normalization and dropout, whose statistics and draws are each process's own.
PLAIN = replace(TINY, name="plain", norm=None, head={"avgpool": TINY.head["avgpool"]}, aux=())
RECIPE = with_values(
    SCRATCH,
    {"net": "plain", "epochs": 30, "batch_size": 8, "precision": "fp32", "ema_decay": 0.5, "crop_scale": (0.5, 1.0)},
)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def torchrun(count: int, *words: object) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    return [*launcher, "--master-port", str(free_port()), "-m", "inceptorch", *map(str, words)]


@pytest.fixture
def words(tmp_path: Path, images: Path) -> list[object]:
    """The words of a run of thirty epochs of five steps."""
    (tmp_path / "plain.yaml").write_text(to_yaml(PLAIN))
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace(net=str(tmp_path / "plain.yaml")).to_yaml())
    return [images, "-c", tmp_path / "recipe.yaml", "--net", tmp_path / "plain.yaml"]


def gradients(
    net: NetworkSpec, recipe: Recipe, world: DistributedContext, images: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """All gradients of one step in one vector, this process having its share of the images."""
    torch.manual_seed(0)
    model = Model(net, 3, aux=bool(net.aux), size=16)
    classifier = Classifier.of(model, default_preprocessing(16), ["a", "b", "c"])
    weights, task = torch.tensor([0.5, 1.0, 2.0]), Classification(classifier.classes)
    step = TrainStep(classifier, build_optimizer(model, recipe), recipe, task, weights, world)
    mine = world.shard(range(len(labels)))
    step(images[mine], labels[mine], len(labels), 0.0, seed=1)
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def in_process(rank: int, count: int, port: int, net: NetworkSpec, recipe: Recipe, size: int, out: str) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with init_distributed() as world:
        found = gradients(net, recipe, world, *batch(size))
    if rank == 0:
        np.save(out, found.numpy())


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (size, 3, 16, 16), dtype=torch.uint8, generator=random)
    return images, torch.randint(0, 3, (size,), generator=random)


@pytest.mark.parametrize(("count", "size", "parts"), [(2, 7, 1), (3, 7, 1), (2, 9, 2)])
def test_the_gradients_of_several_processes_are_those_of_one(count: int, size: int, parts: int, tmp_path: Path) -> None:
    """Uneven shares, and shares of which one could be divided further than the other."""
    out, recipe = tmp_path / "gradients.npy", RECIPE.replace(grad_accum_steps=parts)
    multiprocessing.spawn(in_process, (count, free_port(), PLAIN, recipe, size, str(out)), nprocs=count)  # type: ignore[attr-defined,no-untyped-call]
    alone = gradients(PLAIN, RECIPE, DistributedContext(0, 1, CPU), *batch(size)).numpy()
    assert np.abs(alone).max() > 0.01
    np.testing.assert_allclose(np.load(out), alone, rtol=1e-6, atol=1e-6 * np.abs(alone).max())


def test_parts_of_a_batch_are_together_the_batch(images: Path) -> None:
    split = find_split(images, list(COLORS), "train")
    for count in (1, 2, 3):
        for each in (batch.tolist() for batch in epoch_batches(split, 8, 5, 1)):
            parts = [DistributedContext(rank, count, CPU).shard(each) for rank in range(count)]
            assert sorted(index for part in parts for index in part) == sorted(each)
            assert min(map(len, parts)) >= 2


def test_all_processes_go_through_the_network_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """However uneven their shares: with batch normalization over processes, one would wait for the other for ever."""
    for size in (7, 15, 16):
        passes = []
        for rank in range(2):
            world, seen = DistributedContext(rank, 2, CPU), [0]
            monkeypatch.setattr(DistributedContext, "wrap", lambda self, module: module)

            def counted(self: TrainStep, *args: object, seen: list[int] = seen) -> torch.Tensor:
                seen[0] += 1
                return torch.zeros((), dtype=torch.float64)

            monkeypatch.setattr(TrainStep, "_backward", counted)
            model = Model(PLAIN, 3, size=16)
            classifier = Classifier.of(model, default_preprocessing(16), ["a", "b", "c"])
            recipe = RECIPE.replace(grad_accum_steps=4)
            task = Classification(classifier.classes)
            step = TrainStep(classifier, build_optimizer(model, recipe), recipe, task, torch.ones(3), world)
            images, labels = batch(size)
            mine = world.shard(range(size))
            step(images[mine], labels[mine], size, 0.0, seed=1)
            passes.append(seen[0])
        assert passes[0] == passes[1] == min(4, size // 4)


def test_rows_are_gathered_without_stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [torch.tensor(rows) for rows in ([[0.0], [4.0]], [[1.0]], [[2.0]], [[3.0]])]

    def all_gather(into: list[torch.Tensor], mine: torch.Tensor) -> None:
        into[:] = parts

    monkeypatch.setattr("torch.distributed.all_gather_object", all_gather)
    world = DistributedContext(0, 4, CPU)
    assert world.gather(parts[0], 5)[:, 0].tolist() == [0, 1, 2, 3, 4]
    parts[0], parts[3] = torch.tensor([[0.0]]), torch.tensor([[0.0], [1.0]])  # the last one had nothing
    assert world.gather(parts[0], 3)[:, 0].tolist() == [0, 1, 2]
    assert DistributedContext(3, 4, CPU).shard_padded(range(3)) == [0, 1]


def test_accumulated_parts_give_the_gradients_of_the_whole() -> None:
    world = DistributedContext(0, 1, CPU)
    whole, parts = (gradients(PLAIN, RECIPE.replace(grad_accum_steps=n), world, *batch(8)) for n in (1, 3))
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-7)


def test_two_processes_make_the_run_of_one_and_go_on_as_one(words: list[object], tmp_path: Path) -> None:
    """A run begun by two processes, ended by SIGTERM, and finished by one, against a run by one alone."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    alone = [sys.executable, "-m", "inceptorch", "train", *map(str, words), "--out", str(tmp_path / "alone")]
    subprocess.run(alone, check=True, capture_output=True, env=environment)

    out = tmp_path / "together"
    command = torchrun(2, "train", *words, "--out", out, "--checkpoint-every", 1)
    began = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    checkpoint = out / "checkpoints" / "last.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and began.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    began.send_signal(signal.SIGTERM)
    _, said = began.communicate(timeout=120)
    assert "--resume" in said
    resumed = [sys.executable, "-m", "inceptorch", "train", "--resume", str(out)]
    subprocess.run(resumed, check=True, capture_output=True, env=environment)

    ours, theirs = (inceptorch.load(tmp_path / name).model.state_dict() for name in ("together", "alone"))
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-5)
    for name in ("together", "alone"):
        with open(tmp_path / name / "metrics.csv", newline="") as file:
            assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(1, 31))


def test_where_torchrun_ends_the_others_the_sentence_comes_first(words: list[object], tmp_path: Path) -> None:
    command = torchrun(2, "train", *words, "--out", tmp_path / "run", "--epochs", 100000)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    launcher = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "checkpoints" / "last.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    try:
        _, said = launcher.communicate(timeout=60)
    finally:
        launcher.kill()
    assert "inceptorch: Lost contact with another of the 2 processes" in said
    assert "continue with --resume from the last checkpoint" in said


def test_a_process_that_dies_leaves_the_others_with_a_sentence(words: list[object], tmp_path: Path) -> None:
    """Without torchrun, which would end them too: as on several machines."""
    command = [sys.executable, "-m", "inceptorch", "train", *words, "--out", tmp_path / "run", "--epochs", "100000"]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    first, other = (
        subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, **place, "RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "checkpoints" / "last.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    other.kill()
    try:
        _, said = first.communicate(timeout=60)
    finally:
        first.kill()
        other.communicate()
    assert "Lost contact with another of the 2 processes" in said
    assert "Traceback" not in said
    assert first.returncode == 2


def test_rank_0_alone_speaks_and_says_why_it_cannot_begin(words: list[object], tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("years of work")
    done = subprocess.run(
        torchrun(2, "train", *words, "--out", tmp_path / "used"), capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert done.stderr.count("inceptorch: ") == 1
    assert "already holds files" in done.stderr
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["thesis.txt"]


def test_a_batch_too_small_for_the_processes_is_refused(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecipeError, match="too small for 5 processes.*--set batch_size=10"):
        new_run(TrainRequest(images, tmp_path / "run", recipe=recipe), DistributedContext(0, 5, CPU))


def test_two_processes_evaluate_as_one_does(words: list[object], images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    inceptorch.train(
        images, out=run, recipe=RECIPE.replace(net=str(words[-1]), epochs=1), progress=Progress(quiet=True)
    )
    small_parts = "import inceptorch.evaluation.predictions as p; p.PART = 50; from inceptorch.cli import main; main()"
    (tmp_path / "evaluate.py").write_text(small_parts)
    asked = [tmp_path / "evaluate.py", "eval", run, images, "--split", "train", "--protocol", "10crop", "--json"]
    launcher = torchrun(2)[:-2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    answers = [
        subprocess.run([*before, *map(str, asked)], capture_output=True, text=True, timeout=120, env=environment)
        for before in ([sys.executable], launcher)
    ]
    assert all(done.returncode == 0 for done in answers), answers[1].stderr
    alone, together = (json.loads(done.stdout) for done in answers)
    assert alone == together
    assert alone["n"] == 36


def test_a_step_that_leaves_a_process_with_one_image_is_refused(words: list[object], tmp_path: Path) -> None:
    command = torchrun(
        2, "train", *words, "--set", "batch_size=4", "--set", "max_images_per_class=11", "--out", tmp_path / "run"
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert re.search(r"33 images in batches of 4 leave a step with 3.*--set batch_size=8", done.stderr), done.stderr
    assert not (tmp_path / "run").exists()
