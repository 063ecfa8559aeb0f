"""Training from a folder to a run: it learns, it can be stopped anywhere, and its pixels are everyone's pixels."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

import inceptorch
from inceptorch.data import find_split
from inceptorch.data.augment import AugmentedDataset
from inceptorch.errors import BundleError, InceptorchError, RecipeError, RunError, TableError
from inceptorch.evaluation import evaluate_split
from inceptorch.models.module import Model
from inceptorch.models.normalize import Normalize
from inceptorch.networks.layers import Conv
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import to_yaml
from inceptorch.networks.zoo import NETS
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.training.checkpoint import Checkpointer, TrainState
from inceptorch.training.ema import WeightAverage
from inceptorch.training.loss import TrainLoss
from inceptorch.training.optimizers import TensorFlowRMSProp
from inceptorch.training.recipe import RECIPES, Recipe, with_values
from inceptorch.training.run import read_run
from inceptorch.training.schedule import learning_rate as _rate
from inceptorch.training.trainer import Trainer
from inceptorch.utils.files import locked
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, write_classes

QUIET = Progress(quiet=True)


def digest(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


class Stop(Exception):
    pass


@pytest.fixture
def stopped_after(monkeypatch: pytest.MonkeyPatch) -> object:
    """Make training fail as if killed: right after the given number of optimizer steps."""

    def arm(steps: int, error: type[BaseException] = Stop, kind: type[torch.optim.Optimizer] = torch.optim.SGD) -> None:
        left = [steps]
        step = kind.step

        def counted(self: torch.optim.Optimizer, *args: object) -> object:
            if left[0] == 0:
                monkeypatch.setattr(kind, "step", step)
                raise error
            left[0] -= 1
            return step(self, *args)  # type: ignore[call-overload]

        monkeypatch.setattr(kind, "step", counted)

    return arm


def test_it_learns_and_leaves_a_complete_run(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    recipe = recipe.replace(epochs=8)
    result = inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    assert result.top1 >= 0.9
    assert result.epochs == 8
    files = {path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert {path for path in files if path.startswith("events/")}
    files = {path for path in files if not path.startswith("events/")}
    assert files == {
        "config.json", "model.safetensors", "README.md", "run.yaml", "metrics.csv", "log.txt",
        "checkpoints/last.safetensors",
    }  # fmt: skip
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 9))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert float(rows[-1]["top1"]) == pytest.approx(result.top1, abs=1e-4)
    asked = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert asked["train"]["images"] == 36
    assert asked["classes"] == list(COLORS)
    evaluation = inceptorch.evaluate(tmp_path / "run", images, progress=QUIET)
    assert (evaluation.n, evaluation.top1) == (12, result.top1)


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(
    images: Path, recipe: Recipe, tmp_path: Path
) -> None:
    for name, seed, workers in (("a", 0, 0), ("b", 0, 2), ("c", 1, 0)):
        chosen = recipe.replace(num_workers=workers)
        inceptorch.train(images, out=tmp_path / name, recipe=chosen, seed=seed, progress=QUIET)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


@pytest.mark.parametrize("steps", [0, 3, 5, 9, 12])
def test_a_run_stopped_anywhere_goes_on_to_the_same_weights(
    images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object, steps: int
) -> None:
    inceptorch.train(images, out=tmp_path / "whole", recipe=recipe, progress=QUIET)
    stopped_after(steps)  # type: ignore[operator]
    with pytest.raises(Stop):
        inceptorch.train(images, out=tmp_path / "stopped", recipe=recipe, progress=QUIET)
    result = inceptorch.resume(tmp_path / "stopped", QUIET)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")
    with open(result.run / "metrics.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def steps_kept(run: Path) -> int:
    """How many steps of a run of nine for an epoch its checkpoint holds."""
    path = run / "checkpoints" / "last.safetensors"
    if not path.exists():
        return 0
    with safe_open(path, "np") as file:
        done = json.loads(file.metadata()["progressed"])
    return int(9 * done["epoch"] + done["step"])


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_deaths_at_any_step_change_nothing(
    images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object, workers: int
) -> None:
    """Checkpoints at every second step; runs die twice, at random, and end as the one that never did."""
    chosen = recipe.replace(batch_size=4, checkpoint_every=2, num_workers=workers)
    inceptorch.train(images, out=tmp_path / "whole", recipe=chosen, progress=QUIET)
    expected = digest(tmp_path / "whole")
    random = np.random.default_rng(workers)
    for number in range(20 if workers == 0 else 3):
        out = tmp_path / str(number)
        stopped_after(int(random.integers(27)))  # type: ignore[operator]
        with pytest.raises(Stop):
            inceptorch.train(images, out=out, recipe=chosen, progress=QUIET)
        stopped_after(int(random.integers(27 - steps_kept(out))))  # type: ignore[operator]
        with pytest.raises(Stop):
            inceptorch.resume(out, QUIET)
        inceptorch.resume(out, QUIET)
        assert digest(out) == expected, number


@pytest.mark.parametrize("steps", [0, 6])
def test_a_stopped_finetune_goes_on_from_its_head(
    images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object, steps: int
) -> None:
    inceptorch.train(images, out=tmp_path / "weights", recipe=recipe, progress=QUIET)
    # A recipe of one's own name, as Python users make them.
    chosen = replace(recipe.replace(linear_probe_steps=20), name="mine")
    words = {"weights": tmp_path / "weights", "recipe": chosen, "progress": QUIET}
    inceptorch.train(images, out=tmp_path / "whole", **words)  # type: ignore[arg-type]
    stopped_after(steps)  # type: ignore[operator]
    with pytest.raises(Stop):
        inceptorch.train(images, out=tmp_path / "stopped", **words)  # type: ignore[arg-type]
    inceptorch.resume(tmp_path / "stopped", QUIET)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")


def test_a_run_on_a_relative_path_goes_on_from_elsewhere(
    images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    (images / "train" / "red" / "aa.png").write_bytes(b"broken")
    monkeypatch.chdir(images.parent)
    stopped_after(7)  # type: ignore[operator]
    with pytest.raises(Stop):
        inceptorch.train("images", out=tmp_path / "run", recipe=recipe, progress=QUIET)
    monkeypatch.chdir(tmp_path / "run")
    result = inceptorch.resume(tmp_path / "run", QUIET)
    assert result.epochs == 3
    assert [Path(one["file"]).name for one in result.evaluation.skipped] == ["aa.png"]


def test_a_run_of_a_table_of_ones_own_goes_on_when_its_file_is_gone(
    images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object, tiny: NetworkSpec
) -> None:
    table = tmp_path / "mine.yaml"
    text = to_yaml(replace(tiny, name="mine", body={**tiny.body, "more": Conv(12)}))
    table.write_text(text)
    words = {"recipe": recipe, "net": str(table), "progress": QUIET}
    inceptorch.train(images, out=tmp_path / "whole", **words)  # type: ignore[arg-type]
    stopped_after(7)  # type: ignore[operator]
    with pytest.raises(Stop):
        inceptorch.train(images, out=tmp_path / "stopped", **words)  # type: ignore[arg-type]
    table.unlink()
    inceptorch.resume(tmp_path / "stopped", QUIET)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")
    again = inceptorch.load(tmp_path / "stopped").model.net
    assert again.body["more"] == Conv(12)

    # Begun from those weights, a table of the same name with other rows is refused before anything is written.
    table.write_text(text.replace("{conv: 12}", "{conv: 14}"))
    with pytest.raises(BundleError, match="another table called 'mine': row more differs"):
        inceptorch.train(images, out=tmp_path / "other", weights=tmp_path / "whole", **words)  # type: ignore[arg-type]
    assert not (tmp_path / "other").exists()


def test_ctrl_c_says_how_to_go_on(
    images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped_after(7, KeyboardInterrupt)  # type: ignore[operator]
    with pytest.raises(KeyboardInterrupt):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe)
    assert f"inceptorch train --resume {tmp_path / 'run'}" in capsys.readouterr().err
    assert inceptorch.load(tmp_path / "run").classes == list(COLORS)  # of the epoch that was finished


def test_ctrl_c_while_evaluating_loses_no_step(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inceptorch.train(images, out=tmp_path / "whole", recipe=recipe, progress=QUIET)

    def impatient(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "evaluate", impatient)
        with pytest.raises(KeyboardInterrupt):
            inceptorch.train(images, out=tmp_path / "stopped", recipe=recipe, progress=QUIET)
    with safe_open(tmp_path / "stopped" / "checkpoints" / "last.safetensors", "np") as file:
        assert json.loads(file.metadata()["progressed"])["step"] == 5
    inceptorch.resume(tmp_path / "stopped", QUIET)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")


@pytest.mark.parametrize("late", [0, 1])
def test_a_wish_to_stop_in_the_last_step_of_an_epoch_is_not_lost(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    """Late, as where a GPU is waited for."""
    inceptorch.train(images, out=tmp_path / "whole", recipe=recipe, progress=QUIET)
    left, step = [5], torch.optim.SGD.step

    def asking(self: torch.optim.SGD, *args: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", asking)
        patch.setattr(DistributedContext, "sync_lag", late)
        with pytest.raises(SystemExit, match="143"):
            inceptorch.train(images, out=tmp_path / "stopped", recipe=recipe, progress=QUIET)
    with safe_open(tmp_path / "stopped" / "checkpoints" / "last.safetensors", "np") as file:
        progressed = json.loads(file.metadata()["progressed"])
    assert (progressed["epoch"], progressed["step"]) == (0, 5)
    inceptorch.resume(tmp_path / "stopped", QUIET)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")
    tables = [(tmp_path / name / "metrics.csv").read_text().splitlines()[1] for name in ("stopped", "whole")]
    of_lr = [row.split(",")[2] for row in tables]
    assert of_lr[0] == of_lr[1] != "0"


def test_evaluating_is_broken_off_and_done_again(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inceptorch.train(images, out=tmp_path / "whole", recipe=recipe, progress=QUIET)
    forward = Model.forward

    def asking(self: Model, x: torch.Tensor) -> torch.Tensor:
        signal.raise_signal(signal.SIGTERM)
        return forward(self, x)

    with monkeypatch.context() as patch:
        patch.setattr(Model, "forward", asking)
        patch.setattr("inceptorch.inference.forward.BATCH", 2)
        with pytest.raises(SystemExit, match="143"):
            inceptorch.train(images, out=tmp_path / "stopped", recipe=recipe, progress=QUIET)
    assert not (tmp_path / "stopped" / "metrics.csv").exists()
    inceptorch.resume(tmp_path / "stopped", QUIET)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")


def test_a_run_that_goes_on_with_evaluating_has_no_pace_yet(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the last step of an epoch, whose checkpoint is written."""

    def killed(*args: object, **words: object) -> None:
        raise Stop

    chosen, run = recipe.replace(epochs=2, batch_size=9, checkpoint_every=4), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "evaluate", killed)
        with pytest.raises(Stop):
            inceptorch.train(images, out=run, recipe=chosen, progress=QUIET)
    inceptorch.resume(run, QUIET)
    first, second = (line for line in (run / "log.txt").read_text().splitlines() if line.startswith("train epoch"))
    assert "images/s" not in first
    assert "images/s" in second
    with open(run / "metrics.csv", newline="") as file:
        assert [bool(row["images_per_second"]) for row in csv.DictReader(file)] == [False, True]


