"""Training steps against torchvision's reference recipe: python -m bench.steps

The peer is torchvision's own GoogLeNet in its reference loop (float32, SGD), with the auxiliary losses that its script cannot take
added; the same batch, size and losses. Ours is the same network from its table, in the recipe's precision. Every way has a process
of its own, as whoever runs it has, and they take turns; the ratio is of the medians. `convolutions` is the part of a step that
torch's own convolutions take, which nothing around them can make shorter.
"""

import multiprocessing
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from bench.common import save
from inceptorch.bundle import Classifier
from inceptorch.model import Model, best_device
from inceptorch.nets import net
from inceptorch.pixels import contract
from inceptorch.processes import Processes
from inceptorch.recipes import SCRATCH
from inceptorch.training.memory import memory_kept
from inceptorch.training.optimizers import optimizer_for
from inceptorch.training.step import Step

BATCH, SIZE, WARM, ROUNDS = 32, 224, 4, 12
PEER, OURS = "torchvision's reference loop", "ours, bf16"
CONVOLUTIONS = ("aten::mkldnn_convolution", "aten::convolution_backward")
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
RECIPE = replace(SCRATCH, net="googlenet_tv", batch=BATCH, epochs=1, label_smoothing=0.0, ema=0.0, nesterov=False)


def theirs(bf16: bool, channels_last: bool) -> Callable[[Tensor, Tensor], Any]:
    """A step of torchvision's loop on its network, from the uint8 batch that its transforms normalise."""
    torch.manual_seed(0)
    device = best_device()
    model = torchvision.models.googlenet(weights=None, aux_logits=True, init_weights=False).to(device).train()
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()

    def step(pictures: Tensor, labels: Tensor) -> float:
        x, y = ((pictures.float() / 255 - MEAN) / STD).to(device), labels.to(device)
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


def ours(precision: str, compile: str = "never") -> Callable[[Tensor, Tensor], Any]:
    """A step of our loop on the same network."""
    torch.manual_seed(0)
    recipe = replace(RECIPE, precision=precision, compile=compile)  # type: ignore[arg-type]
    model = Model(net("googlenet_tv"), 1000, aux=True).to(memory_format=torch.channels_last)
    classifier = Classifier(model.to(best_device()), contract(SIZE), [str(n) for n in range(1000)])
    world = Processes(0, 1, best_device())
    step = Step(classifier, optimizer_for(model, recipe), recipe, torch.ones(1000), world)
    return lambda pictures, labels: float(step(pictures, labels, BATCH, 0.01, 1))


WAYS = {
    PEER: partial(theirs, bf16=False, channels_last=False),
    "the same, channels last and bf16": partial(theirs, bf16=True, channels_last=True),
    "ours, fp32": partial(ours, "fp32"),
    OURS: partial(ours, "bf16"),
    "ours, bf16, compiled": partial(ours, "bf16", "always"),
}


def stepping(way: str, asked: Connection) -> None:
    """A process that takes a step whenever it is asked, and answers with its seconds; asked for "parts", with those of its
    convolutions."""
    pictures = torch.randint(0, 256, (BATCH, SIZE, SIZE, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.randint(0, 1000, (BATCH,))
    with memory_kept() if way.startswith("ours") else ExitStack():
        step = WAYS[way]()
        for _ in range(WARM):
            step(pictures, labels)
        asked.send("ready")
        while (word := asked.recv()) != "end":
            began = time.perf_counter()
            with profile(activities=[ProfilerActivity.CPU]) if word == "parts" else ExitStack() as profiler:
                step(pictures, labels)
            seconds = time.perf_counter() - began
            if isinstance(profiler, profile):
                rows = profiler.key_averages()
                seconds = sum(row.self_cpu_time_total for row in rows if row.key in CONVOLUTIONS) / 1e6
            asked.send(seconds)


def main() -> None:
    context = multiprocessing.get_context("spawn")
    asking: dict[str, Connection] = {}
    for way in WAYS:
        asking[way], answering = context.Pipe()
        context.Process(target=stepping, args=(way, answering), daemon=True).start()
        asking[way].recv()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, pipe in asking.items():
            pipe.send("step")
            seconds[way].append(pipe.recv())
    convolutions = []
    for _ in range(ROUNDS):
        asking[OURS].send("parts")
        convolutions.append(asking[OURS].recv())
    for pipe in asking.values():
        pipe.send("end")
    peer = median(seconds[PEER])
    rows = [
        {"way": way, "pictures_per_second": BATCH / median(times), "ratio": peer / median(times)}
        for way, times in seconds.items()
    ]
    share = median(convolutions) / median(seconds[OURS])
    save(
        "steps", {"command": "python -m bench.steps", "batch": BATCH, "size": SIZE, "rows": rows, "convolutions": share}
    )


if __name__ == "__main__":
    main()
