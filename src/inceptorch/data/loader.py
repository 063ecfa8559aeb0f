"""Batches of training pictures, as uint8 tensors.

Every random decision about a picture comes from a generator keyed by (seed, epoch, index of the picture), so a run is
the same for any number of worker processes and after any interruption.
"""

from __future__ import annotations

import hashlib
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from inceptorch.data.folder import Split
from inceptorch.errors import PictureError
from inceptorch.pixels import Pixels
from inceptorch.recipes import Recipe

FILTERS = ("BILINEAR", "BOX", "NEAREST", "BICUBIC")  # with equal probability (arXiv:1409.4842 section 6)


class Augmented(Dataset[tuple[Tensor, int, int]]):
    """Training pictures of a split as (uint8 RGB [3, S, S], label, index), with the recipe's random crop, mirroring and
    jitter; without them, as the pixel contract brings them to the network everywhere else."""

    def __init__(self, split: Split, pixels: Pixels, recipe: Recipe, seed: int):
        from torchvision.transforms import v2

        self.split = split
        self.pixels = pixels
        self.seed = seed
        self.epoch = 0
        self.crops = recipe.crop_area != (1.0, 1.0)
        self.steps: list[Callable[[Image.Image], Image.Image]] = []
        if self.crops:
            filter = v2.InterpolationMode(pixels.filter)
            crop = partial(v2.RandomResizedCrop, pixels.size, recipe.crop_area, recipe.crop_aspect)
            if recipe.interpolation == "contract":
                self.steps.append(crop(filter))
            else:
                self.steps.append(v2.RandomChoice([crop(v2.InterpolationMode[each]) for each in FILTERS]))
        if recipe.flip:
            self.steps.append(v2.RandomHorizontalFlip())
        if recipe.jitter:
            self.steps.append(v2.ColorJitter(recipe.jitter, recipe.jitter, recipe.jitter))

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        picture = self.split.image(index) if self.crops else Image.fromarray(self.split.square(index, self.pixels))
        with drawing_from(key(self.seed, self.epoch, index)):
            for step in self.steps:
                picture = step(picture)
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1), self.split.labels[index], index


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


def load(data: Augmented, batches: Sequence[Sequence[int]], workers: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The given batches in order: uint8 [N, 3, S, S], labels [N], indices [N]. Raises PictureError naming the file."""
    cuda = torch.cuda.is_available()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more than there are cores: as was asked
        loader = DataLoader(
            data,
            batch_sampler=batches,  # type: ignore[arg-type]
            num_workers=workers,
            pin_memory=cuda,
            worker_init_fn=_leave_ctrl_c_to_the_parent if workers else None,
        )
        ready = iter(loader)
    try:
        yield from ready
    except PictureError as error:
        # A worker process sends its stack trace along; the sentence is its last line.
        sentence = str(error).strip().splitlines()[-1].removeprefix("inceptorch.errors.PictureError: ")
        raise PictureError(f"{sentence} It could be read when training began.") from None


def _leave_ctrl_c_to_the_parent(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def key(*parts: int) -> int:
    """A 63-bit seed that depends on all of `parts`."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1
