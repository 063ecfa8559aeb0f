"""Batches of training and judging pictures, as uint8 tensors.

Every random decision about a picture comes from a generator keyed by (seed, epoch, index of the picture), so a run is
the same for any number of worker processes and after any interruption.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from inceptorch.data.folder import Split
from inceptorch.pixels import Pixels, Square, decode
from inceptorch.recipes import Recipe


class Squares(Dataset[tuple[Tensor, int, int]]):
    """Pictures of a split as (uint8 RGB [3, S, S], label, index), as the pixel contract brings them to the network."""

    def __init__(self, split: Split, pixels: Pixels):
        self.split = split
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        square = self.pixels.square(self.split.read(index))
        return _tensor(square), self.split.labels[index], index


class Augmented(Squares):
    """The same, with the recipe's random crop, mirroring and jitter; without them, equal to `Squares`."""

    def __init__(self, split: Split, pixels: Pixels, recipe: Recipe, seed: int):
        super().__init__(split, pixels)
        self.transform = augmentation(pixels, recipe)
        self.seed = seed
        self.epoch = 0

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        file = self.split.read(index)
        with drawing_from(key(self.seed, self.epoch, index)):
            square = self.transform(file)
        return _tensor(square), self.split.labels[index], index


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """torch's CPU generator seeded for a while, and afterwards as it was.

    Not torch.manual_seed, which before CUDA is in use keeps a stack trace of every call.
    """
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


def augmentation(pixels: Pixels, recipe: Recipe) -> Callable[[bytes], Square]:
    """A picture file to a random training square, drawn from torch's generator."""
    from torchvision.transforms import v2

    crops = recipe.crop_area != (1.0, 1.0)
    steps: list[Callable[[Image.Image], Image.Image]] = []
    if crops:
        filter = v2.InterpolationMode(pixels.filter)
        steps.append(v2.RandomResizedCrop(pixels.size, recipe.crop_area, recipe.crop_aspect, filter))
    if recipe.flip:
        steps.append(v2.RandomHorizontalFlip())
    if recipe.jitter:
        steps.append(v2.ColorJitter(recipe.jitter, recipe.jitter, recipe.jitter))

    def transform(file: bytes) -> Square:
        picture = decode(file) if crops else Image.fromarray(pixels.square(file))
        for step in steps:
            picture = step(picture)
        return np.asarray(picture)

    return transform


def batches(count: int, size: int, seed: int, epoch: int) -> list[list[int]]:
    """One epoch's order of `count` pictures as batches of at most `size`, equal to within one.

    Equal batches leave no last one of a single picture, which batch normalisation could not take.
    """
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return [part.tolist() for part in np.array_split(order, -(-count // size))]


def load(data: Squares, batches: Sequence[Sequence[int]], workers: int) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
    """The given batches in order: uint8 [N, 3, S, S] (channels last in memory), labels [N], indices [N]."""
    cuda = torch.cuda.is_available()
    return DataLoader(data, batch_sampler=batches, num_workers=workers, pin_memory=cuda)  # type: ignore[arg-type]


def in_order(count: int, size: int) -> list[list[int]]:
    """Batches of `size` that go through `count` pictures once, in order."""
    return [list(range(start, min(start + size, count))) for start in range(0, count, size)]


def key(*parts: int) -> int:
    """A 63-bit seed that depends on all of `parts`."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def _tensor(square: Square) -> Tensor:
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)
