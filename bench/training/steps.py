"""Training steps against torchvision's reference recipe.

The peer is torchvision's own GoogLeNet in its reference loop (float32, SGD), with the auxiliary losses added that
its script cannot take; the same batch, size and losses. Ours is the same network from its table, in the recipe's
precision. Every way has a process of its own, and they take turns; a ratio is the median of the rounds' ratios.
`convolutions` is the fraction of our step that they take, which nothing around them makes shorter, and what they
reach of this processor's best matrix product.
"""

import math
import multiprocessing
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
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
from inceptorch.training.recipe import SCRATCH
from inceptorch.training.step import TrainStep

BATCH, SIZE, WARM, ROUNDS = 32, 224, 4, 12
PEER, OURS = "torchvision's reference loop", "ours, bf16"
PROFILED = ("aten::mkldnn_convolution", "aten::convolution_backward")
COUNTED = (torch.ops.aten.convolution, torch.ops.aten.convolution_backward)
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
RECIPE = SCRATCH.replace(
    net="googlenet_tv", batch_size=BATCH, epochs=1, label_smoothing=0.0, ema_decay=0.0, nesterov=False
)


def theirs(bf16: bool, channels_last: bool) -> Callable[[Tensor, Tensor], Any]:
    """A step of torchvision's loop on its network, from the uint8 batch that its transforms normalize."""
    torch.manual_seed(0)
    device = best_device()
    model = torchvision.models.googlenet(weights=None, aux_logits=True, init_weights=False).to(device).train()
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()

    def step(images: Tensor, labels: Tensor) -> float:
        x, y = ((images.float() / 255 - MEAN) / STD).to(device), labels.to(device)
        if channels_last:
            x = x.to(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            out = model(x)
            loss = criterion(out.logits, y) + 0.3 * (criterion(out.aux_logits1, y) + criterion(out.aux_logits2, y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def ours(precision: str, compile: bool = False) -> Callable[[Tensor, Tensor], Any]:
    """A step of our loop on the same network."""
    torch.manual_seed(0)
    recipe = RECIPE.replace(precision=precision, compile=compile)
    model = Model(get_network("googlenet_tv"), 1000, aux=True).to(memory_format=torch.channels_last)
    classifier = Classifier.of(model.to(best_device()), default_preprocessing(SIZE), [str(n) for n in range(1000)])
    world = DistributedContext(0, 1, best_device())
    task, optimizer = Classification(classifier.classes), build_optimizer(model, recipe)
    step = TrainStep(classifier, optimizer, recipe, task, torch.ones(1000), world)
    return lambda images, labels: float(step(images, labels, BATCH, 0.01, 1))


WAYS = {
    PEER: partial(theirs, bf16=False, channels_last=False),
    "the same, channels last and bf16": partial(theirs, bf16=True, channels_last=True),
    "ours, fp32": partial(ours, "fp32"),
    OURS: partial(ours, "bf16"),
    "ours, bf16, compiled": partial(ours, "bf16", compile=True),
}


def stepping(way: str, asked: Connection) -> None:
    """A process that answers "step" with the seconds of one, and "convolutions" with what they take of it."""
    images = torch.randint(0, 256, (BATCH, SIZE, SIZE, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.randint(0, 1000, (BATCH,))
    with keep_freed_memory() if way.startswith("ours") else nullcontext():
        step = partial(WAYS[way](), images, labels)
        for _ in range(WARM):
            step()
        asked.send("ready")
        while (word := asked.recv()) != "end":
            asked.send(timed(step) if word == "step" else convolutions(step))


def timed(step: Callable[[], Any]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def convolutions(step: Callable[[], Any]) -> dict[str, float]:
    """The share of a step's seconds that its convolutions take, and how much of this processor's peak they reach."""
    with FlopCounterMode(display=False) as counter:
        step()
    operations = sum(counter.get_flop_counts()["Global"].get(each, 0) for each in COUNTED)
    shares, rates = [], []
    for _ in range(ROUNDS):
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            whole = timed(step)
        rows = profiler.key_averages()
        own = sum(row.self_cpu_time_total for row in rows if row.key in PROFILED) / 1e6
        shares.append(own / whole)
        rates.append(operations / own)
    return {"share": median(shares), "of_peak": median(rates) / (peak("bf16") or math.nan)}


def run() -> Record:
    context = multiprocessing.get_context("spawn")
    asking: dict[str, Connection] = {}
    for way in WAYS:
        asking[way], answering = context.Pipe()
        context.Process(target=stepping, args=(way, answering), daemon=True).start()
        answering.close()  # else nobody would hear of its death
        asking[way].recv()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, pipe in asking.items():
            pipe.send("step")
            seconds[way].append(pipe.recv())
    asking[OURS].send("convolutions")
    parts = asking[OURS].recv()
    for pipe in asking.values():
        pipe.send("end")
    rows = [
        {
            "way": way,
            "images_per_second": BATCH / median(times),
            "ratio": median(peer / own for peer, own in zip(seconds[PEER], times, strict=True)),
        }
        for way, times in seconds.items()
    ]
    return {"n": {"rounds": ROUNDS}, "batch": BATCH, "size": SIZE, "rows": rows, "convolutions": parts}


def render(record: Record) -> str:
    parts = [f"## Training steps, batch {record['batch']} at {record['size']}\n\n`{command(record)}`\n"]
    parts.append("| code | images/s | ratio |\n| --- | --- | --- |")
    parts += [f"| {row['way']} | {row['images_per_second']:.1f} | {row['ratio']:.2f} |" for row in record["rows"]]
    ratio = next(row["ratio"] for row in record["rows"] if row["way"] == OURS)
    fraction, of_peak = record["convolutions"]["share"], record["convolutions"]["of_peak"]
    parts.append(
        f"\nThe target is 2.5. Convolutions take {fraction:.0%} of our step in bf16 and reach {of_peak:.0%} of this "
        f"processor's best matrix product. With nothing else in the step, the ratio would be {ratio / fraction:.1f}."
    )
    return "\n".join(parts)
