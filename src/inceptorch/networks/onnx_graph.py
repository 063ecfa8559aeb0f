"""A classifier as an ONNX graph, written from its table: uint8 pictures in, probabilities and activation maps out.

The graph is put together from the table and the tensors, not traced: it needs no torch, its nodes are called by the
table's rows ("3a/1/0/conv"), batch normalisation is folded into the convolutions in double precision, and the number of
pictures is free. Imports onnx when a graph is written, not with this module.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.images.preprocessing import LUMA, Pixels
from inceptorch.networks.complexity import Shape, output_shape
from inceptorch.networks.layers import (
    LRN,
    AdaptiveAverage,
    Conv,
    Dropout,
    Fork,
    GlobalAverage,
    Kernel,
    Layer,
    Linear,
    Padding,
    Pool,
    Residual,
    SeparableConv,
    pads,
    sides,
)
from inceptorch.networks.network import NetworkSpec, with_classifier

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR = 17, 9  # old enough for every engine of the last years
INPUT, PROBABILITIES, MAPS, MAP_CLASSES = "pictures", "probabilities", "maps", "map_classes"
MOST_MAPS = 5  # classes whose activation maps are given, as many as are usually shown

Tensors = Mapping[str, NDArray[Any]]


def graph(
    net: NetworkSpec, pixels: Pixels, num_classes: int, tensors: Tensors, config: Mapping[str, Any]
) -> ModelProto:
    """The ONNX model of a classifier from the tensors of its `model.safetensors`.

    Input   "pictures", uint8 RGB [N, 3, S, S]
    Output  "probabilities", float32 [N, classes]; then, where the head is one average and one linear layer,
            "maps", float32 [N, K, h, w], the class activation maps (Zhou et al., arXiv:1512.04150) of the K = min(5,
            classes) most probable classes, whose averages plus the class's bias are the logits; and "map_classes",
            int64 [N, K], which classes they are of, the most probable first

    `config`, what `config.json` says, goes into the metadata, each value as JSON.
    """
    from onnx import TensorProto, helper

    writer = _Writer(net, tensors)
    rows = {**net.body, **with_classifier(net.head, num_classes)}
    x = _scaled(writer, pixels)
    shape: Shape = (pixels.in_chans, pixels.size, pixels.size)
    pooled_at, pooled, shape_pooled = pooled_row(net, shape), x, shape
    for row, layer in rows.items():
        if row == pooled_at:
            pooled, shape_pooled = x, shape
        x = writer.layer(layer, x, shape, row, f"{'body' if row in net.body else 'head'}.{row}")
        shape = output_shape(layer, shape)
    writer.node("Softmax", [x], "softmax", output=PROBABILITIES, axis=1)

    size = pixels.size
    outputs = [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["N", num_classes])]
    if pooled_at is not None:
        _, height, width = shape_pooled
        _maps(writer, pooled, shape_pooled, num_classes)
        shown = min(MOST_MAPS, num_classes)
        outputs += [
            helper.make_tensor_value_info(MAPS, TensorProto.FLOAT, ["N", shown, height, width]),
            helper.make_tensor_value_info(MAP_CLASSES, TensorProto.INT64, ["N", shown]),
        ]
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", 3, size, size])]
    made = helper.make_graph(writer.nodes, net.name, inputs, outputs, writer.constants)
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="inceptorch"
    )
    helper.set_model_props(model, {key: json.dumps(value, ensure_ascii=False) for key, value in config.items()})
    return model


def pooled_row(net: NetworkSpec, shape: Shape) -> str | None:
    """The row of the head that averages the whole map (more than one place) right before the linear layer to the classes,
    for an input of `shape` (C, H, W): where there is one, activation maps cost nothing. None for other heads."""
    for layer in net.body.values():
        shape = output_shape(layer, shape)
    rows = {name: layer for name, layer in net.head.items() if not isinstance(layer, Dropout)}
    if len(rows) != 1 or shape[1:] == (1, 1):
        return None
    ((name, layer),) = rows.items()
    return name if _averages_all(layer, shape) else None


def _averages_all(layer: Layer, shape: Shape) -> bool:
    match layer:
        case GlobalAverage() | AdaptiveAverage(1):
            return True
        case Pool("avg", kernel, _, "valid" | "ceil"):
            return sides(kernel) == shape[1:]
    return False


def _scaled(writer: _Writer, pixels: Pixels) -> str:
    """The arithmetic between pixels and network, as `scale.Scale` does it."""
    x = writer.node("Cast", [INPUT], "scale/float", to=1)
    if pixels.channels == "bgr":
        x = writer.node("Gather", [x, writer.constant("scale/order", np.array([2, 1, 0]))], "scale/bgr", axis=1)
    elif pixels.channels == "gray":
        luma = writer.constant("scale/luma", np.array(LUMA, np.float32).reshape(1, 3, 1, 1))
        weighed = writer.node("Mul", [x, luma], "scale/weighed")
        x = writer.node("ReduceSum", [weighed, writer.constant("scale/axis", np.array([1]))], "scale/gray", keepdims=1)
    for operator, name, values in (("Sub", "mean", pixels.mean), ("Div", "std", pixels.std)):
        constant = writer.constant(f"scale/{name}/value", np.array(values, np.float32).reshape(1, -1, 1, 1))
        x = writer.node(operator, [x, constant], f"scale/{name}")
    return x


def _maps(writer: _Writer, pooled: str, shape: Shape, num_classes: int) -> None:
    """The maps of the most probable classes: each class's row of the linear layer, applied at every place."""
    channels, height, width = shape
    shown = min(MOST_MAPS, num_classes)
    count = writer.constant("maps/count", np.array([shown]))
    writer.node("TopK", [PROBABILITIES, count], "maps/top", outputs=["maps/probabilities", MAP_CLASSES], axis=1)
    weights = writer.node("Gather", ["linear/weight", MAP_CLASSES], "maps/weights", axis=0)
    flat_shape = writer.constant("maps/flat_shape", np.array([0, channels, height * width]))
    flat = writer.node("Reshape", [pooled, flat_shape], "maps/flat")
    product = writer.node("MatMul", [weights, flat], "maps/product")
    map_shape = writer.constant("maps/shape", np.array([0, shown, height, width]))
    writer.node("Reshape", [product, map_shape], "maps/reshape", output=MAPS)