def test_resume_refuses_what_it_cannot_go_on_with(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = inceptorch.train(images, out=run, recipe=recipe, progress=QUIET)
    before = digest(run)
    again = inceptorch.resume(run, QUIET)  # evaluates and changes nothing
    assert (again.epochs, again.top1) == (first.epochs, first.top1)
    assert digest(run) == before
    text = (run / "run.yaml").read_text()
    (run / "run.yaml").write_text(text.replace("compile: false", "compile: true"))
    assert read_run(run).recipe.runtime.compile is True
    (run / "run.yaml").write_text(text)
    (run / "checkpoints" / "last.safetensors").write_bytes(b"nonsense")
    with pytest.raises(RunError, match=r"Cannot resume from .*last.safetensors: it is damaged"):
        inceptorch.resume(run, QUIET)
    Image.new("RGB", (9, 9)).save(images / "train" / "red" / "new.png")
    with pytest.raises(RunError, match=r"is not what it was when"):
        inceptorch.resume(run, QUIET)
    (run / "run.yaml").write_text("[")
    with pytest.raises(RunError, match=r"run.yaml is not YAML"):
        inceptorch.resume(run, QUIET)
    with pytest.raises(RunError, match="not a run that can be resumed"):
        inceptorch.resume(images, QUIET)


def test_head_is_fitted_on_the_frozen_body_and_finetune_goes_on_from_it(
    images: Path, recipe: Recipe, tmp_path: Path
) -> None:
    inceptorch.train(images, out=tmp_path / "scratch", recipe=recipe, progress=QUIET)
    weights = tmp_path / "scratch"
    head = with_values(recipe, {"linear_probe_steps": 30, "epochs": 0})
    result = inceptorch.train(images, out=tmp_path / "head", weights=weights, recipe=head, progress=QUIET)
    before, after = inceptorch.load(weights).model.state_dict(), inceptorch.load(tmp_path / "head").model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.linear.weight", "head.linear.bias"}
    assert not (tmp_path / "head" / "checkpoints" / "features.safetensors").exists()
    # What the cached features promised is what the whole network answers.
    evaluation = inceptorch.evaluate(tmp_path / "head", images, progress=QUIET)
    assert evaluation.top1 == result.top1
    assert evaluation.loss == pytest.approx(result.evaluation.loss, abs=1e-4)

    finetune = with_values(recipe, {"linear_probe_steps": 30, "epochs": 2})
    tuned = inceptorch.train(images, out=tmp_path / "tuned", weights=weights, recipe=finetune, progress=QUIET)
    with open(tuned.run / "metrics.csv", newline="") as file:
        phases = [row["phase"] for row in csv.DictReader(file)]
    assert phases[0] == "head"
    assert phases[-2:] == ["train", "train"]
    tuned_weights = inceptorch.load(tuned.run).model.state_dict()
    assert not torch.equal(tuned_weights["body.conv1.conv.weight"], before["body.conv1.conv.weight"])


def test_head_fit_equals_logistic_regression_by_another_library() -> None:
    from sklearn.linear_model import LogisticRegression

    from inceptorch.training.linear_probe import fit

    torch.manual_seed(0)
    features = torch.randn(60, 8)
    labels = (features[:, 0] + features[:, 1] > 0).long() + (features[:, 2] > 0.5).long()
    recipe = RECIPES["head"].replace(label_smoothing=0.0)
    *_, last = fit(features, labels, 3, recipe)
    x = ((features - features.mean(0)) / features.std()).numpy()
    theirs = LogisticRegression(C=1 / (2 * 60 * recipe.optimization.linear_probe_l2), tol=1e-8, max_iter=1000).fit(
        x, labels.numpy()
    )
    mine = (features @ last.weight.T + last.bias).softmax(1).numpy()
    np.testing.assert_allclose(mine, theirs.predict_proba(x), atol=2e-3)


def test_one_photograph_gives_one_answer_in_training_evaluation_and_prediction(
    images: Path, recipe: Recipe, tmp_path: Path
) -> None:
    inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    classifier = inceptorch.load(tmp_path / "run")
    plain = recipe.replace(crop_scale=(1.0, 1.0), hflip=0.0).augmentation
    split = find_split(images, classifier.classes)
    crop, _, index = AugmentedDataset(split, classifier.preprocessing, plain, seed=0)[5]
    with torch.inference_mode():
        in_training = classifier.model(Normalize(classifier.preprocessing)(crop[None])).softmax(1)[0].tolist()
    predicted = {answer["index"]: answer["probability"] for answer in classifier.predict(split.file(index))}
    assert [predicted[i] for i in range(3)] == pytest.approx(in_training, abs=1e-6)
    alone = split.select([index])
    evaluated = evaluate_split(classifier, alone, [], DistributedContext(0, 1, torch.device("cpu")), QUIET)
    assert np.exp(-evaluated.loss) == pytest.approx(in_training[alone.labels[0]], abs=1e-6)


def test_a_loss_that_is_not_finite_stops_the_run_with_its_last_good_classifier(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = TrainLoss.forward
    calls = [0]

    def exploding(self: TrainLoss, x: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return forward(self, x, targets) * (float("inf") if calls[0] == 8 else 1)

    monkeypatch.setattr(TrainLoss, "forward", exploding)
    with pytest.raises(RunError, match=r"loss became (nan|inf) in epoch 2, step 3.* after epoch 1 .*--set lr="):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    assert inceptorch.evaluate(tmp_path / "run", images, progress=QUIET).n == 12


def test_answers_that_are_not_finite_are_never_called_right(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    classifier = inceptorch.load(tmp_path / "run")
    with torch.no_grad():
        classifier.model.get_classifier().bias.fill_(float("nan"))
    with pytest.raises(InceptorchError, match="not finite"):
        inceptorch.evaluate(classifier, images, progress=QUIET)


def test_a_rate_that_is_far_too_high_ends_in_a_sentence_not_in_nonsense(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: NetworkSpec
) -> None:
    monkeypatch.setitem(NETS, "tiny", replace(tiny, norm=None))
    with pytest.raises(RunError, match="The loss became nan"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe.replace(lr=1e20, epochs=20), progress=QUIET)


def test_what_is_wrong_is_said_before_a_folder_is_made(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def refused(kind: type[InceptorchError], sentence: str, **changes: object) -> None:
        with pytest.raises(kind, match=sentence):
            inceptorch.train(**{"data": images, "out": out, "recipe": recipe, "progress": QUIET, **changes})  # type: ignore[arg-type]
        assert not out.exists()

    refused(TableError, "too small for tiny with auxiliary heads: .*layer mix", recipe=with_values(recipe, {"size": 5}))
    refused(TableError, "did you mean 'tiny'", net="tinny")
    refused(RecipeError, "name them with --weights", recipe="head")
    refused(RecipeError, "from 0 to", seed=-1)
    refused(RecipeError, "from 0 to", seed=10**30)
    refused(RunError, "lies inside the images", out=images / "train" / "red" / "run")
    refused(RunError, "cannot be used: file name too long", out=tmp_path / ("a" * 300))
    refused(RecipeError, "did you mean 'scratch'", recipe="scrach")


def test_a_folder_in_use_is_not_written_into(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="already holds files; name another folder"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_unreadable_images_are_left_out_and_stay_left_out_on_resume(
    images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object
) -> None:
    (images / "train" / "red" / "zz.png").write_bytes(b"broken")
    stopped_after(7)  # type: ignore[operator]
    with pytest.raises(Stop):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    assert "zz.png is not an image" in (tmp_path / "run" / "log.txt").read_text()
    result = inceptorch.resume(tmp_path / "run", QUIET)
    assert [Path(one["file"]).name for one in result.evaluation.skipped] == ["zz.png"]


def test_a_folder_that_training_divided_is_evaluated_by_its_val_part(tmp_path: Path, recipe: Recipe) -> None:
    write_classes(tmp_path / "all", 10)
    (tmp_path / "all" / "red" / "aa.png").write_bytes(b"broken")
    result = inceptorch.train(tmp_path / "all", out=tmp_path / "run", recipe=recipe, progress=QUIET, seed=3)
    assert result.evaluation.n == 6
    evaluation = inceptorch.evaluate(result.run, tmp_path / "all", progress=QUIET)
    assert sorted(evaluation.files) == sorted(result.evaluation.files)
    assert evaluation.top1 == result.top1
    write_classes(tmp_path / "more", 5, seed=9)
    assert inceptorch.evaluate(result.run, tmp_path / "more", progress=QUIET).n == 15


def test_gray_and_bgr_contracts_train(tmp_path: Path, recipe: Recipe) -> None:
    write_classes(tmp_path / "all", 6)
    for channels in ("gray", "bgr"):
        chosen = with_values(recipe, {"channels": channels, "epochs": 1})
        result = inceptorch.train(tmp_path / "all", out=tmp_path / channels, recipe=chosen, progress=QUIET)
        assert inceptorch.load(result.run).preprocessing.channels == channels


def test_rmsprop_is_tensorflows() -> None:
    """Against the formula, number by number; and unlike torch's where epsilon is 1."""
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = TensorFlowRMSProp(
        [{"params": [parameter], "weight_decay": 0.1}], lr=0.1, decay=0.9, eps=1.0, momentum=0.9
    )
    value, mean, step = np.array([1.0, -2.0]), np.ones(2), np.zeros(2)
    for gradient in ([0.5, 3.0], [-1.0, 0.2], [0.0, 0.0]):
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        g = np.array(gradient) + 0.1 * value
        mean = 0.9 * mean + 0.1 * g * g
        step = 0.9 * step + 0.1 * g / np.sqrt(mean + 1)
        value = value - step
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-6)


@pytest.mark.parametrize("name", ["szegedy2014", "bvlc", "bvlc_quick", "ioffe2015", "szegedy2015", "szegedy2016"])
def test_the_papers_recipes_train_and_go_on(
    name: str, images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = RECIPES[name].replace(net="tiny", epochs=3, batch_size=8, checkpoint_every=2)
    inceptorch.train(images, out=tmp_path / "whole", recipe=chosen, progress=QUIET)
    kind = TensorFlowRMSProp if chosen.optimization.optimizer == "rmsprop" else torch.optim.SGD
    stopped_after(8, kind=kind)  # type: ignore[operator]
    with pytest.raises(Stop):
        inceptorch.train(images, out=tmp_path / "stopped", recipe=chosen, progress=QUIET)
    inceptorch.resume(tmp_path / "stopped", QUIET)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")
    with open(tmp_path / "whole" / "metrics.csv", newline="") as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    assert rates == sorted(rates, reverse=True)


def test_rates_fall_as_the_papers_say() -> None:
    def rates(name: str, *epochs: float) -> list[float]:
        recipe = RECIPES[name]
        return [_rate(recipe, int(epoch), round(1000 * (epoch % 1)), 1000) / recipe.optimization.lr for epoch in epochs]

    assert rates("szegedy2014", 0, 7.99, 8, 15.9, 16) == pytest.approx([1, 1, 0.96, 0.96, 0.96**2])
    assert rates("bvlc_quick", 0, 15, 45) == pytest.approx([1, 0.75**0.5, 0.5])
    assert rates("szegedy2015", 1.9, 2, 99) == pytest.approx([1, 0.94, 0.94**49])
    assert rates("ioffe2015", 1.3, 1.4, 8) == pytest.approx([1, 0.96, 0.96**6])


def test_polyaks_average_is_that_of_the_last_share_of_the_run(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    step = torch.optim.SGD.step

    def watched(self: torch.optim.SGD, *args: object) -> object:
        done = step(self, *args)
        seen.append(self.param_groups[1]["params"][-1].detach().clone())  # the classifier's bias
        return done

    monkeypatch.setattr(torch.optim.SGD, "step", watched)
    chosen = recipe.replace(ema_decay=0.0, average_last_fraction=0.5, epochs=2, aux_loss_weight=0.0)
    inceptorch.train(images, out=tmp_path / "run", recipe=chosen, progress=QUIET)
    kept = inceptorch.load(tmp_path / "run").model.get_classifier().bias
    half = len(seen) // 2
    torch.testing.assert_close(kept, torch.stack(seen[half - 1 :]).mean(0))  # from where the share begins


def test_a_recipe_sets_the_dropout(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    inceptorch.train(images, out=tmp_path / "run", recipe=recipe.replace(dropout=0.0, epochs=1), progress=QUIET)
    assert [m.p for m in inceptorch.load(tmp_path / "run").model.modules() if isinstance(m, torch.nn.Dropout)] == [0.0]


def test_average_follows_the_weights_with_a_growing_memory(tiny: NetworkSpec) -> None:
    model = Model(tiny, 2)
    average = WeightAverage(model, 0.99)
    weight = model.get_classifier().weight
    expected = 0.0
    for n in range(5):
        with torch.no_grad():
            weight.fill_(n)
        average.update()
        expected = float(n) if n == 0 else expected + (n - expected) * (1 - min(0.99, (1 + n) / (10 + n)))
    averaged = average.module.get_submodule("head.linear").weight
    assert isinstance(averaged, torch.Tensor)
    torch.testing.assert_close(averaged, torch.full_like(weight, expected))


def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_old_one(tiny: NetworkSpec, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    from inceptorch.utils.files import atomic_write

    kept = tmp_path / "last.safetensors"
    kept.write_bytes(b"old")

    def write(path: Path) -> None:
        with open(full, "wb", buffering=0) as file:
            file.write(b"new")

    with pytest.raises(RunError, match=r"no space left on device\. What was there before is untouched\."):
        atomic_write(kept, write)
    with pytest.raises(RunError, match=r"no space left on device\.$"):
        atomic_write(tmp_path / "new.safetensors", write)
    assert kept.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["last.safetensors"]


def test_a_disk_without_room_is_met_before_anything_is_written(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(NETS[recipe.model.net], 3, aux=True, size=16)
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=7 * weights - 1))
    with pytest.raises(RunError, match=r"has 0 MiB free, and the classifier and its checkpoint need about 1 MiB"):
        inceptorch.train(images, out=tmp_path / "new" / "run", recipe=recipe, progress=QUIET)
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=7 * weights))
    inceptorch.train(images, out=tmp_path / "new" / "run", recipe=recipe.replace(epochs=1), progress=QUIET)


def test_checkpoints_hold_nothing_that_is_run(tiny: NetworkSpec, tmp_path: Path) -> None:
    model = Model(tiny, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.zeros(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    path = tmp_path / "last.safetensors"
    Checkpointer(path, model, None, optimizer).save(TrainState(epoch=2, rows=[{"epoch": 2}]))
    assert "model.head.linear.weight" in load_file(path)
    other = Model(tiny, 2)
    other_optimizer = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    done = Checkpointer(path, other, None, other_optimizer).restore()
    assert (done.epoch, done.rows) == (2, [{"epoch": 2}])
    for mine, theirs in zip(other.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert torch.equal(other_optimizer.state[mine]["momentum_buffer"], optimizer.state[theirs]["momentum_buffer"])


def test_a_killed_process_holds_no_folder_though_one_that_it_forked_lives_on(tmp_path: Path) -> None:
    script = f"""
import os, time
from pathlib import Path
from inceptorch.utils.files import locked
with locked(Path({str(tmp_path / "lock")!r}), "busy", "unusable"):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            with pytest.raises(RunError, match="busy"), locked(tmp_path / "lock", "busy", "unusable"):
                pass
            process.kill()
            process.wait()
            os.kill(child, 0)  # it lives
            with locked(tmp_path / "lock", "busy", "unusable"):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_one_process_at_a_time_trains_in_a_folder(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    inceptorch.train(images, out=run, recipe=recipe.replace(epochs=1), progress=QUIET)
    other = [sys.executable, "-m", "inceptorch", "train", "--resume", str(run)]
    with read_run(run).lock():
        done = subprocess.run(other, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"Another process is training in {run}; wait for its end" in done.stderr
    assert subprocess.run(other, capture_output=True).returncode == 0
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["last.safetensors"]
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").write_text("")
    with pytest.raises(RunError, match="run cannot be written into: file exists"):
        inceptorch.resume(run, QUIET)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_image_that_goes_in_mid_run_loses_nothing(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    data, recipe = shutil.copytree(images, tmp_path / "data"), recipe.replace(num_workers=workers)
    inceptorch.train(data, out=tmp_path / "whole", recipe=recipe, progress=QUIET)
    left, step = [7], torch.optim.SGD.step
    there, gone = data / "train" / "red", tmp_path / "gone"

    def losing(self: torch.optim.SGD, *args: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            there.rename(gone)
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", losing)
        with pytest.raises(
            RunError,
            match=r"could not be read: .* It could be read when training began. Put it back, then resume with: "
            r"inceptorch train --resume",
        ):
            inceptorch.train(data, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    gone.rename(there)
    with safe_open(tmp_path / "run" / "checkpoints" / "last.safetensors", "np") as file:
        progressed = json.loads(file.metadata()["progressed"])
    assert (progressed["epoch"], progressed["step"]) >= (1, 2)
    inceptorch.resume(tmp_path / "run", QUIET)
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def test_what_cannot_be_written_says_how_to_go_on(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = torch.optim.SGD.step

    def losing(self: torch.optim.SGD, *args: object) -> object:
        shutil.rmtree(tmp_path / "run" / "checkpoints", ignore_errors=True)
        return step(self, *args)

    monkeypatch.setattr(torch.optim.SGD, "step", losing)
    with pytest.raises(
        RunError, match=r"could not be written: .* Fix this, then resume with: inceptorch train --resume"
    ):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
