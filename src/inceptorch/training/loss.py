"""The loss that training minimizes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from inceptorch.errors import RunError
from inceptorch.models.module import Model
from inceptorch.tasks import Task
from inceptorch.training.distillation import distillation_loss
from inceptorch.training.recipe import Recipe

LossFunction = Callable[[Tensor, Tensor], Tensor]  # of logits and targets: one number, or one for each image


class TrainLoss(nn.Module):
    """Losses [N] of a batch: of the network's output, plus `aux_loss_weight` times those of the auxiliary heads
    (arXiv:1409.4842 section 5). A module, so that DDP and torch.compile see one forward pass.

    `class_weights` [classes] multiply the task's losses of each class; a loss of the caller's own is taken as it is.
    With a teacher's logits, `distillation_alpha` of the output's loss is the divergence from them.
    """

    class_weights: Tensor

    def __init__(
        self, model: nn.Module, task: Task, recipe: Recipe, class_weights: Tensor, loss: LossFunction | None = None
    ):
        super().__init__()
        self.model = model
        self.task = task
        self.label_smoothing = recipe.optimization.label_smoothing
        self.aux_loss_weight = recipe.optimization.aux_loss_weight
        self.alpha = recipe.optimization.distillation_alpha
        self.temperature = recipe.optimization.distillation_temperature
        self.loss = loss
        self.aux = [f"aux.{name}" for name in model.aux] if isinstance(model, Model) else []
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, x: Tensor, targets: Tensor, teacher: Tensor | None = None) -> Tensor:
        """Losses [N] of normalized images [N, C, H, W] with targets as the task has them, and with a teacher's logits
        [N, classes] for these."""
        if self.aux and isinstance(self.model, Model):
            features, aux_outputs = self.model.forward_intermediates(x, self.aux)
            outputs = self.model.forward_head(features)
        else:
            outputs, aux_outputs = self.model(x), []
        losses = self._losses(outputs, targets)
        if teacher is not None:
            divergence = distillation_loss(outputs, teacher, self.temperature)
            losses = (1 - self.alpha) * losses + self.alpha * divergence
        for aux_output in aux_outputs:
            losses = losses + self.aux_loss_weight * self._losses(aux_output, targets)
        return losses if self.loss is not None else losses * self.task.image_weights(targets, self.class_weights)

    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.loss is None:
            return self.task.loss(outputs, targets, self.label_smoothing)
        losses = self.loss(outputs, targets)
        if not isinstance(losses, Tensor) or losses.shape not in ((), (len(targets),)):
            found = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise RunError(f"Cannot use the loss: it gives {found}. Return one number, or one for each image.")
        if outputs.requires_grad and not losses.requires_grad:
            raise RunError("Cannot use the loss: it has no gradient. Try torch's functions on the outputs themselves.")
        return losses.expand(len(targets))

    @property
    def chance_loss(self) -> float | None:
        """The loss of a network that guesses; None for a loss of the caller's own, and for boxes."""
        chance = None if self.loss is not None else self.task.chance_loss
        return None if chance is None else (1 + self.aux_loss_weight * len(self.aux)) * chance
