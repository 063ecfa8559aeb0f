"""One process at a time in a run folder."""

import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import inceptorch
from inceptorch.errors import RunError
from inceptorch.training.recipe import Recipe
from inceptorch.training.run import _git_commit, read_run
from inceptorch.utils.files import locked
from tests.training.helpers import QUIET


def test_a_killed_process_holds_no_folder_though_one_that_it_forked_lives_on(tmp_path: Path) -> None:
    script = f"""
import os, time
from pathlib import Path
from inceptorch.utils.files import locked
with locked(Path({str(tmp_path / "lock")!r}), "busy", "unusable"):
    if not os.fork():
        print(os.getpid(), flush=True)  # by the child, once it has let go of the lock
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            with pytest.raises(RunError, match="busy"), locked(tmp_path / "lock", "busy", "unusable"):
                pass
            process.kill()
            process.wait()
            os.kill(child, 0)  # it lives
            with locked(tmp_path / "lock", "busy", "unusable"):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_one_process_at_a_time_trains_in_a_folder(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    inceptorch.train(images, out=run, recipe=recipe.replace(epochs=1), progress=QUIET)
    other = [sys.executable, "-m", "inceptorch", "train", "--resume", str(run)]
    with read_run(run).lock():
        done = subprocess.run(other, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"Another process is training in {run}; wait for its end" in done.stderr
    assert subprocess.run(other, capture_output=True).returncode == 0
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["last.safetensors"]
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").write_text("")
    with pytest.raises(RunError, match="Cannot write into .*run: file exists"):
        inceptorch.resume(run, QUIET)


@pytest.mark.parametrize("weights", ["hf-hub:someone/something", "googlenet.bvlc", "../given"])
def test_a_runs_file_names_no_weights_to_fetch(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    run = tmp_path / "run"
    inceptorch.train(images, out=run, recipe=recipe.replace(epochs=1), progress=QUIET)
    text = (run / "run.yaml").read_text()
    (run / "run.yaml").write_text(text.replace("weights: null", f"weights: {weights!r}"))
    monkeypatch.setattr("inceptorch.classifier.hub._fetch_from_hub", pytest.fail)
    monkeypatch.setattr("inceptorch.classifier.published.fetch", pytest.fail)
    with pytest.raises(RunError, match=rf"run.yaml has weights '{weights}', not their folder. Start a new run with"):
        inceptorch.resume(run, QUIET)


def test_a_runs_file_asks_for_no_impossible_threads(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    inceptorch.train(images, out=run, recipe=recipe.replace(epochs=1), progress=QUIET)
    text = (run / "run.yaml").read_text()
    assert read_run(run).threads == torch.get_num_threads()
    for threads in ("-1", "0", "1000000", "many"):
        (run / "run.yaml").write_text(re.sub("^threads: .*", f"threads: {threads}", text, flags=re.MULTILINE))
        with pytest.raises(RunError, match="run.yaml lacks values"):
            inceptorch.resume(run, QUIET)


def test_git_is_waited_for_a_few_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    limits, run = list[float](), subprocess.run

    def noting(*words: Any, **how: Any) -> Any:
        limits.append(how.get("timeout", math.inf))
        return run(*words, **how)

    monkeypatch.setattr(subprocess, "run", noting)
    _git_commit()
    assert limits
    assert max(limits) <= 10
