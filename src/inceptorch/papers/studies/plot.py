"""A study as an image: every seed as a dot, means with their 95 % intervals, and the paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inceptorch.papers.studies.studies import Results
from inceptorch.utils.files import atomic_write
from inceptorch.utils.plots import BLUE, GRID, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(results: Results, out: Path) -> None:
    """Write the image as PNG: the arms at the left, the differences that the claims are about at the right."""
    from matplotlib.figure import Figure

    arms, claims = results["arms"], results["claims"]
    lines = max(len(arms), len(claims))
    figure = Figure(figsize=(11, 1.5 + 0.62 * lines), layout="constrained")
    accuracy, differences = figure.subplots(1, 2)

    _rows(accuracy, arms, [arm["top1"] for arm in arms], [arm["name"] for arm in arms])
    accuracy.set_title(f"{results['study']}: right on validation images", loc="left", color=INK)
    accuracy.set_xlabel("per cent; a dot is a seed, the diamond their mean, the bar its 95 % interval")

    labels = [f"{claim['of']} − {claim['against']}{_when(claim)}\n{claim['verdict']}" for claim in claims]
    _rows(differences, claims, [claim["differences"] for claim in claims], labels)
    for line, claim in enumerate(claims):  # what the claim says does not matter
        differences.barh(line, 200 * claim["margin"], left=-100 * claim["margin"], height=0.7, color=GRID, zorder=0)
    differences.use_sticky_edges = False
    differences.axvline(0, color=INK, lw=0.9, zorder=1)
    differences.set_title("difference, seed by seed", loc="left", color=INK)
    gray = "; gray does not matter" if any(claim["margin"] for claim in claims) else ""
    differences.set_xlabel(f"percentage points{gray}")
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))


def _rows(axes: Axes, entries: Sequence[dict[str, Any]], values: Sequence[Sequence[float]], labels: list[str]) -> None:
    """One line for each entry of `entries`: its values as dots, its mean and interval below them."""
    for line, (entry, seeds) in enumerate(zip(entries, values, strict=True)):
        axes.plot([100 * value for value in seeds], [line - 0.14] * len(seeds), "o", color=BLUE, ms=4.5, alpha=0.75)
        low, mean, high = (100 * entry[name] for name in ("low", "mean", "high"))
        axes.plot([low, high], [line + 0.14] * 2, color=ORANGE, lw=2.2, solid_capstyle="round")
        axes.plot(mean, line + 0.14, "D", color=ORANGE, ms=5.5)
    axes.set_yticks(range(len(entries)), labels)
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _when(claim: dict[str, Any]) -> str:
    return f", after {claim['at']:.0%}" if claim["at"] < 1 else ""
