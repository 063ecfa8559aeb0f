"""Several processes train as one would: the same images, one run folder."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import inceptorch
from inceptorch.data import find_split
from inceptorch.data.sampler import epoch_batches
from inceptorch.images.decode import Box, RGBArray, decode
from inceptorch.networks.serialization import to_yaml
from inceptorch.runtime.distributed import DistributedContext, world_size
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS
from tests.training.helpers import CPU, PLAIN, RECIPE, Patches, free_port, torchrun


@pytest.fixture
def data() -> tuple[Patches, Patches]:
    return Patches(36, 1), Patches(12, 2)


@pytest.fixture
def words(tmp_path: Path, images: Path) -> list[object]:
    """The words of a run of thirty epochs of five steps."""
    (tmp_path / "plain.yaml").write_text(to_yaml(PLAIN))
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace(net=str(tmp_path / "plain.yaml")).to_yaml())
    return [images, "-c", tmp_path / "recipe.yaml", "--net", tmp_path / "plain.yaml"]


BOX = Box(16, 32, 176, 128)


def part(data: bytes, box: Box = BOX, side: int = 1000) -> RGBArray:
    return decode(data, crop=lambda height, width: box, min_size=side).array


def test_parts_of_a_batch_are_together_the_batch(images: Path) -> None:
    split = find_split(images, list(COLORS), "train")
    for count in (1, 2, 3):
        for each in (batch.tolist() for batch in epoch_batches(split, 8, 5, 1)):
            parts = [DistributedContext(rank, count, CPU).shard(each) for rank in range(count)]
            assert sorted(index for part in parts for index in part) == sorted(each)
            assert min(map(len, parts)) >= 2


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_two_processes_evaluate_as_one_does(words: list[object], images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    inceptorch.train(
        images, out=run, recipe=RECIPE.replace(net=str(words[-1]), epochs=1), progress=Progress(quiet=True)
    )
    small_parts = "import inceptorch.evaluation.predictions as p; p.CHUNK = 50; from inceptorch.cli import main; main()"
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


@pytest.mark.slow
def test_a_step_that_leaves_a_process_with_one_image_is_refused(words: list[object], tmp_path: Path) -> None:
    command = torchrun(
        2, "train", *words, "--set", "batch_size=4", "--set", "max_images_per_class=11", "--out", tmp_path / "run"
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert re.search(r"33 images in batches of 4 leave a step with 3.*--set batch_size=8", done.stderr), done.stderr
    assert not (tmp_path / "run").exists()


def test_a_cluster_that_counts_processes_is_not_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert world_size() == 1
    monkeypatch.setenv("RANK", "0")
    assert world_size() == 2
