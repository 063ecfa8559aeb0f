"""A grid of runs that can be stopped and goes on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import inceptorch
from inceptorch.cli import app
from inceptorch.data import find_train_and_val, subsample_per_class
from inceptorch.errors import DataError, InceptorchError, RecipeError, RunError
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.network import NetworkSpec
from inceptorch.papers.studies import STUDIES, Study, run_study
from inceptorch.papers.studies.grid import _evaluated, plan
from inceptorch.papers.studies.studies import DETECTION, RECIPE, Arm, Claim
from inceptorch.training.recipe import with_values
from inceptorch.utils.progress import Progress
from tests.conftest import TINY
from tests.data.annotations.helpers import write_voc

QUIET = Progress(quiet=True)


def test_rates_sides_and_default_epochs(images: Path) -> None:
    rates = {
        each.arm.name: each.recipe.optimization.lr
        for each in plan(STUDIES["batch-norm"], images, {"lr": 0.01, "epochs": 2})
    }
    assert rates == pytest.approx({"without": 0.01, "with": 0.01, "x5": 0.05, "x30": 0.3})
    sides = [each.recipe.model.size for each in plan(STUDIES["low-resolution"], images, {"size": 64, "epochs": 2})]
    assert sides == [64, 32, 16]
    for limit, epochs in ((0, -(-50_000 // 36)), (4, -(-50_000 // 12))):
        planned = plan(STUDIES["label-smoothing"], images, {"max_images_per_class": limit})
        assert {each.recipe.schedule.epochs for each in planned} == {epochs}


def test_limited_takes_as_many_of_each_class_by_the_seed(images: Path) -> None:
    whole, _ = find_train_and_val(images, 0.2, 0)
    assert subsample_per_class(whole, 0, 1).paths == subsample_per_class(whole, 100, 1).paths == whole.paths
    some = subsample_per_class(whole, 5, 1)
    assert some.counts() == {"blue": 5, "green": 5, "red": 5}
    assert some.paths == subsample_per_class(whole, 5, 1).paths != subsample_per_class(whole, 5, 2).paths
    assert set(some.paths) < set(whole.paths)


def tiny_of(_: int) -> NetworkSpec:
    return TINY


TRIAL = Study(
    "trial",
    "Does anything matter?",
    arms=(
        Arm("plain", "as it is", tiny_of),
        Arm("same", "as it is, once more", tiny_of),
        Arm("still", "hardly moving", tiny_of, lr_scale=1e-6),
    ),
    claims=(
        Claim("same", "plain", "The same is the same.", "nowhere", predicts="equal", margin=0.01),
        Claim("still", "plain", "Standing still is best.", "nowhere", printed="+99 points"),
        Claim("still", "plain", "At first as well.", "nowhere", at=0.1),
    ),
    differs="It is no study.",
    recipe=with_values(RECIPE, {"batch_size": 8, "lr": 0.05, "ema_decay": 0.5}),
    size=16,
)


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(STUDIES, TRIAL.name, TRIAL)
    return TRIAL.name


def test_a_study_from_images_to_a_plot(trial: str, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    results = run_study(
        trial, images, out=out, seeds=2, values={"epochs": 3, "max_images_per_class": 8}, progress=QUIET
    )
    plain, _, still = results["arms"]
    weights = [
        (out / "runs" / run / "model.safetensors").read_bytes() for run in ("plain/0", "same/0", "plain/1", "same/1")
    ]
    assert weights[0] == weights[1] != weights[2] == weights[3]  # seeds are paired
    assert len(plain["top1"]) == results["seeds"] == 2
    assert plain["params"] == count_complexity(TINY, 16, 3).params < plain["params_with_aux"]
    assert (plain["macs"], still["lr"]) == (count_complexity(TINY, 16, 3).macs, pytest.approx(5e-8))
    assert plain["top1"] == [curve[-1] for curve in plain["curves"]]
    equal, worse, early = results["claims"]
    assert (equal["differences"], equal["verdict"]) == ([0, 0], "cannot be told")
    assert results["chance"] == pytest.approx(1 / 3)
    assert worse["differences"] == [a - b for a, b in zip(still["top1"], plain["top1"], strict=True)]
    assert early["differences"] == [a[0] - b[0] for a, b in zip(still["curves"], plain["curves"], strict=True)]
    assert json.loads((out / "study.json").read_text()) == results
    run = inceptorch.load(out / "runs" / "plain" / "1")
    assert run.config.metadata.trained_on == "24 images of images"
    assert run.config.metadata.validated_on == "12 images of val"
    table = (out / "study.md").read_text()
    assert f"| plain | {100 * plain['mean']:.2f} |" in table
    assert "| +99 points | “still” better than “plain” |" in table
    with Image.open(out / "study.png") as image:
        assert image.width > 1000


def test_finished_runs_are_read_back_and_seeds_can_be_added(
    trial: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run_study(trial, images, out=tmp_path / "out", seeds=2, values={"epochs": 1}, progress=QUIET)
    trained: list[int] = []
    train = inceptorch.train

    def counting(*args: Any, **words: Any) -> Any:
        trained.append(words["seed"])
        return train(*args, **words)

    monkeypatch.setattr("inceptorch.training.train", counting)
    assert run_study(trial, images, out=tmp_path / "out", seeds=2, values={"epochs": 1}, progress=QUIET) == before
    assert trained == []
    after = run_study(trial, images, out=tmp_path / "out", seeds=3, values={"epochs": 1}, progress=QUIET)
    assert trained == [2, 2, 2]
    assert [arm["top1"][:2] for arm in after["arms"]] == [arm["top1"] for arm in before["arms"]]


def test_an_interrupted_study_goes_on(
    trial: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    three = {"epochs": 3, "max_images_per_class": 8}
    whole = run_study(trial, images, out=tmp_path / "whole", seeds=2, values=three, progress=QUIET)
    from inceptorch.training.run import Run

    write = Run.write_metrics
    calls: list[int] = []

    def interrupted(self: Run, rows: list[dict[str, Any]]) -> None:
        calls.append(len(rows))
        if len(calls) == 5:  # the second arm's second epoch
            raise KeyboardInterrupt
        write(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "write_metrics", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_study(trial, images, out=tmp_path / "out", seeds=2, values=three)
    said = capsys.readouterr().err
    assert "1 of 6: plain, seed 0: top-1" in said
    assert f"the same command resumes the study in {tmp_path / 'out'}" in said
    again = run_study(trial, images, out=tmp_path / "out", seeds=2, values=three, progress=QUIET)
    assert [arm["curves"] for arm in again["arms"]] == [arm["curves"] for arm in whole["arms"]]
    for run in ("plain/0", "same/0", "still/1"):
        one, other = (tmp_path / where / "runs" / run / "model.safetensors" for where in ("whole", "out"))
        assert one.read_bytes() == other.read_bytes()


def test_a_study_of_gradients_has_them_before_and_after(
    trial: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STUDIES, trial, replace(TRIAL, gradients=True))
    results = run_study(trial, images, out=tmp_path / "out", seeds=2, values={"epochs": 1}, progress=QUIET)
    plain, same, still = (results["gradients"][arm] for arm in ("plain", "same", "still"))
    assert list(plain) == ["conv1", "mix"]
    assert plain == same
    assert plain["conv1"]["before"] == still["conv1"]["before"] > 0
    assert plain["conv1"]["times"] != 1  # TINY has a head on "mix"
    assert plain["conv1"]["after"] != still["conv1"]["after"]
    assert "| layer | plain, before |" in (tmp_path / "out" / "study.md").read_text()


def test_a_folder_keeps_to_its_settings(trial: str, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_study(trial, images, out=out, seeds=2, values={"epochs": 1}, progress=QUIET)
    with pytest.raises(RunError, match="was begun with plain: epochs 1, not 2; name another --out"):
        run_study(trial, images, out=out, seeds=2, values={"epochs": 2}, progress=QUIET)
    with pytest.raises(RunError, match="was begun with study trial, not label-smoothing"):
        run_study("label-smoothing", images, out=out, seeds=2, values={"epochs": 1}, progress=QUIET)
    (images / "train" / "red" / "00.png").unlink()
    with pytest.raises(RunError, match=r"The images changed between .* and .*2; start again"):
        run_study(trial, images, out=out, seeds=3, values={"epochs": 1}, progress=QUIET)
    (out / "settings.json").write_text("[")
    with pytest.raises(RunError, match=r"settings.json is damaged"):
        run_study(trial, images, out=out, seeds=2, values={"epochs": 1}, progress=QUIET)


def test_mistakes_get_a_sentence_and_write_nothing(trial: str, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases: list[tuple[type[InceptorchError], str, str, dict[str, Any]]] = [
        (RunError, "did you mean 'trial'", "trail", {}),
        (RunError, "from 2 to 100 seeds, not 1", trial, {"seeds": 1}),
        (RunError, "lies inside the images", trial, {"out": images / "out"}),
        (RecipeError, "differ in label_smoothing", "label-smoothing", {"values": {"label_smoothing": 0.2}}),
        (RecipeError, "differ in net", trial, {"values": {"net": "googlenet"}}),
        (RecipeError, "leave out patience", trial, {"values": {"patience": 3}}),
        (RecipeError, "no value 'epoch'", trial, {"values": {"epoch": 3}}),
    ]
    for error, sentence, name, words in cases:
        with pytest.raises(error, match=sentence):
            run_study(name, images, **{"out": out, "progress": QUIET, **words})
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="already holds files"):
        run_study(trial, images, out=out, progress=QUIET)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_the_command(trial: str, images: Path, tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["study"])
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["study", *STUDIES, DETECTION]
    words = ["study", trial, "--data", str(images), "--seeds", "2", "--epochs", "1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--json", "--set", "lr=0.01"])
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "study.json").read_text())
    text = CliRunner().invoke(app, [*words, "--set", "lr=0.01"]).stdout
    assert text.startswith("trial: Does anything matter?\nimages, 3 classes; 16 pixels, 1 epochs, 2 seeds")
    for wrong, sentence in (
        (["study", "trail"], "did you mean 'trial'"),
        (["study", trial], "--data DATA"),
        ([*words, "--set", "epochs=2"], "Give --epochs or --set epochs=..., not both."),
    ):
        failed = CliRunner().invoke(app, wrong)
        assert isinstance(failed.exception, InceptorchError)
        assert sentence in str(failed.exception)


@pytest.mark.parametrize(
    ("mine", "theirs", "verdict", "why"),
    [
        ([0.5, 0.52, 0.51], [0.4, 0.43, 0.41], "agrees", ""),
        ([0.26, 0.24, 0.25], [0.11, 0.09, 0.1], "cannot be told", "“b” is not clearly above chance, 10.0%"),
        ([0.1, 0.1, 0.1], [0.1, 0.1, 0.1], "cannot be told", "“b” is not clearly above chance, 10.0%"),
        ([0.5, 0.5, 0.5], [0.4, 0.43, 0.41], "cannot be told", "the seeds do not differ"),
        ([0.5, 0.53, 0.51], [0.4, 0.43, 0.41], "cannot be told", "the seeds do not differ"),
    ],
)
def test_there_is_no_verdict_where_an_arm_has_not_learned_or_the_seeds_do_not_differ(
    mine: list[float], theirs: list[float], verdict: str, why: str
) -> None:
    curves = {"a": [[{"top1": top1}] for top1 in mine], "b": [[{"top1": top1}] for top1 in theirs]}
    found = _evaluated(Claim("a", "b", "a is better.", "nowhere"), curves, 0.1)
    assert (found["verdict"], found["why"]) == (verdict, why)


def test_images_with_boxes_are_no_data_for_a_study(tmp_path: Path) -> None:
    write_voc(tmp_path / "data")
    with pytest.raises(DataError, match="Cannot study classifiers on .*: its images have boxes"):
        run_study(next(iter(STUDIES)), tmp_path / "data", out=tmp_path / "out", progress=Progress(quiet=True))
    assert not (tmp_path / "out").exists()
