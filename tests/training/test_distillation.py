"""A teacher's probabilities as targets."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.errors import BundleError, RecipeError, RunError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines.timing import random_images
from inceptorch.networks.network import NetworkSpec
from inceptorch.training.distillation import Teacher, distillation_loss
from inceptorch.training.recipe import Recipe
from tests.conftest import COLORS, TINY
from tests.helpers import classifier_of
from tests.training.helpers import PLAIN, QUIET, digest

CLASSES = [f"class {number}" for number in range(3)]


def test_the_loss_is_the_divergence_times_the_square_of_the_temperature() -> None:
    ours, theirs = torch.randn(5, 4), torch.randn(5, 4)
    p, q = (theirs / 3).softmax(1), (ours / 3).softmax(1)
    expected = 9 * (p * (p / q).log()).sum(1)
    torch.testing.assert_close(distillation_loss(ours, theirs, 3.0), expected)
    assert float(distillation_loss(ours, ours, 3.0).abs().max()) < 1e-6


@pytest.mark.parametrize("channels", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("student", ["rgb", "bgr"])
def test_a_teacher_sees_the_images_in_its_own_scale(student: str, channels: str) -> None:
    """Logits for a student's batch are those for the images themselves."""
    classifier = classifier_of(PLAIN, 3, channels=channels)
    pixels = replace(default_preprocessing(16, student), resize=16)  # type: ignore[arg-type]
    other = classifier_of(PLAIN, 3, channels=student)
    images = random_images(16, 4)
    found = Teacher(classifier, pixels, CLASSES[::-1]).logits(other.prepare(images))
    torch.testing.assert_close(found, classifier.logits(images).flip(1), rtol=1e-3, atol=1e-4)


def test_a_teacher_sees_things_as_large_as_in_its_own_training() -> None:
    classifier = classifier_of(TINY, 3, size=32)
    sizes: list[tuple[int, ...]] = []
    classifier.model.register_forward_pre_hook(lambda module, inputs: sizes.append(tuple(inputs[0].shape[2:])))
    teacher = Teacher(classifier, default_preprocessing(16), CLASSES)
    for size in (16, 12):
        teacher.logits(torch.zeros(2, 3, size, size))
    assert sizes == [(32, 32), (24, 24)]


@pytest.fixture
def teacher(tiny: NetworkSpec, tmp_path: Path) -> Path:
    made = classifier_of(TINY, 3)
    Classifier.of(made.model, made.preprocessing, list(COLORS)).save(tmp_path / "teacher")
    return tmp_path / "teacher"


def test_with_a_teacher_alone_a_student_learns_its_answers(
    teacher: Path, images: Path, recipe: Recipe, tmp_path: Path
) -> None:
    """On images like those of training, whatever their labels say."""
    told = inceptorch.load(teacher)
    crops = [told.preprocessing.apply(path) for path in sorted((images / "val").rglob("*.png"))]
    divergence = []
    for alpha in (0.0, 1.0):
        chosen = recipe.replace(distillation_alpha=alpha, distillation_temperature=1.0, epochs=6)
        out = tmp_path / f"alpha-{alpha}"
        student = inceptorch.train(images, out=out, recipe=chosen, teacher=teacher, progress=QUIET).classifier
        ours, theirs = student.logits(crops), told.logits(crops)
        divergence.append(float(F.kl_div(ours.log_softmax(1), theirs.softmax(1), reduction="batchmean")))
    assert divergence[1] < 0.5 * divergence[0]


@pytest.mark.usefixtures("tiny")
def test_an_interrupted_run_goes_on_exactly_with_its_teacher_and_not_with_another(
    teacher: Path, images: Path, recipe: Recipe, tmp_path: Path
) -> None:
    from tests.training.helpers import StopAfter

    whole, run = tmp_path / "whole", tmp_path / "run"
    inceptorch.train(images, out=whole, recipe=recipe, teacher=teacher, progress=QUIET)
    with pytest.raises(KeyboardInterrupt):
        inceptorch.train(images, out=run, recipe=recipe, teacher=teacher, progress=QUIET, callbacks=[StopAfter(7)])
    shutil.copytree(run, tmp_path / "other")
    inceptorch.resume(run, QUIET)
    assert digest(run) == digest(whole)
    made = inceptorch.load(teacher)
    linear = made.model.get_classifier()
    linear.weight.data += 1
    shutil.rmtree(teacher)
    made.save(teacher)
    with pytest.raises(RunError, match=r"the teacher in .* has changed since the run began"):
        inceptorch.resume(tmp_path / "other", QUIET)
    file = tmp_path / "other" / "run.yaml"
    file.write_text(file.read_text().replace("  sha256: ", "  sha256: 0"))
    with pytest.raises(RunError, match=r"the seed, recipe or network in run\.yaml was changed"):
        inceptorch.resume(tmp_path / "other", QUIET)


@pytest.mark.usefixtures("tiny")
def test_a_teacher_that_cannot_teach_this_is_refused(
    teacher: Path, images: Path, recipe: Recipe, tmp_path: Path
) -> None:
    classifier_of(TINY, 5).save(tmp_path / "five")
    out = tmp_path / "run"
    with pytest.raises(RunError, match=r"Cannot learn from .*five: it has 5 classes, which are not the 3 of the data"):
        inceptorch.train(images, out=out, recipe=recipe, teacher=tmp_path / "five", progress=QUIET)
    with pytest.raises(BundleError, match=r"none: it does not exist"):
        inceptorch.train(images, out=out, recipe=recipe, teacher=tmp_path / "none", progress=QUIET)
    with pytest.raises(RecipeError, match=r"Cannot train with a teacher by recipe 'head'"):
        inceptorch.train(images, out=out, recipe="head", weights=teacher, teacher=teacher, progress=QUIET)
    assert not out.exists()
