"""Peer of `boxes`, no measurement: a detector of torchvision's in a plain loop for so many seconds; prints its mAP."""

import json
import math
import random
import sys
import time

import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2.functional import pil_to_tensor

from inceptorch.data import BoxSplit
from inceptorch.data.resolve import find_split, open_splits
from inceptorch.evaluation.detection import evaluate_boxes
from inceptorch.images.boxes import Boxes

BATCH = 8
LR = 1e-3


def load(split: BoxSplit, index: int, mirror: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    image: Image.Image = split.image(index)
    boxes = split.boxes[index]
    if mirror:
        image, boxes = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), boxes.mirrored(image.width)
    target = {"boxes": torch.tensor(boxes.xyxy, dtype=torch.float32), "labels": torch.tensor(boxes.labels + 1).long()}
    return pil_to_tensor(image).float() / 255, target


def trained(model: nn.Module, split: BoxSplit, seconds: float) -> int:
    """Train with AdamW and a cosine of the rate, mirrored images; the number of steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=1e-2)
    draw, began, steps = random.Random(0), time.monotonic(), 0
    while (passed := (time.monotonic() - began) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = LR * min(1, (steps + 1) / 50) * (1 + math.cos(math.pi * passed)) / 2
        pairs = [load(split, draw.randrange(len(split)), draw.random() < 0.5) for _ in range(BATCH)]
        images, targets = zip(*pairs, strict=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = sum(model(list(images), list(targets)).values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        steps += 1
    return steps


def main(data: str, name: str, seconds: float) -> None:
    train = open_splits(data)["train"]()
    test = find_split(data, train.classes, "test")
    assert isinstance(train, BoxSplit)
    assert isinstance(test, BoxSplit)
    torch.manual_seed(0)
    model = getattr(torchvision.models.detection, name)(
        weights=None, weights_backbone=None, num_classes=len(train.classes) + 1
    )
    began = time.monotonic()
    steps = trained(model.train(), train, seconds)
    spent = time.monotonic() - began
    model.eval()
    found = []
    with torch.inference_mode():
        for index in range(len(test)):
            (answer,) = model([load(test, index)[0]])
            found.append(Boxes.of(answer["boxes"].numpy(), answer["labels"].numpy() - 1, answer["scores"].numpy()))
    scores = evaluate_boxes(test.boxes, found, train.classes, "voc")
    classes = {each: score["ap50"] for each, score in scores.per_class.items()}
    record = {"seconds": round(spent, 1), "steps": steps, "map50": scores.map50, "per_class": classes}
    print(json.dumps({**record, "interval": scores.intervals["map50"], "n": {"images": scores.n}}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
