"""One label for each image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inceptorch.tasks.metrics import PredictionSummary, Scores, scores
from inceptorch.utils.arrays import Floats, Ints

if TYPE_CHECKING:
    from torch import Tensor

    from inceptorch.data import Split
    from inceptorch.data.augment import AugmentedDataset, Transform
    from inceptorch.data.augmentation import AugmentationConfig
    from inceptorch.images.preprocessing import Preprocessing


@dataclass(frozen=True)
class Classification:
    """Targets are labels [N], or fractions of the classes [N, classes] where images were mixed; outputs are logits
    [N, classes]. What imports tasks itself, and torch, is imported where it is needed."""

    classes: Sequence[str]

    def dataset(
        self,
        split: Split,
        preprocessing: Preprocessing,
        augmentation: AugmentationConfig,
        seed: int,
        transform: Transform | None,
    ) -> AugmentedDataset:
        from inceptorch.data.augment import AugmentedDataset

        return AugmentedDataset(split, preprocessing, augmentation, seed, transform)

    def mix(
        self, images: Tensor, targets: Tensor, augmentation: AugmentationConfig, seed: int
    ) -> tuple[Tensor, Tensor]:
        from inceptorch.tasks.mixup import mix

        return mix(images, targets, len(self.classes), augmentation, seed)

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
        from torch.nn import functional as F

        return F.cross_entropy(outputs, targets, reduction="none", label_smoothing=label_smoothing)

    def class_weights(self, split: Split, power: float) -> Tensor:
        """One over the number of a class's images, to this power, scaled so that the images' mean is 1."""
        import torch

        counts = torch.tensor(list(split.counts().values()), dtype=torch.float64).clamp(min=1)
        weights = counts**-power
        return (weights * counts.sum() / (weights * counts).sum()).float()

    def image_weights(self, targets: Tensor, class_weights: Tensor) -> Tensor:
        return (targets * class_weights).sum(1) if targets.is_floating_point() else class_weights[targets]

    @property
    def chance_loss(self) -> float:
        return math.log(len(self.classes))

    def summarize(self, outputs: Floats, targets: Ints) -> PredictionSummary:
        return PredictionSummary.of(outputs, targets)

    def scores(self, summary: PredictionSummary) -> Scores:
        return scores(summary, self.classes)

    def metrics(self, evaluation: Scores) -> dict[str, float]:
        return {"loss": evaluation.loss, "top1": evaluation.top1, "top5": evaluation.top5}
