"""What helps the person who trains: rates found, rehearsals, early ends, estimates, warnings, memory."""

import csv
import json
import platform
import resource
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import inceptorch
from inceptorch.cli import app
from inceptorch.data import find_split
from inceptorch.errors import ImageError, RecipeError, RunError, TableError
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS
from inceptorch.tasks import Classification
from inceptorch.training import dry_run, find_lr, malloc
from inceptorch.training.eta import ETA, format_duration
from inceptorch.training.loss import TrainLoss
from inceptorch.training.optimizers import build_optimizer
from inceptorch.training.recipe import Recipe, with_values
from inceptorch.training.schedule import image_size
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS

QUIET = Progress(quiet=True)


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_search_for_a_rate_finds_one_that_learns(images: Path, recipe: Recipe) -> None:
    found = find_lr(images, recipe=recipe, progress=QUIET)
    assert found.rates == sorted(found.rates)
    assert len(found.rates) == len(found.losses) > 30
    assert 1e-4 < found.suggested < 1
    assert min(found.losses) < 0.9 * found.losses[0]


def test_lr_find_from_the_shell(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(recipe.to_yaml())
    words = ["train", str(images), "-c", str(tmp_path / "r.yaml"), "--lr-find", "--out", str(tmp_path / "found")]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert set(answer) == {"suggested", "rates", "losses", "image"}
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["lr_find.png"]


def test_steps_cannot_be_tried_of_a_classifier_that_is_solved(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    inceptorch.train(images, out=tmp_path / "run", recipe=recipe.replace(epochs=1), progress=QUIET)
    with pytest.raises(RecipeError, match="Recipe 'head' trains the classifier alone, in no steps"):
        find_lr(images, weights=tmp_path / "run", progress=QUIET)
    done = dry_run(images, weights=tmp_path / "run", progress=QUIET)
    assert (done.epochs, done.epoch_seconds) == (0, None)


@pytest.mark.parametrize("given", [False, True])
def test_a_rehearsal_goes_the_whole_way_and_leaves_nothing(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    if given:
        inceptorch.train(images, out=tmp_path / "given", recipe=recipe.replace(epochs=1), progress=QUIET)
        recipe = recipe.replace(linear_probe_steps=50)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    seen: list[str] = []

    def look(result: inceptorch.Result) -> None:
        seen.extend(path.name for path in result.run.iterdir())

    weights = tmp_path / "given" if given else None
    done = dry_run(images, weights=weights, recipe=recipe, progress=QUIET, look=look)
    assert (done.steps, done.epochs) == (5, 3)
    assert done.epoch_seconds is not None
    assert {"config.json", "model.safetensors", "checkpoints", "run.yaml"} <= set(seen)
    # Torch makes a folder for its compiler, when that is first imported.
    assert [path for path in (tmp_path / "temporary").iterdir() if not path.name.startswith("torchinductor")] == []


def test_a_run_ends_early_when_the_val_loss_stops_falling(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    still = recipe.replace(lr=0.0, epochs=20, patience=2, ema_decay=0.0, precision="fp32")
    result = inceptorch.train(images, out=tmp_path / "run", recipe=still, progress=QUIET)
    losses = [float(row["loss"]) for row in rows(tmp_path / "run")]
    best = losses.index(min(losses))
    assert result.epochs == len(losses) == best + 3 < 20
    assert inceptorch.resume(tmp_path / "run", QUIET).epochs == result.epochs


def test_a_loss_that_is_that_of_chance_is_remarked(
    images: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inceptorch.train(images, out=tmp_path / "still", recipe=recipe.replace(lr=1e-9, epochs=1))
    assert "is that of chance (1.428)" in capsys.readouterr().err  # (1 + 0.3) ln 3, one auxiliary head
    inceptorch.train(images, out=tmp_path / "learns", recipe=recipe.replace(epochs=2, lr_schedule=((0, 1), (1, 1))))
    assert "chance" not in (tmp_path / "learns" / "log.txt").read_text()


def test_rare_classes_weigh_more(images: Path) -> None:
    split = find_split(images, list(COLORS), "train")
    few = split.select([i for i in range(len(split)) if split.labels[i] != 2 or i % 4 == 0])
    assert few.counts() == {"blue": 12, "green": 12, "red": 3}
    weights = Classification(few.classes).class_weights(few, 1.0)
    assert weights.tolist() == pytest.approx([0.75, 0.75, 3.0])
    assert Classification(few.classes).class_weights(few, 0.0).tolist() == [1, 1, 1]
    halfway = Classification(few.classes).class_weights(few, 0.5)
    assert float(halfway[2] / halfway[0]) == pytest.approx(2.0)


def test_the_sides_grow_and_the_last_ones_are_whole(recipe: Recipe) -> None:
    growing = recipe.replace(epochs=5, size_schedule=((0.0, 0.5), (0.5, 1.0), (1.0, 1.0)))
    assert [image_size(growing, 64, epoch) for epoch in range(5)] == [32, 48, 64, 64, 64]
    assert [image_size(recipe, 17, epoch) for epoch in range(3)] == [17, 17, 17]


def test_growth_where_the_network_takes_one_size_alone(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    growing = recipe.replace(size_schedule=((0.0, 0.75), (1.0, 1.0)))
    with pytest.raises(RecipeError, match="tiny has fully connected layers, .*--set aux_loss_weight=0"):
        inceptorch.train(images, out=tmp_path / "run", recipe=growing, progress=QUIET)
    recipe = growing.replace(net="inception_v3", aux_loss_weight=0.0, size_schedule=((0.0, 0.1), (1.0, 1.0)))
    with pytest.raises(TableError, match="Images of 28x28 are too small for inception_v3"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    assert not (tmp_path / "run").exists()


def test_rates_fall_from_the_classifier_to_the_stem(tiny: NetworkSpec, recipe: Recipe) -> None:
    model = Model(tiny, 3)
    optimizer = build_optimizer(model, with_values(recipe, {"layer_decay": 0.5, "optimizer": "adamw"}))
    shares = {id(parameter): group["lr_scale"] for group in optimizer.param_groups for parameter in group["params"]}
    assert {shares[id(p)] for p in model.body.get_submodule("conv1").parameters()} == {0.125}
    assert {shares[id(p)] for p in model.body.get_submodule("mix").parameters()} == {0.25}
    assert {shares[id(p)] for p in model.head.parameters()} == {1.0}
    assert len(shares) == len(list(model.parameters()))


def test_a_rehearsal_that_fails_names_no_run_to_go_on_with(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = torch.optim.SGD.step

    def losing(self: torch.optim.SGD, *args: object) -> object:
        if (images / "train" / "red").exists():
            (images / "train" / "red").rename(tmp_path / "gone")
        return step(self, *args)

    monkeypatch.setattr(torch.optim.SGD, "step", losing)
    with pytest.raises(ImageError, match=r"red/\d+.png could not be read: no such file or directory\.$"):
        dry_run(images, recipe=recipe, progress=QUIET)


def test_no_crop_is_larger_than_the_whole_size(recipe: Recipe) -> None:
    growing = recipe.replace(size_schedule=((0.0, 0.5), (1.0, 1.0)), epochs=200)
    for size in (28, 31, 79, 299):
        sides = [image_size(growing, size, epoch) for epoch in range(200)]
        assert sides == sorted(sides)
        assert sides[-1] == size


def test_too_little_memory_says_what_to_change(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(TrainLoss, "forward", full)
    with pytest.raises(RunError, match="Memory is too small for this. .*grad_accum_steps=2.*in 2 parts"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)


def test_the_estimate_follows_the_pace_and_the_area(recipe: Recipe) -> None:
    growing = recipe.replace(epochs=3, size_schedule=((0.0, 0.5), (1.0, 1.0)))
    eta = ETA(growing, size=64, train_images=100, val_images=50, steps=10)
    assert eta.remaining(0, 0) is None
    for _ in range(3):
        eta.add_step(0, 100.0)  # a start says nothing
    assert eta.remaining(0, 3) is None
    for _ in range(5):
        eta.add_step(0, 1.0)  # a second for a quarter of the area
    eta.validation_seconds = 7.0
    assert eta.remaining(0, 8) == pytest.approx(2 * 1 + 10 * 2.25 + 10 * 4 + 3 * 7)
    assert eta.remaining(2, 10) == pytest.approx(7)


def test_lengths_of_time_as_people_say_them() -> None:
    assert [format_duration(seconds) for seconds in (3.2, 119, 130, 3000, 9000, 90000)] == [
        "3 s", "119 s", "2.2 min", "50 min", "2.5 h", "25 h"
    ]  # fmt: skip


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


@pytest.mark.parametrize("two", [("--lr-find", "--fast-dev-run"), ("--fast-dev-run", "--out=x")])
def test_trials_that_exclude_each_other(images: Path, two: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["train", str(images), *two])
    assert isinstance(done.exception, RunError)
    assert "alone" in str(done.exception)


def test_measuring_is_no_more(images: Path) -> None:
    done = CliRunner().invoke(app, ["train", str(images), "--measure"])
    assert isinstance(done.exception, RunError)
    assert "--measure was removed. Try --set precision=fp32" in str(done.exception)


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
    with pytest.raises(RecipeError, match="name the weights with --weights"):
        inceptorch.train(images, out=tmp_path / "other", recipe=frozen, progress=QUIET)
    words = {"weights": tmp_path / "given", "recipe": frozen.replace(freeze=4), "progress": QUIET}
    with pytest.raises(RecipeError, match="has 3 layers to freeze, not 4"):
        inceptorch.train(images, out=tmp_path / "other", **words)  # type: ignore[arg-type]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told to keep memory")
def test_freed_memory_stays_with_the_process_in_training_and_not_after(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*malloc.ENVIRONMENT, "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)

    def resident() -> int:
        """MiB of this process that are in memory."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20

    def after_use() -> int:
        torch.empty(100 << 20).zero_()  # 400 MiB, freed at once
        return resident()

    usual = after_use()
    with malloc.keep_freed_memory():
        assert after_use() > usual + 300
    assert resident() < usual + 100
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")  # whoever set it knows why
    with malloc.keep_freed_memory():
        assert after_use() < usual + 100
