"""An ONNX graph in the making: what the layers add their nodes to. Imports onnx when nodes are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ONE_BY_ONE = {"kernel_shape": [1, 1], "strides": [1, 1], "pads": [0, 0, 0, 0]}

Tensors = Mapping[str, NDArray[Any]]


class OnnxWriter:
    """Nodes and constants of a graph in the making. `eps` is that of batch normalization, None where there is none."""

    def __init__(self, tensors: Tensors, eps: float | None):
        self.tensors = tensors
        self.eps = eps
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(
        self, operator: str, inputs: list[str], name: str, output: str = "", outputs: Any = None, **how: Any
    ) -> str:
        """Add a node; its output is called as the node is by default."""
        from onnx import helper

        outputs = outputs or [output or name]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **how))
        return str(outputs[0])

    def constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def parameter(self, name: str, *shape: int) -> str:
        """The tensor of this name in the state dict as a constant, once however many nodes it has; reshaped if a shape
        is given."""
        if all(each.name != name for each in self.constants):
            tensor = self.tensor(name)
            self.constant(name, tensor.reshape(shape) if shape else tensor)
        return name

    def convolution(
        self, x: str, name: str, weight: NDArray[Any], bias: NDArray[Any] | None, groups: int = 1, **window: Any
    ) -> str:
        """Add a convolution; without `window`, it is a 1x1 one."""
        inputs = [x, self.constant(f"{name}/weight", weight)]
        if bias is not None:
            inputs.append(self.constant(f"{name}/bias", bias))
        return self.node("Conv", inputs, name, group=groups, **(window or ONE_BY_ONE))

    def folded(self, conv: str, norm: str | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Weight and bias of a convolution with the batch normalization behind it, worked out in double precision."""
        weight = self.tensor(f"{conv}.weight")
        bias = self.tensor(f"{conv}.bias") if f"{conv}.bias" in self.tensors else None
        if norm is None or self.eps is None:
            return weight, bias
        names = ("weight", "bias", "running_mean", "running_var")
        scale, shift, mean, variance = (self.tensor(f"{norm}.{each}").astype(np.float64) for each in names)
        factor = scale / np.sqrt(variance + self.eps)
        moved = shift + factor * ((0 if bias is None else bias) - mean)
        folded = weight.astype(np.float64) * factor.reshape(-1, 1, 1, 1)
        return folded.astype(np.float32), moved.astype(np.float32)

    def signs(self, norm: str) -> NDArray[Any] | None:
        """1 and -1 for the channels of a batch normalization by the signs of their factors; None where all are 1, or
        nothing is normalized."""
        if self.eps is None:
            return None
        below = self.tensor(f"{norm}.weight") < 0
        return np.where(below, np.float32(-1), np.float32(1)) if below.any() else None

    def tensor(self, name: str) -> NDArray[Any]:
        return np.asarray(self.tensors[name], np.float32)
