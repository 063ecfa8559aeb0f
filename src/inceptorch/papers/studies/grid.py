"""Running a study: every arm with every seed is one run in a folder of its own, through the public `train`.

OUT/settings.json          the settings, which every run in OUT shares
OUT/networks/ARM.yaml      the arms' networks
OUT/runs/ARM/SEED/         the runs: finished ones are read back, interrupted ones are resumed
OUT/study.json .md .png    the results
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from inceptorch.data import find_train_and_val, subsample_per_class
from inceptorch.data.locator import absolute, ensure_outside, short_name
from inceptorch.data.resolve import refuse_boxes
from inceptorch.errors import RecipeError, RunError
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import to_plain, to_yaml
from inceptorch.papers.studies import page
from inceptorch.papers.studies.folder import begin
from inceptorch.papers.studies.statistics import interval, verdict
from inceptorch.papers.studies.studies import Arm, Claim, Results, Study, get_study
from inceptorch.training.recipe import Recipe, with_values
from inceptorch.utils.files import make_folder, write_text
from inceptorch.utils.progress import Progress

IMAGES_PER_RUN = 50_000  # training images that a run sees by default, whatever their number
MIN_EPOCHS = 5
MAX_SEEDS = 100

Curve = list[dict[str, float]]  # top1 and seconds after every epoch


@dataclass(frozen=True)
class Planned:
    """An arm with all that follows from the settings: its network, its recipe."""

    arm: Arm
    net: NetworkSpec
    recipe: Recipe


def run_study(
    name: str,
    data: str | Path,
    *,
    out: str | Path | None = None,
    seeds: int = 5,
    values: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Train every arm of the study `name` on DATA with seeds 0 to `seeds` - 1, and compare them.

    `values` are recipe values for all arms: size, epochs, max_images_per_class, ... Without epochs, a run
    takes as many as show it about 50,000 images. Called again with the same `out`, a study goes on where it stopped;
    more seeds add to it. Raises RunError where `out` holds something else, RecipeError, DataError or TableError as
    `train` does, before anything is written where it can.
    """
    study, progress, data = get_study(name), progress or Progress(), absolute(data)
    out = Path(out) if out else Path("runs") / f"{study.name}-{short_name(data)}"
    if not 2 <= seeds <= MAX_SEEDS:
        raise RunError(f"A study needs from 2 to {MAX_SEEDS} seeds, not {seeds}: one run has no spread.")
    ensure_outside(out, data)
    refuse_boxes(data, f"study classifiers on {data}", "Try class folders")
    planned = plan(study, data, values or {})
    _begin(out, study, data, planned)

    curves: dict[str, list[Curve]] = {each.arm.name: [] for each in planned}
    total = seeds * len(planned)
    try:
        for number in range(total):  # a seed through all arms, then the next: what is finished is always paired
            seed, each = number // len(planned), planned[number % len(planned)]
            curve = _run(each, data, out, seed)
            curves[each.arm.name].append(curve)
            progress.info(
                f"{number + 1} of {total}: {each.arm.name}, seed {seed}: top-1 {curve[-1]['top1']:.2%}, "
                f"{curve[-1]['seconds']:.0f} s"
            )
    except (KeyboardInterrupt, SystemExit):
        progress.info(f"stopped; the same command resumes the study in {out}")
        raise
    _require_one_fingerprint(out, planned, seeds)
    results = _results(study, data, out, planned, curves)
    page.write(results, out)
    progress.info(f"study.json, study.md, study.png and the runs are in {out}")
    return results


