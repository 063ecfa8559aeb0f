"""Files of predictions are resumed, and refused where they are of something else."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from inceptorch.errors import InceptorchError
from inceptorch.inference.writers import base as writing
from inceptorch.inference.writers import lines
from inceptorch.inference.writers.base import file_lock
from tests.helpers import invoke
from tests.inference.helpers import begun, done, rows_of, save

# What runs as a process of its own writes parts of 16 images.
SMALL_PARTS = "import inceptorch.inference.writers.base as w; w.CHUNK = 16; from inceptorch.cli import main; main()"
# What runs so has time to be interrupted, and a line for each answer that is taken.
SLOWLY = """
import sys, time
from inceptorch.cli import main
from inceptorch.inference.writers.base import PredictionWriter
real = PredictionWriter.write
def write(self, entry):
    real(self, entry)
    print("written", file=sys.stderr, flush=True)
    time.sleep(0.01)
PredictionWriter.write = write
main()
"""


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_the_same_command_goes_on_after_a_kill(bundle: Path, folder: Path, tmp_path: Path, kind: str) -> None:
    whole, killed = tmp_path / f"whole.{kind}", tmp_path / f"killed.{kind}"
    words = ["predict", bundle, *[folder] * 60, "--engine", "onnxruntime", "--out"]
    assert invoke(*words, whole).exit_code == 1
    command = [sys.executable, "-c", SMALL_PARTS, *map(str, words), str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sidecar = tmp_path / f"killed.{kind}.part.json"
    while process.poll() is None and done(sidecar) < 160:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    safe = done(sidecar)
    assert 160 <= safe < 1500
    if kind != "parquet":
        with open(killed, "ab") as file:
            file.write(b'{"file": "half a li')  # as a kill while writing leaves it
    result = invoke(*words, killed)
    assert result.exit_code == 1, result.output  # 60 that could not be read, some of them before the kill
    assert "1440 images predicted" in result.stdout
    assert "60 could not be read" in result.stdout
    assert rows_of(killed) == rows_of(whole)
    if kind != "parquet":
        assert killed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [killed.name, whole.name]


def test_a_polite_end_saves_what_there_is(bundle: Path, folder: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    words = ["predict", bundle, *[folder] * 400, "--engine", "onnxruntime", "--out"]
    command = [sys.executable, "-c", SLOWLY, *map(str, words), str(stopped)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    sidecar = tmp_path / "stopped.jsonl.part.json"
    assert process.stderr is not None
    assert "written\n" in iter(process.stderr.readline, "")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert 0 < done(sidecar) < 10_000
    assert f"stopped after {done(sidecar)} images; the same command resumes" in said
    for out in (stopped, whole):
        assert invoke(*words, out).exit_code == 1
    assert stopped.read_bytes() == whole.read_bytes()


def test_an_end_in_the_middle_of_saving_writes_nothing_twice(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    monkeypatch.setattr(writing, "CHUNK", 8)
    with monkeypatch.context() as patch:
        real = lines.JsonLines._append

        def append(self: lines.JsonLines, entries: list[Any]) -> None:
            real(self, entries)
            if self.state.done == 8:
                raise KeyboardInterrupt

        patch.setattr(lines.JsonLines, "_append", append)
        assert invoke("predict", bundle, folder, "--out", stopped).exit_code == 130
    assert done(tmp_path / "stopped.jsonl.part.json") == 8
    for out in (stopped, whole):
        assert invoke("predict", bundle, folder, "--out", out).exit_code == 1
    assert stopped.read_bytes() == whole.read_bytes()


def test_a_file_that_was_begun_with_something_else_is_refused(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*words: object) -> str:
        result = invoke("predict", *words)
        assert isinstance(result.exception, InceptorchError), result.output
        return str(result.exception)

    copy = tmp_path / "folder"
    shutil.copytree(folder, copy)
    out = tmp_path / "a.jsonl"
    begun(bundle, copy, out, monkeypatch)
    before = out.read_bytes()
    assert before
    assert "begun with another top, another threshold." in said(
        bundle, copy, "--out", out, "--top", 1, "--min-confidence", 0.1
    )
    assert "begun with another protocol." in said(bundle, copy, "--out", out, "--protocol", "10crop")
    assert "another engine." in said(bundle, copy, "--out", out, "--engine", "onnxruntime")
    assert "begun with another model." in said(save(tmp_path / "other", 1), copy, "--out", out)
    assert "begun with another list of paths." in said(bundle, copy, copy, "--out", out)
    (copy / "blue" / "00.png").rename(copy / "blue" / "0.png")
    assert "begun for other images" in said(bundle, copy, "--out", out)
    (copy / "blue" / "0.png").rename(copy / "blue" / "00.png")
    assert out.read_bytes() == before

    sidecar = tmp_path / "a.jsonl.part.json"
    state = sidecar.read_text()
    for damaged in ("", "[]", "{}", state.replace('"done": ', '"done": -')):
        sidecar.write_text(damaged)
        assert "a.jsonl.part.json is damaged. Delete" in said(bundle, copy, "--out", out)
    sidecar.write_text(state)
    out.write_bytes(before[:10])
    assert "has lost lines" in said(bundle, copy, "--out", out)
    out.write_bytes(before)

    assert invoke("predict", bundle, copy, "--out", out).exit_code == 1  # the bad image
    assert "exists already" in said(bundle, copy, "--out", out)
    assert "its suffix names no format" in said(bundle, copy, "--out", tmp_path / "a.txt")
    assert f"Cannot write {tmp_path / 'none' / 'a.csv'}: " in said(bundle, copy, "--out", tmp_path / "none" / "a.csv")


def test_two_processes_do_not_write_the_same_file(bundle: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    with file_lock(out):
        refused = invoke("predict", bundle, folder, "--out", out)
        assert "Another process is writing" in str(refused.exception)
        assert not out.exists()
    invoke("predict", bundle, folder, "--out", out)
    assert [file.name for file in tmp_path.glob("a.jsonl*")] == ["a.jsonl"]


def test_a_full_disk_is_a_sentence_about_the_file_that_was_named(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(source: Any, target: Any) -> None:
        if ".part" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    for name in ("a.jsonl", "a.csv"):
        result = invoke("predict", bundle, folder, "--out", tmp_path / name)
        assert str(result.exception) == f"Cannot write {tmp_path / name}: no space left on device."
