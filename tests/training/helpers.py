"""Small data sets, networks and interruptions for the tests of training."""

import csv
import hashlib
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from inceptorch.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.tasks import Classification
from inceptorch.training import Callback
from inceptorch.training.optimizers import build_optimizer
from inceptorch.training.recipe import SCRATCH, Recipe, with_values
from inceptorch.training.step import TrainStep
from inceptorch.training.trainer import Trainer
from inceptorch.utils.progress import Progress
from tests.conftest import COLORS, TINY

QUIET = Progress(quiet=True)


def digest(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


class Stop(Exception):
    pass


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


SIZE = 16


class Patches(Dataset[tuple[Any, int]]):
    """Noisy images of one color each, as a caller's own data set has them."""

    classes = tuple(COLORS)

    def __init__(self, count: int, seed: int, form: Callable[[np.ndarray[Any, Any]], Any] = Image.fromarray):
        random = np.random.default_rng(seed)
        self.labels = [index % 3 for index in range(count)]
        colors = np.array(list(COLORS.values()))[self.labels]
        noise = random.normal(0, 40, (count, SIZE, SIZE, 3))
        self.images = np.clip(colors[:, None, None] + noise, 0, 255).astype(np.uint8)
        self.form = form

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.form(self.images[index]), self.labels[index]


class Small(nn.Module):
    """A network that no table describes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.layers(x).flatten(1))
        return out


class StopAfter(Callback):
    def __init__(self, steps: int):
        self.left = steps

    def on_step(self, trainer: Trainer, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def plain(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image.resize((SIZE, SIZE)))


def shaken(image: Image.Image) -> Tensor:
    """Draws from all three generators, and gives channels first."""
    import random

    array = np.roll(plain(image), (random.randrange(4), np.random.randint(4)), (0, 1))
    if torch.rand(()) < 0.5:
        array = array[:, ::-1]
    return torch.from_numpy(array.copy()).permute(2, 0, 1)


CPU = torch.device("cpu")


# Without batch normalization and dropout, whose statistics and draws are each process's own.
PLAIN = replace(TINY, name="plain", norm=None, head={"avgpool": TINY.head["avgpool"]}, aux=())


RECIPE = with_values(
    SCRATCH,
    {"net": "plain", "epochs": 30, "batch_size": 8, "precision": "fp32", "ema_decay": 0.5, "crop_scale": (0.5, 1.0)},
)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def torchrun(count: int, *words: object) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    return [*launcher, "--master-port", str(free_port()), "-m", "inceptorch", *map(str, words)]


def gradients(
    net: NetworkSpec, recipe: Recipe, world: DistributedContext, images: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """All gradients of one step in one vector, this process having its share of the images."""
    torch.manual_seed(0)
    model = Model(net, 3, aux=bool(net.aux), size=16)
    classifier = Classifier.of(model, default_preprocessing(16), ["a", "b", "c"])
    weights, task = torch.tensor([0.5, 1.0, 2.0]), Classification(classifier.classes)
    step = TrainStep(classifier, build_optimizer(model, recipe), recipe, task, weights, world)
    mine = world.shard(range(len(labels)))
    step(images[mine], labels[mine], len(labels), 0.0, seed=1)
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (size, 3, 16, 16), dtype=torch.uint8, generator=random)
    return images, torch.randint(0, 3, (size,), generator=random)
