"""`train` and `resume` with Python objects, and errors before anything is written."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

import inceptorch
from inceptorch import report
from inceptorch.data.sources.pairs import open_pairs
from inceptorch.errors import (
    BundleError,
    DataError,
    InceptorchError,
    RecipeError,
    RunError,
    TableError,
)
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.networks.serialization import to_yaml
from inceptorch.training import Callback
from inceptorch.training.recipe import Recipe, with_values
from inceptorch.training.run import read_run
from inceptorch.training.trainer import Trainer
from tests.conftest import COLORS
from tests.training.helpers import PLAIN, QUIET, RECIPE, SIZE, Patches, Small, StopAfter, digest, rows, shaken


@pytest.fixture
def words(tmp_path: Path, images: Path) -> list[object]:
    """The words of a run of thirty epochs of five steps."""
    (tmp_path / "plain.yaml").write_text(to_yaml(PLAIN))
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace(net=str(tmp_path / "plain.yaml")).to_yaml())
    return [images, "-c", tmp_path / "recipe.yaml", "--net", tmp_path / "plain.yaml"]


def test_a_data_set_of_ones_own_trains_and_resumes_exactly(
    data: tuple[Patches, Patches], recipe: Recipe, tmp_path: Path
) -> None:
    whole = inceptorch.train(data, out=tmp_path / "whole", recipe=recipe, progress=QUIET, epochs=4)
    assert whole.evaluation is not None
    assert whole.evaluation.n == 12
    assert whole.top1 > 0.8
    assert whole.classifier.classes == list(COLORS)
    with pytest.raises(KeyboardInterrupt):
        inceptorch.train(
            data, out=tmp_path / "run", recipe=recipe.replace(epochs=4), progress=QUIET, callbacks=[StopAfter(7)]
        )
    with pytest.raises(RunError, match=r"Cannot resume .*run without data=\.\.\.: they were Python objects"):
        inceptorch.resume(tmp_path / "run", QUIET)
    inceptorch.resume(tmp_path / "run", QUIET, data=data)
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")
    with pytest.raises(RunError, match="Patches has changed since"):
        inceptorch.resume(tmp_path / "run", QUIET, data=(Patches(33, 1), Patches(12, 2)))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, "Cannot train on None: it is no data. Try a folder"),
        ([], "it is empty. Give it"),
        ({}, "the dict has no keys. Give it train and val"),
        ((Patches(6, 1),), "the tuple has 1 parts. Give it two, train and val"),
        ({"train": Patches(6, 1), "test": Patches(6, 1)}, "the dict has train, test. Give it train and val"),
        ([("a.png", "red"), ("b.png", "blue")], "does not have one whole number as the label"),
        ([1, 2], r"its items are not \(image, label\) pairs"),
        ([("a.png", 0), ("b.png", 0)], "of 1 classes. Give labels from 0, two classes or more"),
        (iter([]), "it has no length or no items"),
    ],
)
def test_data_that_cannot_be_used(data: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        inceptorch.train(data, out=tmp_path / "run", progress=QUIET)
    assert not (tmp_path / "run").exists()


def test_images_that_are_floats_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    floats = Patches(36, 1, lambda array: torch.from_numpy(array) / 255)
    with pytest.raises(inceptorch.InceptorchError, match="Cannot use a tensor of torch.float32 .* it must be uint8"):
        inceptorch.train(floats, out=tmp_path / "run", recipe=recipe, progress=QUIET)


def test_a_module_of_ones_own_trains_resumes_and_is_loaded_again(
    data: tuple[Patches, Patches], recipe: Recipe, tmp_path: Path
) -> None:
    plan: Any = {"recipe": recipe.replace(epochs=4, size=SIZE), "progress": QUIET}
    result = inceptorch.train(data, out=tmp_path / "whole", model=Small(), **plan)
    with pytest.raises(KeyboardInterrupt):
        inceptorch.train(data, out=tmp_path / "run", model=Small(), callbacks=[StopAfter(3)], **plan)
    other = Small()
    nn.init.zeros_(other.head.weight)  # the first weights are in the run
    inceptorch.resume(tmp_path / "run", QUIET, data=data, model=other)
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")
    report.write_report(result)
    assert "Small" in (tmp_path / "whole" / "report.html").read_text()

    config = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert config["custom"] is True
    assert config["architecture"].endswith(".Small")
    with pytest.raises(BundleError, match=r"Small. Try inceptorch.load\(FOLDER, model="):
        inceptorch.load(tmp_path / "whole")
    classifier = inceptorch.load(tmp_path / "whole", model=Small())
    images = [data[1][index][0] for index in range(12)]
    right = [each[0]["index"] == label for each, label in zip(classifier.predict(images), data[1].labels, strict=True)]
    assert np.mean(right) == pytest.approx(result.top1)


def test_a_network_of_timm_trains(data: tuple[Patches, Patches], recipe: Recipe, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model("test_resnet", num_classes=3)
    result = inceptorch.train(data, out=tmp_path / "run", model=model, recipe=recipe, size=32, progress=QUIET)
    assert float(rows(result.run)[-1]["train_loss"]) < float(rows(result.run)[0]["train_loss"])
    assert yaml.safe_load((result.run / "run.yaml").read_text())["recipe"]["model"]["net"].startswith("timm.")
    again = inceptorch.load(result.run, model=timm.create_model("test_resnet", num_classes=3))
    image = data[1][0][0]
    assert again.predict(image) == result.classifier.predict(image)


def test_what_a_module_of_ones_own_cannot_have(
    data: tuple[Patches, Patches], recipe: Recipe, tmp_path: Path, images: Path
) -> None:
    def refused(kind: type[Exception], sentence: str, **words: Any) -> None:
        with pytest.raises(kind, match=sentence):
            inceptorch.train(
                **{
                    "data": data,
                    "out": tmp_path / "run",
                    "recipe": recipe,
                    "model": Small(),
                    "progress": QUIET,
                    **words,
                }
            )
        assert not (tmp_path / "run").exists()

    refused(RecipeError, "weights or a network's name together with a module", net="tiny")
    refused(RecipeError, "layer_decay=1", recipe=recipe.replace(layer_decay=0.5))
    refused(RecipeError, "Set it in the module", recipe=recipe.replace(dropout=0.5))
    refused(RunError, r"for two images it gives \(2, 8, 1, 1\). Return logits \(2, 3\)", model=Small().layers)
    refused(RecipeError, "Give net or model, not both", model="tiny", net="tiny")
    refused(RunError, "it has 5 classes, the data 3", model=inceptorch.create_model("tiny", 5))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_transform_of_ones_own_draws_by_seed_epoch_and_image(
    data: tuple[Patches, Patches], recipe: Recipe, tmp_path: Path, workers: int
) -> None:
    chosen = recipe.replace(num_workers=workers)
    inceptorch.train(data, out=tmp_path / "whole", recipe=recipe, transform=shaken, progress=QUIET)
    with pytest.raises(KeyboardInterrupt):
        inceptorch.train(
            data, out=tmp_path / "run", recipe=chosen, transform=shaken, callbacks=[StopAfter(8)], progress=QUIET
        )
    inceptorch.resume(tmp_path / "run", QUIET, data=data, transform=shaken)
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")
    with pytest.raises(
        DataError, match=r"what the transform gives: torch.uint8 \(3, 9, 9\). Return uint8 \[16, 16, 3\]"
    ):
        inceptorch.train(
            data, out=tmp_path / "wrong", recipe=chosen, transform=lambda image: image.resize((9, 9)), progress=QUIET
        )


def test_an_optimizer_of_ones_own_follows_the_schedule_and_resumes_exactly(
    data: tuple[Patches, Patches], recipe: Recipe, tmp_path: Path
) -> None:
    def optimizer(params: list[nn.Parameter]) -> torch.optim.Optimizer:
        groups: Any = [{"params": params[:1], "lr": 0.002}, {"params": params[1:], "lr": 0.004}]
        return torch.optim.NAdam(groups)

    seen: list[list[float]] = []

    class Watch(Callback):
        def on_step(self, trainer: Trainer, loss: float) -> None:
            seen.append([group["lr"] for group in trainer.optimizer.param_groups])

    words: Any = {"recipe": recipe, "optimizer": optimizer, "progress": QUIET}
    inceptorch.train(data, out=tmp_path / "whole", callbacks=[Watch()], **words)
    assert max(first for first, _ in seen) == pytest.approx(0.002, rel=0.2)
    assert all(second == pytest.approx(2 * first) for first, second in seen)
    assert yaml.safe_load((tmp_path / "whole" / "run.yaml").read_text())["recipe"]["optimization"]["lr"] == 0.002
    with pytest.raises(KeyboardInterrupt):
        inceptorch.train(data, out=tmp_path / "run", callbacks=[StopAfter(8)], **words)
    inceptorch.resume(tmp_path / "run", QUIET, data=data, optimizer=optimizer)
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def test_what_is_wrong_is_said_before_a_folder_is_made(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def refused(kind: type[InceptorchError], sentence: str, **changes: object) -> None:
        arguments = {"data": images, "out": out, "recipe": recipe, "progress": QUIET, **changes}
        with pytest.raises(kind, match=sentence):
            inceptorch.train(**arguments)  # type: ignore[arg-type]
        assert not out.exists()

    refused(TableError, "too small for tiny with auxiliary heads: .*layer mix", recipe=with_values(recipe, {"size": 5}))
    refused(TableError, "did you mean 'tiny'", net="tinny")
    refused(RecipeError, "by recipe 'head' without weights, .* Try --weights", recipe="head")
    refused(RecipeError, "from 0 to", seed=-1)
    refused(RecipeError, "from 0 to", seed=10**30)
    refused(RunError, "lies inside the images", out=images / "train" / "red" / "run")
    refused(RunError, "Cannot use .*: file name too long", out=tmp_path / ("a" * 300))
    refused(RecipeError, "did you mean 'scratch'", recipe="scrach")


def test_a_folder_in_use_is_not_written_into(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="already holds files. Try another folder"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_resume_refuses_what_it_cannot_go_on_with(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = inceptorch.train(images, out=run, recipe=recipe, progress=QUIET)
    before = digest(run)
    for data in (None, images):
        again = inceptorch.resume(run, QUIET, data=data)  # evaluates and changes nothing
        assert (again.epochs, again.top1) == (first.epochs, first.top1)
        assert digest(run) == before
    with pytest.raises(RunError, match=rf"Cannot resume .* with {tmp_path}: it began with {images}. Start a new run"):
        inceptorch.resume(run, QUIET, data=tmp_path)
    text = (run / "run.yaml").read_text()
    (run / "run.yaml").write_text(text.replace("compile: false", "compile: true"))
    assert read_run(run).recipe.runtime.compile is True
    for changed in (re.sub("batch_size: .*", "batch_size: 5", text), re.sub("seed: .*", "seed: 77", text)):
        (run / "run.yaml").write_text(changed)
        with pytest.raises(RunError, match=r"the seed, recipe or network in run.yaml was changed. Undo that"):
            inceptorch.resume(run, QUIET)
    (run / "run.yaml").write_text(text)
    for name in ("last", "previous"):
        (run / "checkpoints" / f"{name}.safetensors").write_bytes(b"nonsense")
    with pytest.raises(RunError, match=r"Cannot resume from .*last.safetensors: it is damaged"):
        inceptorch.resume(run, QUIET)
    Image.new("RGB", (9, 9)).save(images / "train" / "red" / "new.png")
    with pytest.raises(RunError, match=r"has changed since"):
        inceptorch.resume(run, QUIET)
    images.rename(tmp_path / "moved")
    with pytest.raises(DataError) as caught:
        inceptorch.resume(run, QUIET)
    assert str(images) in str(caught.value)
    assert "Cannot fetch" not in str(caught.value)  # as is said of data from elsewhere
    (tmp_path / "moved").rename(images)
    (run / "run.yaml").write_text("[")
    with pytest.raises(RunError, match=r"run.yaml is not YAML"):
        inceptorch.resume(run, QUIET)
    with pytest.raises(RunError, match="not a run that can be resumed"):
        inceptorch.resume(images, QUIET)


def test_the_form_of_the_images_changes_nothing(recipe: Recipe) -> None:
    forms: list[Callable[[Any], Any]] = [
        Image.fromarray,
        lambda array: array,
        torch.from_numpy,
        lambda array: torch.from_numpy(array.transpose(2, 0, 1)),
    ]
    for form in forms:
        train, val = open_pairs({"train": Patches(6, 1, form), "val": Patches(3, 2, form)}, 0.2, 0)
        assert np.array_equal(train.crop(4, default_preprocessing(SIZE)), Patches(6, 1).images[4])
        assert (train.classes, val.labels.tolist()) == (tuple(COLORS), [0, 1, 2])
    patches = Patches(30, 1)
    train, val = open_pairs([patches[index] for index in range(30)], 0.2, 0)
    assert (len(train), len(val), train.classes) == (24, 6, ("0", "1", "2"))