class _Writer:
    """Nodes and constants of a graph in the making."""

    def __init__(self, net: NetworkSpec, tensors: Tensors):
        self.net = net
        self.tensors = tensors
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(
        self, operator: str, inputs: list[str], name: str, output: str = "", outputs: Any = None, **how: Any
    ) -> str:
        """Add a node; its output is called as the node is, unless told otherwise."""
        from onnx import helper

        outputs = outputs or [output or name]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **how))
        return str(outputs[0])

    def constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def layer(self, layer: Layer, x: str, shape: Shape, name: str, at: str) -> str:
        """Add a layer whose nodes begin with `name`, for the input x of `shape` (C, H, W); its tensors begin with `at`."""
        match layer:
            case Conv(_, kernel, stride, pad, groups, norm, relu):
                weight, bias = self._folded(f"{at}.conv", f"{at}.bn" if norm and self.net.norm else None)
                x = self._convolution(x, f"{name}/conv", weight, bias, kernel, stride, pad, groups)
                return self.node("Relu", [x], f"{name}/relu") if relu else x
            case SeparableConv(_, kernel, stride, _, pad):
                deep = self._tensor(f"{at}.depthwise.weight")
                x = self._convolution(x, f"{name}/depthwise", deep, None, kernel, stride, pad, shape[0])
                weight, bias = self._folded(f"{at}.conv", f"{at}.bn" if self.net.norm else None)
                x = self._convolution(x, f"{name}/conv", weight, bias, 1, 1, "valid", 1)
                return self.node("Relu", [x], f"{name}/relu")
            case Pool("max", kernel, stride, pad):
                return self.node(
                    "MaxPool", [x], f"{name}/pool", **_window(kernel, stride, pad), ceil_mode=pad == "ceil"
                )
            case Pool(_, kernel, stride, pad, count_pad):
                how = _window(kernel, stride, pad)
                return self.node(
                    "AveragePool", [x], f"{name}/pool", **how, ceil_mode=pad == "ceil", count_include_pad=count_pad
                )
            case LRN():
                return self._across_channels(x, shape[0], f"{name}/lrn", layer)
            case GlobalAverage():
                return self.node("GlobalAveragePool", [x], f"{name}/pool")
            case AdaptiveAverage(side):
                return self._adaptive(x, shape, name, side)
            case Dropout():
                return x
            case Linear(_, relu):
                where = f"{at}.linear" if relu else at
                flat = self.node("Flatten", [x], f"{name}/flatten")
                constants = [
                    self.constant(f"{name}/{each}", self._tensor(f"{where}.{each}")) for each in ("weight", "bias")
                ]
                x = self.node("Gemm", [flat, *constants], f"{name}/linear", transB=1)
                return self.node("Relu", [x], f"{name}/relu") if relu else x
            case Fork(branches):
                ends = [
                    self.layer(branch, x, shape, f"{name}/{number}", f"{at}.{number}")
                    for number, branch in enumerate(branches)
                ]
                return self.node("Concat", ends, f"{name}/concat", axis=1)
            case Residual(inner, scale, relu):
                addend = self.layer(inner, x, shape, f"{name}/layer", f"{at}.layer")
                if scale != 1:
                    factor = self.constant(f"{name}/scale/value", np.array(scale, np.float32))
                    addend = self.node("Mul", [addend, factor], f"{name}/scale")
                x = self.node("Add", [x, addend], f"{name}/sum")
                return self.node("Relu", [x], f"{name}/relu") if relu else x
            case tuple():
                for number, part in enumerate(layer):
                    x = self.layer(part, x, shape, f"{name}/{number}", f"{at}.{number}")
                    shape = output_shape(part, shape)
                return x

    def _convolution(
        self,
        x: str,
        name: str,
        weight: NDArray[Any],
        bias: NDArray[Any] | None,
        kernel: Kernel,
        stride: int,
        pad: Padding,
        groups: int,
    ) -> str:
        inputs = [x, self.constant(f"{name}/weight", weight)]
        if bias is not None:
            inputs.append(self.constant(f"{name}/bias", bias))
        return self.node("Conv", inputs, name, group=groups, **_window(kernel, stride, pad))

    def _across_channels(self, x: str, channels: int, name: str, lrn: LRN) -> str:
        """Local response normalisation, its sum as a 1x1 convolution by a banded matrix and its power as two square roots.
        OpenVINO's own operator is a little faster, but ONNX Runtime's takes nearly as long as the rest of GoogLeNet."""
        squares = self.node("Mul", [x, x], f"{name}/squares")
        k = np.full(channels, lrn.k, np.float32)
        sums = self._convolution(squares, f"{name}/sums", _band(channels, lrn), k, 1, 1, "valid", 1)
        if lrn.beta == 0.75:
            root = self.node("Sqrt", [sums], f"{name}/root")
            power = self.node("Mul", [root, self.node("Sqrt", [root], f"{name}/fourth_root")], f"{name}/power")
        else:
            power = self.node(
                "Pow", [sums, self.constant(f"{name}/beta", np.array(lrn.beta, np.float32))], f"{name}/power"
            )
        return self.node("Div", [x, power], name)

    def _adaptive(self, x: str, shape: Shape, name: str, side: int) -> str:
        """Averages over windows that may differ by one in length and overlap: a product with a matrix along each side."""
        _, height, width = shape
        across = self.constant(f"{name}/across", _averages(width, side).T)
        down = self.constant(f"{name}/down", _averages(height, side))
        x = self.node("MatMul", [x, across], f"{name}/rows")
        return self.node("MatMul", [down, x], f"{name}/pool")

    def _folded(self, conv: str, norm: str | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Weight and bias of a convolution with the batch normalisation behind it, worked out in double precision."""
        weight = self._tensor(f"{conv}.weight")
        bias = self._tensor(f"{conv}.bias") if f"{conv}.bias" in self.tensors else None
        if norm is None or self.net.norm is None:
            return weight, bias
        names = ("weight", "bias", "running_mean", "running_var")
        scale, shift, mean, variance = (self._tensor(f"{norm}.{each}").astype(np.float64) for each in names)
        factor = scale / np.sqrt(variance + self.net.norm.eps)
        moved = shift + factor * ((0 if bias is None else bias) - mean)
        folded = weight.astype(np.float64) * factor.reshape(-1, 1, 1, 1)
        return folded.astype(np.float32), moved.astype(np.float32)

    def _tensor(self, name: str) -> NDArray[Any]:
        return np.asarray(self.tensors[name], np.float32)


def _window(kernel: Kernel, stride: int, pad: Padding) -> dict[str, Any]:
    above, left = pads(kernel, pad)
    return {"kernel_shape": [*sides(kernel)], "strides": [stride, stride], "pads": [above, left, above, left]}


def _band(channels: int, lrn: LRN) -> NDArray[np.float32]:
    """[channels, channels, 1, 1]: alpha/size where two channels are at most half of `size` apart."""
    places = np.arange(channels)
    near = np.abs(places[:, None] - places[None, :]) <= lrn.size // 2
    band: NDArray[np.float32] = (near * (lrn.alpha / lrn.size)).astype(np.float32)
    return band[:, :, None, None]


def _averages(length: int, parts: int) -> NDArray[np.float32]:
    """[parts, length]: each row averages the places from floor(i * length / parts) to ceil((i + 1) * length / parts)."""
    matrix = np.zeros((parts, length), np.float32)
    for part in range(parts):
        start, end = part * length // parts, math.ceil((part + 1) * length / parts)
        matrix[part, start:end] = 1 / (end - start)
    return matrix
