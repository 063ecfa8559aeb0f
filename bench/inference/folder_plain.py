"""Peer of `folder`, no measurement: the usual script that predicts a folder.

    python bench/inference/folder_plain.py WEIGHTS.pth FOLDER OUT.csv

Pillow, torchvision's transforms and its GoogLeNet, eager torch, batches of 32, a DataLoader with two workers.
"""

import csv
import sys
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.models import googlenet


class Images(Dataset[tuple[torch.Tensor, str]]):
    def __init__(self, folder: str):
        self.files = sorted(map(str, Path(folder).rglob("*.jpg")))
        self.transform = transforms.Compose(
            [
                transforms.Resize(256),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        return self.transform(Image.open(self.files[index]).convert("RGB")), self.files[index]


def main(weights: str, folder: str, out: str) -> None:
    model = googlenet(weights=None, aux_logits=False, init_weights=False).eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    loader = DataLoader(Images(folder), batch_size=32, num_workers=2)
    with open(out, "w", newline="") as file, torch.no_grad():
        writer = csv.writer(file)
        for batch, names in loader:
            top = model(batch).softmax(1).topk(5)
            for name, values, indices in zip(names, top.values.tolist(), top.indices.tolist(), strict=True):
                writer.writerow([name, *(cell for pair in zip(indices, values, strict=True) for cell in pair)])


if __name__ == "__main__":
    main(*sys.argv[1:])
