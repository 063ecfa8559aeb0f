"""Distillation: a trained network, the teacher, adds its probabilities to the targets (arXiv:1503.02531)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.hub import load
from inceptorch.errors import RunError
from inceptorch.images.preprocessing import LUMA, Preprocessing
from inceptorch.networks.layers import Linear
from inceptorch.training.run import TeacherFolder


class Teacher:
    """The logits of a trained classifier for the batches of a student.

    It sees each image as the student does, augmented and mixed, with colors scaled by its own preprocessing. The image
    is resized by the ratio of both networks' sizes, so that things look as large to it as in its own training.
    """

    def __init__(self, classifier: Classifier, student: Preprocessing, classes: Sequence[str]):
        self.model = classifier.model.eval().requires_grad_(False)
        self.student, self.own = student, classifier.preprocessing
        self.order = torch.tensor([classifier.classes.index(name) for name in classes])
        self.any_size = not any(isinstance(layer, Linear) for layer in classifier.config.network.head.values())

    def to(self, device: torch.device) -> Teacher:
        self.model.to(device)
        self.order = self.order.to(device)
        return self

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """Logits [N, classes], in the student's order, for its normalized images [N, C, H, W]."""
        x = self._normalized_anew(x)
        height = x.shape[2]
        size = round(height * self.own.size / self.student.size) if self.any_size else self.own.size
        if size != height:
            x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
        out: Tensor = self.model(x)[:, self.order]
        return out

    def _normalized_anew(self, x: Tensor) -> Tensor:
        if _scaling(self.own) == _scaling(self.student):
            return x

        def column(values: Sequence[float]) -> Tensor:
            return x.new_tensor(values).view(1, -1, 1, 1)

        x = x * column(self.student.std) + column(self.student.mean)
        if self.own.channels == "gray" != self.student.channels:
            luma = LUMA[::-1] if self.student.channels == "bgr" else LUMA
            x = (x * column(luma)).sum(1, keepdim=True)
        elif self.student.channels == "gray" != self.own.channels:
            x = x.expand(-1, 3, -1, -1)
        elif self.own.channels != self.student.channels:
            x = x.flip(1)
        return (x - column(self.own.mean)) / column(self.own.std)


def _scaling(pixels: Preprocessing) -> tuple[object, ...]:
    return pixels.channels, pixels.mean, pixels.std


def load_teacher(teacher: TeacherFolder, student: Classifier) -> Teacher:
    """The teacher of a classifier. Raises RunError for one that knows other classes."""
    teacher.check()
    classifier = load(teacher.folder)
    if classifier.config.detection is not None:
        raise RunError(f"Cannot learn from {teacher.folder}: it is a detector. Name a classifier of the same classes.")
    if set(classifier.classes) != set(student.classes):
        raise RunError(
            f"Cannot learn from {teacher.folder}: it has {len(classifier.classes)} classes, which are not the "
            f"{len(student.classes)} of the data. Train it on the data first."
        )
    return Teacher(classifier, student.preprocessing, student.classes)


def distillation_loss(outputs: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Divergence [N] of the outputs' probabilities [N, classes] from the teacher's, both at a temperature, times its
    square, as gradients shrink by that."""
    log_probabilities = F.log_softmax(outputs / temperature, 1)
    target = F.log_softmax(teacher / temperature, 1)
    divergence = F.kl_div(log_probabilities, target, reduction="none", log_target=True).sum(1)
    return divergence * temperature**2
