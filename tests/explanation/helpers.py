"""Small networks, and an independent Grad-CAM."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inceptorch.classifier import Classifier
from inceptorch.explanation.grid import Map
from inceptorch.images.preprocessing import ImageArray, default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.layers import LRN, Conv, Dropout, Fork, GlobalAverage, Linear, Pool, Residual
from inceptorch.networks.network import NetworkSpec

# Every kind of layer that a body can have, and fully connected ones behind it.
EVERY = NetworkSpec(
    "every",
    title="every kind of layer",
    source="these tests",
    size=16,
    body={
        "conv1": Conv(8, 3),
        "norm1": LRN(),
        "mix": Fork(Conv(4), (Conv(4), Conv(4, 3)), (Pool("max"), Conv(4))),
        "add": Residual((Conv(6, 3), Conv(12, relu=False)), 0.3),
        "two": (Conv(8), Conv(8, 3)),
        "pool": Pool("max", 3, 2, "ceil"),
        "dropout": Dropout(0.5),
        "linear_add": Residual(Conv(8, 3, relu=False), relu=False),
    },
    head={"fc": Linear(12), "drop": Dropout(0.5)},
)


def classifier_of(net: NetworkSpec, classes: int = 3, seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    model = Model(net, classes)
    with torch.no_grad():  # logits that differ, and batch normalization with statistics of its own
        model.get_classifier().weight.normal_(0, 0.5)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
    return Classifier.of(
        model.eval(), default_preprocessing(net.size), [f"class {number}" for number in range(classes)]
    )


def noise(count: int, size: int, seed: int = 0) -> list[ImageArray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def with_hooks(classifier: Classifier, crop: ImageArray, index: int, layer: str) -> Tensor:
    """Grad-CAM in a few lines of its own, through hooks and a whole walk back."""
    kept: dict[str, Tensor] = {}

    def keep(module: nn.Module, given: object, out: Tensor) -> None:
        out.retain_grad()
        kept["map"] = out

    handle = classifier.model.body.get_submodule(layer).register_forward_hook(keep)
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in (classifier.preprocessing.mean, classifier.preprocessing.std)
    )
    x = torch.from_numpy(crop.astype(np.float32)).permute(2, 0, 1)
    if classifier.preprocessing.channels == "bgr":
        x = x.flip(0)
    classifier.model((((x - mean) / std)[None]).requires_grad_())[0, index].backward()
    handle.remove()
    activation, gradient = kept["map"], kept["map"].grad
    assert gradient is not None
    weights = gradient[0].flatten(1).mean(1)
    return torch.einsum("c,chw->hw", weights, activation[0].detach()).clamp(min=0)


def rank_correlation(first: Map, second: Map) -> float:
    """Spearman's; equal values share their rank."""

    def ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
        flat = values.ravel()
        return np.asarray((np.searchsorted(np.sort(flat), flat) + np.searchsorted(np.sort(flat), flat, "right")) / 2)

    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


def colors_classifier() -> Classifier:
    """A network whose logits are how much red and how much green there is, made by hand."""
    net = NetworkSpec(
        "colors",
        title="red and green",
        source="these tests",
        size=32,
        body={"conv1": Conv(2, 3), "pool1": Pool("max", 3, 2, "ceil"), "conv2": Conv(2, 3),
              "pool2": Pool("max", 2, 2, "valid")},
        head={"avgpool": GlobalAverage()},
    )  # fmt: skip
    model = Model(net, 2)
    first, second = (model.get_parameter(f"body.{layer}.conv.weight") for layer in ("conv1", "conv2"))
    with torch.no_grad():
        for weight in (first, second):
            weight.zero_()
        first[0, 0], first[0, 1] = 1 / 9, -1 / 9  # red without green
        first[1, 1], first[1, 0] = 1 / 9, -1 / 9
        second[0, 0] = second[1, 1] = 1 / 9
        model.get_classifier().weight.copy_(torch.tensor([[5.0, -1.0], [-1.0, 5.0]]))
    return Classifier.of(model.eval(), default_preprocessing(32), ["red", "green"])


def red_and_green_crop() -> ImageArray:
    """Noise around gray, with a red patch in the upper right quarter and a green one in the lower left."""
    crop = np.clip(np.random.default_rng(0).normal(116, 6, (32, 32, 3)), 0, 255).astype(np.uint8)
    crop[4:12, 20:28] = (220, 60, 60)
    crop[20:28, 4:12] = (60, 220, 60)
    return crop
