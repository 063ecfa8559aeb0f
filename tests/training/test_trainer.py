"""Training from a folder to a run: it learns, it can be stopped anywhere, and resumes exactly."""

import csv
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open

import inceptorch
from inceptorch import report
from inceptorch.data import find_split
from inceptorch.data.augment import AugmentedDataset
from inceptorch.errors import (
    BundleError,
    InceptorchError,
    RecipeError,
    RunError,
)
from inceptorch.evaluation import evaluate_split
from inceptorch.inference.engines.formats import BATCH_SIZES
from inceptorch.models.module import Model
from inceptorch.models.normalize import Normalize
from inceptorch.networks.layers import Conv
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import to_yaml
from inceptorch.networks.zoo import NETS
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.training import Callback
from inceptorch.training.default_recipe import default_recipe
from inceptorch.training.optimizers import Muon, TensorFlowRMSProp
from inceptorch.training.recipe import RECIPES, Recipe, with_values
from inceptorch.training.setup import TrainRequest, new_run, setup
from inceptorch.training.step import TrainStep
from inceptorch.training.trainer import Trainer
from tests.conftest import COLORS, write_classes
from tests.helpers import by_classes
from tests.training.helpers import CPU, PLAIN, QUIET, RECIPE, Stop, StopAfter, digest, rows


def steps_kept(run: Path) -> int:
    """How many steps of a run of nine for an epoch its checkpoint holds."""
    path = run / "checkpoints" / "last.safetensors"
    if not path.exists():
        return 0
    with safe_open(path, "np") as file:
        done = json.loads(file.metadata()["progressed"])
    return int(9 * done["epoch"] + done["step"])


@pytest.fixture
def words(tmp_path: Path, images: Path) -> list[object]:
    """The words of a run of thirty epochs of five steps."""
    (tmp_path / "plain.yaml").write_text(to_yaml(PLAIN))
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace(net=str(tmp_path / "plain.yaml")).to_yaml())
    return [images, "-c", tmp_path / "recipe.yaml", "--net", tmp_path / "plain.yaml"]


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
        "checkpoints/previous.safetensors",
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
@pytest.mark.slow
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


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.slow
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
    assert result.evaluation is not None
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
    with pytest.raises(BundleError, match="their network is also called 'mine', but its layer more differs"):
        inceptorch.train(images, out=tmp_path / "other", weights=tmp_path / "whole", **words)  # type: ignore[arg-type]
    assert not (tmp_path / "other").exists()


