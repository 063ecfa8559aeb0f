"""train --extend: from the command to a run that can be used and extended again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inceptorch
from inceptorch.classifier.statistics import STATISTICS
from inceptorch.errors import InceptorchError, RunError
from inceptorch.training.recipe import RECIPES, Recipe
from tests.helpers import detector, invoke
from tests.training.helpers import QUIET

YELLOW = (210, 200, 40)


@pytest.fixture
def head(images: Path, recipe: Recipe, tmp_path: Path) -> Path:
    """A run of recipe head on three colors."""
    weights = inceptorch.train(images, out=tmp_path / "weights", recipe=recipe, progress=QUIET).run
    head = RECIPES["head"].replace(linear_probe_l2=0.01)
    return inceptorch.train(images, out=tmp_path / "head", weights=weights, recipe=head, progress=QUIET).run


def write(folder: Path, count: int, color: tuple[int, int, int] = YELLOW, seed: int = 5) -> Path:
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.clip(np.array(color) + random.normal(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_a_class_is_added_and_another_gets_more_images(images: Path, head: Path, tmp_path: Path) -> None:
    write(tmp_path / "new" / "yellow", 10)
    write(tmp_path / "new" / "red", 5, (200, 50, 40))
    out = tmp_path / "more"
    done = invoke("train", tmp_path / "new", "--extend", head, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["extension"]["added"] == ["yellow"]
    assert answer["extension"]["updated"] == ["red"]
    assert answer["extension"]["images"] == 12  # a fifth of each class is for validation
    before, after = inceptorch.load(head), inceptorch.load(out)
    assert after.classes == ["blue", "green", "red", "yellow"]
    assert answer["extension"]["old_top1"] == before.config.metadata.top1
    assert abs(answer["extension"]["new_old_top1"] - answer["extension"]["old_top1"]) < 0.2
    old, new = (each.model.get_classifier().weight.detach() for each in (before, after))
    assert (old[:2] == new[:2]).all()
    assert not (old[2] == new[2]).all()
    assert after.statistics is not None
    assert after.statistics.counts.tolist() == [12, 12, 16, 8]

    assert invoke("predict", out, tmp_path / "new" / "yellow" / "0.png", "--top", 1).stdout.count("yellow") == 2
    again = inceptorch.evaluate(out, tmp_path / "new", progress=QUIET)
    assert (again.n, again.top1) == (3, answer["top1"])  # the same validation images
    assert "yellow" in (out / "report.html").read_text()
    assert inceptorch.evaluate(out, images, progress=QUIET).top1 > 0.8
    assert not list(tmp_path.glob(".more*"))
    refused = invoke("train", "--resume", out)
    assert isinstance(refused.exception, RunError)
    assert "was made with --extend, in one step" in str(refused.exception)


def test_one_image_is_enough_and_a_run_is_extended_twice(head: Path, tmp_path: Path) -> None:
    write(tmp_path / "one" / "yellow", 1)
    first = invoke("train", tmp_path / "one", "--extend", head, "--out", tmp_path / "first")
    assert first.exit_code == 0, first.output
    assert "1 class added (yellow) by 1 image; old classes: top-1" in first.stdout
    assert "without a report" in first.stdout
    assert not (tmp_path / "first" / "report.html").exists()
    assert inceptorch.load(tmp_path / "first").config.metadata.top1 is None
    write(tmp_path / "two" / "black", 1, (10, 10, 10))
    second = invoke("train", tmp_path / "two", "--extend", tmp_path / "first", "--out", tmp_path / "second")
    assert second.exit_code == 0, second.output
    found = inceptorch.load(tmp_path / "second")
    assert found.classes == ["blue", "green", "red", "yellow", "black"]
    for name, color in (("yellow", YELLOW), ("black", (10, 10, 10))):
        file = write(tmp_path / f"test {name}", 1, color, seed=9) / "0.png"
        assert found.predict(file)[0]["label"] == name


def test_what_cannot_be_extended_is_a_sentence(images: Path, head: Path, tmp_path: Path) -> None:
    new, empty = write(tmp_path / "new" / "yellow", 2).parent, tmp_path / "empty"
    (empty / "yellow").mkdir(parents=True)
    detector().save(tmp_path / "boxes")
    plain = shutil.copytree(head, tmp_path / "plain")
    (plain / STATISTICS).unlink()
    damaged = shutil.copytree(head, tmp_path / "damaged")
    (damaged / STATISTICS).write_bytes(b"nothing")
    voc = tmp_path / "voc.csv"
    voc.write_text("image,xmin,ymin,xmax,ymax,label\na.png,1,1,5,5,cat\n")
    for words, sentence in (
        ((new, "--extend", plain), f"it has no {STATISTICS}, which recipe head writes"),
        ((new, "--extend", tmp_path / "boxes"), "it is a detector"),
        ((new, "--extend", damaged), "is not a safetensors file"),
        ((empty, "--extend", head), "it has no images in class folders"),
        ((voc, "--extend", head), "its images have boxes"),
        ((new, "--extend", head, "--recipe", "head"), "Leave out all other options but --out and --seed"),
        ((new, "--extend", head, "--weights", head), "Leave out all other options but --out and --seed"),
        (("--extend", head), "Name the DATA with the new classes"),
    ):
        done = invoke("train", *words, "--out", tmp_path / "out")
        assert isinstance(done.exception, InceptorchError), done.output
        assert sentence in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_statistics_are_of_the_head_alone_and_leave_with_other_weights(
    images: Path, head: Path, recipe: Recipe, tmp_path: Path
) -> None:
    finetune = RECIPES["finetune"].replace(
        net="tiny", epochs=1, linear_probe_l2=0.01, freeze=0, size_schedule=((0, 1), (1, 1)), batch_size=8
    )
    tuned = inceptorch.train(images, out=tmp_path / "tuned", weights=head, recipe=finetune, progress=QUIET).run
    assert (head / STATISTICS).exists()
    assert not (tuned / STATISTICS).exists()
    inceptorch.load(tuned).write(head)
    assert not (head / STATISTICS).exists()
