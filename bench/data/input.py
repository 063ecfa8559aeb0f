"""Training images a second on one core, against torchvision's reference recipe.

Files lie in memory; both sides end at float batches [32, 3, S, S], normalized. Rounds alternate between ours and the
peers; the ratios are of the medians of this thread's time on the core, so that what else runs counts little.
"""

import io
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate
from torchvision import transforms
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2

from bench.common import SHARED, Record, command, need
from inceptorch.data import Split
from inceptorch.data.augment import AugmentedDataset
from inceptorch.data.augmentation import AugmentationConfig
from inceptorch.data.sources.folder import Folder
from inceptorch.data.string_array import Files, StringArray
from inceptorch.images.preprocessing import Preprocessing, default_preprocessing
from inceptorch.models.normalize import Normalize

BATCH, ROUNDS = 32, 9
AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)


class InMemory(Folder):
    """Files that have been read."""

    def __init__(self, files: dict[str, bytes]):
        super().__init__(Path())
        self.bytes = files

    def read(self, path: str) -> bytes:
        return self.bytes[path]


def mosaics(count: int, width: int, height: int, tile: int) -> list[bytes]:
    """JPEG of quality 90 put together from photographs, each `tile` pixels wide, so that they have real detail."""
    photos = [Image.open(path).convert("RGB") for path in sorted(need(SHARED / "photos").glob("*.png"))]
    random = np.random.default_rng(0)
    files = []
    for _ in range(count):
        whole = Image.new("RGB", (width, height))
        for top in range(0, height, tile):
            for left in range(0, width, tile):
                photo = photos[random.integers(len(photos))].resize((tile, tile), Image.Resampling.BICUBIC)
                whole.paste(photo, (left, top))
        file = io.BytesIO()
        whole.save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def cifar(count: int) -> list[bytes]:
    with zipfile.ZipFile(need(SHARED / "cifar10" / "train.zip")) as archive:
        return [archive.read(name) for name in archive.namelist()[:count]]


def ours(files: Sequence[bytes], pixels: Preprocessing) -> Callable[[], Tensor]:
    """Batches as training gets them."""
    names = tuple(f"{number}.jpg" for number in range(len(files)))
    source = InMemory(dict(zip(names, files, strict=True)))
    data = AugmentedDataset(
        Split("", "", source, ("a",), Files.of_names(StringArray(names)), np.zeros(len(files), np.int32)),
        pixels,
        AugmentationConfig(crop_scale=AREA, crop_ratio=ASPECT),
        seed=0,
    )
    normalize = Normalize(pixels)

    def batch() -> Tensor:
        data.epoch += 1
        scaled: Tensor = normalize(data.__getitems__(range(len(files)))[0])
        return scaled

    return batch


def reference(files: Sequence[bytes], pixels: Preprocessing) -> Callable[[], Tensor]:
    """torchvision's training presets with their defaults: Pillow, then float tensors one by one."""
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(pixels.size, AREA, ASPECT, transforms.InterpolationMode.BILINEAR),
            transforms.RandomHorizontalFlip(),
            transforms.PILToTensor(),
            transforms.ConvertImageDtype(torch.float),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )

    def batch() -> Tensor:
        items = [(transform(Image.open(io.BytesIO(file)).convert("RGB")), 0) for file in files]
        collated: Tensor = default_collate(items)[0]
        return collated

    return batch


def tensors(files: Sequence[bytes], pixels: Preprocessing) -> Callable[[], Tensor]:
    """The same by torchvision's own decoder and its second transforms, on tensors throughout."""
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(pixels.size, AREA, ASPECT, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )

    def batch() -> Tensor:
        read = (torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files)
        collated: Tensor = default_collate([(transform(decode_jpeg(one, ImageReadMode.RGB)), 0) for one in read])[0]
        return collated

    return batch


def row(name: str, files: Sequence[bytes], pixels: Preprocessing) -> dict[str, Any]:
    """Images a second of the three, by this thread's time, with the ratios by it and by the clock."""
    ways = {"ours": ours, "torchvision": reference, "torchvision_tensors": tensors}
    batches = {name: way(files, pixels) for name, way in ways.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS + 1):
        for way, batch in batches.items():
            began = time.thread_time(), time.perf_counter()
            shape = batch().shape
            times[way].append((time.thread_time() - began[0], time.perf_counter() - began[1]))
            assert shape == (len(files), 3, pixels.size, pixels.size)
    core, clock = (
        {way: median(each[which] for each in seconds[1:]) for way, seconds in times.items()} for which in (0, 1)
    )
    return {
        "images": name,
        "to": pixels.size,
        "per_second": {way: len(files) / seconds for way, seconds in core.items()},
        "ratio": core["torchvision"] / core["ours"],
        "ratio_by_the_clock": clock["torchvision"] / clock["ours"],
        "ratio_to_tensors": core["torchvision_tensors"] / core["ours"],
    }


def run() -> Record:
    torch.set_num_threads(1)
    photograph = default_preprocessing(224)
    rows = [
        row("500x375 JPEG", mosaics(BATCH, 500, 375, 299), photograph),
        row("2000x1500 JPEG", mosaics(BATCH, 2000, 1500, 598), photograph),
        row("CIFAR-10's 32x32 JPEG", cifar(BATCH), replace(default_preprocessing(32), size=28)),
    ]
    return {"n": {"rounds": ROUNDS, "images": BATCH}, "batch": BATCH, "crop_area": AREA, "rows": rows}


def render(record: Record) -> str:
    parts = [f"## Training images on one core\n\n`{command(record)}`\n"]
    parts.append("| images | to | ours/s | torchvision's recipe | ratio | torchvision on tensors |\n|" + " --- |" * 6)
    for row in record["rows"]:
        speed = row["per_second"]
        parts.append(
            f"| {row['images']} | {row['to']} | {speed['ours']:.0f} | {speed['torchvision']:.0f} "
            f"| {row['ratio']:.2f} | {speed['torchvision_tensors']:.0f} |"
        )
    return "\n".join(parts)
