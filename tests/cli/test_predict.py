"""inceptorch predict."""

import importlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from inceptorch.classifier.config import Metadata
from inceptorch.cli import app
from inceptorch.deployment import benchmark
from inceptorch.inference.engines.selection import is_measured
from tests.helpers import detector, encoded, invoke, png, sentence

verb = importlib.import_module("inceptorch.cli.predict")  # a name that the function has, too


def test_predict_names_the_classes(converted: Path, shared: Path) -> None:
    photo = shared / "photos" / "0c7ac4a8c9dfa802.png"
    result = CliRunner().invoke(app, ["predict", str(converted), str(photo), "--top", "2", "--json"])
    (entry,) = json.loads(result.stdout)
    assert entry["file"] == str(photo)
    words = (shared / "bvlc_googlenet" / "synset_words.txt").read_text().splitlines()
    assert len(entry["predictions"]) == 2
    for answer in entry["predictions"]:
        assert words[answer["index"]].split(" ", 1)[1] == answer["label"]
        assert "beetle" in answer["label"]


def test_predict_by_a_protocol_and_unknown_images(run: Path, images: Path, tmp_path: Path) -> None:
    image = images / "val" / "red" / "00.png"
    center, ten = (
        json.loads(invoke("predict", run, image, "--protocol", name, "--json").stdout)[0]["predictions"][0]
        for name in ("center", "10crop")
    )
    assert center["probability"] != ten["probability"]
    for below, unknown in ((0.0, False), (1.0, True)):
        (entry,) = json.loads(invoke("predict", run, image, "--min-confidence", below, "--json").stdout)
        assert entry["unknown"] is unknown
    assert invoke("predict", run, image, "--min-confidence", 1).stdout.endswith("; unknown\n")
    known = json.loads((run / "config.json").read_text())["metadata"]["threshold"]["threshold"]
    (entry,) = json.loads(invoke("predict", run, image, "--reject", "--json").stdout)
    assert entry["unknown"] is (entry["predictions"][0]["probability"] < known)


def test_predict_json_answers_good_files_among_bad_ones_in_order(run: Path, images: Path) -> None:
    val = images / "val"
    (val / "green" / "bad.jpg").write_bytes(b"")
    (val / "bomb.png").write_bytes(png(30_000, 30_000, b"\0"))
    result = invoke(
        "predict", run, val / "red" / "00.png", val / "none.jpg", val / "green", val / "bomb.png", "--top", 2, "--json"
    )
    assert result.exit_code == 1
    entries = json.loads(result.stdout)
    assert [Path(entry["file"]).name for entry in entries] == [
        "00.png", "none.jpg", "00.png", "01.png", "02.png", "03.png", "bad.jpg", "bomb.png"
    ]  # fmt: skip
    assert [Path(entry["file"]).name for entry in entries if "error" in entry] == ["none.jpg", "bad.jpg", "bomb.png"]
    assert entries[-2]["error"] == "is empty"
    for entry in entries:
        assert set(entry) in ({"file", "error"}, {"file", "predictions"})
    first = entries[0]["predictions"]
    assert [set(one) for one in first] == [{"label", "index", "probability"}] * 2
    assert first[0]["label"] == "red"
    assert first[0]["probability"] >= first[1]["probability"]
    assert invoke("predict", run, val / "red" / "00.png", "--json").exit_code == 0


def test_predict_prints_lines(run: Path, images: Path) -> None:
    (images / "val" / "blue" / "x.psd").touch()
    result = invoke("predict", run, images / "val" / "blue", "--top", 1)
    assert result.exit_code == 0
    assert result.stderr == "not used: 1 .psd (x.psd)\n"
    assert [line.split(": ")[1].split()[0] for line in result.stdout.splitlines()] == ["blue"] * 4


def test_control_characters_in_names_do_not_reach_the_terminal(run: Path, images: Path) -> None:
    shutil.copy(images / "val" / "red" / "00.png", images / "new\nline\x1b.png")
    result = invoke("predict", run, images / "new\nline\x1b.png", "--top", 1)
    assert result.stdout.count("\n") == 1
    assert "new\\nline\\x1b.png: red" in result.stdout


