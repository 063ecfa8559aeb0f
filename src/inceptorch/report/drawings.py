"""Pictures of a finished run: its training curve and its mistakes."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image

from inceptorch.data import Split
from inceptorch.errors import PictureError
from inceptorch.evaluation import Evaluation
from inceptorch.files import write_whole
from inceptorch.plots import BLUE, GRID, INK, ORANGE, any_letters, shortened
from inceptorch.training import Rates

MISTAKES, NAME = 24, 18  # pictures, and letters of a name under each


def draw_curves(metrics: Path, out: Path) -> None:
    """Loss and accuracy over the run, from metrics.csv."""
    from matplotlib.figure import Figure

    with open(metrics, newline="") as file:
        rows = list(csv.DictReader(file))
    # A run that fits the classifier first and then trains the whole network shows the second part.
    phase = rows[-1]["phase"]
    rows = [row for row in rows if row["phase"] == phase]
    at = [int(row["epoch"]) for row in rows]
    marker = "o" if len(rows) <= 40 else None

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    training, held_out = ([float(row[name]) for row in rows] for name in ("train_loss", "loss"))
    loss.plot(at, training, color=BLUE, marker=marker, ms=3.5, label="training objective")
    loss.plot(at, held_out, color=ORANGE, marker=marker, ms=3.5, label="held out")
    # One bad epoch, as while batch normalisation's statistics lag, would make all the rest a flat line.
    highest, usual = max(*training, *held_out), 2 * max(training[0], training[-1], held_out[-1])
    cut = f" (at its highest {highest:.1f})" if highest > usual else ""
    loss.set_title(f"loss{cut}", loc="left", color=INK)
    loss.set_ylim(0, 1.15 * min(highest, usual))
    loss.legend(frameon=False)
    accuracy.plot(at, [100 * float(row["top1"]) for row in rows], color=ORANGE, marker=marker, ms=3.5)
    accuracy.set_title(f"right on held-out pictures: {100 * float(rows[-1]['top1']):.2f} %", loc="left", color=INK)
    accuracy.set_ylabel("per cent")
    for axes in (loss, accuracy):
        axes.set_xlabel("step of the fit" if phase == "head" else "epoch")
        if len(at) == 1:
            axes.set_xlim(at[0] - 1, at[0] + 1)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color=GRID, lw=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    write_whole(out, lambda path: figure.savefig(path, format="png", dpi=120))


def draw_rates(found: Rates, out: Path) -> None:
    """The loss against the learning rate, with the rate to take."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, color=BLUE)
    axes.axvline(found.suggested, color=ORANGE, lw=1.2)
    axes.set_xscale("log")
    low, high = min(found.losses), found.losses[0]
    axes.set_ylim(low - 0.1 * (high - low), high + 0.5 * (high - low))
    axes.annotate(
        f" take {found.suggested:g}", (found.suggested, axes.get_ylim()[1]), color=ORANGE, va="top", ha="left"
    )
    axes.set_title("training loss, running mean", loc="left", color=INK)
    axes.set_xlabel("learning rate, growing with every step")
    axes.grid(color=GRID, lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    write_whole(out, lambda path: figure.savefig(path, format="png", dpi=120))


@any_letters()
def draw_mistakes(evaluation: Evaluation, out: Path) -> None:
    """The most confident mistakes, each with its true class and the answer given. The place of a picture that cannot be
    read any more stays empty: the run is finished."""
    from matplotlib.figure import Figure

    shown = evaluation.mistakes[:MISTAKES]
    split = evaluation.split
    assert split is not None  # only predictions without their pictures have none
    pictures = {mistake.index: _thumbnail(split, mistake.index) for mistake in shown}
    columns = max(1, min(6, len(shown)))
    lines = max(1, -(-len(shown) // columns))
    n, wrong = evaluation.n, len(evaluation.mistakes)
    title = f"{wrong} of {n} held-out pictures wrong" if wrong else f"no mistakes on {n} held-out pictures"
    if len(shown) < wrong:
        title += f"; the {len(shown)} most confident"
    figure = Figure(figsize=(max(1.7 * columns, 6), 2.1 * lines + 0.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", color=INK)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, mistake in zip(grid.flat, shown, strict=False):
        picture = pictures[mistake.index]
        if picture is None:
            axes.text(0.5, 0.5, "cannot be read\nany more", color=INK, ha="center", va="center", fontsize=8)
        else:
            axes.imshow(picture, interpolation="nearest")
        said = f"says {shortened(mistake.predicted, NAME)} ({mistake.probability:.0%})"
        axes.set_title(f"{said}\nis {shortened(mistake.label, NAME)}", fontsize=8, color=INK, parse_math=False)
    write_whole(out, lambda path: figure.savefig(path, format="png", dpi=120))


def _thumbnail(split: Split, index: int) -> Image.Image | None:
    """A small form of a picture; None if it cannot be read any more."""
    try:
        picture = split.image(index)
    except PictureError:
        return None
    picture.thumbnail((160, 160))
    return picture
