"""How far images are from those of training."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inceptorch
from inceptorch.classifier.statistics import FeatureStatistics
from inceptorch.errors import InceptorchError
from inceptorch.inference.distance import FALSE_ALARMS, FeatureDistance, distance_threshold
from inceptorch.inference.engines.timing import random_images
from inceptorch.inference.engines.torch import Torch
from inceptorch.training.recipe import RECIPES, Recipe
from inceptorch.utils.arrays import Floats, Ints
from inceptorch.utils.progress import Progress
from tests.helpers import classifier_of, invoke


def drawn(count: int, seed: int, shift: float = 0.0) -> tuple[Floats, Ints]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    return (3 * np.eye(3, 10)[labels] + random.normal(size=(count, 10)) + shift).astype(np.float32), labels


def test_distances_are_as_the_formula_has_them_and_the_threshold_as_the_images() -> None:
    features, labels = drawn(20_000, 0)
    statistics = FeatureStatistics.of(features, labels, 3)
    val, _ = drawn(400, 1)
    reference = distance_threshold(statistics, val)
    assert (reference["n"], reference["false_alarms"]) == (400, FALSE_ALARMS)
    distance = FeatureDistance(statistics, reference)
    to_class = [
        ((val - mean) @ np.linalg.inv(statistics.covariance) * (val - mean)).sum(1) for mean in statistics.means
    ]
    expected = np.min(to_class, 0)
    expected = (expected - expected.mean()) / expected.std()
    np.testing.assert_allclose(distance(val), expected, atol=0.05)
    new, far = distance(drawn(4000, 2)[0]), distance(drawn(100, 3, shift=4.0)[0])
    assert (new > reference["threshold"]).mean() == pytest.approx(FALSE_ALARMS, abs=0.03)
    assert (far > reference["threshold"]).all()


def test_features_come_with_the_same_answers_and_maps(tiny: object) -> None:
    from inceptorch.networks.zoo import get_network

    classifier = classifier_of(get_network("tiny"))
    engine, crops = Torch(classifier, device="cpu"), random_images(16, 3)
    plain, found = engine.run(crops, maps=True), engine.run_with_features(crops, maps=True)
    assert found.features is not None
    assert found.maps is not None
    assert plain.maps is not None
    linear = classifier.model.get_classifier()
    logits = found.features @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
    np.testing.assert_allclose(logits, plain.logits, atol=1e-5)
    np.testing.assert_allclose(found.logits, plain.logits, atol=1e-5)
    np.testing.assert_allclose(found.maps, plain.maps, atol=1e-5)


@pytest.fixture
def head(images: Path, recipe: Recipe, tmp_path: Path) -> Path:
    quiet = Progress(quiet=True)
    weights = inceptorch.train(images, out=tmp_path / "weights", recipe=recipe.replace(epochs=1), progress=quiet).run
    head = RECIPES["head"].replace(linear_probe_l2=0.01)
    return inceptorch.train(images, out=tmp_path / "head", weights=weights, recipe=head, progress=quiet).run


def test_predict_says_it_in_every_form(images: Path, head: Path, tmp_path: Path) -> None:
    stripes = np.zeros((20, 24, 3), np.uint8)
    stripes[::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    paths = [images / "val" / "red" / "00.png", tmp_path / "stripes.png"]
    entries = json.loads(invoke("predict", head, *paths, "--distance", "--json").stdout)
    usual, far = (entry["distance"] for entry in entries)
    assert usual < far
    assert entries[1]["out_of_distribution"] is True
    reference = inceptorch.load(head).config.metadata.distance
    assert reference is not None
    assert entries[0]["out_of_distribution"] is (usual > reference["threshold"])
    assert entries == list(inceptorch.predict(head, list(map(str, paths)), distance=True))
    assert "out of distribution" in invoke("predict", head, paths[1], "--distance").stdout

    words = ["predict", head, *paths, "--distance", "--out"]
    assert invoke(*words, tmp_path / "a.csv").exit_code == 0
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["distance"]) for row in rows] == [usual, far]
    assert rows[1]["out_of_distribution"] == "True"
    pq = pytest.importorskip("pyarrow.parquet")
    assert invoke(*words, tmp_path / "a.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "a.parquet")["distance"].to_pylist() == [usual, far]


def test_what_cannot_tell_is_a_sentence(images: Path, head: Path, tmp_path: Path) -> None:
    image = images / "val" / "red" / "00.png"
    for words, sentence in (
        ((tmp_path / "weights", image, "--distance"), "the model has no features.safetensors, which recipe head"),
        ((head, image, "--distance", "--engine", "onnxruntime"), "with onnxruntime fp32, which has no features"),
        ((head, image, "--distance", "--protocol", "10crop"), "of other crops than the center"),
    ):
        done = invoke("predict", *words)
        assert isinstance(done.exception, InceptorchError), done.output
        assert sentence in str(done.exception)
