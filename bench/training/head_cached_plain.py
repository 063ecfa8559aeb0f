"""Peer of `head`, no measurement: the quick way by hand; prints top-1.

The frozen body sees every image once, in batches of 32 that two loader processes decode; scikit-learn fits a logistic
regression to its features.
"""

import sys

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

import inceptorch
from bench.training.head_plain import caffe_transform
from inceptorch.models.module import Model


def features(model: Model, folder: str) -> tuple[NDArray[np.float32], list[int]]:
    """The inputs of the last layer for every image [N, C], and its class."""
    data = ImageFolder(folder, caffe_transform())
    found: list[torch.Tensor] = []
    handle = model.get_classifier().register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    with torch.inference_mode():
        for images, _ in DataLoader(data, batch_size=32, num_workers=2):
            model(images.to(memory_format=torch.channels_last))
    handle.remove()
    return torch.cat(found).numpy(), data.targets


def main(data: str, weights: str) -> None:
    model = inceptorch.create_model("googlenet", weights=weights).eval()
    model.to(memory_format=torch.channels_last)
    inputs, labels = features(model, f"{data}/train")
    l2 = 0.01  # times the squared weights, beside the mean loss
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=1 / (2 * l2 * len(labels)), max_iter=1000))
    classifier.fit(inputs, labels)
    print(classifier.score(*features(model, f"{data}/test")))


if __name__ == "__main__":
    main(*sys.argv[1:])
