"""Precision and recall of generated images (Kynkäänniemi et al., arXiv:1904.06991): the fraction of A's images that lie
among B's, and of B's among A's. An image lies among others if it is at most as far from one of them as that one's third
neighbor is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inceptorch.errors import DataError
from inceptorch.features.store import Features

NEIGHBORS = 3
ROWS = 2048  # whose distances to all others are in memory at a time


def hits(generated: Features, real: Features) -> tuple[int, int]:
    """How many generated images lie among the real ones, and how many real ones among the generated. Raises DataError
    for fewer than five images."""
    if min(len(generated), len(real)) <= NEIGHBORS + 1:
        raise DataError(
            f"Cannot compute precision and recall of {len(generated)} and {len(real)} images: there must be at least "
            f"{NEIGHBORS + 2}. Try more images."
        )
    one, two = _all(generated), _all(real)
    return _among(generated, two, _radii(real, two)), _among(real, one, _radii(generated, one))


def _all(features: Features) -> Tensor:
    return torch.from_numpy(features.take())


def _radii(features: Features, all: Tensor) -> Tensor:
    """The distance of each image to its third neighbor."""
    blocks = (torch.cdist(torch.from_numpy(block), all) for block in features.blocks(ROWS))
    return torch.cat([block.kthvalue(NEIGHBORS + 1).values for block in blocks])  # the first is the image itself


def _among(features: Features, others: Tensor, radii: Tensor) -> int:
    found = ((torch.cdist(torch.from_numpy(block), others) <= radii).any(1) for block in features.blocks(ROWS))
    return int(np.sum([int(block.sum()) for block in found]))
