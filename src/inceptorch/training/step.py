"""One step of the optimiser: a batch of uint8 pictures in, the weights moved, the loss out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from inceptorch.classifier.classifier import Classifier
from inceptorch.models.normalize import Scale
from inceptorch.recipes import Recipe
from inceptorch.runtime.distributed import Processes
from inceptorch.training.mixing import mix
from inceptorch.training.objective import Objective
from inceptorch.utils.cpu import cpuinfo


class Step:
    """The step of a recipe on a classifier. Every random draw in it depends on the seed it is given, not on what ran
    before."""

    def __init__(self, classifier: Classifier, optimizer: Optimizer, recipe: Recipe, weights: Tensor, world: Processes):
        self.classifier = classifier
        self.optimizer = optimizer
        self.recipe = recipe
        self.world = world
        self.bf16 = precision(recipe, world.device) == "bf16"
        self.scale = Scale(classifier.pixels).to(world.device)
        objective = Objective(classifier.model, recipe, weights).to(world.device)
        self.of_chance = objective.of_chance
        self.objective = world.wrap(objective)
        if recipe.compile:
            self.objective.compile()
        self._to_training()

    def __call__(self, pictures: Tensor, labels: Tensor, whole: int, lr: float, seed: int) -> Tensor:
        """Move the weights by this process's part, uint8 [N, 3, S, S] and labels [N], of a step of `whole` pictures;
        returns the sum of the part's losses over `whole`, float64 [], on the device."""
        pictures = pictures.to(self.world.device, non_blocking=True)
        labels = labels.to(self.world.device, non_blocking=True)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["share"]
        seed_step(seed)
        if not self.classifier.model.training:  # it was judged
            self._to_training()
        self.optimizer.zero_grad()
        # By the whole step's size, so that all processes go through the network as often.
        parts = min(self.recipe.accumulate, whole // self.world.count // 2) or 1
        loss = torch.zeros((), dtype=torch.float64, device=self.world.device)
        for number, (x, y) in enumerate(zip(pictures.tensor_split(parts), labels.tensor_split(parts), strict=True), 1):
            wrapped = self.objective if number < parts else None  # the last part sends the gradients of all
            with wrapped.no_sync() if isinstance(wrapped, DistributedDataParallel) else nullcontext():
                loss += self._backward(x, y, 1 / whole, seed + number)
        if self.recipe.clip:
            torch.nn.utils.clip_grad_norm_(self.classifier.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        return loss

    def _to_training(self) -> None:
        model = self.classifier.model
        model.train()
        for row in model.body[: self.recipe.frozen_rows(model.net)]:
            row.eval()  # batch normalisation's statistics stay too

    def _backward(self, pictures: Tensor, labels: Tensor, weight: float, seed: int) -> Tensor:
        """Add to the gradients those of some pictures, each of which has this weight."""
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=self.bf16):
            x, targets = mix(self.scale(pictures), labels, self.classifier.model.num_classes, self.recipe, seed)
            loss = self.objective(x, targets).sum() * weight
        (loss * self.world.count).backward()  # DDP averages over the processes
        done: Tensor = loss.detach().double()
        return done


@contextmanager
def only_deterministic(wanted: bool) -> Iterator[None]:
    """If `wanted`, only algorithms that give the same bits again, for a while; whatever has none then raises."""
    before, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.benchmark = benchmark


def seed_step(seed: int) -> None:
    """Seed what the network draws from, on the CPU and on GPUs."""
    torch.default_generator.manual_seed(seed)  # not torch.manual_seed, which can keep a stack trace of every call
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)


def precision(recipe: Recipe, device: torch.device) -> Literal["fp32", "bf16"]:
    """bf16 or fp32. `auto` takes bf16 only where the processor computes in it, not where it is emulated."""
    if recipe.precision != "auto":
        return recipe.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    flags = cpuinfo("flags").split()
    return "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "fp32"
