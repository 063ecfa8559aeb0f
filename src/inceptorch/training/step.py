"""One step of the optimizer: a batch of uint8 images in, the weights moved, the loss out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from inceptorch.classifier import Classifier
from inceptorch.models.detector import Detector
from inceptorch.models.module import Model
from inceptorch.models.normalize import Normalize
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.tasks import Task
from inceptorch.training.distillation import Teacher
from inceptorch.training.loss import LossFunction, TrainLoss
from inceptorch.training.recipe import Recipe
from inceptorch.utils.cpu import cpuinfo


class TrainStep:
    """The step of a recipe on a classifier. Every random draw in it depends on the seed it is given, not on what ran
    before."""

    def __init__(
        self,
        classifier: Classifier,
        optimizer: Optimizer,
        recipe: Recipe,
        task: Task,
        class_weights: Tensor,
        world: DistributedContext,
        loss: LossFunction | None = None,
        teacher: Teacher | None = None,
    ):
        self.model: nn.Module = classifier.model
        self.optimizer = optimizer
        self.recipe = recipe
        self.task = task
        self.world = world
        self.bf16 = precision(recipe, world.device) == "bf16"
        self.normalize = Normalize(classifier.preprocessing).to(world.device)
        train_loss = TrainLoss(self.model, task, recipe, class_weights, loss).to(world.device)
        self.chance_loss = train_loss.chance_loss if teacher is None else None
        self.teacher = teacher.to(world.device) if teacher is not None else None
        self.train_loss = world.wrap(train_loss)
        if recipe.runtime.compile:
            self.train_loss.compile()
        self._set_train_mode()

    def __call__(self, images: Tensor, targets: Tensor, global_batch_size: int, lr: float, seed: int) -> Tensor:
        """Move the weights by this process's part of a step of `global_batch_size` images: uint8 [N, 3, H, W], or maps
        of a frozen body [N, numbers], and targets [N, ...]. Returns the sum of the part's losses over that size,
        float64 [], on the device."""
        images = images.to(self.world.device, non_blocking=True)
        targets = targets.to(self.world.device, non_blocking=True)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        seed_step(seed)
        if not self.model.training:  # it was evaluated
            self._set_train_mode()
        self.model.zero_grad()  # also what the optimizer does not move, or clipping would see a growing gradient
        # By the whole step's size, so that all processes go through the network as often.
        parts = min(self.recipe.optimization.grad_accum_steps, global_batch_size // self.world.count // 2) or 1
        loss = torch.zeros((), dtype=torch.float64, device=self.world.device)
        for number, (x, y) in enumerate(zip(images.tensor_split(parts), targets.tensor_split(parts), strict=True), 1):
            wrapped = self.train_loss if number < parts else None  # the last part sends the gradients of all
            with wrapped.no_sync() if isinstance(wrapped, DistributedDataParallel) else nullcontext():
                loss += self._backward(x, y, 1 / global_batch_size, seed + number)
        if self.recipe.optimization.clip_grad_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optimization.clip_grad_norm)
        self.optimizer.step()
        return loss

    def _set_train_mode(self) -> None:
        self.model.train()
        if isinstance(self.model, Model | Detector):
            for layer in self.model.body[: self.recipe.optimization.frozen_layers(self.model.net)]:
                layer.eval()  # batch normalization's statistics stay too

    def _backward(self, images: Tensor, targets: Tensor, weight: float, seed: int) -> Tensor:
        """Add to the gradients those of some images, each of which has this weight."""
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=self.bf16):
            x = self.normalize(images) if images.dtype == torch.uint8 else images.float()
            x, targets = self.task.mix(x, targets, self.recipe.augmentation, seed)
            # Outside of the loss's module, whose parameters are the student's alone.
            teacher = () if self.teacher is None else (self.teacher.logits(x),)
            loss = self.train_loss(x, targets, *teacher).sum() * weight
        (loss * self.world.count).backward()  # DDP averages over the processes
        done: Tensor = loss.detach().double()
        return done


@contextmanager
def deterministic_mode(enabled: bool) -> Iterator[None]:
    """Within this context, if enabled, only deterministic algorithms; an operation without one raises."""
    before, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if enabled:
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
    if recipe.runtime.precision != "auto":
        return recipe.runtime.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    flags = cpuinfo("flags").split()
    return "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "fp32"
