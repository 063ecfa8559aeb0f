"""What is fastest on this machine: measured on request, remembered, and otherwise what the processor says of itself."""

from __future__ import annotations

import copy
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal

import torch
from torch import Tensor

from inceptorch.bundle import Classifier
from inceptorch.data import Split
from inceptorch.data.augment import Augmented
from inceptorch.files import keep_measured, read_measured
from inceptorch.processes import Processes
from inceptorch.progress import Progress
from inceptorch.recipes import Recipe
from inceptorch.training.objective import class_weights
from inceptorch.training.optimizers import optimizer_for
from inceptorch.training.schedule import side
from inceptorch.training.step import Step, precision

Precision = Literal["fp32", "bf16"]
Compile = Literal["never", "always"]
KINDS: tuple[tuple[Precision, Compile], ...] = (
    ("fp32", "never"),
    ("bf16", "never"),
    ("fp32", "always"),
    ("bf16", "always"),
)
FILE = "steps.json"
STEPS = 4  # timed, of each way
WORTH = 2.0  # compiling must save this many times what it costs


@dataclass(frozen=True)
class Way:
    """One way to compute a step, how many pictures it takes in a second, and the seconds its first step takes longer."""

    precision: Precision
    compile: Compile
    pictures_per_second: float
    start: float


def measure_ways(
    classifier: Classifier, split: Split, recipe: Recipe, world: Processes, progress: Progress
) -> list[Way]:
    """Time every way to compute a recipe's steps on a batch of these pictures, and remember the result for this network,
    size, batch and machine; the fastest first."""
    data = Augmented(split, classifier.pixels, recipe, seed=0)
    data.side = side(recipe, classifier.pixels.size, recipe.epochs - 1)
    batch = data.__getitems__(list(range(min(recipe.batch, len(split)))))[:2]
    ways = []
    for bits, compiled in progress.track(KINDS, len(KINDS), "measuring steps"):
        try:
            ways.append(_measured(classifier, split, replace(recipe, precision=bits, compile=compiled), world, batch))
        except RuntimeError as error:  # compilers fail in many ways, for want of a C++ compiler above all
            if compiled == "never":
                raise
            progress.say(f"{bits}, compiled: does not work here: {' '.join(str(error).split())[:200]}")
    ways.sort(key=lambda way: -way.pictures_per_second)
    keep_measured(FILE, _key(classifier, recipe, world), [asdict(way) for way in ways], progress.say)
    return ways


def _measured(
    classifier: Classifier, split: Split, recipe: Recipe, world: Processes, batch: tuple[Tensor, Tensor]
) -> Way:
    """The speed of one way, on a copy of the model."""
    pictures, labels = batch
    one = replace(classifier, model=copy.deepcopy(classifier.model).to(world.device))
    step = Step(one, optimizer_for(one.model, recipe), recipe, class_weights(split, recipe), world)
    times = []
    for number in range(STEPS + 2):
        began = time.perf_counter()
        float(step(pictures, labels, len(labels), 0.0, number))
        times.append(time.perf_counter() - began)
    usual = median(times[2:])
    assert recipe.precision != "auto"
    assert recipe.compile != "auto"
    return Way(recipe.precision, recipe.compile, len(labels) / usual, sum(times[:2]) - 2 * usual)


def in_the_fastest_way(recipe: Recipe, classifier: Classifier, pictures: int, world: Processes) -> Recipe:
    """The recipe with "auto" decided for a run on so many pictures: by what was measured for it here, else bf16 where the
    processor computes in it, and never compiled."""
    with suppress(KeyError, TypeError, ValueError):
        ways = [Way(**way) for way in read_measured(FILE)[_key(classifier, recipe, world)]]
        plain = [way for way in ways if way.compile == "never" and recipe.precision in ("auto", way.precision)]
        best = max(plain, key=lambda way: way.pictures_per_second)
        for way in ways:
            saved = recipe.epochs * pictures * (1 / best.pictures_per_second - 1 / way.pictures_per_second)
            if recipe.compile == "auto" and way.precision == best.precision and saved > WORTH * max(way.start, 1):
                best = way
        compiled = best.compile if recipe.compile == "auto" else recipe.compile
        return replace(recipe, precision=best.precision, compile=compiled)
    compiled = "never" if recipe.compile == "auto" else recipe.compile
    return replace(recipe, precision=precision(recipe, world.device), compile=compiled)


def _key(classifier: Classifier, recipe: Recipe, world: Processes) -> str:
    """What a measurement holds for."""
    if world.device.type == "cuda":
        processor = torch.cuda.get_device_name(world.device)
    else:
        processor = f"{platform.processor() or platform.machine()} with {torch.get_num_threads()} threads"
        with suppress(OSError, StopIteration):
            lines = Path("/proc/cpuinfo").read_text().splitlines()
            processor = f"{next(line for line in lines if line.startswith('model name')).split(': ')[1]}, {processor}"
    batch = -(-recipe.batch // world.count // recipe.accumulate)
    net = f"{classifier.model.net.name} at {classifier.pixels.size}, batch {batch}"
    return f"{net}, torch {torch.__version__}, {processor}"
