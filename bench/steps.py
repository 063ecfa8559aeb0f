"""Training steps against torchvision's reference recipe, and what the loop itself costs: python -m bench.steps

The peer is torchvision's own GoogLeNet in its reference loop (float32, SGD), with the auxiliary losses that its script cannot take
added; the same batch, size and losses. Ours is the same network from its table, in the recipe's precision. Rounds alternate; the
ratio is of the medians.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from bench.common import save
from inceptorch.bundle import Classifier
from inceptorch.model import Model, best_device
from inceptorch.nets import net
from inceptorch.pixels import contract
from inceptorch.processes import Processes
from inceptorch.recipes import SCRATCH
from inceptorch.training.optimizers import optimizer_for
from inceptorch.training.step import Step

BATCH, SIZE, ROUNDS = 32, 224, 6
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


def main() -> None:
    pictures = torch.randint(0, 256, (BATCH, SIZE, SIZE, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.randint(0, 1000, (BATCH,))
    ways = {
        "torchvision's reference loop": theirs(bf16=False, channels_last=False),
        "the same, channels last and bf16": theirs(bf16=True, channels_last=True),
        "ours, fp32": ours("fp32"),
        "ours, bf16": ours("bf16"),
        "ours, bf16, compiled": ours("bf16", "always"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, step in ways.items():
            began = time.perf_counter()
            step(pictures, labels)
            if number:  # the first is slower for everyone
                seconds[name].append(time.perf_counter() - began)
    peer = median(seconds["torchvision's reference loop"])
    rows = [
        {"way": name, "pictures_per_second": BATCH / median(times), "ratio": peer / median(times)}
        for name, times in seconds.items()
    ]
    save("steps", {"command": "python -m bench.steps", "batch": BATCH, "size": SIZE, "rows": rows})


if __name__ == "__main__":
    main()
