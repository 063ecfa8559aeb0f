"""Benchmarks as images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inceptorch.deployment.benchmark import BenchmarkResult
from inceptorch.deployment.per_layer import LayerTime
from inceptorch.utils.files import atomic_write
from inceptorch.utils.plots import BLUE, GRID, INK, ORANGE, shortened, unicode_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_engines(results: Sequence[BenchmarkResult], title: str, out: Path) -> None:
    """Images per second, latency and memory for each engine, precision and batch size, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.5 + 0.34 * len(results)), layout="constrained")
    speed, latency, memory = figure.subplots(1, 3, sharey=True)
    lines = range(len(results))
    speed.barh(lines, [each.images_per_second for each in results], color=BLUE)
    speed.set_yticks(lines, [f"{each.engine} {each.precision}, batch {each.batch_size}" for each in results])
    medians, tails = [each.p50_ms for each in results], [each.p99_ms for each in results]
    latency.hlines(lines, medians, tails, color=GRID, lw=2)
    latency.plot(medians, lines, "o", color=BLUE, label="median")
    latency.plot(tails, lines, "D", color=ORANGE, ms=5, label="99th percentile")
    latency.set_xscale("log")
    latency.xaxis.set_major_formatter("{x:g}")
    latency.xaxis.set_minor_formatter("")
    latency.legend(frameon=False, fontsize="small")
    memory.barh(lines, [each.memory_mib or 0 for each in results], color=BLUE)
    figure.suptitle(shortened(title, 70), x=0.01, ha="left", color=INK)
    for axes, label in ((speed, "images per second"), (latency, "ms of a call"), (memory, "MiB of a process")):
        axes.set_xlabel(label)
        _plain(axes)
    speed.invert_yaxis()
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))


@unicode_fonts()
def draw_layers(layers: Sequence[LayerTime], title: str, out: Path) -> None:
    """Each layer's fraction of the time and of the multiply-adds, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.5 + 0.3 * len(layers)), layout="constrained")
    axes = figure.subplots()
    for shift, color, label, fractions in (
        (-0.2, BLUE, "time", [layer.fraction for layer in layers]),
        (0.2, ORANGE, "multiply-adds", [layer.macs_fraction for layer in layers]),
    ):
        axes.barh(
            [line + shift for line in range(len(layers))], [100 * x for x in fractions], 0.38, color=color, label=label
        )
    axes.set_yticks(range(len(layers)), [shortened(each.layer, 24) for each in layers])
    axes.set_ylim(len(layers) - 0.5, -0.5)
    axes.set_title(shortened(title, 70), loc="left", color=INK)
    axes.set_xlabel("percent of the total")
    axes.legend(frameon=False)
    _plain(axes)
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))


def _plain(axes: Axes) -> None:
    axes.grid(axis="x", color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
