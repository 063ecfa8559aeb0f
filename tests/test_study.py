"""Studies: paired statistics, networks that train at their sizes, and a grid that can be stopped and goes on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scipy import stats
from typer.testing import CliRunner

import inceptorch
from inceptorch.cli import app
from inceptorch.data import find_train_and_val, subsample_per_class
from inceptorch.errors import InceptorchError, RecipeError, RunError, TableError
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import Conv, Linear
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import to_yaml
from inceptorch.networks.transforms import narrowed
from inceptorch.networks.zoo import NETS, get_network
from inceptorch.networks.zoo.googlenet import block
from inceptorch.papers.studies import STUDIES, Study, page, run_study
from inceptorch.papers.studies.grid import plan
from inceptorch.papers.studies.statistics import QUANTILES, Interval, interval, verdict
from inceptorch.papers.studies.studies import RECIPE, Arm, Claim, googlenet, naive_of_equal_cost
from inceptorch.training.recipe import with_values
from inceptorch.utils.progress import Progress
from tests.conftest import TINY, write_classes

QUIET = Progress(quiet=True)


# --- statistics --------------------------------------------------------------------------------------------------------


def test_quantiles_and_intervals_are_students() -> None:
    for freedom, quantile in QUANTILES.items():
        assert quantile == pytest.approx(stats.t.ppf(0.975, freedom), abs=6e-4)
    differences = [0.012, -0.003, 0.02, 0.007, 0.001]
    found = interval(differences)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert found.low == pytest.approx(low, rel=1e-3)
    assert found.high == pytest.approx(high, rel=1e-3)
    assert found.mean == pytest.approx(0.0074)


def test_between_two_entries_the_interval_is_too_wide_rather_than_too_narrow() -> None:
    values = [float(number % 7) for number in range(24)]
    found, (low, high) = interval(values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.low < low
    assert high < found.high


@pytest.mark.parametrize(
    ("low", "high", "predicts", "margin", "says"),
    [
        (0.001, 0.02, "better", 0, "agrees"),
        (-0.001, 0.02, "better", 0, "cannot be told"),
        (-0.02, -0.001, "better", 0, "contradicts"),
        (-0.004, 0.02, "not worse", 0.005, "agrees"),
        (-0.006, 0.02, "not worse", 0.005, "cannot be told"),
        (-0.02, -0.006, "not worse", 0.005, "contradicts"),
        (-0.004, 0.004, "equal", 0.005, "agrees"),
        (-0.004, 0.006, "equal", 0.005, "cannot be told"),
        (0.006, 0.02, "equal", 0.005, "contradicts"),
        (-0.02, -0.006, "equal", 0.005, "contradicts"),
        (-0.02, 0.02, "equal", 0.005, "cannot be told"),
        (0.0, 0.0, "better", 0, "cannot be told"),
    ],
)
def test_a_verdict_never_says_more_than_the_interval(
    low: float, high: float, predicts: Any, margin: float, says: str
) -> None:
    assert verdict(Interval((low + high) / 2, low, high), predicts, margin) == says


# --- narrower networks -------------------------------------------------------------------------------------------------


def test_narrowed_multiplies_all_widths_and_rounds_them_to_eights() -> None:
    half = narrowed(get_network("googlenet_fc"), 0.5)
    assert half.body["3a"] == block(32, 48, 64, 8, 16, 16)
    assert half.body["conv2"] == (Conv(32), Conv(96, 3))
    assert half.head["fc"] == Linear(512)
    assert half.aux_head is not None
    assert (half.aux_head["conv"], half.aux_head["fc"]) == (Conv(64), Linear(512))
    assert narrowed(get_network("googlenet"), 0.001).body["4e"] == block(8, 8, 8, 8, 8, 8)
    assert narrowed(get_network("googlenet"), 0.5, 4).body["4b"] == block(80, 56, 112, 12, 32, 32)
    assert narrowed(get_network("alexnet"), 0.3).body["conv2"] == replace(get_network("alexnet").body["conv2"], out=80)  # type: ignore[type-var]
    whole = narrowed(get_network("googlenet"), 1)
    assert count_complexity(whole).layers == count_complexity("googlenet").layers


def test_narrowed_refuses_what_it_would_break() -> None:
    with pytest.raises(TableError, match="adds what its modules compute"):
        narrowed(get_network("inception_resnet_v1"), 0.5)
    for factor in (0, -1, float("inf"), float("nan")):
        with pytest.raises(TableError, match="above 0"):
            narrowed(get_network("googlenet"), factor)


@pytest.mark.parametrize("size", [28, 32, 64, 224])
def test_modules_without_reductions_cost_the_same(size: int) -> None:
    naive, reduced = (count_complexity(arm(size), num_classes=10).macs for arm in (naive_of_equal_cost, googlenet))
    assert naive == pytest.approx(reduced, rel=0.03)


# --- the list ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_every_arm_trains_for_a_step_and_every_claim_is_about_arms(name: str, tmp_path: Path) -> None:
    write_classes(tmp_path / "images", 3)
    study = STUDIES[name]
    values = {"epochs": 1, "batch_size": 8}
    for each in plan(study, tmp_path / "images", values):
        table = tmp_path / f"{each.arm.name}.yaml"
        table.write_text(to_yaml(each.net))
        assert get_network(str(table)) == each.net
        result = inceptorch.train(
            tmp_path / "images", out=tmp_path / each.arm.name, net=str(table), recipe=each.recipe, progress=QUIET
        )
        assert result.epochs == 1
    names = [arm.name for arm in study.arms]
    assert len(set(names)) == len(names)
    for claim in study.claims:
        assert {claim.of, claim.against} <= set(names)
        assert (claim.margin > 0) == (claim.predicts != "better")


def test_auxiliary_heads_are_there_where_the_study_is_about_them(images: Path) -> None:
    for name in ("aux-heads", "v3-ladder"):
        nets = {each.arm.name: each.net for each in plan(STUDIES[name], images, {"epochs": 1})}
        trained = {
            arm: count_complexity(table, 32).params_with_aux - count_complexity(table, 32).params
            for arm, table in nets.items()
        }
        assert all(extra > 0 for arm, extra in trained.items() if arm != "none"), trained


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


# --- fewer images of each class ----------------------------------------------------------------------------------


def test_limited_takes_as_many_of_each_class_by_the_seed(images: Path) -> None:
    whole, _ = find_train_and_val(images, 0.2, 0)
    assert subsample_per_class(whole, 0, 1).paths == subsample_per_class(whole, 100, 1).paths == whole.paths
    some = subsample_per_class(whole, 5, 1)
    assert some.counts() == {"blue": 5, "green": 5, "red": 5}
    assert some.paths == subsample_per_class(whole, 5, 1).paths != subsample_per_class(whole, 5, 2).paths
    assert set(some.paths) < set(whole.paths)


# --- the grid ----------------------------------------------------------------------------------------------------------


def tiny_of(_: int) -> NetworkSpec:
    return TINY


TRIAL = Study(
    "trial",
    "Does anything matter?",
    arms=(
        Arm("plain", "as it is", tiny_of),
        Arm("same", "as it is, once more", tiny_of),
        Arm("still", "hardly moving", tiny_of, rate=1e-6),
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
    assert (equal["differences"], equal["verdict"]) == ([0, 0], "agrees")
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
    assert f"give the same command again and the study in {tmp_path / 'out'} goes on" in said
    again = run_study(trial, images, out=tmp_path / "out", seeds=2, values=three, progress=QUIET)
    assert [arm["curves"] for arm in again["arms"]] == [arm["curves"] for arm in whole["arms"]]
    for run in ("plain/0", "same/0", "still/1"):
        one, other = (tmp_path / where / "runs" / run / "model.safetensors" for where in ("whole", "out"))
        assert one.read_bytes() == other.read_bytes()


def test_a_folder_keeps_to_its_settings(trial: str, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_study(trial, images, out=out, seeds=2, values={"epochs": 1}, progress=QUIET)
    with pytest.raises(RunError, match="was begun with plain: epochs 1, not 2; name another --out"):
        run_study(trial, images, out=out, seeds=2, values={"epochs": 2}, progress=QUIET)
    with pytest.raises(RunError, match="was begun with study trial, not label-smoothing"):
        run_study("label-smoothing", images, out=out, seeds=2, values={"epochs": 1}, progress=QUIET)
    (images / "train" / "red" / "00.png").unlink()
    with pytest.raises(RunError, match=r"The images were others when .*2 began"):
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


# --- what is shown -----------------------------------------------------------------------------------------------------


def outcome(low: float, high: float, said: str) -> dict[str, Any]:
    """The results of `label-smoothing` with that interval."""
    arm = {
        "size": 32, "lr": 0.03, "params": 871_058, "params_with_aux": 900_000, "macs": 17_897_984, "top1": [0.5, 0.6],
        "mean": 0.55, "low": 0.5, "high": 0.6, "seconds": [60.0, 62.0], "curves": [[0.5], [0.6]],
    }  # fmt: skip
    study = STUDIES["label-smoothing"]
    found = {"differences": [low, high], "mean": (low + high) / 2, "low": low, "high": high, "verdict": said}
    return {
        "study": study.name, "data": "cifar10", "classes": 10, "epochs": 5, "size": 32, "limit": 400, "seeds": 2,
        "arms": [{"name": one.name, "what": one.what, **arm} for one in study.arms],
        "claims": [{**vars(study.claims[0]), **found}],
    }  # fmt: skip


def test_the_text_says_what_the_interval_says() -> None:
    untold = page.text(outcome(-0.01, 0.0262, "cannot be told"))
    words = " ".join(untold.split())
    assert "cannot be told with 2 seeds: the difference lies between -1.00 and +2.62 points" in words
    assert "agrees" not in words
    assert "printed: +0.2 points" in words
    assert "871,058 (+28,942 to train)" in words
    assert "cifar10, 10 classes, at most 400 images of a class; 32 pixels, 5 epochs, 2 seeds; 4.1 minutes" in words
    told = " ".join(page.text(outcome(0.001, 0.003, "agrees")).split())
    assert "“0.1” better than “none”: +0.20 points, +0.10 to +0.30; agrees." in told


def test_the_page_has_every_study_with_or_without_a_result() -> None:
    shown = page.page([outcome(0.001, 0.003, "agrees")])
    for study in STUDIES.values():
        assert f"## {study.name}\n\n{study.question}" in shown
        for claim in study.claims:
            assert claim.says in shown
    assert shown.count("There is no result of this study yet.") == len(STUDIES) - 1
    assert "(study_label-smoothing.png)" in shown
    assert "+0.20 (+0.10 to +0.30) | **agrees** |" in shown


def test_a_data_set_may_be_called_anything() -> None:
    shown = page.page([{**outcome(0.001, 0.003, "agrees"), "data": "<script>|a`{{ 7*7 }}"}])
    assert "\\<script\\>\\|a\\`{{ 7\\*7 }}, 10 classes" in shown
    assert "<script>" not in shown


# --- the command -------------------------------------------------------------------------------------------------------


def test_the_command(trial: str, images: Path, tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["study"])
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(STUDIES)
    words = ["study", trial, "--data", str(images), "--seeds", "2", "--epochs", "1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--json", "--set", "lr=0.01"])
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "study.json").read_text())
    text = CliRunner().invoke(app, [*words, "--set", "lr=0.01"]).stdout
    assert text.startswith("trial: Does anything matter?\npictures, 3 classes; 16 pixels, 1 epochs, 2 seeds")
    for wrong, sentence in (
        (["study", "trail"], "did you mean 'trial'"),
        (["study", trial], "--data DATA"),
        ([*words, "--set", "epochs=2"], "Give --epochs or --set epochs=..., not both."),
    ):
        failed = CliRunner().invoke(app, wrong)
        assert isinstance(failed.exception, InceptorchError)
        assert sentence in str(failed.exception)


def test_no_name_of_a_network_is_taken() -> None:
    assert not {arm.net(32).name for study in STUDIES.values() for arm in study.arms} & set(NETS)
