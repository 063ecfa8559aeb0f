"""Maps of a frozen body, computed once: what a detector's head is trained on without running the body again.

Of every training image some versions are kept, as augmentation makes them, and of every validation image itself. They
lie on the disk in half precision, in a file of rows that is read where it is needed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from inceptorch.data.augment import Batch
from inceptorch.data.augment_boxes import BoxDataset, as_targets
from inceptorch.data.box_split import BoxSplit
from inceptorch.errors import DiskError
from inceptorch.evaluation.boxes import BoxEvaluation, evaluation_of
from inceptorch.images.boxes import Boxes
from inceptorch.images.letterbox import fitted, to_original
from inceptorch.models.detector import Detector, best_boxes
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.training.setup import TrainingContext
from inceptorch.utils.files import os_error_reason
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.training.trainer import Trainer

BATCH = 8
MAX_BYTES = 8 << 30  # of the file
LARGEST = torch.finfo(torch.float16).max


class CachedMaps(Dataset[tuple[Tensor, Boxes, int]]):
    """Rows of maps as `Detector.pack` makes them, float16, with their boxes: `versions` of each image, by image.

    In place of a `BoxDataset`: `epoch` decides which version of an image is taken.
    """

    def __init__(self, rows: np.memmap, boxes: Sequence[Boxes], versions: int):
        self.rows, self.boxes, self.versions = rows, boxes, versions
        self.epoch = self.size = 0

    def __len__(self) -> int:
        return len(self.boxes) // self.versions

    def __getitems__(self, batch: Sequence[int]) -> Batch:
        """A batch at once: float16 [N, numbers], targets [N, M, 5], indices [N]."""
        at = [index * self.versions + (index + self.epoch) % self.versions for index in batch]
        rows = torch.from_numpy(np.stack([self.rows[each] for each in at]))
        return rows, as_targets([self.boxes[each] for each in at]), torch.tensor(batch, dtype=torch.int64)


@dataclass(frozen=True)
class MapCache:
    train: CachedMaps
    val: CachedMaps


def is_frozen(context: TrainingContext) -> bool:
    """Whether the whole body of a detector stays as it is."""
    model = context.classifier.model
    if not isinstance(model, Detector):
        return False
    return context.run.recipe.optimization.frozen_layers(model.net) >= len(model.body)


def cache_maps(context: TrainingContext, world: DistributedContext, progress: Progress) -> MapCache | None:
    """The maps of both splits, computed by the main process where an interrupted run has not left them; None where the
    body is trained, or the disk has no room."""
    recipe, folder = context.run.recipe, context.run.checkpoint.parent
    if not is_frozen(context) or not recipe.data.cached_versions:
        return None
    model = context.classifier.model
    assert isinstance(model, Detector)
    width = sum(map(prod, model.shapes))
    splits = {"val": (context.val, 1), "train": (context.train, recipe.data.cached_versions)}
    paths = {name: folder / f"maps-{name}.npy" for name in splits}
    sizes = {name: 2 * width * versions * len(split) for name, (split, versions) in splits.items()}

    def fit() -> bool:
        """Whether there is room. Where a resumed run finds its maps, it does not need it again."""
        needed = sum(size for name, size in sizes.items() if not paths[name].exists())
        return sum(sizes.values()) <= MAX_BYTES and needed <= 0.9 * shutil.disk_usage(folder).free

    if not world.run_on_main(fit):  # in another process, the disk may be filling already
        total = sum(sizes.values()) / 1e9
        progress.info(
            f"the maps, {total:.1f} GB, are not kept: more than {MAX_BYTES / 1e9:.1f} GB, or than the disk has. "
            "Every step runs the whole network. Try --set cached_versions=1, or a smaller --size"
        )
        return None
    found = {}
    for name, (split, versions) in splits.items():
        path = paths[name]
        datasets = [_dataset(context, split, version) for version in range(versions)]
        if not world.run_on_main(path.exists):
            world.run_on_main(lambda: _write(path, context, datasets, width, world, progress))  # noqa: B023
        rows = np.load(path, mmap_mode="r")
        boxes = [dataset.boxes_of(index) for index in range(len(split)) for dataset in datasets]
        found[name] = CachedMaps(rows, boxes, versions)
    return MapCache(**found)


def evaluate_maps(trainer: Trainer, maps: CachedMaps) -> BoxEvaluation:
    """The evaluation of the run's weights on the cached maps of the validation images, in the main process."""
    model, val = trainer.evaluated.model, trainer.context.val
    assert isinstance(model, Detector)
    assert isinstance(val, BoxSplit)

    def evaluate() -> BoxEvaluation:
        model.eval()
        found: list[Boxes] = []
        for start in trainer.progress.track(range(0, len(maps), BATCH), len(maps), "evaluating", size=lambda _: BATCH):
            trainer.shutdown.raise_if_requested()
            rows, _, _ = maps.__getitems__(range(start, min(start + BATCH, len(maps))))
            bf16 = torch.autocast(trainer.world.device.type, torch.bfloat16, enabled=trainer.step.bf16)
            with torch.inference_mode(), bf16:
                outputs = model(rows.to(trainer.world.device).float())
            found += best_boxes(*model.decode(outputs))
        canvas = model.detection.width, model.detection.height
        originals = []
        for (width, height), boxes in zip(val.sizes.tolist(), found, strict=True):
            across, along = fitted((width, height), canvas)
            originals.append(to_original(boxes, (across / width, along / height), (width, height)))
        return evaluation_of(originals, val, trainer.run.skipped or [])

    return trainer.world.run_on_main(evaluate)


