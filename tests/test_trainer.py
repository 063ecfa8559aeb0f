"""What a caller may give to `train` in place of a name: data set, module, loss, transform, optimizer, callbacks."""

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

import inceptorch
from inceptorch import report
from inceptorch.data.augment import AugmentedDataset
from inceptorch.data.sources.pairs import open_pairs
from inceptorch.errors import BundleError, DataError, RecipeError, RunError
from inceptorch.evaluation import Evaluation
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.training import Callback, Result
from inceptorch.training.recipe import Recipe
from inceptorch.training.trainer import Trainer
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS

QUIET = Progress(quiet=True)
SIZE = 16


class Patches(Dataset[tuple[Any, int]]):
    """Noisy images of one color each, as a caller's own data set has them."""

    classes = tuple(COLORS)

    def __init__(self, count: int, seed: int, form: Callable[[np.ndarray[Any, Any]], Any] = Image.fromarray):
        random = np.random.default_rng(seed)
        self.labels = [index % 3 for index in range(count)]
        colors = np.array(list(COLORS.values()))[self.labels]
        noise = random.normal(0, 40, (count, SIZE, SIZE, 3))
        self.images = np.clip(colors[:, None, None] + noise, 0, 255).astype(np.uint8)
        self.form = form

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.form(self.images[index]), self.labels[index]


