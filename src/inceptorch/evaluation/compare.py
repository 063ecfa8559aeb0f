"""Gain and cost of more crops and more networks: arXiv:1409.4842 Table 3 on images of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inceptorch.evaluation.evaluation import Evaluation, evaluate_predictions, predict_all
from inceptorch.evaluation.inputs import ModelInput, resolve_inputs
from inceptorch.evaluation.predictions import Predictions
from inceptorch.images.crops import CropProtocol, get_protocol
from inceptorch.tasks.metrics import Interval, paired_difference_interval
from inceptorch.utils.progress import Progress

PROTOCOLS = ("center", "10crop", "144crop")


@dataclass(frozen=True)
class ComparisonRow:
    """One row of the table.

    models         names of the averaged models
    networks       their networks
    classes        number of classes
    protocol       name of the crop protocol
    cost           crops per image, of all networks
    multiply_adds  of these crops
    top1, top5     accuracies with their intervals
    gained1        gain in top-1 over the first row, and its paired interval
    gained5        the same for top-5
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
    models: Sequence[ModelInput],
    data: str | Path,
    *,
    split: str | None = None,
    protocols: Sequence[str | CropProtocol] = PROTOCOLS,
    save_predictions: str | Path | None = None,
    exclude: str | Path | None = None,
    engine: str = "auto",
    precision: str | None = None,
    progress: Progress | None = None,
) -> list[ComparisonRow]:
    """The best network, then all as an ensemble, each with 1, 10 and 144 crops.

    As in the paper, the best has the highest top-1 from one crop on these images, which flatters its row a little.
    Raises as `evaluate` does.
    """
    from inceptorch.runtime.distributed import init_distributed

    progress = progress or Progress()
    folder = None if save_predictions is None else Path(save_predictions)
    with init_distributed() as world:
        speaking = progress if world.is_main else Progress(quiet=True)
        inputs = resolve_inputs(models, data, split, exclude, world, speaking, engine, precision)
        members = predict_all(inputs, [get_protocol(each) for each in protocols], folder, world, speaking)
        return world.run_on_main(lambda: _rows(members))


def _rows(members: Sequence[Sequence[Predictions]]) -> list[ComparisonRow]:
    alone = [evaluate_predictions([member[0]], [1.0], []) for member in members]
    best = max(range(len(members)), key=lambda index: alone[index].top1)
    groups = [[members[best]]] + ([list(members)] if len(members) > 1 else [])
    rows: list[ComparisonRow] = []
    first: Evaluation | None = None
    for group in groups:
        for together in zip(*group, strict=True):
            evaluation = evaluate_predictions(together, [1.0] * len(together), [])
            first = first or evaluation
            rows.append(_row(together, evaluation, first))
    return rows


def _row(together: Sequence[Predictions], evaluation: Evaluation, first: Evaluation) -> ComparisonRow:
    metadata = [member.metadata for member in together]
    gained = {k: (evaluation.summary.ranks < k).astype(int) - (first.summary.ranks < k) for k in (1, 5)}
    return ComparisonRow(
        models=[member.name for member in together],
        networks=[each.model for each in metadata],
        classes=len(metadata[0].classes),
        protocol=metadata[0].protocol,
        cost=sum(each.crops for each in metadata),
        multiply_adds=sum(each.crops * each.multiply_adds for each in metadata),
        top1=evaluation.top1,
        top1_interval=evaluation.intervals["top1"],
        top5=evaluation.top5,
        top5_interval=evaluation.intervals["top5"],
        gained1=float(gained[1].mean()),
        gained1_interval=paired_difference_interval(gained[1]),
        gained5=float(gained[5].mean()),
        gained5_interval=paired_difference_interval(gained[5]),
    )
