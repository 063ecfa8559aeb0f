"""Precision and recall of generated images (Kynkäänniemi et al., arXiv:1904.06991): the fraction of A's images that lie
among B's, and of B's among A's. An image lies among others if it is at most as far from one of them as that one's third
neighbor is."""

from __future__ import annotations

import torch

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
    return _among(generated, real), _among(real, generated)


def _among(features: Features, others: Features) -> int:
    """How many images lie among others. Memory holds the features of the others."""
    theirs = torch.from_numpy(others.take())
    distances = (torch.cdist(torch.from_numpy(block), theirs) for block in others.blocks(ROWS))
    # The nearest is the image itself.
    radii = torch.cat([block.kthvalue(NEIGHBORS + 1).values for block in distances])
    return sum(
        int((torch.cdist(torch.from_numpy(block), theirs) <= radii).any(1).sum()) for block in features.blocks(ROWS)
    )
