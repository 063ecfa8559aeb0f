"""Where the time of a step on small images goes, and how much of the best matrix product it reaches.

    python -m bench roofline

Steps of recipe `scratch-small` on its network and on `googlenet_tiny`, which small images were trained with before, in
batches of 250 and 64 as their recipes have them; and the network's step without the memory that training keeps.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from bench.common import Record, command
from inceptorch.classifier import Classifier
from inceptorch.deployment.peak import peak
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.zoo import get_network
from inceptorch.runtime.device import best_device
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.tasks import Classification
from inceptorch.training.malloc import keep_freed_memory
from inceptorch.training.optimizers import build_optimizer
from inceptorch.training.recipe import RECIPES, Recipe
from inceptorch.training.step import TrainStep

WARM, ROUNDS = 3, 8
KINDS = {  # of torch's operators, by what their names hold
    "convolutions": ("mkldnn_convolution", "convolution_backward"),
    "normalization": ("batch_norm",),
    "pooling": ("pool",),
    "ReLU": ("relu", "threshold_backward", "clamp"),
    "concatenation": ("aten::cat", "narrow", "slice"),
    "matrix products (Muon, classifier)": ("aten::mm", "aten::addmm", "aten::linear"),
}
SMALL, BEFORE = RECIPES["scratch-small"], RECIPES["scratch"].replace(net="googlenet_tiny", batch_size=64)
Memory = Callable[[], AbstractContextManager[None]]
CASES: dict[str, tuple[Recipe, int, Memory]] = {
    "inception_32 at 32 pixels": (SMALL, 32, keep_freed_memory),
    "inception_32 at 24 pixels": (SMALL, 24, keep_freed_memory),
    "inception_32 at 32 pixels, memory not kept": (SMALL, 32, nullcontext),
    "googlenet_tiny at 28 pixels": (BEFORE, 28, keep_freed_memory),
}


def stepping(recipe: Recipe, size: int) -> Callable[[], float]:
    torch.manual_seed(0)
    recipe = recipe.replace(precision="bf16", epochs=1)
    batch = recipe.optimization.batch_size
    model = Model(get_network(recipe.model.net), 10, size=32).to(memory_format=torch.channels_last)
    classifier = Classifier.of(model.to(best_device()), default_preprocessing(32), [str(n) for n in range(10)])
    task, optimizer = Classification(classifier.classes), build_optimizer(model, recipe)
    step = TrainStep(classifier, optimizer, recipe, task, torch.ones(10), DistributedContext(0, 1, best_device()))
    images = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.randint(0, 10, (batch,))

    def timed() -> float:
        began = time.perf_counter()
        float(step(images, labels, batch, recipe.optimization.lr / 10, 1))
        return time.perf_counter() - began

    return timed


def measured(recipe: Recipe, size: int, memory: Memory) -> Record:
    """Seconds of a step, its operations, and the seconds of every kind of operator."""
    with memory():
        step = stepping(recipe, size)
        for _ in range(WARM):
            step()
        with FlopCounterMode(display=False) as counter:
            step()
        seconds = median(step() for _ in range(ROUNDS))
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            whole = step()
    rows = [(row.key, row.self_cpu_time_total / 1e6) for row in profiler.key_averages()]
    shares = {
        kind: sum(own for key, own in rows if any(word in key for word in words)) / whole
        for kind, words in KINDS.items()
    }
    counts = {str(name): count for name, count in counter.get_flop_counts()["Global"].items()}
    convolved = sum(count for name, count in counts.items() if "convolution" in name)
    best = peak("bf16")
    return {
        "images_per_second": recipe.optimization.batch_size / seconds,
        "of_peak": counter.get_total_flops() / seconds / best if best else None,
        "convolutions_of_peak": convolved / (shares["convolutions"] * seconds) / best if best else None,
        "shares": shares | {"everything else": max(0.0, 1 - sum(shares.values()))},
    }


def run() -> Record:
    rows = [{"step": name, **measured(*case)} for name, case in CASES.items()]
    return {"n": {"rounds": ROUNDS}, "rows": rows}


def render(record: Record) -> str:
    rows = record["rows"]
    parts = [f"## Steps on small images\n\n`{command(record)}`: bf16, the recipes' batches\n"]
    kinds = list(rows[0]["shares"])
    parts.append("| step | images/s | of the best product | convolutions alone |\n| --- | ---: | ---: | ---: |")
    for row in rows:
        reached = [f"{row[key]:.0%}" if row[key] else "unknown" for key in ("of_peak", "convolutions_of_peak")]
        parts.append(f"| {row['step']} | {row['images_per_second']:.0f} | {' | '.join(reached)} |")
    parts.append(f"\nShare of the time:\n\n| step | {' | '.join(kinds)} |\n| --- |{' ---: |' * len(kinds)}")
    for row in rows:
        shares = [f"{row['shares'][kind]:.0%}" for kind in kinds]
        parts.append(f"| {row['step']} | {' | '.join(shares)} |")
    return "\n".join(parts) + "\n"
