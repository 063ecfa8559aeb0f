"""A classifier as an ONNX graph, written from its table: uint8 images in, probabilities and activation maps out.

The graph is put together from the table and the tensors, not traced: it needs no torch, its nodes are called by the
table's layers ("3a/1/0/conv"), and the number of images is free. Batch normalization is folded into the convolutions in
double precision. Imports onnx when a graph is written, not with this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from inceptorch.images.preprocessing import LUMA, Preprocessing
from inceptorch.networks.layers import AdaptiveAverage, Dropout, GlobalAverage, GlobalMax, Layer, Pool, Shape, as_layer
from inceptorch.networks.network import NetworkSpec, with_classifier
from inceptorch.networks.onnx_writer import OnnxWriter, Tensors

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR = 17, 9  # old enough for every engine of the last years
INPUT, PROBABILITIES, MAPS, MAP_CLASSES = "images", "probabilities", "maps", "map_classes"
FEATURES = "features"
INPUT_BEFORE = "pictures"  # the input of files of version 0.1, which are read for one more release
MAX_MAPS = 5  # classes whose activation maps are given, as many as are usually shown


def graph(
    net: NetworkSpec, pixels: Preprocessing, num_classes: int, tensors: Tensors, config: Mapping[str, Any]
) -> ModelProto:
    """The ONNX model of a classifier from the tensors of its `model.safetensors`.

    Input   "images", uint8 RGB [N, 3, S, S]
    Output  "probabilities", float32 [N, classes]; then, where the head is one average or maximum and one
            linear layer, "maps", float32 [N, K, h, w], the class activation maps (Zhou et al., arXiv:1512.04150) of the
            K = min(5, classes) most probable classes, whose averages, behind an average, plus the class's bias are the
            logits; and "map_classes", int64 [N, K], which classes they are of, the most probable first

    `config`, what `config.json` says, goes into the metadata, each value as JSON.
    """
    from onnx import TensorProto, helper

    writer = OnnxWriter(tensors, net.norm.eps if net.norm else None)
    layers = {**net.body, **with_classifier(net.head, num_classes)}
    x = scaled(writer, pixels)
    shape: Shape = (pixels.in_chans, pixels.size, pixels.size)
    pooled_at, pooled, shape_pooled = pooled_layer(net, shape), x, shape
    for name, layer in layers.items():
        if name == pooled_at:
            pooled, shape_pooled = x, shape
        x = as_layer(layer).onnx(writer, x, shape, name, f"{'body' if name in net.body else 'head'}.{name}")
        shape = as_layer(layer).output_shape(shape)
    writer.node("Softmax", [x], "softmax", output=PROBABILITIES, axis=1)

    size = pixels.size
    outputs = [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["N", num_classes])]
    if pooled_at is not None:
        _, height, width = shape_pooled
        _maps(writer, pooled, shape_pooled, num_classes)
        shown = min(MAX_MAPS, num_classes)
        outputs += [
            helper.make_tensor_value_info(MAPS, TensorProto.FLOAT, ["N", shown, height, width]),
            helper.make_tensor_value_info(MAP_CLASSES, TensorProto.INT64, ["N", shown]),
        ]
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", 3, size, size])]
    return as_model(writer, net.name, inputs, outputs, config)


def features_graph(net: NetworkSpec, pixels: Preprocessing, tensors: Tensors) -> ModelProto:
    """The ONNX model of a network up to its classifier.

    Input   "images", float32 RGB [N, 3, S, S] from 0 to 255, as a resized image is before it is rounded
    Output  "features", float32 [N, num_features], what the last linear layer receives
    """
    from onnx import TensorProto, helper

    writer = OnnxWriter(tensors, net.norm.eps if net.norm else None)
    x = scaled(writer, pixels)
    shape: Shape = (pixels.in_chans, pixels.size, pixels.size)
    for name, layer in {**net.body, **net.head}.items():
        x = as_layer(layer).onnx(writer, x, shape, name, f"{'body' if name in net.body else 'head'}.{name}")
        shape = as_layer(layer).output_shape(shape)
    writer.node("Flatten", [x], FEATURES)
    outputs = [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", prod(shape)])]
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", 3, pixels.size, pixels.size])]
    return as_model(writer, net.name, inputs, outputs, {})


def as_model(
    writer: OnnxWriter, name: str, inputs: list[Any], outputs: list[Any], config: Mapping[str, Any]
) -> ModelProto:
    """The ONNX model of everything written, with `config` in its metadata, each value as JSON."""
    from onnx import helper

    made = helper.make_graph(writer.nodes, name, inputs, outputs, writer.constants)
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="inceptorch"
    )
    helper.set_model_props(model, {key: json.dumps(value, ensure_ascii=False) for key, value in config.items()})
    return model


def pooled_layer(net: NetworkSpec, shape: Shape) -> str | None:
    """The layer of the head that takes the average or the maximum of the whole map (more than one place) right before
    the classifier, for an input of `shape` (C, H, W): where there is one, activation maps cost nothing. None for other
    heads."""
    for layer in net.body.values():
        shape = as_layer(layer).output_shape(shape)
    layers = {name: layer for name, layer in net.head.items() if not isinstance(layer, Dropout)}
    if len(layers) != 1 or shape[1:] == (1, 1):
        return None
    ((name, layer),) = layers.items()
    return name if _pools_all(layer, shape) else None


def _pools_all(layer: Layer, shape: Shape) -> bool:
    if isinstance(layer, Pool):
        return layer.pad != "same" and layer.window_size == shape[1:]
    return isinstance(layer, GlobalAverage | GlobalMax) or layer == AdaptiveAverage(1)


def scaled(writer: OnnxWriter, pixels: Preprocessing) -> str:
    """The arithmetic between pixels and network, as `models.normalize.Normalize` does it."""
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


def _maps(writer: OnnxWriter, pooled: str, shape: Shape, num_classes: int) -> None:
    """The maps of the most probable classes: each class's weights in the linear layer, applied at every place."""
    channels, height, width = shape
    shown = min(MAX_MAPS, num_classes)
    count = writer.constant("maps/count", np.array([shown]))
    writer.node("TopK", [PROBABILITIES, count], "maps/top", outputs=["maps/probabilities", MAP_CLASSES], axis=1)
    weights = writer.node("Gather", ["linear/weight", MAP_CLASSES], "maps/weights", axis=0)
    flat_shape = writer.constant("maps/flat_shape", np.array([0, channels, height * width]))
    flat = writer.node("Reshape", [pooled, flat_shape], "maps/flat")
    product = writer.node("MatMul", [weights, flat], "maps/product")
    map_shape = writer.constant("maps/shape", np.array([0, shown, height, width]))
    writer.node("Reshape", [product, map_shape], "maps/reshape", output=MAPS)
