"""The study from images to a table; it can be stopped and goes on."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inceptorch.classifier.classifier import Classifier
from inceptorch.errors import DataError, InceptorchError, RunError, TableError
from inceptorch.images.boxes import Boxes
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import Conv, GlobalAverage
from inceptorch.networks.network import NetworkSpec
from inceptorch.papers.studies.detection_2014 import networks, run_detection_2014, study
from inceptorch.papers.studies.detection_2014 import proposals as detection_proposals
from inceptorch.utils.progress import Progress
from tests.helpers import invoke

QUIET = Progress(quiet=True)
WORDS: dict[str, Any] = {"proposals": ["boxes"], "size": 128, "epochs": 2, "networks": 2, "progress": QUIET}


def test_a_study_from_images_to_a_table(drawn: Path, four: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--proposals", "boxes", "--size", 128, "--epochs", 2, "--networks", 2, "--out", out, "--images", 10]
    done = invoke("study", "detection-2014", "--data", drawn, "--weights", four, *words, "--json")
    assert done.exit_code == 0, done.output
    results = json.loads(done.stdout)
    assert json.loads((out / "study.json").read_text()) == results
    assert (results["train_images"], results["test_images"], results["objects"]) == (10, 6, 9)
    assert results["networks"] == ["maps of c, images as they are, seed 0", "maps of c, images as they are, seed 1"]
    (boxes,) = results["proposals"]
    assert boxes["coverage"] > 0.8
    assert boxes["by_number"]["10"] <= boxes["by_number"]["200"] <= boxes["coverage"]
    assert len(results["rows"]) == 8
    best = max(row["ilsvrc"]["map50"] for row in results["rows"])
    assert best > 0.5
    for row in results["rows"]:
        low, high = row["ilsvrc"]["interval"]
        assert 0 <= low <= row["ilsvrc"]["map50"] <= high <= 1
    says = {claim["says"]: claim for claim in results["claims"]}
    assert list(says) == [
        "Several networks are better than one.",
        "Context and box regression, which GoogLeNet's entry lacked, help.",
        "Context helps.",
        "Box regression helps.",
    ]
    plain, moved = (next(row for row in results["rows"] if row["box_regression"] == each) for each in (False, True))
    gain = says["Box regression helps."]
    assert gain["mean"] == pytest.approx(moved["ilsvrc"]["map50"] - plain["ilsvrc"]["map50"])
    table = (out / "study.md").read_text()
    assert f"| boxes | no | no | 1 | {100 * plain['ilsvrc']['map50']:.2f} |" in table
    with Image.open(out / "study.png") as image:
        assert image.width > 1000
    assert not (out / "maps").exists()


@pytest.mark.slow
def test_a_stopped_study_goes_on_with_what_is_finished(
    drawn: Path, four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run_detection_2014(drawn, weights=four, out=tmp_path / "whole", **WORDS)
    answers, asked = networks.answers, list[int]()

    def stopping(*args: Any) -> Any:
        asked.append(args[-1])
        if args[-1] == 1:
            raise KeyboardInterrupt
        return answers(*args)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(study, "answers", stopping)
        with pytest.raises(KeyboardInterrupt):
            run_detection_2014(drawn, weights=four, out=out, **{**WORDS, "progress": Progress()})
    assert f"stopped; the same command resumes the study in {out}" in capsys.readouterr().err
    assert not (out / "study.json").exists()

    def counting(*args: Any) -> Any:
        asked.append(args[-1])
        return answers(*args)

    def unexpected(*_: Any) -> Any:
        raise AssertionError("the detector was trained already")

    monkeypatch.setattr(study, "train_learned", unexpected)
    monkeypatch.setattr(study, "answers", counting)
    assert run_detection_2014(drawn, weights=four, out=out, **WORDS) == whole
    assert asked == [0, 1, 1]
    more = run_detection_2014(drawn, weights=four, out=out, **{**WORDS, "networks": 3})
    assert asked == [0, 1, 1, 2]
    assert len(more["networks"]) == 3


@pytest.mark.slow
def test_the_class_free_detector_is_the_seeds(drawn: Path, four: Path, tmp_path: Path) -> None:
    first = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        words = {**WORDS, "proposals": ["boxes"], "networks": 1, "epochs": 1, "seed": seed}
        run_detection_2014(drawn, weights=four, out=tmp_path / name, **words)
        first[name] = (tmp_path / name / "proposals" / "test-learned.safetensors").read_bytes()
    assert first["a"] == first["b"] != first["c"]


def test_a_folder_keeps_to_its_settings(drawn: Path, four: Path, tmp_path: Path) -> None:
    words = {**WORDS, "proposals": ["grid"], "networks": 1}
    run_detection_2014(drawn, weights=four, out=tmp_path / "out", **words)
    with pytest.raises(RunError, match="was begun with size 128, not 64; name another --out"):
        run_detection_2014(drawn, weights=four, out=tmp_path / "out", **{**words, "size": 64})
    with pytest.raises(RunError, match="was begun with images "):
        run_detection_2014(drawn, weights=four, out=tmp_path / "out", images=9, **words)


def test_mistakes_get_a_sentence_and_write_nothing(drawn: Path, four: Path, images: Path, tmp_path: Path) -> None:
    net = NetworkSpec("flat", "one convolution", "a test", 16, {"a": Conv(4, 3, 2)}, {"avgpool": GlobalAverage()})
    flat = tmp_path / "flat"
    Classifier.of(Model(net, 2, size=16), default_preprocessing(16), ["x", "y"]).save(flat)
    empty = tmp_path / "empty"
    shutil.copytree(drawn, empty)
    for file in (empty / "test").glob("*.xml"):
        file.write_text(re.sub("<object>.*</object>", "", file.read_text()))
    cases: list[tuple[type[InceptorchError], str, dict[str, Any]]] = [
        (RunError, "by 'box': did you mean 'boxes'", {"proposals": ["box"]}),
        (RunError, "networks 7. Try --networks from 1 to 6", {"networks": 7}),
        (RunError, "images 1. Try --images from 2", {"images": 1}),
        (RunError, "size 0. Try --size from 64", {"size": 0}),
        (RunError, "epochs 0. Try --epochs from 1", {"epochs": 0}),
        (RunError, "lies inside the images", {"out": drawn / "out"}),
        (DataError, "its images have no boxes", {"data": images}),
        (DataError, "no test image of .*empty has an object", {"data": empty}),
        (TableError, "none of its maps is reduced", {"weights": flat}),
    ]
    for error, said, words in cases:
        with pytest.raises(error, match=said):
            run_detection_2014(**{"data": drawn, "weights": four, "out": tmp_path / "out", **WORDS, **words})
        assert not (tmp_path / "out").exists()


def test_images_without_objects_count(drawn: Path, four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = study._splits

    def emptied(*args: Any) -> Any:
        train, test = splits(*args)
        object.__setattr__(train, "boxes", (Boxes(), *train.boxes[1:]))
        object.__setattr__(test, "boxes", (Boxes(), *test.boxes[1:]))
        return train, test

    monkeypatch.setattr(study, "_splits", emptied)
    results = run_detection_2014(drawn, weights=four, out=tmp_path / "out", **{**WORDS, "networks": 1})
    assert results["objects"] == 8
    assert all(row["ilsvrc"]["map50"] is not None for row in results["rows"])


@pytest.mark.slow
def test_the_papers_proposals_are_studied_by_default_with_opencv(
    drawn: Path, four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'inceptorch[proposals]'")
    monkeypatch.setattr(detection_proposals, "SEARCH_WIDTH", 128)
    words = {**WORDS, "proposals": (), "networks": 1, "images": 4}
    results = run_detection_2014(drawn, weights=four, out=tmp_path / "out", **words)
    sets = {each["name"]: each for each in results["proposals"]}
    assert list(sets) == ["selective-search", "both", "boxes"]
    assert sets["both"]["coverage"] >= sets["boxes"]["coverage"]
    assert sets["both"]["per_image"] > sets["boxes"]["per_image"] > 0
    claim = results["claims"][0]
    assert (claim["of"]["proposals"], claim["against"]["proposals"]) == ("both", "selective-search")
