"""`shrink`: from a run to a smaller one. Choose the channels that go, cut, fine-tune, and measure each step."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.hub import load, resolve_weights
from inceptorch.data import Split
from inceptorch.data.locator import absolute, ensure_outside
from inceptorch.errors import DataError, RunError
from inceptorch.evaluation import Evaluation, evaluate_split
from inceptorch.networks.serialization import to_yaml
from inceptorch.runtime.distributed import init_distributed, world_size
from inceptorch.shrink.choose import Budget, Criterion, choose
from inceptorch.shrink.measure import Step, draw_curve, measure_step
from inceptorch.shrink.statistics import renew_norm_statistics
from inceptorch.training import Recipe, Result, resume, train
from inceptorch.training.recipe import get_recipe
from inceptorch.training.run import RUN_CONFIG, next_run_dir, read_run, read_run_config
from inceptorch.training.setup import TrainRequest, temporary_run
from inceptorch.utils.files import ensure_empty, write_text
from inceptorch.utils.progress import Progress

CUT, CURVE, TABLE, PLOT = "cut", "shrink.json", "network.yaml", "shrink.png"
CROPS = 16  # validation images by which time is measured and int8 calibrated


@dataclass(frozen=True)
class Shrunk:
    """What became of a run: each step with its measurements, and the fine-tuned run."""

    steps: list[Step]
    result: Result


@dataclass(frozen=True)
class ShrinkRequest:
    """The arguments of `shrink`. `refit` None: with correlation alone; `seed` None: that of the run's validation
    images, else 0."""

    model: str | Path
    data: str | Path
    budget: Budget
    out: str | Path | None = None
    by: str = "correlation"
    refit: bool | None = None
    images: int = 1000
    epochs: int | None = None
    teacher: str | Path | None = None
    seed: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


def shrink(request: ShrinkRequest, progress: Progress | None = None) -> Shrunk:
    """Take channels out of a classifier's network until its cost is within a budget, fine-tune what is left, and leave
    a run like any other in `out`, with its table, the curve, and the network before fine-tuning in `out/cut`.

    Raises RunError and DataError for what cannot be shrunk, before anything is written. Interrupted fine-tuning goes on
    with `resume_shrink`.
    """
    progress = progress or Progress()
    _refuse_torchrun()
    folder = resolve_weights(request.model)
    classifier = _classifier(folder)
    out = Path(request.out) if request.out else next_run_dir(request.data)
    ensure_empty(out)
    ensure_outside(out, absolute(request.data))
    recipe, seed = _recipe(folder, request), _seed(classifier, request)
    tuning = TrainRequest(request.data, weights=folder, recipe=recipe, seed=seed, teacher=request.teacher)
    with temporary_run(tuning, progress) as (context, _):
        training, val, skipped = context.train, context.val, context.run.skipped or []
    if list(training.classes) != classifier.classes:
        raise DataError(
            f"Cannot shrink {request.model} on {request.data}: their classes differ. Train it on these images first: "
            f"inceptorch train {request.data} --weights {request.model}"
        )

    def top1(of: Classifier) -> float:
        with init_distributed(enabled=False) as world:
            return evaluate_split(of, val, skipped, world, progress).top1

    crops = _crops(val, classifier)
    criterion = Criterion(request.by, request.refit, request.images, seed)
    chosen = choose(classifier, training, request.budget, criterion, folder, crops, progress)
    smaller = chosen.cut()
    renew_norm_statistics(smaller, training, chosen.indices, progress)
    whole = classifier.config.macs
    steps = [measure_step("original", folder, classifier, whole, top1(classifier), crops, progress)]
    try:
        smaller.save(out / CUT)
        steps.append(measure_step("cut", out / CUT, smaller, whole, top1(smaller), crops, progress))
        _write_steps(out / CUT / CURVE, steps)
        with _resume_hint(out, progress):
            result = train(
                request.data, out=out, weights=out / CUT, recipe=recipe, seed=seed, teacher=request.teacher or folder,
                progress=progress,
            )  # fmt: skip
            return _finish(out, steps, result, crops, progress)
    except BaseException:
        if not (out / RUN_CONFIG).exists():  # nothing that could go on
            shutil.rmtree(out / CUT, ignore_errors=True)
            with suppress(OSError):
                out.rmdir()
        raise


def resume_shrink(folder: str | Path, progress: Progress | None = None) -> Shrunk:
    """Go on with the fine-tuning of an interrupted `shrink`, and complete its curve. Raises RunError."""
    _refuse_torchrun()
    folder, progress = Path(folder), progress or Progress()
    if not (folder / CUT / CURVE).exists():
        raise RunError(f"Cannot resume {folder}: it is no run of inceptorch shrink. Try inceptorch train --resume.")
    steps = _read_steps(folder / CUT / CURVE)
    with _resume_hint(folder, progress):
        result = resume(folder, progress)
        val = cast(Split, cast(Evaluation, result.evaluation).split)
        return _finish(folder, steps, result, _crops(val, result.classifier), progress)


@contextmanager
def _resume_hint(folder: Path, progress: Progress) -> Iterator[None]:
    """Within this context, an interruption also names the command that completes the curve."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if (folder / RUN_CONFIG).exists():
            progress.info(
                f"or with: inceptorch shrink --resume {shlex.quote(str(folder))}, which completes the curve, too"
            )
        raise


