"""Tasks: what a network learns to answer. Each is one file; training and evaluation only use `Task`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from inceptorch.tasks.classification import Classification
from inceptorch.tasks.detection import Detection

if TYPE_CHECKING:
    from torch import Tensor

    from inceptorch.data import Split
    from inceptorch.data.augment import TrainingDataset, Transform
    from inceptorch.data.augmentation import AugmentationConfig
    from inceptorch.images.preprocessing import Preprocessing

__all__ = ["Classification", "Detection", "Task"]


class Task(Protocol):
    """The code that depends on the kind of answer: targets, losses, scores and their JSON form."""

    @property
    def classes(self) -> Sequence[str]: ...

    def dataset(
        self,
        split: Split,
        preprocessing: Preprocessing,
        augmentation: AugmentationConfig,
        seed: int,
        transform: Transform | None,
    ) -> TrainingDataset:
        """The training images with their targets, augmented together."""

    def mix(
        self, images: Tensor, targets: Tensor, augmentation: AugmentationConfig, seed: int
    ) -> tuple[Tensor, Tensor]:
        """A normalized batch and its targets as they go through the network, all draws depending on `seed` alone."""

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        """Losses [N] of one batch."""

    def class_weights(self, split: Split, power: float) -> Tensor:
        """The weight of each class in the loss, float32 [classes]."""

    def image_weights(self, targets: Tensor, class_weights: Tensor) -> Tensor:
        """The weight of each image in the loss, [N]."""

    @property
    def chance_loss(self) -> float | None:
        """The loss of guessing, if that is a bound for anything."""

    def metrics(self, evaluation: Any) -> dict[str, float]:
        """The columns of metrics.csv that an evaluation has."""
