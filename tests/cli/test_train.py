"""inceptorch train, and what kills it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from safetensors import safe_open

import inceptorch
from inceptorch.cli.train import _write_report
from inceptorch.training.recipe import get_recipe
from tests.conftest import hear_ctrl_c, write_classes

SMALL = ("--net", "googlenet_small", "--size", 28, "--epochs", 3, "--set", "batch_size=6")


def shell(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inceptorch", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    return write_few(tmp_path / "few")


def write_few(folder: Path) -> Path:
    write_classes(folder / "train", 6)
    write_classes(folder / "val", 1, seed=1)
    return folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of a run that nobody interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    done = shell("train", write_few(folder / "few"), "--out", folder / "run", *SMALL)
    assert done.returncode == 0, done.stderr
    return (folder / "run" / "model.safetensors").read_bytes()


def test_train_writes_its_report_and_its_metrics(run: Path) -> None:
    assert "<h2>Training</h2>" in (run / "report.html").read_text(encoding="utf-8")
    assert not list(run.glob("*.png"))
    assert (run / "metrics.csv").read_text().count("\n") == 9


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(
    few: Path, whole: bytes, tmp_path: Path, how: signal.Signals
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    with open(log, "w") as file:
        command = [sys.executable, "-m", "inceptorch", "train", few, "--out", run, *SMALL]
        words = [str(word) for word in command]
        process = subprocess.Popen(words, stderr=file, stdout=file, preexec_fn=hear_ctrl_c)
    deadline = time.monotonic() + 200
    while "epoch 1:" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    assert process.wait(60) == (130 if how == signal.SIGINT else -how)
    if how == signal.SIGINT:
        assert f"inceptorch train --resume {run}" in log.read_text()
        assert "Traceback" not in log.read_text()

    done = shell("train", "--resume", run, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 3
    assert not list(run.rglob(".*"))

    assert (run / "model.safetensors").read_bytes() == whole


@pytest.mark.parametrize(
    ("how", "code", "workers"), [(signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 0), (signal.SIGTERM, 143, 2)]
)
def test_a_run_that_is_asked_to_stop_keeps_its_place_within_the_epoch(
    few: Path, whole: bytes, tmp_path: Path, how: signal.Signals, code: int, workers: int
) -> None:
    """Asked after the first step of an epoch that would take a while; no checkpoint was due. The wish reaches all
    processes, as from torchrun and from schedulers."""
    run, log = tmp_path / "run", tmp_path / "log"
    script = (
        "import multiprocessing, os, sys, torch\n"
        "step = torch.optim.SGD.step\n"
        "def asking(self, *args):\n"
        f"    for worker in multiprocessing.active_children(): os.kill(worker.pid, {int(how)})\n"
        f"    os.killpg(0, {int(how)})\n"
        "    return step(self, *args)\n"
        "torch.optim.SGD.step = asking\n"
        "from inceptorch.cli import main\n"
        "main()\n"
    )
    words = [str(word) for word in ("-c", script, "train", few, "--out", run, *SMALL, "--workers", workers)]
    with open(log, "w") as file:
        alone = {"preexec_fn": hear_ctrl_c, "start_new_session": True}
        command = [sys.executable, *words]
        done = subprocess.run(command, stderr=file, stdout=file, **alone)  # type: ignore[call-overload]
    assert done.returncode == code, log.read_text()
    assert f"inceptorch train --resume {run}" in log.read_text()
    assert "Traceback" not in log.read_text()
    with safe_open(run / "checkpoints" / "last.safetensors", "np") as file:
        progressed = json.loads(file.metadata()["progressed"])
    assert (progressed["epoch"], progressed["step"]) == (0, 1)

    assert shell("train", "--resume", run).returncode == 0
    assert (run / "model.safetensors").read_bytes() == whole


def test_a_full_disk_is_a_sentence_and_the_run_can_go_on(few: Path, tmp_path: Path) -> None:
    import resource

    limit = 40 * 2**20  # room for the weights, not for a checkpoint

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    run = tmp_path / "run"
    done = shell("train", few, "--out", run, *SMALL, preexec_fn=limited)
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert re.search(r"Cannot write \S+last\.safetensors: file too large", last)
    assert "Traceback" not in done.stderr
    assert not list(run.rglob(".*"))
    again = shell("train", "--resume", run)
    assert again.returncode == 0, again.stderr


def test_no_permission_is_a_sentence(few: Path, tmp_path: Path) -> None:
    prefix: list[str] = []
    if os.geteuid() == 0:  # root reads everything unless it gives that power away
        if shutil.which("setpriv") is None:
            pytest.skip("running as root without setpriv")
        prefix = [
            "setpriv",
            "--bounding-set=-dac_override,-dac_read_search",
            "--inh-caps=-dac_override,-dac_read_search",
        ]

    def limited(*words: object) -> subprocess.CompletedProcess[str]:
        command = [*prefix, sys.executable, "-m", "inceptorch", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    closed = few / "train" / "red"
    closed.chmod(0)
    try:
        done = limited("train", few, "--out", tmp_path / "run")
        assert done.returncode == 2
        assert f"Cannot read {closed}: permission denied" in done.stderr
    finally:
        closed.chmod(0o755)
    sealed = tmp_path / "sealed"
    sealed.mkdir(mode=0o555)
    done = limited("train", few, "--out", sealed / "run", "--net", "googlenet_small", "--epochs", 1)
    assert done.returncode == 2
    assert f"Cannot create {sealed / 'run'}: permission denied" in done.stderr
    assert not (sealed / "run").exists()


def test_a_linear_classifier_on_the_frozen_body_tells_flowers_apart(
    converted: Path, shared: Path, tmp_path: Path
) -> None:
    few = get_recipe("head").replace(max_images_per_class=30)  # 95.4 % with all 60
    result = inceptorch.train(shared / "flowers12", weights=converted, recipe=few, out=tmp_path / "run")
    assert result.top1 >= 0.92
    assert inceptorch.evaluate(tmp_path / "run", shared / "flowers12").top1 == pytest.approx(result.top1, abs=0.005)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit(143)])
def test_a_run_stopped_in_its_report_says_how_to_write_it(
    stop: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(result: object) -> None:
        raise stop

    monkeypatch.setattr("inceptorch.report.write_report", stopped)
    result = SimpleNamespace(run=Path("runs/a b"), extension=None)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        _write_report(cast(Any, result))
    assert "write it with: inceptorch train --resume 'runs/a b'" in capsys.readouterr().err
