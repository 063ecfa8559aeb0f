"""Peer of `cifar10`, no measurement: our network in a plain loop, for as many epochs and in the same batches.

    python -m bench.training.cifar10_network_plain FOLDER EPOCHS

The images are decoded once, torchvision's transforms augment them, SGD with Nesterov's momentum follows a cosine; bf16
by autocast, in channels last. Prints [seconds, top-1] of every epoch as JSON.
"""

import json
import sys
import time

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from bench.training.cifar10_googlenet_plain import MEAN, STD
from inceptorch import create_model

BATCH, RATE = 64, 0.05


class InMemory(Dataset[tuple[Tensor, int]]):
    """A folder's images, decoded once."""

    def __init__(self, folder: str, transform: v2.Transform):
        self.samples = list(ImageFolder(folder, v2.PILToTensor()))
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self.samples[index]
        return self.transform(image), label


def main(data: str, epochs: int) -> None:
    began = time.perf_counter()
    plain = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    augmented = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), *plain])
    torch.manual_seed(0)
    train = DataLoader(InMemory(f"{data}/train", augmented), BATCH, shuffle=True, drop_last=True)
    test = DataLoader(InMemory(f"{data}/test", v2.Compose(plain)), 256)
    model = create_model("googlenet_tiny", num_classes=10, size=32).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(train))
    autocast = torch.autocast("cpu", torch.bfloat16)

    def logits(images: Tensor) -> Tensor:
        with autocast:
            found: Tensor = model(images.to(memory_format=torch.channels_last))
        return found.float()

    curve: list[tuple[float, float]] = []
    for _ in range(epochs):
        model.train()
        for images, labels in train:
            optimizer.zero_grad()
            F.cross_entropy(logits(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.inference_mode():
            right = sum(int((logits(images).argmax(1) == labels).sum()) for images, labels in test)
        curve.append((time.perf_counter() - began, right / len(test.dataset)))  # type: ignore[arg-type]
        print(curve[-1], file=sys.stderr, flush=True)
    print(json.dumps(curve))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