def _refuse_torchrun() -> None:
    if world_size() > 1:
        raise RunError("Cannot shrink in several processes. Start it without torchrun.")


def _finish(out: Path, steps: list[Step], result: Result, crops: NDArray[np.uint8], progress: Progress) -> Shrunk:
    """Measure the fine-tuned network, and write the curve, its plot and the table."""
    steps = [*steps, measure_step("fine-tuned", out, result.classifier, steps[0].macs, result.top1, crops, progress)]
    write_text(out / TABLE, to_yaml(result.classifier.config.network))
    draw_curve(steps, result.classifier.config.network.name, out / PLOT)
    _write_steps(out / CURVE, steps)
    return Shrunk(steps, result)


def _crops(split: Split, classifier: Classifier) -> NDArray[np.uint8]:
    """The first images of a split as the network takes them."""
    return np.stack([split.crop(index, classifier.preprocessing) for index in range(min(CROPS, len(split)))])


def _classifier(folder: Path) -> Classifier:
    """The classifier in a folder. Raises RunError for what has no table of single layers, or boxes for answers."""
    classifier = load(folder)
    if classifier.config.detection is not None:
        raise RunError(f"Cannot shrink {folder}: it is a detector. Name a classifier.")
    return classifier


def _recipe(folder: Path, request: ShrinkRequest) -> Recipe:
    """Recipe finetune for all layers, with the run's own division of the images, and with its augmentation if it
    trained its whole network."""
    values: dict[str, Any] = {"freeze": 0, "linear_probe_steps": 0}
    recipe = get_recipe("finetune").replace(**values)
    if (folder / RUN_CONFIG).exists() and not read_run_config(folder).get("extends"):
        own = read_run(folder).recipe
        recipe = replace(recipe, data=replace(own.data, folds=0))
        if own.schedule.epochs:
            recipe = replace(recipe, augmentation=own.augmentation)
            recipe = recipe.replace(size_schedule=own.schedule.size_schedule)
    given = dict(request.values)
    if request.epochs is not None:
        given["epochs"] = request.epochs
    return recipe.replace(**given)


def _seed(classifier: Classifier, request: ShrinkRequest) -> int:
    """The seed of everything random. Validation images that training drew are drawn again with it."""
    split = classifier.config.metadata.split
    if split is None:
        return request.seed or 0
    if request.seed in (None, split["seed"]):
        return split["seed"]
    raise RunError(
        f"Cannot use seed {request.seed}: {request.model} drew its validation images with seed {split['seed']}. Leave "
        "out --seed."
    )


def _write_steps(path: Path, steps: list[Step]) -> None:
    write_text(path, json.dumps([step.to_dict() for step in steps], indent=1) + "\n")


def _read_steps(path: Path) -> list[Step]:
    try:
        return [Step(**each) for each in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError):
        raise RunError(f"Cannot resume: {path} is damaged. Go on with inceptorch train --resume instead.") from None
