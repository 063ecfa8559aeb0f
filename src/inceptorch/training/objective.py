"""What training minimises."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inceptorch.data import Split
from inceptorch.models.module import Model
from inceptorch.recipes import Recipe


class Objective(nn.Module):
    """The loss of each picture of a batch [N]: that of the network's answer plus that of each auxiliary head, whose share is
    `aux_weight` (arXiv:1409.4842 section 5). A module, so that DDP and torch.compile see one forward pass.

    `weights` [classes] multiply the losses of the pictures of each class.
    """

    weights: Tensor

    def __init__(self, model: Model, recipe: Recipe, weights: Tensor):
        super().__init__()
        self.model = model
        self.aux = [f"aux.{name}" for name in model.aux]
        self.aux_weight = recipe.aux_weight
        self.label_smoothing = recipe.label_smoothing
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, x: Tensor, targets: Tensor) -> Tensor:
        """Losses [N] for scaled pictures [N, C, H, W]; `targets` are labels [N] or shares of the classes [N, classes]."""
        logits, taps = self.model.taps(x, self.aux)
        losses = self._losses(logits, targets)
        for name in self.aux:
            losses = losses + self.aux_weight * self._losses(taps[name], targets)
        return losses * ((targets * self.weights).sum(1) if targets.is_floating_point() else self.weights[targets])

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)

    @property
    def of_chance(self) -> float:
        """The loss of a network that finds every class as likely as every other."""
        return float((1 + self.aux_weight * len(self.aux)) * torch.tensor(self.model.num_classes).log())


def class_weights(split: Split, recipe: Recipe) -> Tensor:
    """The weight of each class [classes]: one over its number of pictures, to the power `balance`, scaled so that the
    pictures' mean is 1."""
    counts = torch.tensor(list(split.counts().values()), dtype=torch.float64).clamp(min=1)
    weights = counts**-recipe.balance
    return (weights * counts.sum() / (weights * counts).sum()).float()