def clear_maps(folder: Path) -> None:
    """Delete the maps of a finished run."""
    for path in folder.glob("maps-*.npy"):
        path.unlink(missing_ok=True)


def _dataset(context: TrainingContext, split: object, version: int) -> BoxDataset:
    """The images of a version: the first is as in prediction."""
    assert isinstance(split, BoxSplit)
    model, run = context.classifier.model, context.run
    assert isinstance(model, Detector)
    pixels = context.classifier.preprocessing
    dataset = BoxDataset(split, model.detection, pixels, run.recipe.augmentation, run.seed, augment=version > 0)
    dataset.epoch = version
    return dataset


def _write(
    path: Path,
    context: TrainingContext,
    datasets: Sequence[BoxDataset],
    width: int,
    world: DistributedContext,
    progress: Progress,
) -> None:
    """Write the rows of all versions. Raises DiskError."""
    model, prepare = context.classifier.model.eval(), context.classifier.prepare
    assert isinstance(model, Detector)
    model.to(world.device)
    order = [(index, version) for index in range(len(datasets[0])) for version in range(len(datasets))]
    starts = range(0, len(order), BATCH)

    def batches() -> Iterator[NDArray[np.float16]]:
        what = f"maps of {path.stem.removeprefix('maps-')} images"
        for start in progress.track(starts, len(order), what, size=lambda _: BATCH):
            images = [datasets[version][index][0] for index, version in order[start : start + BATCH]]
            yield packed_maps(model, prepare([image.permute(1, 2, 0).numpy() for image in images]))

    write_rows(path, batches(), (len(order), width), "--set cached_versions=0")


def packed_maps(model: Detector, images: Tensor) -> NDArray[np.float16]:
    """The rows of maps [N, numbers] of prepared images."""
    with torch.inference_mode():
        rows = model.pack(model.forward_maps(images))
    packed: NDArray[np.float16] = rows.clamp(-LARGEST, LARGEST).half().cpu().numpy()
    return packed


def write_rows(path: Path, batches: Iterable[NDArray[np.float16]], shape: tuple[int, int], remedy: str) -> None:
    """Write rows of numbers as a `.npy` file, whole or not at all. Raises DiskError.

    Not through a memory map: there, a disk that fills up ends the process with a bus error."""
    partial = path.with_name(f".{path.stem}.tmp")
    try:
        with open(partial, "wb") as file:
            header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for rows in batches:
                file.write(rows.tobytes())
        partial.replace(path)
    except OSError as error:
        raise DiskError(f"Cannot write {path}: {os_error_reason(error)}. Make room, or try {remedy}.") from None
    finally:
        partial.unlink(missing_ok=True)