def plan(study: Study, data: str | Path, values: Mapping[str, Any]) -> list[Planned]:
    """The arms of a study with their networks and recipes. Raises RecipeError for values that the arms decide."""
    if "patience" in values:
        raise RecipeError("The runs of a study are equally long; leave out patience.")
    for key in values:
        if key == "net" or any(key in arm.settings for arm in study.arms):
            raise RecipeError(f"The arms of {study.name} differ in {key}, so it cannot be set for all of them.")
    recipe = with_values(study.recipe.replace(size=study.size), values)
    if "epochs" not in values:
        splits = find_train_and_val(data, recipe.data.val_fraction, seed=0)
        images = len(subsample_per_class(splits[0], recipe.data.max_images_per_class, seed=0))
        recipe = recipe.replace(epochs=max(MIN_EPOCHS, math.ceil(IMAGES_PER_RUN / images)))
    if not recipe.model.size:
        recipe = recipe.replace(size=study.size)
    planned = []
    for arm in study.arms:
        size = max(1, round(recipe.model.size * arm.size_scale))
        own = recipe.replace(**arm.settings, size=size, lr=recipe.optimization.lr * arm.lr_scale)
        planned.append(Planned(arm, arm.net(size), own))
    return planned


def _begin(out: Path, study: Study, data: str, planned: Sequence[Planned]) -> None:
    """Make OUT with the arms' networks, or see that it was made for the very same. Raises RunError."""
    settings = {
        "study": study.name,
        "data": data,
        **{f"{each.arm.name}: {key}": value for each in planned for key, value in each.recipe.values().items()},
        **{f"{each.arm.name}: network": to_plain(each.net) for each in planned},
    }
    begin(out, settings)
    make_folder(out / "networks")
    for each in planned:
        write_text(_table(out, each.arm), to_yaml(each.net))


def _run(each: Planned, data: str, out: Path, seed: int) -> Curve:
    """Train one new or interrupted run to its end."""
    from inceptorch.training import resume, train
    from inceptorch.training.checkpoint import is_finished

    folder, quiet = _folder(out, each.arm, seed), Progress(quiet=True)
    if not (folder / "run.yaml").exists():
        net = str(_table(out, each.arm))
        train(data, out=folder, net=net, recipe=each.recipe, seed=seed, progress=quiet)
    elif not is_finished(folder / "checkpoints" / "last.safetensors"):
        resume(folder, quiet, data=data)
    return _read_curve(folder)


def _read_curve(folder: Path) -> Curve:
    """The rows of a run's metrics.csv so far; empty if there is none."""
    try:
        with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
            epochs = [row for row in csv.DictReader(file) if row["phase"] == "train"]
        return [{name: float(row[name]) for name in ("top1", "seconds")} for row in epochs]
    except FileNotFoundError:
        return []
    except (OSError, KeyError, TypeError, ValueError):
        raise RunError(f"{folder / 'metrics.csv'} is damaged; delete the folder {folder} to train it again.") from None


def _require_one_fingerprint(out: Path, planned: Sequence[Planned], seeds: int) -> None:
    """Raise RunError if the images changed between runs, which then are no pairs."""
    from inceptorch.training.run import read_run

    folders = [_folder(out, each.arm, seed) for seed in range(seeds) for each in planned]
    first = read_run(folders[0]).fingerprint
    for folder in folders:
        if read_run(folder).fingerprint != first:
            raise RunError(f"The images changed between {folders[0]} and {folder}; start again in a new --out.")


