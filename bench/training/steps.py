"""Training steps against torchvision's network in a plain loop.

    python -m bench steps [BATCH [SIZE]]

The peer is torchvision's own GoogLeNet in its reference loop (SGD), with the auxiliary losses added that its script
cannot take; the same batch, size and losses. Ours is the same network from its table. The ratio to go by is that of
ours in bf16 to the peer in bf16 and channels last, as ours is. The reference loop itself is in float32 and torch's
usual layout; the ratio to it stands beside. Every way has a process of its own, and they take turns; a ratio is the
median of the rounds' ratios.
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

WARM, ROUNDS = 4, 12
REFERENCE, LIKE, OURS = "torchvision's reference loop", "the same, channels last and bf16", "ours, bf16"
PROFILED = ("aten::mkldnn_convolution", "aten::convolution_backward")
COUNTED = (torch.ops.aten.convolution, torch.ops.aten.convolution_backward)
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
RECIPE = SCRATCH.replace(net="googlenet_tv", epochs=1, label_smoothing=0.0, ema_decay=0.0, nesterov=False)


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
    """A step of our loop on the same network, in channels last."""
    torch.manual_seed(0)
    recipe = RECIPE.replace(precision=precision, compile=compile)
    model = Model(get_network("googlenet_tv"), 1000, aux=True).to(memory_format=torch.channels_last)
    classifier = Classifier.of(model.to(best_device()), default_preprocessing(224), [str(n) for n in range(1000)])
    world = DistributedContext(0, 1, best_device())
    task, optimizer = Classification(classifier.classes), build_optimizer(model, recipe)
    step = TrainStep(classifier, optimizer, recipe, task, torch.ones(1000), world)
    return lambda images, labels: float(step(images, labels, len(labels), 0.01, 1))


WAYS = {
    REFERENCE: partial(theirs, bf16=False, channels_last=False),
    "the same, channels last": partial(theirs, bf16=False, channels_last=True),
    LIKE: partial(theirs, bf16=True, channels_last=True),
    "ours, fp32": partial(ours, "fp32"),
    OURS: partial(ours, "bf16"),
    "ours, bf16, compiled": partial(ours, "bf16", compile=True),
}


def stepping(way: str, batch: int, size: int, asked: Connection) -> None:
    """A process that answers "step" with the seconds of one, and "convolutions" with what they take of it."""
    images = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.randint(0, 1000, (batch,))
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


def run(batch: str = "32", size: str = "224") -> Record:
    context = multiprocessing.get_context("spawn")
    asking: dict[str, Connection] = {}
    for way in WAYS:
        asking[way], answering = context.Pipe()
        context.Process(target=stepping, args=(way, int(batch), int(size), answering), daemon=True).start()
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

    def ratio(peer: str, times: list[float]) -> float:
        return median(theirs / own for theirs, own in zip(seconds[peer], times, strict=True))

    rows = [
        {"way": way, "images_per_second": int(batch) / median(times)}
        | {"like_ratio": ratio(LIKE, times), "ratio": ratio(REFERENCE, times)}
        for way, times in seconds.items()
    ]
    return {"n": {"rounds": ROUNDS}, "batch": int(batch), "size": int(size), "rows": rows, "convolutions": parts}


def render(record: Record) -> str:
    rows = {row["way"]: row for row in record["rows"]}
    for row in rows.values():  # older records have no ratios of the rounds to this peer
        row.setdefault("like_ratio", row["images_per_second"] / rows[LIKE]["images_per_second"])
    like, flattering = rows[OURS]["like_ratio"], rows[OURS]["ratio"]
    fraction, of_peak = record["convolutions"]["share"], record["convolutions"]["of_peak"]
    parts = [f"## Training steps, batch {record['batch']} at {record['size']}\n\n`{command(record)}`\n"]
    parts.append(
        f"In the same precision and layout, ours takes {like:.2f} times the steps of torchvision's network in a plain "
        f"loop. Against its reference loop, which is in fp32 and contiguous, that is {flattering:.2f} times; bf16 and "
        f"channels last alone are {rows[LIKE]['ratio']:.2f} times.\n"
    )
    parts.append("| code | images/s | times bf16, channels last | times fp32, contiguous |\n| --- | --- | --- | --- |")
    parts += [
        f"| {way} | {row['images_per_second']:.1f} | {row['like_ratio']:.2f} | {row['ratio']:.2f} |"
        for way, row in rows.items()
    ]
    parts.append(
        f"\nConvolutions take {fraction:.0%} of our step in bf16 and reach {of_peak:.0%} of this processor's best "
        f"matrix product. With nothing else in the step, the ratios would be {like / fraction:.1f} and "
        f"{flattering / fraction:.1f}. The target for the second is 2.5."
    )
    return "\n".join(parts)
