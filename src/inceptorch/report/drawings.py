"""The learning-rate finder's curve as an image."""

from __future__ import annotations

from pathlib import Path

from inceptorch.training import LRCurve
from inceptorch.utils.files import atomic_write
from inceptorch.utils.plots import BLUE, GRID, INK, ORANGE


def draw_rates(found: LRCurve, out: Path) -> None:
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
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))
