"""Predicting folders of any size: the overlap, files of answers, what a killed run leaves, engines, many machines."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from inceptorch.classifier import Classifier
from inceptorch.cli import app
from inceptorch.data.sources.base import is_image
from inceptorch.data.sources.folder import Folder
from inceptorch.errors import ImageError, InceptorchError, RunError
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.factory import graph_of
from inceptorch.inference.inputs import find_images, image_entries
from inceptorch.inference.predictor import Predictor
from inceptorch.inference.writers import base as writing
from inceptorch.inference.writers import lines
from inceptorch.inference.writers.base import file_lock
from inceptorch.models.module import Model
from tests.conftest import COLORS, TINY, write_classes

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


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the three-row network, with drawn weights."""
    return save(tmp_path_factory.mktemp("model") / "tiny", seed=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 images and one that is none."""
    root = tmp_path_factory.mktemp("folder") / "some"
    write_classes(root, 8)
    (root / "green" / "bad.jpg").write_bytes(b"no image")
    return root


def save(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    Classifier.of(Model(TINY, 3).eval(), default_preprocessing(16), list(COLORS)).save(path)
    return path


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def entries_of(*words: object) -> list[dict[str, Any]]:
    """What `predict --json` says."""
    found: list[dict[str, Any]] = json.loads(invoke("predict", *words, "--json").stdout)
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of answers."""
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_images_come_one_by_one_in_the_order_of_their_whole_paths(tmp_path: Path) -> None:
    for name in ("b/1.png", "a/c/2.png", "a.x/3.png", "a-/4.png", "a0.png", "a/b.png", ".hidden/5.png", "a/text.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    expected = ["a-/4.png", "a.x/3.png", "a/b.png", "a/c/2.png", "a0.png", "b/1.png"]
    assert list(filter(is_image, Folder(tmp_path).files())) == sorted(expected)
    assert list(find_images(tmp_path)) == [str(tmp_path / name) for name in sorted(expected)]


def test_answers_come_in_order_and_only_a_few_images_are_read_ahead(bundle: Path, folder: Path) -> None:
    engine = open_engine(bundle, "onnxruntime", streams=2, batch_size=4)
    image = decode(folder / "red" / "00.png").image
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    def read(item: int) -> Image.Image:
        if item % 10 == 3:
            raise ImageError(str(item), "is bad")
        time.sleep(0.02 if item == 0 else 0)  # those behind it are ready first
        return image

    answers = Predictor(engine, threads=3).stream(items(), read)
    first = next(answers)
    assert first.source == 0
    assert first.probabilities.sum() == pytest.approx(1)
    assert len(taken) <= 2 * 3 * 4  # two batches for each thread
    rest = list(answers)
    assert [one.source for one in rest] == list(range(1, 1000))
    bad = [(one.source, str(one.error)) for one in rest if one.error]
    assert bad == [(item, f"{item} is bad.") for item in range(3, 1000, 10)]


def test_files_hold_what_json_says(bundle: Path, folder: Path, tmp_path: Path) -> None:
    words = (bundle, folder / "red", tmp_path / "none.png", folder, "--top", 2, "--min-confidence", 0.5)
    expected = entries_of(*words)
    assert ["error" in entry for entry in expected].count(True) == 2
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        result = invoke("predict", *words, "--out", tmp_path / name, "--json")
        assert result.exit_code == 1, result.output
        assert json.loads(result.stdout) == {"out": str(tmp_path / name), "images": 34, "failed": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.jsonl", "a.parquet"]
    assert rows_of(tmp_path / "a.jsonl") == expected
    nothing = {"predictions": None, "unknown": None, "error": None}
    assert rows_of(tmp_path / "a.parquet") == [nothing | entry for entry in expected]
    rows = rows_of(tmp_path / "a.csv")
    assert list(rows[0]) == ["file", "label1", "probability1", "label2", "probability2", "unknown", "error"]
    for row, entry in zip(rows, expected, strict=True):
        answers = entry.get("predictions", [{"label": "", "probability": ""}] * 2)
        assert [row["label1"], row["label2"]] == [answer["label"] for answer in answers]
        assert [row["probability1"], row["probability2"]] == [str(answer["probability"]) for answer in answers]
        assert (row["file"], row["error"]) == (entry["file"], entry.get("error", ""))
        assert row["unknown"] == str(entry.get("unknown", ""))


def test_a_folder_without_images_gives_a_file_that_says_so(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = invoke("predict", bundle, tmp_path / "empty", "--out", tmp_path / "a.jsonl")
    assert result.exit_code == 1
    assert "0 images answered" in result.stdout
    (row,) = rows_of(tmp_path / "a.jsonl")
    assert row["error"] == "is a folder that holds no images"


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
    assert "1440 images answered" in result.stdout
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


def test_names_that_the_system_refuses_cost_their_own_line(bundle: Path, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "red", tmp_path / "red")
    (tmp_path / "red" / "loop.png").symlink_to("loop.png")
    long = "a" * 300 + ".png"
    result = invoke("predict", bundle, long, tmp_path / "red", "--json")
    assert result.exit_code == 1
    faults = {Path(entry["file"]).name: entry["error"] for entry in json.loads(result.stdout) if "error" in entry}
    assert faults == {
        long: "could not be read: file name too long",
        "loop.png": "could not be read: too many levels of symbolic links",
    }
    within = {Path(entry["file"]).name for entry in image_entries([tmp_path / "red"], exclude=tmp_path)}
    assert not within
    beside = {Path(entry["file"]).name for entry in image_entries([tmp_path / "red"], exclude=folder)}
    assert "loop.png" in beside
    for model in (f"{'a' * 300}.onnx", "a" * 300):
        with pytest.raises(InceptorchError, match=r"does not exist|There is neither"):
            open_engine(model)


def done(sidecar: Path) -> int:
    try:
        return int(json.loads(sidecar.read_text())["done"])
    except OSError:
        return 0


def begun(bundle: Path, folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose writing failed after its first part of 8 images."""
    monkeypatch.setattr(writing, "CHUNK", 8)
    with monkeypatch.context() as patch:
        patch.setattr(writing.PredictionWriter, "finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        assert invoke("predict", bundle, folder, "--out", out).exit_code == 130
    assert out.with_name(f"{out.name}.part.json").exists()


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
    assert "begun with another top, another threshold;" in said(
        bundle, copy, "--out", out, "--top", 1, "--min-confidence", 0.1
    )
    assert "begun with another protocol;" in said(bundle, copy, "--out", out, "--protocol", "10crop")
    assert "another engine;" in said(bundle, copy, "--out", out, "--engine", "onnxruntime")
    assert "begun with another model;" in said(save(tmp_path / "other", 1), copy, "--out", out)
    assert "begun with another list of paths;" in said(bundle, copy, copy, "--out", out)
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
    assert "does not say what to write" in said(bundle, copy, "--out", tmp_path / "a.txt")
    assert "could not be written" in said(bundle, copy, "--out", tmp_path / "none" / "a.csv")


def test_two_processes_do_not_write_the_same_file(bundle: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    with file_lock(out):
        refused = invoke("predict", bundle, folder, "--out", out)
        assert "Another process is writing" in str(refused.exception)
        assert not out.exists()
    invoke("predict", bundle, folder, "--out", out)
    assert [file.name for file in tmp_path.glob("a.jsonl*")] == ["a.jsonl"]


def test_lost_parts_of_a_parquet_file_are_noticed(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.parquet"
    begun(bundle, folder, out, monkeypatch)
    next((tmp_path / "a.parquet.part").iterdir()).unlink()
    result = invoke("predict", bundle, folder, "--out", out)
    assert isinstance(result.exception, RunError)
    assert "has lost chunks" in str(result.exception)
    assert not out.exists()


def test_engines_and_protocols_agree(bundle: Path, folder: Path) -> None:
    for protocol in ("center", "10crop"):
        words = (bundle, folder, "--protocol", protocol, "--engine")
        first, *others = (entries_of(*words, engine) for engine in ("torch", "onnxruntime", "openvino"))
        for other in others:
            assert [entry["file"] for entry in other] == [entry["file"] for entry in first]
            for one, two in zip(other, first, strict=True):
                assert one.get("error") == two.get("error")
                if "predictions" in one:
                    found = [{a["label"]: a["probability"] for a in entry["predictions"]} for entry in (one, two)]
                    assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_an_exported_file_is_predicted_with_without_torch(bundle: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(graph_of(bundle))
    code = "import sys; from inceptorch.cli import app; app(standalone_mode=False); assert 'torch' not in sys.modules"
    words = ["predict", str(tmp_path / "tiny.onnx"), str(folder / "red"), "--out", str(tmp_path / "a.jsonl")]
    subprocess.run([sys.executable, "-c", code, *words], check=True, timeout=100)
    expected = entries_of(bundle, folder / "red")
    assert [row["file"] for row in rows_of(tmp_path / "a.jsonl")] == [entry["file"] for entry in expected]


def test_lines_come_before_all_images_are_read(bundle: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "inceptorch", "predict", bundle, *[folder] * 400, "--engine", "onnxruntime"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert b"blue/00.png: " in process.stdout.readline()
        assert process.poll() is None
        process.kill()


def test_a_cluster_answers_as_one_machine_does_though_a_machine_fails(
    bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'inceptorch[ray]'")
    from ray.cluster_utils import Cluster

    from inceptorch.inference import ray as cluster

    answer_chunk, working = cluster._answer_chunk, tmp_path / "working"

    def slowly(*words: Any) -> Any:
        (working / ray.get_runtime_context().get_node_id()).touch()
        time.sleep(1)
        return answer_chunk(*words)

    def fail(machine: Any) -> None:  # in the middle of its first task
        while not (working / machine.node_id).exists():
            time.sleep(0.005)
        machines.remove_node(machine, allow_graceful=False)

    working.mkdir()
    monkeypatch.setattr(cluster, "CHUNK", 8)
    monkeypatch.setattr(cluster, "_answer_chunk", slowly)
    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        second = machines.add_node(num_cpus=1)
        machines.wait_for_nodes()
        failing = threading.Thread(target=fail, args=[second], daemon=True)
        failing.start()
        words = [bundle, *[folder] * 2, "--engine", "onnxruntime"]
        words_of_ray = ("--ray", machines.address, "--out", tmp_path / "a.jsonl", "--json")
        result = invoke("predict", *words, *words_of_ray)
        answer = {"out": str(tmp_path / "a.jsonl"), "images": 50, "failed": 2}
        assert json.loads(result.stdout) == answer, (result.output, result.exception)
        assert not failing.is_alive()
        assert rows_of(tmp_path / "a.jsonl") == entries_of(*words)
    finally:
        machines.shutdown()


def test_a_cluster_that_is_not_there_is_one_sentence(bundle: Path, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'inceptorch[ray]'")
    result = invoke("predict", bundle, folder, "--ray", "no address", "--out", tmp_path / "a.csv")
    assert isinstance(result.exception, RunError), result.output
    assert "There is no Ray cluster at 'no address'" in str(result.exception)