class Small(nn.Module):
    """A network that no table describes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.layers(x).flatten(1))
        return out


class StopAfter(Callback):
    def __init__(self, steps: int):
        self.left = steps

    def on_step(self, trainer: Trainer, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture
def data() -> tuple[Patches, Patches]:
    return Patches(36, 1), Patches(12, 2)


def digest(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def plain(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image.resize((SIZE, SIZE)))


def shaken(image: Image.Image) -> Tensor:
    """Draws from all three generators, and gives channels first."""
    import random

    array = np.roll(plain(image), (random.randrange(4), np.random.randint(4)), (0, 1))
    if torch.rand(()) < 0.5:
        array = array[:, ::-1]
    return torch.from_numpy(array.copy()).permute(2, 0, 1)


def test_a_data_set_of_ones_own_trains_and_resumes_exactly(
    data: tuple[Patches, Patches], recipe: Recipe, tmp_path: Path
) -> None:
    whole = inceptorch.train(data, out=tmp_path / "whole", recipe=recipe, progress=QUIET, epochs=4)
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
    with pytest.raises(RunError, match="Patches is not what it was"):
        inceptorch.resume(tmp_path / "run", QUIET, data=(Patches(33, 1), Patches(12, 2)))


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


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ((Patches(6, 1),), "the tuple has 1 parts. Give it two, train and val"),
        ({"train": Patches(6, 1), "test": Patches(6, 1)}, "the dict has train, test. Give it train and val"),
        ([("a.png", "red"), ("b.png", "blue")], "does not have one whole number as the label"),
        ([1, 2], r"its items are no \(image, label\) pairs"),
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

    refused(RecipeError, "weights or a network's name beside a module", net="tiny")
    refused(RecipeError, "layer_decay=1", recipe=recipe.replace(layer_decay=0.5))
    refused(RecipeError, "Set it in the module", recipe=recipe.replace(dropout=0.5))
    refused(RunError, r"for two images it gives \(2, 8, 1, 1\). Return logits \(2, 3\)", model=Small().layers)
    refused(RecipeError, "Give net or model, not both", model="tiny", net="tiny")
    refused(RunError, "it has 5 classes, the data 3", model=inceptorch.create_model("tiny", 5))


def test_a_loss_of_ones_own_is_what_is_minimized(data: tuple[Patches, Patches], recipe: Recipe, tmp_path: Path) -> None:
    simple = recipe.replace(label_smoothing=0.0)

    def mean(logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets)

    def doubled(logits: Tensor, targets: Tensor) -> Tensor:
        return 2 * F.cross_entropy(logits, targets, reduction="none")

    inceptorch.train(data, out=tmp_path / "ours", recipe=simple, progress=QUIET)
    inceptorch.train(data, out=tmp_path / "mean", recipe=simple, loss=mean, progress=QUIET)
    inceptorch.train(data, out=tmp_path / "doubled", recipe=simple, loss=doubled, progress=QUIET)
    ours, same, twice = (float(rows(tmp_path / name)[0]["train_loss"]) for name in ("ours", "mean", "doubled"))
    assert same == pytest.approx(ours, rel=1e-3)
    assert twice > 1.3 * ours
    with pytest.raises(RunError, match=r"it gives \(8, 3\). Return one number, or one for each image"):
        inceptorch.train(data, out=tmp_path / "wrong", recipe=simple, loss=lambda x, y: x, progress=QUIET)
    with pytest.raises(RecipeError, match="Weigh them there, with --set class_weight_power=0"):
        inceptorch.train(
            data, out=tmp_path / "x", recipe=simple.replace(class_weight_power=1.0), loss=mean, progress=QUIET
        )


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


def test_a_transforms_draws_leave_the_generators_as_they_were(recipe: Recipe) -> None:
    train, _ = open_pairs((Patches(6, 1), Patches(3, 2)), 0.2, 0)
    dataset = AugmentedDataset(train, default_preprocessing(SIZE), recipe.augmentation, 7, shaken)
    state, numbers = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"]
    first = [dataset[index][0] for index in range(6)]
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], numbers)
    assert all(torch.equal(dataset[index][0], first[index]) for index in (5, 0, 3))
    dataset.epoch = 1
    assert not all(torch.equal(dataset[index][0], first[index]) for index in range(6))


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


def test_callbacks_are_called_where_they_say(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    calls: list[str] = []

    class Log(Callback):
        def on_step(self, trainer: Trainer, loss: float) -> None:
            assert loss > 0
            calls.append(f"step {trainer.state.epoch} {trainer.state.step}")

        def on_validation(self, trainer: Trainer, row: dict[str, Any], evaluation: Evaluation) -> None:
            assert evaluation.top1 == row["top1"]
            assert (trainer.run.folder / "config.json").exists()
            calls.append(f"validation {row['epoch']}")

        def on_end(self, trainer: Trainer, result: Result) -> None:
            calls.append(f"end {result.epochs}")

    inceptorch.train(images, out=tmp_path / "run", recipe=recipe, epochs=2, callbacks=[Log()], progress=QUIET)
    steps = [[f"step {epoch} {step}" for step in range(1, 6)] for epoch in range(2)]
    assert calls == [*steps[0], "validation 1", *steps[1], "validation 2", "end 2"]


def test_with_patience_the_best_epochs_weights_are_kept(
    images: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Without a falling rate the loss rises again, as the rate is far too high.
    rough = recipe.replace(epochs=12, patience=2, lr=0.5, ema_decay=0.0, lr_schedule=((0, 1), (1, 1)))
    best = inceptorch.train(images, out=tmp_path / "best", recipe=rough)
    losses = [float(row["loss"]) for row in rows(best.run)]
    assert best.kept_epoch == losses.index(min(losses)) + 1 < len(losses)
    assert (
        f"kept the weights of epoch {best.kept_epoch}, whose validation loss is the lowest" in capsys.readouterr().err
    )
    assert best.evaluation.loss == pytest.approx(min(losses), rel=1e-5)
    assert inceptorch.evaluate(best.run, images, progress=QUIET).loss == pytest.approx(min(losses), rel=1e-5)
    report.write_report(best)
    said = f"epoch {best.kept_epoch} of {best.epochs}, chosen by the loss on the validation images"
    assert said in (best.run / "README.md").read_text()
    before = digest(best.run)
    again = inceptorch.resume(best.run, QUIET)
    assert (again.kept_epoch, again.evaluation.loss, digest(best.run)) == (
        best.kept_epoch,
        best.evaluation.loss,
        before,
    )

    last = inceptorch.train(images, out=tmp_path / "last", recipe=rough.replace(keep="last"), progress=QUIET)
    assert last.kept_epoch is None
    assert last.evaluation.loss == pytest.approx(float(rows(last.run)[-1]["loss"]), rel=1e-5)
    assert digest(last.run) != before
