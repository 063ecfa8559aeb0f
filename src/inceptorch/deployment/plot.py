"""Benchmarks as images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inceptorch.deployment.benchmark import Measured
from inceptorch.deployment.per_layer import RowTime
from inceptorch.utils.files import atomic_write
from inceptorch.utils.plots import BLUE, GRID, INK, ORANGE, shortened, unicode_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_engines(measured: Sequence[Measured], title: str, out: Path) -> None:
    """Images per second, latency and memory, a line for each engine, precision and number of images, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.5 + 0.34 * len(measured)), layout="constrained")
    speed, latency, memory = figure.subplots(1, 3, sharey=True)
    lines = range(len(measured))
    speed.barh(lines, [each.per_second for each in measured], color=BLUE)
    speed.set_yticks(lines, [f"{each.engine} {each.precision}, {each.batch} at a time" for each in measured])
    medians, rare = [each.p50_ms for each in measured], [each.p99_ms for each in measured]
    latency.hlines(lines, medians, rare, color=GRID, lw=2)
    latency.plot(medians, lines, "o", color=BLUE, label="median")
    latency.plot(rare, lines, "D", color=ORANGE, ms=5, label="99th percentile")
    latency.set_xscale("log")
    latency.xaxis.set_major_formatter("{x:g}")
    latency.xaxis.set_minor_formatter("")
    latency.legend(frameon=False, fontsize="small")
    memory.barh(lines, [each.memory_mib or 0 for each in measured], color=BLUE)
    figure.suptitle(shortened(title, 70), x=0.01, ha="left", color=INK)
    for axes, label in ((speed, "images per second"), (latency, "ms of a call"), (memory, "MiB of a process")):
        axes.set_xlabel(label)
        _plain(axes)
    speed.invert_yaxis()
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))


@unicode_fonts()
def draw_rows(rows: Sequence[RowTime], title: str, out: Path) -> None:
    """Each row's share of the time beside its share of the multiply-adds, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.5 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for shift, color, label, shares in (
        (-0.2, BLUE, "time", [row.share for row in rows]),
        (0.2, ORANGE, "multiply-adds", [row.macs_share for row in rows]),
    ):
        axes.barh(
            [line + shift for line in range(len(rows))], [100 * x for x in shares], 0.38, color=color, label=label
        )
    axes.set_yticks(range(len(rows)), [shortened(row.row, 24) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_title(shortened(title, 70), loc="left", color=INK)
    axes.set_xlabel("per cent of the whole")
    axes.legend(frameon=False)
    _plain(axes)
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))


def _plain(axes: Axes) -> None:
    axes.grid(axis="x", color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