def test_boxes_are_lines_and_drawings(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    detector(metadata=Metadata(score_threshold=0.6)).save(tmp_path / "cells")
    words = ("predict", tmp_path / "cells", images / "val")
    result = invoke(*words, "--draw", tmp_path / "drawn")
    assert result.exit_code == 0, result.output
    for line in result.stdout.splitlines():
        assert re.fullmatch(r".*\.png: (ant|bee|cat) \d\d\.\d% at x \d+, y \d+, \d+ x \d+ pixels", line)
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["blue", "green", "red"]
    file = tmp_path / "drawn" / "red" / "00.png"
    said = sentence(*words, "--draw", file, monkeypatch=monkeypatch, capsys=capsys)
    assert said.endswith("00.png: it is a file. Try the name of a folder.")
    none = invoke("predict", tmp_path / "cells", images / "val" / "red", "--min-confidence", 1)
    assert [line.rpartition(": ")[2] for line in none.stdout.splitlines()] == ["no boxes"] * 4


def test_a_resumed_file_keeps_its_folder_of_drawings(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    detector(metadata=Metadata(score_threshold=0.6)).save(tmp_path / "cells")
    out, drawn, others = tmp_path / "boxes.csv", tmp_path / "drawn", tmp_path / "others"
    words = ("predict", tmp_path / "cells", images / "val", "--out", out, "--draw")

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("inceptorch.inference.draw_boxes.make_folder", interrupted)
        invoke(*words, drawn)
    assert (tmp_path / "boxes.csv.part.json").exists()
    others.mkdir()
    (others / "mine.png").write_bytes(b"")
    said = sentence(*words, others, monkeypatch=monkeypatch, capsys=capsys)
    assert "boxes.csv was begun with another folder of drawings. Give the same to resume it" in said
    assert [path.name for path in others.iterdir()] == ["mine.png"]
    assert invoke(*words, drawn).exit_code == 0
    assert len(list(drawn.rglob("*.png"))) == 12


def test_options_of_classifiers_are_refused_for_detectors(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    detector().save(tmp_path / "cells")

    def said(*words: object) -> str:
        return sentence("predict", *words, monkeypatch=monkeypatch, capsys=capsys)

    for words in (["--top", 5], ["--protocol", "center"], ["--reject"]):
        assert f"Cannot use {str(words[0])[2:]} with a detector" in said(tmp_path / "cells", images / "val", *words)
    assert "Try inceptorch explain" in said(run, images / "val", "--draw", tmp_path / "drawn")
    assert not (tmp_path / "drawn").exists()


def test_images_that_use_only_the_lowest_of_16_bits_are_remarked(run: Path, images: Path, tmp_path: Path) -> None:
    val = images / "val" / "red"
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    (val / "deep.png").write_bytes(encoded(Image.fromarray(values), "PNG"))
    (val / "notes.txt").touch()
    said = (
        "1 of 5 images have 16 bits and use only their lowest 12 or fewer, so that they look black: "
        f"{val / 'deep.png'}. Try multiplying their values by 16.\n"
    )
    warning = "uses 15 of 255 levels, as if it held values of 12 bits or fewer"
    unused = "not used: 1 .txt (notes.txt)\n"
    for words in ((), ("--json",), ("--out", tmp_path / "a.jsonl"), ("--out", tmp_path / "a.csv")):
        result = invoke("predict", run, val, *words)
        assert (result.exit_code, result.stderr) == (0, unused + said)
        if "--json" in words:
            assert {entry.get("warning") for entry in json.loads(result.stdout)} == {None, warning}
    result = invoke("explain", run, val, "--out", tmp_path / "explained")
    assert result.exit_code == 0
    assert result.stderr.startswith(unused + said)


def test_engines_are_measured_once_before_many_images(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(verb, "MEASURE_FROM", 12)
    monkeypatch.setattr(benchmark, "QUICK_SECONDS", 0.02)
    for words in ((images / "val" / "red",), (images, "--engine", "torch"), (images, "--no-measure")):
        assert "measuring" not in invoke("predict", run, *words).stderr
    out = tmp_path / "a.jsonl"
    out.with_name("a.jsonl.part.json").touch()
    assert "measuring" not in invoke("predict", run, images, "--out", out).stderr
    assert not is_measured(run)
    said = f"measuring the engines for {run}, once and for a few seconds; --no-measure leaves it out\n"
    assert said in invoke("predict", run, images).stderr
    assert is_measured(run)
    assert "measuring" not in invoke("predict", run, images).stderr
