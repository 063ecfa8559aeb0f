"""Regions that may hold an object of any class: selective search, the boxes of a class-free detector, a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.utils import clip_grad_norm_

from inceptorch.data.augment_boxes import as_targets
from inceptorch.errors import RunError
from inceptorch.images.boxes import Boxes, iou
from inceptorch.images.letterbox import to_original
from inceptorch.models.detector import Detector
from inceptorch.papers.studies.detection_2014.maps import Corners, ImageMaps
from inceptorch.tasks.boxes import losses
from inceptorch.utils.progress import Progress

SEARCH_WIDTH = 500  # pixels; of arXiv:1311.2524 section 2.1
MAX_RATIO = 4  # of height to width, above which the width is less
FINE, COARSE = 150, 300  # scale of the first superpixels: OpenCV's default, and twice as much
LEARNED = 200  # boxes of the detector in an image, as many as the paper took from MultiBox
GRID_SIDES, GRID_RATIOS = (0.1, 0.17, 0.28, 0.45, 0.7, 1.0), (0.5, 1.0, 2.0)  # of the image's shorter side
GRID_STRIDE = 0.5  # of a box's own sides
BATCH_SIZE, LR, WEIGHT_DECAY, CLIP_GRAD_NORM = 8, 0.002, 0.02, 10.0  # those of recipe boxes-head
MAX_IOU = 0.7  # of two boxes of the detector
COUNTS = (10, 20, 50, 100, 200, 500, 1000, 2000)  # first proposals of an image whose coverage is given
FOUND = 0.5  # IoU with a proposal from which on an object is covered


@dataclass(frozen=True)
class ProposalSet:
    """A way to propose regions: the parts that it joins, and what it is."""

    parts: tuple[str, ...]
    what: str


SETS = {
    "selective-search": ProposalSet(("fine",), "selective search on superpixels as usual"),
    "both": ProposalSet(
        ("learned", "coarse"), f"{LEARNED} class-free boxes, and selective search on superpixels twice as large"
    ),
    "boxes": ProposalSet(("learned",), f"{LEARNED} class-free boxes of a one-stage detector"),
    "grid": ProposalSet(("grid",), "boxes of six sizes and three shapes everywhere"),
}
SUPERPIXELS = {"fine": FINE, "coarse": COARSE}


def opencv() -> Any:
    """OpenCV with its contributions. Raises ModuleNotFoundError without it, and RunError where it has none."""
    import cv2

    if not hasattr(cv2, "ximgproc"):
        raise RunError(
            "Cannot run selective search: this OpenCV lacks ximgproc. Try: pip uninstall opencv-python; pip install "
            "'inceptorch[proposals]'."
        )
    return cv2


def selective_search(image: Image.Image, superpixels: int) -> Corners:
    """The regions [N, 4] of an upright RGB image, in its pixels, by OpenCV's fast variant.

    OpenCV ranks them by chance, which no seed of its own governs; so they are sorted. Raises as `opencv` does."""
    scale = min(SEARCH_WIDTH / image.width, MAX_RATIO * SEARCH_WIDTH / image.height)
    sides = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = image.resize(sides, Image.Resampling.BILINEAR)
    search = opencv().ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(np.asarray(small)[:, :, ::-1]))
    search.switchToSelectiveSearchFast(superpixels, superpixels)
    left, top, width, height = np.unique(np.asarray(search.process()).reshape(-1, 4), axis=0).T.astype(np.float64)
    found = Boxes.of(np.stack([left, top, left + width, top + height], 1), np.zeros(len(left)))
    back = image.width / small.width, image.height / small.height
    return found.moved(back).clipped(*image.size).xyxy


def grid(width: int, height: int) -> Corners:
    """Boxes [N, 4] of all sizes and shapes everywhere in an image, half of their sides apart."""
    boxes = []
    for side, ratio in product(GRID_SIDES, GRID_RATIOS):
        longer = side * min(width, height)
        sides = min(longer * ratio**0.5, width), min(longer / ratio**0.5, height)
        lefts, tops = (
            np.linspace(0, room, 1 + round(room / (GRID_STRIDE * each)))
            for each, room in zip(sides, (width - sides[0], height - sides[1]), strict=True)
        )
        corners = np.stack(np.meshgrid(lefts, tops), -1).reshape(-1, 2)
        boxes.append(np.concatenate([corners, corners + np.array(sides)], 1))
    found: Corners = np.concatenate(boxes)
    return found


def shuffled(boxes: Corners, seed: int, index: int) -> Corners:
    """Boxes that have no rank, in an order drawn by the seed and the image's index."""
    order = np.random.default_rng((seed, index)).permutation(len(boxes))
    return boxes[order]


def train_learned(views: Sequence[ImageMaps], epochs: int, seed: int, progress: Progress) -> Detector:
    """A detector of objects of any class on maps of the training images, one of the views in each epoch."""
    torch.manual_seed(seed)
    model = views[0].model
    model.reset_head()
    count = len(views[0].split)
    model.scale_inputs([torch.stack(each) for each in zip(*_first(views[0]), strict=True)])
    head = [parameter for name, parameter in model.named_parameters() if not name.startswith("body.")]
    optimizer = torch.optim.AdamW(head, LR, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-count // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 20, 1 - step / steps))
    draw = np.random.default_rng(seed)
    model.train()
    for epoch in progress.track(range(epochs), epochs, "epochs of the class-free detector"):
        view = views[epoch % len(views)]
        for batch in np.array_split(draw.permutation(count), -(-count // BATCH_SIZE)):
            rows = torch.from_numpy(view.rows[np.sort(batch)].astype(np.float32))
            boxes = [view.seen(index, _objects(view.split.boxes[index])) for index in np.sort(batch).tolist()]
            loss = losses(model, model(rows), as_targets(boxes)).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(head, CLIP_GRAD_NORM)
            optimizer.step()
            schedule.step()
    return model.eval()


def _first(maps: ImageMaps) -> list[list[torch.Tensor]]:
    return [list(maps.maps(index).values()) for index in range(min(BATCH_SIZE, len(maps.split)))]


def _objects(boxes: Boxes) -> Boxes:
    """The boxes with all classes merged into one, without crowds."""
    single = boxes.select(~boxes.crowd)
    return replace(single, labels=np.zeros(len(single), np.int32))


def learned(model: Detector, maps: ImageMaps, index: int) -> Corners:
    """The detector's boxes [N, 4] in an image's pixels, the highest score first."""
    from torchvision.ops import nms

    row = torch.from_numpy(maps.rows[index : index + 1].astype(np.float32))
    with torch.inference_mode():
        boxes, scores = (each[0] for each in model.decode(model(row)))
    kept = nms(boxes, scores[:, 0], MAX_IOU)[:LEARNED]
    found = Boxes.of(boxes[kept].numpy(), np.zeros(len(kept)))
    width, height = maps.split.sizes[index].tolist()
    return to_original(found, maps.scale(index), (width, height)).xyxy


def coverage(objects: Sequence[Boxes], regions: Sequence[Corners], count: int | None = None) -> float:
    """The fraction of the objects of all images that one of the first `count` regions of their image covers, 0 to 1;
    crowds and difficult objects are not asked for."""
    found, total = 0, 0
    for boxes, proposed in zip(objects, regions, strict=True):
        counted = boxes.select(~(boxes.crowd | boxes.difficult))
        overlap = iou(counted.xyxy, proposed[:count]).max(1, initial=0)
        found, total = found + int((overlap >= FOUND).sum()), total + len(counted)
    return found / max(1, total)
