"""The trained GoogLeNet of the Caffe model zoo on real photographs, against an independent page of code."""

import csv
import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import inceptorch
from inceptorch.cli import app
from tests import oracle


def test_photographs_are_answered_as_by_the_oracle(npz: Path, converted: Path, shared: Path) -> None:
    with open(shared / "photos" / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    paths = [shared / "photos" / row["file"] for row in rows]
    labels = torch.tensor([int(row["class_index"]) for row in rows])
    expected = oracle.probabilities(npz, paths)

    classifier = inceptorch.load(converted)
    got = classifier.logits([classifier.preprocessing.apply(path) for path in paths]).softmax(1)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)
    right = (got.argmax(1) == labels).sum().item()
    assert abs(right - (expected.argmax(1) == labels).sum().item()) <= 1
    assert 0.60 <= right / len(paths) <= 0.70
    top5 = (got.topk(5).indices == labels[:, None]).any(1).float().mean().item()
    assert 0.82 <= top5 <= 0.92


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


def test_the_bundle_knows_its_pixels_and_names(converted: Path) -> None:
    classifier = inceptorch.load(converted)
    assert (classifier.preprocessing.channels, classifier.preprocessing.mean) == ("bgr", (104.0, 117.0, 123.0))
    assert len(classifier.classes) == 1000
    assert classifier.classes[0] == "tench, Tinca tinca"


def test_labels_of_the_wrong_length_are_refused(npz: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    result = CliRunner().invoke(
        app, ["convert", str(npz), "--out", str(tmp_path / "o"), "--labels", str(tmp_path / "names.txt")]
    )
    assert "names 2 classes; the weights have 1000" in str(result.exception)
    assert not (tmp_path / "o").exists()


def test_a_linear_classifier_on_the_frozen_body_tells_flowers_apart(
    converted: Path, shared: Path, tmp_path: Path
) -> None:
    result = inceptorch.train(shared / "flowers12", weights=converted, recipe="head", out=tmp_path / "run")
    assert result.top1 >= 0.95
    assert inceptorch.evaluate(tmp_path / "run", shared / "flowers12").top1 == pytest.approx(result.top1, abs=0.005)
