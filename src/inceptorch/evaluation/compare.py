"""What more crops and more networks bring, and what they cost: arXiv:1409.4842 Table 3 on one's own images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inceptorch.evaluation.evaluation import Evaluation, evaluate_predictions, predict_all
from inceptorch.evaluation.inputs import Given, resolve_inputs
from inceptorch.evaluation.predictions import Predictions
from inceptorch.images.crops import CropProtocol, get_protocol
from inceptorch.tasks.metrics import Interval, paired_difference_interval
from inceptorch.utils.progress import Progress

PROTOCOLS = ("center", "10crop", "144crop")


@dataclass(frozen=True)
class Row:
    """One row of the table.

    models         the names of those averaged
    networks       the networks that they are
    classes        how many an image may be of
    protocol       its name
    cost           crops that go through a network for one image, all networks together
    multiply_adds  of these
    top1, top5     fractions right, with their intervals
    gained1        what is right more often than in the first row, and the interval of that, image by image
    gained5        the same of five answers
    """

    models: list[str]
    networks: list[str]
    classes: int
    protocol: str
    cost: int
    multiply_adds: int
    top1: float
    top1_interval: Interval
    top5: float
    top5_interval: Interval
    gained1: float
    gained1_interval: Interval
    gained5: float
    gained5_interval: Interval


def compare_crops_and_ensembles(
    models: Sequence[Given],
    data: str | Path,
    *,
    split: str | None = None,
    protocols: Sequence[str | CropProtocol] = PROTOCOLS,
    save_predictions: str | Path | None = None,
    exclude: str | Path | None = None,
    engine: str = "auto",
    precision: str | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """One network, then all of them together, each with 1, 10 and 144 crops. The one is that which is right most often
    in its first answer from one crop, as in the paper: of those given, so its row is a little flattered.

    Raises as `evaluate` does.
    """
    from inceptorch.runtime.distributed import processes

    progress = progress or Progress()
    chosen = [get_protocol(each) for each in protocols]
    folder = None if save_predictions is None else Path(save_predictions)
    with processes() as world:
        speaking = progress if world.first else Progress(quiet=True)
        evaluated = resolve_inputs(models, data, split, exclude, world, speaking, engine, precision)
        members = predict_all(evaluated, chosen, folder, world, speaking)
        return world.from_first(lambda: _rows(members))


def _rows(members: Sequence[Sequence[Predictions]]) -> list[Row]:
    alone = [evaluate_predictions([member[0]], [1.0], []) for member in members]
    best = max(range(len(members)), key=lambda index: alone[index].top1)
    groups = [[members[best]]] + ([list(members)] if len(members) > 1 else [])
    rows: list[Row] = []
    first: Evaluation | None = None
    for group in groups:
        for together in zip(*group, strict=True):
            evaluation = evaluate_predictions(together, [1.0] * len(together), [])
            first = first or evaluation
            rows.append(_row(together, evaluation, first))
    return rows


def _row(together: Sequence[Predictions], evaluation: Evaluation, first: Evaluation) -> Row:
    about = [member.about for member in together]
    gained = {most: (evaluation.summary.ranks < most).astype(int) - (first.summary.ranks < most) for most in (1, 5)}
    return Row(
        models=[member.name for member in together],
        networks=[each.model for each in about],
        classes=len(about[0].classes),
        protocol=about[0].protocol,
        cost=sum(each.crops for each in about),
        multiply_adds=sum(each.crops * each.multiply_adds for each in about),
        top1=evaluation.top1,
        top1_interval=evaluation.intervals["top1"],
        top5=evaluation.top5,
        top5_interval=evaluation.intervals["top5"],
        gained1=float(gained[1].mean()),
        gained1_interval=paired_difference_interval(gained[1]),
        gained5=float(gained[5].mean()),
        gained5_interval=paired_difference_interval(gained[5]),
    )
