"""What the training loop costs beside data and model.

The epoch of a real run, less the time it waited for pictures, against the same number of bare steps (forward,
backward, the optimiser's step) on batches that are there already. The two take turns; a share is the median of the
rounds' shares.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from bench.common import Record, command
from inceptorch.data.augment import key
from inceptorch.models.normalize import Scale
from inceptorch.recipes import SCRATCH, with_values
from inceptorch.runtime.distributed import Processes
from inceptorch.training.averaging import average_for
from inceptorch.training.checkpoint import Progressed
from inceptorch.training.epoch import train_epoch
from inceptorch.training.estimate import Estimate
from inceptorch.training.memory_kept import memory_kept
from inceptorch.training.objective import class_weights
from inceptorch.training.optimizers import optimizer_for
from inceptorch.training.step import Step, seed_step
from inceptorch.training.stopping import Stopping
from inceptorch.training.work import Work, prepared
from inceptorch.utils.progress import Progress

ROUNDS = 9
CASES = {
    "googlenet_bn at 224, batch 32": {"net": "googlenet_bn", "size": 224, "batch": 32, "steps": 12},
    "googlenet_small at 28, batch 64": {"net": "googlenet_small", "size": 28, "batch": 64, "steps": 30},
}


def write_pictures(folder: Path, count: int, side: int) -> None:
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / "train" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    (folder / "val").symlink_to(folder / "train")


def bare(work: Work, step: Step, batch: tuple[torch.Tensor, torch.Tensor], steps: int) -> float:
    """Seconds of so many steps without anything around them."""
    recipe, model = work.run.recipe, work.classifier.model
    scale, aux = Scale(work.classifier.pixels), [f"aux.{name}" for name in model.aux]
    pictures, labels = batch
    model.train()
    began = time.perf_counter()
    for number in range(steps):
        seed_step(key(0, 0, number))
        with torch.autocast("cpu", torch.bfloat16, enabled=step.bf16):
            logits, taps = model.taps(scale(pictures), aux)
            loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
            for name in aux:
                loss = loss + recipe.aux_weight * F.cross_entropy(
                    taps[name], labels, label_smoothing=recipe.label_smoothing
                )
        step.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        step.optimizer.step()
    return time.perf_counter() - began


def measure(net: str, size: int, batch: int, steps: int) -> dict[str, float]:
    quiet, world = Progress(quiet=True), Processes(0, 1, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder, memory_kept():
        write_pictures(Path(folder) / "data", batch * steps, size)
        values = {"net": net, "size": size, "batch": batch, "epochs": 100, "lr": 1e-6, "aux_weight": 0.3}
        recipe = with_values(SCRATCH, values)
        work = prepared(f"{folder}/data", f"{folder}/run", None, None, recipe, 0, world, quiet)
        work.run.begin(work.train, work.held_out)
        model, recipe = work.classifier.model, work.run.recipe
        optimizer, average = optimizer_for(model, recipe), average_for(model, recipe)
        step = Step(work.classifier, optimizer, recipe, class_weights(work.train, recipe), world)
        estimate = Estimate(recipe, size, len(work.train), 1, steps)
        fixed = (
            torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8).permute(0, 3, 1, 2),
            torch.zeros(batch, dtype=torch.long),
        )

        rounds = []
        for number in range(ROUNDS + 1):
            done = Progressed(epoch=number)
            began = time.perf_counter()
            row = train_epoch(work, step, average, done, lambda: None, estimate, Stopping(), quiet)
            whole = time.perf_counter() - began
            loop = whole * (1 - row["waiting"])
            alone = bare(work, step, fixed, steps)
            began = time.perf_counter()
            for _ in range(steps):
                average.update()  # type: ignore[union-attr]
            averaging = time.perf_counter() - began
            rounds.append(
                {
                    "epoch_seconds": whole,
                    "without_waiting": loop,
                    "bare_steps": alone,
                    "averaging": averaging,
                    "overhead": (loop - alone) / whole,
                    "overhead_without_averaging": (loop - alone - averaging) / whole,
                }
            )
    return {name: median(one[name] for one in rounds[1:]) for name in rounds[0]}  # the first is slower for everyone


def run() -> Record:
    rows = [{"case": name, **measure(**case)} for name, case in CASES.items()]  # type: ignore[arg-type]
    return {"n": {"rounds": ROUNDS}, "rows": rows}


def render(record: Record) -> str:
    parts = [f"## What the loop costs beside data and model\n\n`{command(record)}`\n"]
    parts.append("| case | fraction of the epoch | without the weights' running average |\n| --- | --- | --- |")
    for row in record["rows"]:
        parts.append(f"| {row['case']} | {row['overhead']:.1%} | {row['overhead_without_averaging']:.1%} |")
    return "\n".join(parts)
