"""Predictions come in order, from any engine."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import inceptorch
from inceptorch.errors import BundleError, ImageError, InceptorchError
from inceptorch.images.decode import decode
from inceptorch.inference.engines import open_engine
from inceptorch.inference.predictor import Predictor, top_classes
from tests import oracle
from tests.helpers import detector
from tests.inference.helpers import entries_of


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


@pytest.mark.parametrize(("count", "expected"), [(1, [1]), (3, [1, 0, 2]), (9, [1, 0, 2, 3])])
def test_top_classes_are_the_most_probable_and_equal_ones_in_their_order(count: int, expected: list[int]) -> None:
    found = top_classes([0.2, 0.5, 0.2, 0.1], ["a", "b", "c", "d"], count)
    assert [each["index"] for each in found] == expected
    assert found[0] == {"label": "b", "index": 1, "probability": 0.5}


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_a_count_that_is_no_number_of_classes_is_refused(count: Any) -> None:
    with pytest.raises(
        InceptorchError, match=rf"Cannot give the top {count} classes: it must be a whole number above 0"
    ):
        top_classes([0.5, 0.5], ["a", "b"], count)


def test_a_detector_classifies_nothing() -> None:
    with pytest.raises(BundleError, match="Cannot classify with a detector"):
        Predictor.of(detector())
