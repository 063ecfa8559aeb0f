"""The curve of the learning-rate finder, as a PNG."""

from __future__ import annotations

from pathlib import Path

from inceptorch.training import LRCurve
from inceptorch.utils.files import atomic_write
from inceptorch.utils.plots import BLUE, GRID, INK, ORANGE


def draw_lr_curve(curve: LRCurve, out: Path) -> None:
    """The loss against the learning rate, with the suggested rate."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.rates, curve.losses, color=BLUE)
    axes.axvline(curve.suggested, color=ORANGE, lw=1.2)
    axes.set_xscale("log")
    low, high = min(curve.losses), curve.losses[0]
    axes.set_ylim(low - 0.1 * (high - low), high + 0.5 * (high - low))
    axes.annotate(
        f" suggested {curve.suggested:g}", (curve.suggested, axes.get_ylim()[1]), color=ORANGE, va="top", ha="left"
    )
    axes.set_title("training loss, running mean", loc="left", color=INK)
    axes.set_xlabel("learning rate, increasing with every step")
    axes.grid(color=GRID, lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))
