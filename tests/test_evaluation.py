"""Evaluating: crops against an independent page, ensembles, saved predictions, calibration, ImageNet's conventions."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import nn
from torchmetrics.functional.classification import multiclass_calibration_error

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.data import find_split
from inceptorch.data.imagenet import synsets
from inceptorch.errors import DataError, InceptorchError, ProtocolError
from inceptorch.evaluation import compare_crops_and_ensembles, evaluate
from inceptorch.evaluation.calibration import (
    at_threshold,
    calibration_error,
    calibration_interval,
    temperature_of,
    threshold,
)
from inceptorch.evaluation.metrics import Answers, log_softmax
from inceptorch.evaluation.predictions import read_predictions
from inceptorch.images.crops import PROTOCOLS
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import EngineOutput
from inceptorch.inference.engines.torch import Torch
from inceptorch.inference.predictor import Predictor
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.recipes import SCRATCH, Recipe
from inceptorch.utils.progress import Progress
from tests import oracle
from tests.conftest import COLORS, write_classes

QUIET = Progress(quiet=True)


@pytest.fixture
def members(tiny: NetworkSpec, images: Path) -> list[Classifier]:
    """Two networks on images of two sizes, with random weights that say something of colors."""
    made = []
    for seed, size in ((1, 16), (2, 24)):
        torch.manual_seed(seed)
        model = Model(tiny, 3, size=size).eval()
        nn.init.normal_(model.get_classifier().weight, std=2.0)
        made.append(Classifier.of(model, default_preprocessing(size), list(COLORS)))
    return made


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
    assert together.answers.given.tolist() == mean.argmax(1).tolist()
    np.testing.assert_allclose(together.answers.confidences, mean.max(1), rtol=1e-5)

    for file in files:
        predictions = read_predictions(file)
        assert predictions.labels.tolist() == split.labels.tolist()
        assert predictions.files == list(split.paths)
    weights = [3, 1] if read_predictions(files[0]).about.size == 16 else [1, 3]
    shutil.rmtree(images)  # which are not needed any more
    again = evaluate([str(file) for file in files], weights=weights, progress=QUIET)
    assert (again.top1, again.top5, again.n) == (together.top1, together.top5, together.n)
    assert again.loss == pytest.approx(together.loss, rel=1e-6)
    assert [m.index for m in again.mistakes] == [m.index for m in together.mistakes]


def test_an_interrupted_evaluating_goes_on(
    members: list[Classifier], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inceptorch.evaluation.predictions.PART", 50)
    whole = evaluate(
        members[0], images, split="train", progress=QUIET, protocol="10crop", save_predictions=tmp_path / "whole"
    )
    seen = 0

    class Stop(Exception):
        pass

    run = Torch.run

    def counting(self: Torch, crops: np.ndarray) -> EngineOutput:
        nonlocal seen
        seen += 1
        if seen == 16:
            raise Stop
        return run(self, crops)

    monkeypatch.setattr(Torch, "run", counting)
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    kept = tmp_path / "kept"
    with pytest.raises(Stop):
        evaluate(members[0], images, split="train", progress=QUIET, protocol="10crop", save_predictions=kept)
    assert not list(kept.glob("*.safetensors"))
    seen = 100
    again = evaluate(members[0], images, split="train", progress=QUIET, protocol="10crop", save_predictions=kept)
    batches = 36 * 2  # ten crops of each image in batches of eight
    assert 0 < seen - 100 < batches - 8
    assert again.to_dict() == whole.to_dict()
    (one,), (other,) = (list((tmp_path / name).iterdir()) for name in ("whole", "kept"))
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()
    seen = 0
    evaluate(members[0], images, split="train", progress=QUIET, protocol="10crop", save_predictions=kept)
    assert seen == 0


def test_what_cannot_be_averaged_is_refused(members: list[Classifier], images: Path, tmp_path: Path) -> None:
    other = Classifier.of(members[1].model, members[1].preprocessing, ["a", "b", "c"])
    with pytest.raises(ProtocolError, match="other classes than the first"):
        evaluate([members[0], other], images, split="val", progress=QUIET)
    with pytest.raises(ProtocolError, match="number of weights, 3, is not that of the models, 2"):
        evaluate(members, images, split="val", progress=QUIET, weights=[1, 2, 3])
    with pytest.raises(ProtocolError, match="numbers above 0, not 1, -1"):
        evaluate(members, images, split="val", progress=QUIET, weights=[1, -1])
    with pytest.raises(ProtocolError, match="Name the images"):
        evaluate(members, progress=QUIET)
    evaluate(members[0], images, split="val", progress=QUIET, save_predictions=tmp_path / "val")
    evaluate(members[0], images, split="train", progress=QUIET, save_predictions=tmp_path / "train")
    saved = [str(next((tmp_path / name).iterdir())) for name in ("val", "train")]
    with pytest.raises(ProtocolError, match="are of different images"):
        evaluate(saved, progress=QUIET)
    with pytest.raises(ProtocolError, match="has the predictions for other images"):
        evaluate(saved[0], images, split="train", progress=QUIET)
    with pytest.raises(ProtocolError, match="to choose among images, name DATA"):
        evaluate(saved[0], progress=QUIET, exclude=tmp_path / "none.txt")
    with pytest.raises(ProtocolError, match="have their protocol already"):
        evaluate(saved[0], progress=QUIET, protocol="10crop")
    with pytest.raises(ProtocolError, match="with the models themselves"):
        evaluate(saved[0], images, split="val", progress=QUIET, calibrate_on="train")
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(ProtocolError, match=r"x.safetensors holds no predictions, or is damaged"):
        evaluate(tmp_path / "x.safetensors", progress=QUIET)
    members[0].save(tmp_path / "bundle")
    with pytest.raises(ProtocolError, match="holds no predictions; `inceptorch eval --save-predictions`"):
        evaluate(tmp_path / "bundle" / "model.safetensors", progress=QUIET)


def test_models_are_named_as_they_were_given(members: list[Classifier], images: Path, tmp_path: Path) -> None:
    """Runs of one network in two folders can be told apart, in words, in the table and in files, whatever the folders."""
    first, second, same = (tmp_path / name for name in ("one/mine", "one/yours", "two/mine"))
    for member, folder in zip((*members, members[1]), (first, second, same), strict=True):
        member.save(folder)
    kept = tmp_path / "kept"
    together = evaluate([first, second], images, split="val", progress=QUIET, save_predictions=kept)
    assert together.protocol.endswith("of 2 models averaged: 1 x mine (tiny), 1 x yours (tiny)")
    files = sorted(kept.iterdir())
    assert [file.name.split(".")[0] for file in files] == ["mine", "yours"]
    assert evaluate(files, progress=QUIET).to_dict() == together.to_dict()
    rows = compare_crops_and_ensembles([first, same], images, split="val", progress=QUIET, protocols=["center"])
    assert (rows[1].models, rows[1].networks) == ([str(first), str(same)], ["tiny", "tiny"])


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
        small = replace(SCRATCH, net="googlenet_small", size=size, epochs=1, precision="fp32")
        inceptorch.train(flowers, out=tmp_path / name, recipe=small, progress=QUIET)
    runs, kept = [tmp_path / name for name in "abc"], tmp_path / "kept"
    together = evaluate(runs, flowers, progress=QUIET, save_predictions=kept, weights=[2, 1, 1])
    networks = "2 x a (googlenet), 1 x b (googlenet_small), 1 x c (googlenet_small)"
    assert together.protocol.endswith(f"probabilities of 3 models averaged: {networks}")
    assert together.n == 12

    files = sorted(kept.glob("*.safetensors"))
    assert [read_predictions(file).about.size for file in files] == [224, 32, 48]
    alone = [np.exp(np.concatenate([logs for _, logs in read_predictions(file).parts()])) for file in files]
    split = find_split(flowers, list(together.classes), "test")
    for run, found in zip(runs, alone, strict=True):
        said = inceptorch.load(run).predict([split.read(index) for index in range(len(split))], top=12)
        expected = [[one["probability"] for one in sorted(each, key=lambda one: one["index"])] for each in said]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    mean = (2 * alone[0] + alone[1] + alone[2]) / 4
    assert together.answers.given.tolist() == mean.argmax(1).tolist()
    np.testing.assert_allclose(together.answers.confidences, mean.max(1), rtol=1e-4)
    assert together.loss == pytest.approx(-np.log(mean[np.arange(12), split.labels]).mean(), rel=1e-4)

    again = evaluate(files, progress=QUIET, weights=[2, 1, 1])
    assert again.to_dict() == together.to_dict()


def test_damaged_predictions_are_made_again_and_that_is_said(
    members: list[Classifier], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"split": "val", "save_predictions": tmp_path / "kept"}
    before = evaluate(members[0], images, **words)  # type: ignore[arg-type]
    (file,) = (tmp_path / "kept").iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-10], b"", b"\xff" * 100):
        file.write_bytes(damaged)
        with pytest.raises(ProtocolError) as caught:
            evaluate(file, progress=QUIET)
        assert str(caught.value).endswith("or is damaged; `inceptorch eval --save-predictions` makes it again.")
        assert evaluate(members[0], images, **words).to_dict() == before.to_dict()  # type: ignore[arg-type]
        assert f"{file} is damaged: its predictions are made again" in capsys.readouterr().err
        assert file.read_bytes() == whole


def test_the_table_of_compare_crops_and_ensembles(members: list[Classifier], images: Path, tmp_path: Path) -> None:
    rows = compare_crops_and_ensembles(
        members, images, split="train", progress=QUIET, save_predictions=tmp_path / "kept"
    )
    assert [(len(row.models), row.protocol, row.cost) for row in rows] == [
        (1, "center", 1), (1, "10crop", 10), (1, "144crop", 144), (2, "center", 2), (2, "10crop", 20), (2, "144crop", 288),
    ]  # fmt: skip
    alone = [evaluate(member, images, split="train", progress=QUIET).top1 for member in members]
    assert rows[0].top1 == max(alone)
    assert rows[4].top1 == evaluate(members, images, split="train", progress=QUIET, protocol="10crop").top1
    assert rows[4].gained1 == pytest.approx(rows[4].top1 - rows[0].top1)
    assert rows[4].gained1_interval[0] <= rows[4].gained1 <= rows[4].gained1_interval[1]
    assert rows[5].multiply_adds == 144 * sum(
        inceptorch.complexity(member.model.net, member.preprocessing.size, 3).macs for member in members
    )


def overconfident(n: int, by: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits [n, 5] that are `by` times too large for labels drawn by the probabilities they would be without that."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (n, 5))
    labels = (np.exp(log_softmax(logits)).cumsum(1) < random.random((n, 1))).sum(1).clip(0, 4)
    return by * logits, labels


def test_the_calibration_error_is_torchmetrics() -> None:
    logits, labels = overconfident(2000, 2.0)
    expected = multiclass_calibration_error(
        torch.from_numpy(logits).softmax(1), torch.from_numpy(labels), num_classes=5, n_bins=15
    )
    answers = Answers.of(logits, labels)
    assert calibration_error(answers) == pytest.approx(float(expected), abs=1e-6)
    low, high = calibration_interval(answers)
    assert 0 < low < calibration_error(answers) < high


def test_the_interval_of_the_calibration_error_contains_the_truth() -> None:
    for by in (1.0, 1.5):
        truth = calibration_error(Answers.of(*overconfident(400_000, by)))
        held = 0
        for seed in range(60):
            low, high = calibration_interval(Answers.of(*overconfident(400, by, seed + 1000)), seed)
            held += low <= truth <= high
        assert held >= 0.88 * 60
        assert low > 0 or by == 1.0


def test_the_temperature_is_found() -> None:
    logits, labels = overconfident(20_000, 2.5)
    found = temperature_of(lambda: [(logits[:7000], labels[:7000]), (logits[7000:], labels[7000:])])
    assert found == pytest.approx(2.5, rel=0.05)
    assert found is not None
    losses = [float(Answers.of(logits / (found * by), labels).losses.mean()) for by in (0.98, 1.0, 1.02)]
    assert losses[1] == min(losses)
    assert temperature_of(lambda: [(np.array([[9.0, 0.0], [0.0, 9.0]]), np.array([0, 1]))]) is None
    much_too_sure = temperature_of(lambda: [(100 * logits, labels)])
    assert much_too_sure == pytest.approx(100 * found, rel=1e-3)


def test_the_temperature_of_one_part_evaluates_another(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    inceptorch.train(images, out=tmp_path / "run", recipe=replace(recipe, epochs=8), progress=QUIET)
    trained = inceptorch.load(tmp_path / "run")
    trained.model.get_classifier().weight.data *= 8  # much too sure
    for part, number in (("train", 3), ("val", 1)):  # and some images are not what they are called
        for index in range(number):
            shutil.move(images / part / "red" / f"{index:02}.png", images / part / "blue" / f"red {index}.png")
    evaluation = evaluate(trained, images, split="val", progress=QUIET, calibrate_on="train")
    assert evaluation.tempered is not None
    assert evaluation.tempered["images"] == 36
    assert evaluation.tempered["temperature"] > 2
    assert evaluation.tempered["loss"] < evaluation.loss
    with pytest.raises(ProtocolError, match="cannot be found on the images that are evaluated"):
        evaluate(trained, images, split="val", progress=QUIET, calibrate_on="val")


def test_a_threshold_keeps_what_it_says_and_counts_what_it_costs() -> None:
    answers = Answers.of(*overconfident(1000, 1.0))
    found = threshold(answers, 0.9)
    assert found["answered"] == pytest.approx(0.9, abs=0.002)
    assert found["right_of_answered"] > found["right_without"] > found["right"]
    assert found["right"] == pytest.approx(found["answered"] * found["right_of_answered"])
    assert at_threshold(answers, 0.0)["right"] == found["right_without"]
    assert at_threshold(answers, 1.1)["answered"] == 0


@pytest.fixture
def imagenet(tiny: NetworkSpec) -> Classifier:
    classes = ["tench, Tinca tinca", *(f"name of {synset}" for synset in synsets()[1:])]
    return Classifier.of(Model(tiny, 1000, size=16).eval(), default_preprocessing(16), classes)


def test_synset_folders_are_understood(imagenet: Classifier, tmp_path: Path) -> None:
    write_classes(tmp_path, 2)
    wanted = {"blue": "n01440764", "green": "n15075141", "red": "n01443537"}
    for color, synset in wanted.items():
        (tmp_path / color).rename(tmp_path / synset)
    split = find_split(tmp_path, imagenet.classes)
    assert sorted(set(split.labels.tolist())) == [0, 1, 999]
    assert evaluate(imagenet, tmp_path, progress=QUIET).n == 6
    (tmp_path / "n01443537").rename(tmp_path / "n99999999")
    with pytest.raises(DataError, match="n99999999 is none of the 1000 synsets"):
        find_split(tmp_path, imagenet.classes)
    with pytest.raises(DataError, match="that training did not have"):  # not a network with these classes
        find_split(tmp_path, ["a", "b"])


def write_validation(folder: Path, count: int = 4) -> Path:
    folder.mkdir()
    for number in range(1, count + 1):
        noise = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"ILSVRC2012_val_{number:08}.JPEG")
    return folder


def test_the_validation_images_as_they_come(imagenet: Classifier, tmp_path: Path) -> None:
    from scipy.io import savemat

    folder = write_validation(tmp_path / "val")
    with pytest.raises(DataError, match="without their labels; put"):
        find_split(folder, imagenet.classes)
    chosen = [5, 0, 999, 7]
    (folder / "val.txt").write_text("".join(f"ILSVRC2012_val_{n:08}.JPEG {c}\n" for n, c in enumerate(chosen, 1)))
    assert find_split(folder, imagenet.classes).labels.tolist() == chosen
    (folder / "val.txt").unlink()
    (folder / "imagenet_2012_validation_synset_labels.txt").write_text("\n".join(synsets()[c] for c in chosen))
    assert find_split(folder, imagenet.classes).labels.tolist() == chosen
    (folder / "imagenet_2012_validation_synset_labels.txt").unlink()
    rows = np.array(
        [(number, synset) for number, synset in enumerate(reversed(synsets()), 1)],
        dtype=[("ILSVRC2012_ID", "i4"), ("WNID", "O")],
    )
    savemat(folder / "meta.mat", {"synsets": rows})
    numbers = "\n".join(str(1000 - c) for c in chosen)
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text(numbers)
    assert find_split(folder, imagenet.classes).labels.tolist() == chosen

    (tmp_path / "blacklist.txt").write_text("2\n4\n")
    evaluation = evaluate(imagenet, folder, progress=QUIET, exclude=tmp_path / "blacklist.txt")
    assert evaluation.answers.labels.tolist() == [5, 999]
    (tmp_path / "blacklist.txt").write_text("9\n")
    with pytest.raises(InceptorchError, match="9 is no image of"):
        evaluate(imagenet, folder, progress=QUIET, exclude=tmp_path / "blacklist.txt")


def test_a_run_knows_when_it_had_better_say_nothing(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    result = inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    known = inceptorch.load(tmp_path / "run").config.metadata.threshold
    assert known == pytest.approx(result.evaluation.threshold)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["metadata"]["threshold"]["answered"] >= 0.95


@pytest.fixture
def divided(recipe: Recipe, tmp_path: Path) -> Path:
    """Runs a, b and c on a folder that training divided itself, c with another seed."""
    write_classes(tmp_path / "all", 10)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words = {"out": tmp_path / name, "recipe": replace(recipe, epochs=1), "seed": seed, "progress": QUIET}
        inceptorch.train(tmp_path / "all", **words)  # type: ignore[arg-type]
    return tmp_path


def test_what_training_saw_is_not_evaluated(divided: Path) -> None:
    whole = evaluate(divided / "a", divided / "all", progress=QUIET)
    assert whole.n == 6
    left_out = divided / "without.txt"
    left_out.write_text("red/00.png\nred/01.png\nred/02.png\nblue/05.png\n")
    kept = evaluate(divided / "a", divided / "all", progress=QUIET, exclude=left_out)
    names = {str(divided / "all" / line) for line in left_out.read_text().split()}
    assert set(kept.files) == set(whole.files) - names
    assert evaluate([divided / "a", divided / "b"], divided / "all", progress=QUIET).n == 6
    with pytest.raises(ProtocolError, match="held out different parts"):
        evaluate([divided / "a", divided / "c"], divided / "all", progress=QUIET)
    left_out.write_text("00.png\n")
    with pytest.raises(DataError, match="00.png is 3 images of"):
        evaluate(divided / "a", divided / "all", progress=QUIET, exclude=left_out)
    left_out.write_text("red/99.png\n")
    with pytest.raises(DataError, match="is no image of"):
        evaluate(divided / "a", divided / "all", progress=QUIET, exclude=left_out)


def test_images_that_changed_are_evaluated_again(members: list[Classifier], images: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    before = evaluate(members[0], images, split="val", progress=QUIET, save_predictions=kept)
    image = images / "val" / "red" / "00.png"
    stat = image.stat()
    data = bytearray(image.read_bytes())
    Image.new("RGB", (20, 24), (40, 60, 200)).save(image)
    image.write_bytes(image.read_bytes().ljust(len(data), b"\0"))  # as many bytes as before
    assert image.stat().st_size == stat.st_size
    after = evaluate(members[0], images, split="val", progress=QUIET, save_predictions=kept)
    assert len(list(kept.glob("*.safetensors"))) == 2
    assert after.loss != before.loss


def test_one_image_alone_can_be_evaluated(members: list[Classifier], tmp_path: Path) -> None:
    write_classes(tmp_path / "one", 1)
    for name in ("green", "blue"):
        shutil.rmtree(tmp_path / "one" / name)
    found = evaluate(members[0], tmp_path / "one", progress=QUIET).to_dict()
    assert found["intervals"]["loss"] is None
    assert json.loads(json.dumps(found, allow_nan=False))["n"] == 1


def test_predictions_of_the_format_before_are_read(members: list[Classifier], images: Path, tmp_path: Path) -> None:
    before = evaluate(members[0], images, split="val", progress=QUIET, save_predictions=tmp_path / "kept")
    (file,) = (tmp_path / "kept").iterdir()
    with safe_open(file, framework="numpy") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
        (held,) = map(json.loads, opened.metadata().values())
    header = {"format": "inceptorch predictions 1", "name": held["name"], "about": json.dumps(held["about"])}
    save_file(tensors, tmp_path / "old.safetensors", header)
    assert evaluate(tmp_path / "old.safetensors", progress=QUIET).to_dict() == before.to_dict()
