"""Peer of `head`, no measurement: a classifier on a frozen body, the plain way; prints top-1 by epoch."""

import json
import sys

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import inceptorch


def caffe_transform() -> v2.Compose:
    """The pixels that BVLC's weights expect: BGR without their means."""
    mean = torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1)
    return v2.Compose(
        [v2.Resize(256), v2.CenterCrop(224), v2.PILToTensor(), v2.Lambda(lambda x: x.flip(0).float() - mean)]
    )


def main(data: str, weights: str, bar: float, most_epochs: int) -> None:
    transform = caffe_transform()
    torch.manual_seed(0)
    train = DataLoader(ImageFolder(f"{data}/train", transform), batch_size=32, shuffle=True)
    test = DataLoader(ImageFolder(f"{data}/test", transform), batch_size=32)
    model = inceptorch.create_model("googlenet", num_classes=12, weights=weights)
    model.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    head = model.get_classifier().requires_grad_(True)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)

    accuracies: list[float] = []
    while len(accuracies) < most_epochs and (not accuracies or accuracies[-1] < bar):
        for images, labels in train:
            loss = F.cross_entropy(model(images.to(memory_format=torch.channels_last)), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.inference_mode():
            right = sum(
                int((model(images.to(memory_format=torch.channels_last)).argmax(1) == labels).sum())
                for images, labels in test
            )
        accuracies.append(right / len(test.dataset))  # type: ignore[arg-type]
    print(json.dumps(accuracies))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
