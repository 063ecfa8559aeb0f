"""What the training loop costs beside data and model.

The epoch of a real run, less the time it waited for images, against the same number of bare steps (forward,
backward, the optimizer's step) on batches that are there already. The two take turns; a share is the median of the
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
from inceptorch.data.augment import derive_seed
from inceptorch.models.normalize import Normalize
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.training.checkpoint import TrainState
from inceptorch.training.malloc import keep_freed_memory
from inceptorch.training.recipe import SCRATCH, with_values
from inceptorch.training.setup import Overrides, TrainingContext, TrainRequest, new_run, setup
from inceptorch.training.step import TrainStep, seed_step
from inceptorch.training.trainer import Trainer
from inceptorch.utils.progress import Progress

ROUNDS = 9
SHARES = ("overhead", "overhead_without_averaging")
CASES = {
    "googlenet_bn at 224, batch 32": {"net": "googlenet_bn", "size": 224, "batch": 32, "steps": 12},
    "googlenet_small at 28, batch 64": {"net": "googlenet_small", "size": 28, "batch": 64, "steps": 30},
}


def write_images(folder: Path, count: int, side: int) -> None:
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / "train" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    (folder / "val").symlink_to(folder / "train")


def bare(context: TrainingContext, step: TrainStep, batch: tuple[torch.Tensor, torch.Tensor], steps: int) -> float:
    """Seconds of so many steps without anything around them."""
    recipe, model = context.run.recipe, context.classifier.model
    scale, aux = Normalize(context.classifier.preprocessing), [f"aux.{name}" for name in model.aux]
    images, labels = batch
    model.train()
    began = time.perf_counter()
    for number in range(steps):
        seed_step(derive_seed(0, 0, number))
        with torch.autocast("cpu", torch.bfloat16, enabled=step.bf16):
            features, outputs = (
                model.forward_intermediates(scale(images), aux) if aux else (model.forward_features(scale(images)), [])
            )
            smoothing = recipe.optimization.label_smoothing
            loss = F.cross_entropy(model.forward_head(features), labels, label_smoothing=smoothing)
            for output in outputs:
                loss = loss + recipe.optimization.aux_loss_weight * F.cross_entropy(
                    output, labels, label_smoothing=smoothing
                )
        step.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        step.optimizer.step()
    return time.perf_counter() - began


def measure(net: str, size: int, batch: int, steps: int) -> Record:
    quiet, world = Progress(quiet=True), DistributedContext(0, 1, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder, keep_freed_memory():
        write_images(Path(folder) / "data", batch * steps, size)
        values = {"net": net, "size": size, "batch_size": batch, "epochs": 100, "lr": 1e-6, "aux_loss_weight": 0.3}
        recipe = with_values(SCRATCH, values)
        request = TrainRequest(f"{folder}/data", f"{folder}/run", recipe=recipe)
        context = setup(new_run(request, world), Overrides(), quiet)
        context.run.begin(context.train, context.val)
        trainer = Trainer(context, world, quiet)
        assert trainer.average is not None
        weights = trainer.task.class_weights(context.train, trainer.recipe.optimization.class_weight_power)
        parts = (context.classifier, trainer.optimizer, trainer.recipe, trainer.task, weights, world)
        step = trainer.step = TrainStep(*parts)
        fixed = (
            torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8).permute(0, 3, 1, 2),
            torch.zeros(batch, dtype=torch.long),
        )

        rounds = []
        for number in range(ROUNDS + 1):
            trainer.state = TrainState(epoch=number)
            began = time.perf_counter()
            row = trainer.train_epoch()
            whole = time.perf_counter() - began
            loop = whole * (1 - row["data_wait_fraction"])
            alone = bare(context, step, fixed, steps)
            began = time.perf_counter()
            for _ in range(steps):
                trainer.average.update()
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
    rounds = rounds[1:]  # the first is slower for everyone
    spread = {f"{name}_range": sorted(one[name] for one in rounds)[:: len(rounds) - 1] for name in SHARES}
    return {name: median(one[name] for one in rounds) for name in rounds[0]} | spread


def run() -> Record:
    rows = [{"case": name, **measure(**case)} for name, case in CASES.items()]  # type: ignore[arg-type]
    return {"n": {"rounds": ROUNDS}, "rows": rows}


def render(record: Record) -> str:
    parts = [f"## Overhead of the training loop\n\n`{command(record)}`\n"]
    parts.append(
        "Fractions of the epoch, medians of the rounds and in brackets their range. Rounds differ by more than the "
        "loop costs: a negative fraction is noise, and so is a positive one of its size.\n"
    )
    parts.append("| case | the whole loop | without EMA |\n| --- | --- | --- |")
    for row in record["rows"]:
        cells = (f"{row[share]:.1%} ({in_words(row.get(f'{share}_range'))})" for share in SHARES)
        parts.append(f"| {row['case']} | {' | '.join(cells)} |")
    return "\n".join(parts)


def in_words(bounds: list[float] | None) -> str:
    return f"{bounds[0]:.1%} to {bounds[1]:.1%}" if bounds else "range not recorded"
