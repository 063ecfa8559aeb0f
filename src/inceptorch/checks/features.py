"""Images that are nearly the same to a network: mirrored, turned, cropped, or photographed twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inceptorch.checks.near_duplicates import Group
from inceptorch.checks.scan import DatasetScan
from inceptorch.utils.progress import Progress

ALIKE = 0.95  # cosine from which on two images are called nearly the same; of different flowers, 0.94 is usual
BLOCK = 1024  # images compared with all at a time

Vectors = NDArray[np.float32]  # [N, D]


def embeddings_of(scan: DatasetScan, model: str | Path, progress: Progress) -> Vectors:
    """The embedding of every image of the scan, [N, D]; nan for those that cannot be read. Raises BundleError."""
    from inceptorch.classifier.hub import load
    from inceptorch.features.embed import extraction_of
    from inceptorch.features.extract import extract, with_features

    extraction = extraction_of(load(model), None, "auto", progress)
    found = []
    for split in scan.splits.values():
        features, skipped = extract([split], extraction, progress)
        vectors = np.full((len(split), extraction.extractor.dim), np.nan, np.float32)
        if len(features):
            vectors[with_features(split, skipped)] = features.take()
        found.append(vectors)
    return np.concatenate(found)


def find_alike(vectors: Vectors, progress: Progress) -> list[Group]:
    """Groups of images, each member with a cosine of at least `ALIKE` to the first. Each image that is like any other
    is in a group: that of the first in order, or one with the image that it is most like. Every pair is compared."""
    known = np.flatnonzero(np.isfinite(vectors).all(1) & (vectors != 0).any(1))
    unit = vectors[known] / np.linalg.norm(vectors[known], axis=1, keepdims=True)
    grouped = np.zeros(len(known), np.bool_)
    groups = []
    blocks = range(0, len(known), BLOCK)
    for start in progress.track(blocks, len(blocks), "near duplicates"):
        cosines = unit[start : start + BLOCK] @ unit.T
        for row, at in enumerate(range(start, min(start + BLOCK, len(known)))):
            cosines[row, at] = -1
            if grouped[at] or not (near := np.flatnonzero(cosines[row] >= ALIKE)).size:
                continue
            free = near[~grouped[near]]
            members = free if len(free) else near[[cosines[row, near].argmax()]]
            grouped[at] = grouped[members] = True
            groups.append(Group(known[np.append(at, members)], float(cosines[row, members].min())))
    return groups