def _results(
    study: Study, data: str, out: Path, planned: Sequence[Planned], curves: Mapping[str, list[Curve]]
) -> Results:
    config = json.loads((_folder(out, planned[0].arm, 0) / "config.json").read_text(encoding="utf-8"))
    classes, recipe = int(config["num_classes"]), planned[0].recipe
    _, val = find_train_and_val(data, recipe.data.val_fraction, seed=0)
    chance = max(val.counts().values()) / len(val)  # of always naming the most frequent class
    arms = []
    for each in planned:
        counted = count_complexity(each.net, each.recipe.model.size, classes)
        tops = [[epoch["top1"] for epoch in curve] for curve in curves[each.arm.name]]
        arms.append(
            {
                "name": each.arm.name,
                "what": each.arm.what,
                "size": each.recipe.model.size,
                "lr": each.recipe.optimization.lr,
                "params": counted.params,
                "params_with_aux": counted.params_with_aux,
                "macs": counted.macs,
                "top1": [top1[-1] for top1 in tops],
                **vars(interval([top1[-1] for top1 in tops])),
                "seconds": [curve[-1]["seconds"] for curve in curves[each.arm.name]],
                "curves": tops,
            }
        )
    gradients = (
        {"gradients": _gradients(planned, data, out, len(curves[planned[0].arm.name]))} if study.gradients else {}
    )
    return {
        "study": study.name,
        "data": short_name(data),
        "classes": classes,
        "epochs": recipe.schedule.epochs,
        "size": max(each.recipe.model.size for each in planned),
        "limit": recipe.data.max_images_per_class,
        "seeds": len(curves[planned[0].arm.name]),
        "arms": arms,
        "chance": chance,
        "claims": [_evaluated(claim, curves, chance) for claim in study.claims],
        **gradients,
    }


def _gradients(planned: Sequence[Planned], data: str, out: Path, seeds: int) -> dict[str, dict[str, dict[str, float]]]:
    """By arm and layer, means over the seeds of the gradient's norm on a few training images: of the main loss before
    and after training, and "times" as much with the arm's own heads before it."""
    import torch

    from inceptorch.classifier.hub import load
    from inceptorch.models.module import Model
    from inceptorch.papers.gradients import gradient_norms, some_images

    found: dict[str, dict[str, dict[str, float]]] = {}
    for each in planned:
        train, _ = find_train_and_val(data, each.recipe.data.val_fraction, seed=0)
        runs = []
        for seed in range(seeds):
            trained = load(_folder(out, each.arm, seed))
            batch = some_images(train, trained.preprocessing, seed)
            torch.manual_seed(seed)  # as the run began
            fresh = Model(each.net, len(train.classes), aux=bool(each.net.aux), size=each.recipe.model.size)
            before = gradient_norms(fresh, *batch, each.recipe.optimization.aux_loss_weight)
            runs.append(zip(before, gradient_norms(trained.model, *batch), strict=True))
        found[each.arm.name] = {
            pairs[0][0].layer: {
                "before": fmean(first.main for first, _ in pairs),
                "after": fmean(last.main for _, last in pairs),
                "times": fmean((first.with_heads or first.main) / first.main for first, _ in pairs),
            }
            for pairs in zip(*runs, strict=True)
        }
    return found


def _evaluated(claim: Claim, curves: Mapping[str, list[Curve]], chance: float) -> dict[str, Any]:
    """A claim with the paired differences that were found, seed by seed, and why no verdict is possible, if so."""
    mine, theirs = ([_top1_at(claim.at, curve) for curve in curves[arm]] for arm in (claim.of, claim.against))
    differences = [a - b for a, b in zip(mine, theirs, strict=True)]
    mean, why, rounding = interval(differences), "", 1e-9
    for arm, top1 in ((claim.of, mine), (claim.against, theirs)):
        if interval(top1).low <= chance + rounding:
            why = f"“{arm}” is not clearly above chance, {chance:.1%}"
        elif not why and min(max(each) - min(each) for each in (top1, differences)) <= rounding:
            why = "the seeds do not differ"
    outcome = "cannot be told" if why else verdict(mean, claim.predicts, claim.margin)
    return {**vars(claim), "differences": differences, **vars(mean), "verdict": outcome, "why": why}


def _top1_at(fraction: float, curve: Curve) -> float:
    """The accuracy after that fraction of the epochs."""
    return curve[max(0, math.ceil(fraction * len(curve)) - 1)]["top1"]


def _table(out: Path, arm: Arm) -> Path:
    return out / "networks" / f"{arm.name}.yaml"


def _folder(out: Path, arm: Arm, seed: int) -> Path:
    return out / "runs" / arm.name / str(seed)
