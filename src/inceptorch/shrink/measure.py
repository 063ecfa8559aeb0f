"""A classifier before and after each step: its cost, its accuracy, and its time on the fastest engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.config import WEIGHTS
from inceptorch.deployment.compare import graph_engines
from inceptorch.deployment.quantize import quantize_graph
from inceptorch.inference.engines import Engine
from inceptorch.inference.engines.factory import graph_of, open_engine, open_graph
from inceptorch.inference.engines.formats import installed
from inceptorch.inference.engines.timing import latencies
from inceptorch.utils.files import atomic_write
from inceptorch.utils.plots import BLUE, GRID, INK, ORANGE, shortened, unicode_fonts
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CALLS = 30  # of one image each, of which the median is taken
INT8_IMAGES = 16  # for calibration, which matters to accuracy and not to time


@dataclass(frozen=True)
class Step:
    """One step. `cost` is a fraction of the original's multiply-adds, `top1` the accuracy on the validation images in
    fp32. Milliseconds are those of one image on the fastest engine in each precision; MB those of the weights in fp32,
    and of the exported file in int8. None where what int8 needs is not installed."""

    step: str
    cost: float
    macs: int
    params: int
    top1: float
    ms_fp32: float
    engine_fp32: str
    mb_fp32: float
    ms_int8: float | None
    engine_int8: str | None
    mb_int8: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_step(
    name: str,
    folder: Path,
    classifier: Classifier,
    whole: int,
    top1: float,
    crops: NDArray[np.uint8],
    progress: Progress,
) -> Step:
    """The measured step of the classifier in a bundle; `whole` are the multiply-adds of the original, and `crops`
    uint8 images [N, S, S, 3]."""
    progress.info(f"measuring {name}: top-1 {top1:.2%}")
    macs = classifier.config.macs
    params = sum(layer.params for layer in classifier.config.layer_costs)
    ms_fp32, engine_fp32 = fastest_fp32(folder, crops)
    ms_int8 = engine_int8 = mb_int8 = None
    if can_quantize():
        graph = quantize_graph(graph_of(folder), crops[:INT8_IMAGES], progress)
        engines = [open_graph(graph, "the int8 graph", each, streams=1) for each in graph_engines()]
        ms_int8, engine_int8 = _fastest(engines, crops)
        mb_int8 = len(graph) / 1e6
    mb_fp32 = (folder / WEIGHTS).stat().st_size / 1e6
    return Step(name, macs / whole, macs, params, top1, ms_fp32, engine_fp32, mb_fp32, ms_int8, engine_int8, mb_int8)


def can_quantize() -> bool:
    """Whether what int8 needs is installed."""
    return all(find_spec(name) is not None for name in ("nncf", "onnx")) and bool(graph_engines())


def file_size(folder: Path, crops: NDArray[np.uint8], progress: Progress) -> tuple[float, float]:
    """MB of the int8 file, and of it each parameter's; without NNCF of the bundle in fp32."""
    if can_quantize():
        return len(quantize_graph(graph_of(folder), crops, progress)) / 1e6, 1e-6
    return (folder / WEIGHTS).stat().st_size / 1e6, 4e-6


def fastest_fp32(folder: Path, crops: NDArray[np.uint8]) -> tuple[float, str]:
    """Milliseconds of one image in fp32 on the fastest engine, and its name."""
    names = installed(folder) if find_spec("onnx") is not None else ["torch"]
    return _fastest([open_engine(folder, name, "fp32", streams=1) for name in names], crops)


def _fastest(engines: Sequence[Engine], crops: NDArray[np.uint8]) -> tuple[float, str]:
    return min((1000 * median(latencies(engine, crops[:1], CALLS)), engine.name) for engine in engines)


@unicode_fonts()
def draw_curve(steps: Sequence[Step], title: str, out: Path) -> None:
    """Accuracy over milliseconds, in fp32 and int8, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes: Axes = figure.subplots()
    for precision, color in (("fp32", BLUE), ("int8", ORANGE)):
        points = [(getattr(step, f"ms_{precision}"), 100 * step.top1, step.step) for step in steps]
        points = [point for point in points if point[0] is not None]
        if not points:
            continue
        axes.plot([point[0] for point in points], [point[1] for point in points], "o-", color=color, label=precision)
        for ms, top1, name in points:
            place = (5, -13) if name == "cut" else (5, 5)  # often it lies where the fine-tuned one does
            axes.annotate(name, (ms, top1), xytext=place, textcoords="offset points", fontsize="small", color=INK)
    axes.set_xlim(left=0)
    axes.margins(x=0.15, y=0.12)
    axes.set_title(shortened(title, 70), loc="left", color=INK)
    axes.set_xlabel("ms of one image on the fastest engine")
    axes.set_ylabel("top-1 in fp32, per cent of the validation images")
    axes.legend(frameon=False)
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    atomic_write(out, lambda path: figure.savefig(path, format="png", dpi=120))
