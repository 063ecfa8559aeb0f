"""Evaluation of classifiers and ensembles."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.data import find_split
from inceptorch.errors import ProtocolError
from inceptorch.evaluation import evaluate, evaluation_from_logits
from inceptorch.evaluation.predictions import read_predictions
from inceptorch.images.crops import PROTOCOLS
from inceptorch.inference.engines.torch import Torch
from inceptorch.inference.predictor import Predictor
from inceptorch.training.recipe import SCRATCH, Recipe
from inceptorch.utils.progress import Progress
from tests import oracle
from tests.conftest import COLORS, write_classes

QUIET = Progress(quiet=True)


def test_crops_of_photographs_are_answered_as_by_the_oracle(npz: Path, converted: Path, shared: Path) -> None:
    classifier = inceptorch.load(converted)
    photos = sorted((shared / "photos").rglob("*.png"))[:2]
    for photo, kind in ((photos[0], "10crop"), (photos[1], "144crop")):
        expected = oracle.probabilities_of_crops(npz, photo, kind)
        with Image.open(photo) as image:
            views = PROTOCOLS[kind].apply(image.convert("RGB"), classifier.preprocessing)
        found = Predictor(Torch(classifier)).log_probabilities([views])[0]
        assert np.abs(np.exp(found) - expected.numpy()).max() < 1e-4


def test_averages_are_those_of_the_single_crops(members: list[Classifier]) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 31, 3), dtype=np.uint8))
    views = PROTOCOLS["12crop"].apply(image, members[0].preprocessing)
    single = [members[0].logits([crop]).softmax(1)[0].tolist() for crop in views.images]
    expected = np.average(single, axis=0, weights=views.weights)
    # Squares that coincide weigh more.
    uneven = PROTOCOLS["144crop"].apply(Image.fromarray(np.asarray(image)[:33, :31]), members[0].preprocessing)
    assert len(set(uneven.weights.round(9))) > 1
    single = [members[0].logits([crop]).softmax(1)[0].tolist() for crop in uneven.images]
    found = Predictor(Torch(members[0])).log_probabilities([uneven])
    np.testing.assert_allclose(np.exp(found[0]), np.average(single, axis=0, weights=uneven.weights), rtol=1e-5)
    turned = PROTOCOLS["12crop"].apply(image.rotate(90, expand=True), members[0].preprocessing)
    both = Predictor(Torch(members[0])).log_probabilities([views, turned])
    np.testing.assert_allclose(np.exp(both[0]), expected, rtol=1e-5)
    assert np.abs(both[0] - both[1]).max() > 1e-3


def test_an_ensemble_is_the_average_and_can_be_combined_again(
    members: list[Classifier], images: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    together = evaluate(
        members, images, split="val", progress=QUIET, protocol="10crop", save_predictions=kept, weights=[3, 1]
    )
    files = sorted(kept.iterdir())
    assert len(files) == 2
    assert all(file.name.startswith("tiny.10crop.") for file in files)
    split = find_split(images, list(COLORS), "val")
    ten = PROTOCOLS["10crop"]
    each = [
        np.exp(
            Predictor(Torch(member)).log_probabilities(
                [ten.apply(split.image(i), member.preprocessing) for i in range(len(split))]
            )
        )
        for member in members
    ]
    mean = 0.75 * each[0] + 0.25 * each[1]
    assert together.summary.predicted.tolist() == mean.argmax(1).tolist()
    np.testing.assert_allclose(together.summary.confidences, mean.max(1), rtol=1e-5)

    for file in files:
        predictions = read_predictions(file)
        assert predictions.labels.tolist() == split.labels.tolist()
        assert predictions.files == list(split.paths)
    weights = [3, 1] if read_predictions(files[0]).metadata.size == 16 else [1, 3]
    shutil.rmtree(images)  # which are not needed any more
    again = evaluate([str(file) for file in files], weights=weights, progress=QUIET)
    assert (again.top1, again.top5, again.n) == (together.top1, together.top5, together.n)
    assert again.loss == pytest.approx(together.loss, rel=1e-6)
    assert [m.index for m in again.mistakes] == [m.index for m in together.mistakes]


def test_networks_of_different_kinds_and_sizes_evaluate_flowers_together(
    converted: Path, shared: Path, tmp_path: Path
) -> None:
    """GoogLeNet at 224 pixels and two small networks at 32 and 48, trained on photographs of twelve flowers."""
    for part, count in (("train", 3), ("test", 1)):
        for flower in sorted((shared / "flowers12" / part).iterdir()):
            (tmp_path / "flowers" / part / flower.name).mkdir(parents=True)
            for photo in sorted(flower.iterdir())[:count]:
                shutil.copy(photo, tmp_path / "flowers" / part / flower.name / photo.name)
    flowers = tmp_path / "flowers"
    inceptorch.train(flowers, out=tmp_path / "a", weights=converted, recipe="head", progress=QUIET)
    for name, size in (("b", 32), ("c", 48)):
        small = SCRATCH.replace(net="googlenet_small", size=size, epochs=1, precision="fp32")
        inceptorch.train(flowers, out=tmp_path / name, recipe=small, progress=QUIET)
    runs, kept = [tmp_path / name for name in "abc"], tmp_path / "kept"
    together = evaluate(runs, flowers, progress=QUIET, save_predictions=kept, weights=[2, 1, 1])
    networks = "2 x a (googlenet), 1 x b (googlenet_small), 1 x c (googlenet_small)"
    assert together.protocol.endswith(f"probabilities of 3 models averaged: {networks}")
    assert together.n == 12

    files = sorted(kept.glob("*.safetensors"))
    assert [read_predictions(file).metadata.size for file in files] == [224, 32, 48]
    alone = [np.exp(np.concatenate([logs for _, logs in read_predictions(file).chunks()])) for file in files]
    split = find_split(flowers, list(together.classes), "test")
    for run, found in zip(runs, alone, strict=True):
        said = inceptorch.load(run).predict([split.read(index) for index in range(len(split))], top=12)
        expected = [[one["probability"] for one in sorted(each, key=lambda one: one["index"])] for each in said]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    mean = (2 * alone[0] + alone[1] + alone[2]) / 4
    assert together.summary.predicted.tolist() == mean.argmax(1).tolist()
    np.testing.assert_allclose(together.summary.confidences, mean.max(1), rtol=1e-4)
    assert together.loss == pytest.approx(-np.log(mean[np.arange(12), split.labels]).mean(), rel=1e-4)

    again = evaluate(files, progress=QUIET, weights=[2, 1, 1])
    assert again.to_dict() == together.to_dict()


def test_the_fit_temperature_one_part_evaluates_another(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    inceptorch.train(images, out=tmp_path / "run", recipe=recipe.replace(epochs=8), progress=QUIET)
    trained = inceptorch.load(tmp_path / "run")
    trained.model.get_classifier().weight.data *= 8  # much too sure
    for part, number in (("train", 3), ("val", 1)):  # and some images are not what they are called
        for index in range(number):
            shutil.move(images / part / "red" / f"{index:02}.png", images / part / "blue" / f"red {index}.png")
    evaluation = evaluate(trained, images, split="val", progress=QUIET, calibrate_on="train")
    assert evaluation.temperature_scaling is not None
    assert evaluation.temperature_scaling["images"] == 36
    assert evaluation.temperature_scaling["temperature"] > 2
    assert evaluation.temperature_scaling["loss"] < evaluation.loss
    (low, high), error = evaluation.temperature_scaling["interval"], evaluation.temperature_scaling["error"]
    assert low <= error <= high
    with pytest.raises(ProtocolError, match="Cannot fit the temperature on val"):
        evaluate(trained, images, split="val", progress=QUIET, calibrate_on="val")


def test_one_image_alone_can_be_evaluated(members: list[Classifier], tmp_path: Path) -> None:
    write_classes(tmp_path / "one", 1)
    for name in ("green", "blue"):
        shutil.rmtree(tmp_path / "one" / name)
    found = evaluate(members[0], tmp_path / "one", progress=QUIET).to_dict()
    assert found["intervals"]["loss"] is None
    assert json.loads(json.dumps(found, allow_nan=False))["n"] == 1


def test_confusion_has_true_classes_as_rows_and_mistakes_begin_with_the_most_confident(images: Path) -> None:
    split = find_split(images, list(COLORS), "val")
    assert split.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    logits = 9 * np.eye(3)[split.labels]
    logits[0] = [0, 0, 5]
    logits[5] = [7, 0, 0]
    found = evaluation_from_logits(logits, list(COLORS), split, [], "center")
    assert found.confusion.tolist() == [[3, 0, 1], [1, 3, 0], [0, 0, 4]]
    assert [(each.index, each.label, each.predicted) for each in found.mistakes] == [
        (5, "green", "blue"),
        (0, "blue", "red"),
    ]