def test_a_signal_while_images_are_waited_for_loses_no_step(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    inceptorch.train(images, out=tmp_path / "whole", recipe=recipe, progress=QUIET)

    class Asking(Callback):
        def on_step(self, trainer: Trainer, loss: float) -> None:
            signal.raise_signal(signal.SIGTERM)
            trainer.stop_if_requested()  # as the loader does after every second without a batch

    with pytest.raises(SystemExit, match="143"):
        inceptorch.train(images, out=tmp_path / "stopped", recipe=recipe, progress=QUIET, callbacks=[Asking()])
    with safe_open(tmp_path / "stopped" / "checkpoints" / "last.safetensors", "np") as file:
        assert json.loads(file.metadata()["progressed"])["step"] == 1
    inceptorch.resume(tmp_path / "stopped", QUIET)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")


def test_a_second_signal_is_waited_out_where_torchrun_sends_two(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DistributedContext, "wrap", lambda self, module: module)
    monkeypatch.setattr(DistributedContext, "run_on_main", lambda self, work: work())
    worlds = [DistributedContext(0, count, CPU) for count in (1, 2)]
    request = TrainRequest(images, tmp_path / "run", recipe=recipe)
    context = setup(new_run(request, worlds[0]), request.overrides, QUIET)
    assert [Trainer(context, world, QUIET).shutdown.patient for world in worlds] == [False, True]


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


def test_evaluating_is_broken_off_and_done_again(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inceptorch.train(images, out=tmp_path / "whole", recipe=recipe, progress=QUIET)
    forward = Model.forward
    asked: list[bool] = []

    def asking(self: Model, x: torch.Tensor) -> torch.Tensor:
        if not asked:  # once: a second signal would end the process at once
            asked.append(True)
            signal.raise_signal(signal.SIGTERM)
        return forward(self, x)

    with monkeypatch.context() as patch:
        patch.setattr(Model, "forward", asking)
        patch.setitem(BATCH_SIZES, "torch", 2)
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


def test_unreadable_images_are_left_out_and_stay_left_out_on_resume(
    images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object
) -> None:
    (images / "train" / "red" / "zz.png").write_bytes(b"broken")
    stopped_after(7)  # type: ignore[operator]
    with pytest.raises(Stop):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    assert "zz.png is not an image" in (tmp_path / "run" / "log.txt").read_text()
    result = inceptorch.resume(tmp_path / "run", QUIET)
    assert result.evaluation is not None
    assert [Path(one["file"]).name for one in result.evaluation.skipped] == ["zz.png"]


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
            match=r"does not exist. It was readable when training began. Restore the file, then resume with: "
            r"inceptorch train --resume",
        ):
            inceptorch.train(data, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    gone.rename(there)
    with safe_open(tmp_path / "run" / "checkpoints" / "last.safetensors", "np") as file:
        progressed = json.loads(file.metadata()["progressed"])
    assert (progressed["epoch"], progressed["step"]) >= (1, 2)
    inceptorch.resume(tmp_path / "run", QUIET)
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


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


def test_gray_and_bgr_contracts_train(tmp_path: Path, recipe: Recipe) -> None:
    write_classes(tmp_path / "all", 6)
    for channels in ("gray", "bgr"):
        chosen = with_values(recipe, {"channels": channels, "epochs": 1})
        result = inceptorch.train(tmp_path / "all", out=tmp_path / channels, recipe=chosen, progress=QUIET)
        assert inceptorch.load(result.run).preprocessing.channels == channels


@pytest.mark.parametrize("name", ["szegedy2014", "bvlc", "bvlc_quick", "ioffe2015", "szegedy2015", "szegedy2016"])
@pytest.mark.slow
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


def test_a_recipe_sets_the_dropout(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    inceptorch.train(images, out=tmp_path / "run", recipe=recipe.replace(dropout=0.0, epochs=1), progress=QUIET)
    assert [m.p for m in inceptorch.load(tmp_path / "run").model.modules() if isinstance(m, torch.nn.Dropout)] == [0.0]


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


def test_a_folder_that_training_divided_is_evaluated_by_its_val_part(tmp_path: Path, recipe: Recipe) -> None:
    write_classes(tmp_path / "all", 10)
    (tmp_path / "all" / "red" / "aa.png").write_bytes(b"broken")
    result = inceptorch.train(tmp_path / "all", out=tmp_path / "run", recipe=recipe, progress=QUIET, seed=3)
    assert result.evaluation is not None
    assert result.evaluation.n == 6
    evaluation = inceptorch.evaluate(result.run, tmp_path / "all", progress=QUIET)
    assert sorted(evaluation.files) == sorted(by_classes(result).files)
    assert evaluation.top1 == result.top1
    write_classes(tmp_path / "more", 5, seed=9)
    assert inceptorch.evaluate(result.run, tmp_path / "more", progress=QUIET).n == 15


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
    assert by_classes(best).loss == pytest.approx(min(losses), rel=1e-5)
    assert inceptorch.evaluate(best.run, images, progress=QUIET).loss == pytest.approx(min(losses), rel=1e-5)
    report.write_report(best)
    said = f"epoch {best.kept_epoch} of {best.epochs}, chosen by the loss on the validation images"
    assert said in (best.run / "README.md").read_text()
    before = digest(best.run)
    again = inceptorch.resume(best.run, QUIET)
    assert (again.kept_epoch, by_classes(again).loss, digest(best.run)) == (
        best.kept_epoch,
        by_classes(best).loss,
        before,
    )

    last = inceptorch.train(images, out=tmp_path / "last", recipe=rough.replace(keep="last"), progress=QUIET)
    assert last.kept_epoch is None
    assert by_classes(last).loss == pytest.approx(float(rows(last.run)[-1]["loss"]), rel=1e-5)
    assert digest(last.run) != before


def test_a_run_ends_early_when_the_val_loss_stops_falling(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    still = recipe.replace(lr=0.0, epochs=20, patience=2, ema_decay=0.0, precision="fp32")
    result = inceptorch.train(images, out=tmp_path / "run", recipe=still, progress=QUIET)
    losses = [float(row["loss"]) for row in rows(tmp_path / "run")]
    best = losses.index(min(losses))
    assert result.epochs == len(losses) == best + 3 < 20
    assert inceptorch.resume(tmp_path / "run", QUIET).epochs == result.epochs


@pytest.mark.slow
def test_recipes_of_every_kind_resume_exactly(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: NetworkSpec
) -> None:
    """Every value that changes what a step does, at once, stopped between two epochs and within one."""
    rich = with_values(
        recipe,
        {
            "optimizer": "adamw", "lr": 0.01, "layer_decay": 0.8, "grad_accum_steps": 2, "class_weight_power": 0.5,
            "mixup_alpha": 0.4, "cutmix_alpha": 1.0, "random_erasing_prob": 0.5, "auto_augment": "trivial",
            "color_jitter": 0.3, "clip_grad_norm": 1.0, "patience": 3,
            "size_schedule": [[0, 0.75], [1, 1]], "aux_loss_weight": 0.0, "checkpoint_every": 2, "epochs": 4,
        },
    )  # fmt: skip
    inceptorch.train(images, out=tmp_path / "whole", recipe=rich, progress=QUIET)
    for number, steps in enumerate((7, 10)):
        left = [steps]
        step = torch.optim.AdamW.step

        def counted(self: torch.optim.AdamW, *args: object, left: list[int] = left, step: object = step) -> object:
            if left[0] == 0:
                raise InterruptedError
            left[0] -= 1
            return step(self, *args)  # type: ignore[operator]

        with monkeypatch.context() as patch:
            patch.setattr(torch.optim.AdamW, "step", counted)
            with pytest.raises(InterruptedError):
                inceptorch.train(images, out=tmp_path / str(number), recipe=rich, progress=QUIET)
        inceptorch.resume(tmp_path / str(number), QUIET)
        ours, theirs = ((tmp_path / name / "model.safetensors").read_bytes() for name in (str(number), "whole"))
        assert ours == theirs
    assert NETS["tiny"] == tiny


@pytest.mark.slow
def test_small_images_train_from_memory_and_resume_exactly(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"epochs": 3, "batch_size": 6, "checkpoint_every": 1}
    small = with_values(default_recipe(images, False, {"size": 32}), settings)
    assert small.name == "scratch-small"
    whole = inceptorch.train(images, out=tmp_path / "whole", recipe=small, progress=QUIET)
    filters = whole.classifier.model.get_parameter("body.whitening.conv.weight")
    assert torch.equal(filters[:12], -filters[12:])
    step, left = Muon.step, [4]

    def counted(self: Muon) -> None:
        if left[0] == 0:
            raise InterruptedError
        left[0] -= 1
        step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Muon, "step", counted)
        with pytest.raises(InterruptedError):
            inceptorch.train(images, out=tmp_path / "stopped", recipe=small, progress=QUIET)
    inceptorch.resume(tmp_path / "stopped", QUIET)
    monkeypatch.setattr(AugmentedDataset, "can_be_in_memory", False)
    inceptorch.train(images, out=tmp_path / "decoded", recipe=small, progress=QUIET)
    ends = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "stopped", "decoded")]
    assert ends[0] == ends[1] == ends[2]


def test_frozen_rows_stay_as_they_were_given(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    inceptorch.train(images, out=tmp_path / "given", recipe=recipe, progress=QUIET)
    frozen = recipe.replace(freeze=2, epochs=2)
    inceptorch.train(images, out=tmp_path / "run", weights=tmp_path / "given", recipe=frozen, progress=QUIET)
    before, after = (inceptorch.load(tmp_path / name).model.state_dict() for name in ("given", "run"))
    same = {name for name, tensor in before.items() if torch.equal(tensor, after[name])}
    assert same == {name for name in before if name.startswith(("body.conv1.", "body.mix."))}
    stem = frozen.replace(freeze="stem")
    inceptorch.train(images, out=tmp_path / "stem", weights=tmp_path / "given", recipe=stem, progress=QUIET)
    after = inceptorch.load(tmp_path / "stem").model.state_dict()
    same = {name for name, tensor in before.items() if torch.equal(tensor, after[name])}
    assert same == {name for name in before if name.startswith("body.conv1.")}
    with pytest.raises(RecipeError, match="Cannot freeze layers without weights"):
        inceptorch.train(images, out=tmp_path / "other", recipe=frozen, progress=QUIET)
    words = {"weights": tmp_path / "given", "recipe": frozen.replace(freeze=4), "progress": QUIET}
    with pytest.raises(RecipeError, match="has 3 layers to freeze, not 4"):
        inceptorch.train(images, out=tmp_path / "other", **words)  # type: ignore[arg-type]


def test_a_run_that_ends_worse_than_its_head_keeps_the_head(
    images: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inceptorch.train(images, out=tmp_path / "given", recipe=recipe, progress=QUIET)
    rough = recipe.replace(
        linear_probe_steps=30, epochs=2, lr=3.0, ema_decay=0.0, lr_schedule=((0, 1), (1, 1)), precision="fp32"
    )
    words = {"weights": tmp_path / "given", "progress": QUIET}
    result = inceptorch.train(images, out=tmp_path / "run", recipe=rough, weights=tmp_path / "given")
    assert "kept the weights of the linear probe" in capsys.readouterr().err
    head, last = next(row for row in reversed(rows(result.run)) if row["phase"] == "head"), rows(result.run)[-1]
    assert float(last["loss"]) > float(head["loss"])
    assert result.kept_epoch == 0
    assert by_classes(result).loss == pytest.approx(float(head["loss"]), rel=1e-3)
    assert inceptorch.evaluate(result.run, images, progress=QUIET).loss == pytest.approx(float(head["loss"]), rel=1e-3)
    probe = rough.replace(epochs=0)
    alone = inceptorch.train(images, out=tmp_path / "alone", recipe=probe, **words)  # type: ignore[arg-type]
    kept, probed = (inceptorch.load(run).model.state_dict() for run in (result.run, alone.run))
    assert all(torch.equal(kept[name], probed[name]) for name in probed)
    report.write_report(result)
    assert "the linear probe, chosen by the loss on the validation images" in (result.run / "README.md").read_text()
    again = inceptorch.resume(result.run, QUIET)
    assert (again.kept_epoch, by_classes(again).loss) == (0, by_classes(result).loss)

    to_the_end = rough.replace(keep="last")
    last_kept = inceptorch.train(images, out=tmp_path / "last", recipe=to_the_end, **words)  # type: ignore[arg-type]
    assert last_kept.kept_epoch is None
    assert by_classes(last_kept).loss == pytest.approx(float(last["loss"]), rel=1e-3)
    gentle = rough.replace(linear_probe_steps=1, epochs=4, lr=0.05, lr_schedule=((0, 1), (1, 0)))
    better = inceptorch.train(images, out=tmp_path / "better", recipe=gentle, **words)  # type: ignore[arg-type]
    assert better.kept_epoch is None


def test_every_step_has_a_seed_of_its_own(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds, call = [], TrainStep.__call__

    def noting(self: TrainStep, *args: Any) -> torch.Tensor:
        seeds.append(args[-1])
        return call(self, *args)

    monkeypatch.setattr(TrainStep, "__call__", noting)
    for seed in range(2):
        inceptorch.train(images, out=tmp_path / str(seed), recipe=recipe, seed=seed, progress=QUIET)
    assert len(seeds) == len(set(seeds)) == 2 * 3 * 5


@pytest.mark.parametrize("damage", ["a bit", "all of it", "gone"])
def test_the_checkpoint_before_the_last_is_resumed_where_the_last_is_damaged(
    images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    inceptorch.train(images, out=tmp_path / "whole", recipe=recipe, progress=QUIET)
    stopped_after(12)  # type: ignore[operator]
    with pytest.raises(Stop):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    last = tmp_path / "run" / "checkpoints" / "last.safetensors"
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "gone":  # killed while it was written
        last.unlink()
    else:
        last.write_bytes(data if damage == "a bit" else b"")
    inceptorch.resume(tmp_path / "run")
    said = f"{last} is damaged: resuming from the checkpoint before it, previous.safetensors"
    assert (said in capsys.readouterr().err) == (damage != "gone")
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def test_a_run_keeps_the_number_of_threads_that_it_began_with(
    images: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Threads(Callback):
        def on_step(self, trainer: Trainer, loss: float) -> None:
            seen.add(torch.get_num_threads())

    seen: set[int] = set()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(KeyboardInterrupt):
            inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET, callbacks=[StopAfter(7)])
        torch.set_num_threads(1)
        inceptorch.resume(tmp_path / "run", callbacks=[Threads()])
        assert (seen, torch.get_num_threads()) == ({2}, 1)
    finally:
        torch.set_num_threads(before)
    assert "torch has 2 threads, as when the run began" in capsys.readouterr().err
