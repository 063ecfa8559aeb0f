"""Peer of `cifar10`, no measurement: torchvision's GoogLeNet on CIFAR-10 in so many minutes.

ImageFolder, DataLoader, SGD and a cosine; prints [seconds, top-1] of every epoch as JSON.
"""

import json
import math
import sys
import time

import torch
import torchvision
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]
BATCH, RATE = 128, 0.1


def main(data: str, minutes: float) -> None:
    plain = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    augmented = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), *plain])
    torch.manual_seed(0)
    train = DataLoader(ImageFolder(f"{data}/train", augmented), BATCH, shuffle=True, drop_last=True)
    test = DataLoader(ImageFolder(f"{data}/test", v2.Compose(plain)), 256)
    model = torchvision.models.googlenet(weights=None, num_classes=10, aux_logits=False, init_weights=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4)

    began = time.perf_counter()
    curve: list[tuple[float, float]] = []
    passed = 0.0
    while passed < 1:
        model.train()
        for images, labels in train:
            passed = (time.perf_counter() - began) / (60 * minutes)
            if passed >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 + math.cos(math.pi * passed)) / 2
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in test)
        curve.append((time.perf_counter() - began, right / len(test.dataset)))  # type: ignore[arg-type]
        print(curve[-1], file=sys.stderr, flush=True)
    print(json.dumps(curve))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
