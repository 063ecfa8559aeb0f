"""Boxes around the objects in each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from inceptorch.data import Split
    from inceptorch.data.augment import Transform
    from inceptorch.data.augment_boxes import BoxDataset
    from inceptorch.data.augmentation import AugmentationConfig
    from inceptorch.images.preprocessing import Preprocessing
    from inceptorch.models.detector import Detector


@dataclass(frozen=True)
class Detection:
    """Targets are the boxes of each image [N, M, 5], as `as_targets` gives them; outputs are a `Detector`'s,
    [N, places, classes + 5]. What imports torch is imported where it is needed."""

    classes: Sequence[str]
    model: Detector

    def dataset(
        self,
        split: Split,
        preprocessing: Preprocessing,
        augmentation: AugmentationConfig,
        seed: int,
        transform: Transform | None,
    ) -> BoxDataset:
        from inceptorch.data.augment_boxes import BoxDataset
        from inceptorch.data.box_split import BoxSplit

        assert isinstance(split, BoxSplit)
        return BoxDataset(split, self.model.detection, preprocessing, augmentation, seed)

    def mix(
        self, images: Tensor, targets: Tensor, augmentation: AugmentationConfig, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Nothing is mixed: a box of two images would be an object of neither."""
        return images, targets

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        from inceptorch.tasks.boxes import losses

        return losses(self.model, outputs, targets)

    def class_weights(self, split: Split, power: float) -> Tensor:
        import torch

        return torch.ones(len(self.classes))

    def image_weights(self, targets: Tensor, class_weights: Tensor) -> Tensor:
        return targets.new_ones(len(targets))

    @property
    def chance_loss(self) -> None:
        """The focal loss of guessing says nothing about boxes."""
        return None

    def metrics(self, evaluation: Any) -> dict[str, float]:
        return {"map50": evaluation.map50 or 0.0}
