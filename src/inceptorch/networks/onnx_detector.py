"""A detector as an ONNX graph, written from its table and its head: uint8 images in, boxes out.

Like `onnx_graph`, it needs no torch. Non-maximum suppression is part of the graph, so that an engine answers with as
many boxes as there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from inceptorch.images.preprocessing import Preprocessing
from inceptorch.networks.detection import (
    EDGES,
    GROUP_EPS,
    GROUPS,
    MAX_BOXES,
    MAX_IOU,
    MAX_LOG_DISTANCE,
    MIN_SCORE,
    DetectionHead,
)
from inceptorch.networks.layers import Shape, as_layer
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.onnx_graph import INPUT, as_model, scaled
from inceptorch.networks.onnx_writer import ONE_BY_ONE, OnnxWriter, Tensors

if TYPE_CHECKING:
    from onnx import ModelProto

BOXES, SCORES, LABELS, IMAGE = OUTPUTS = ("boxes", "scores", "labels", "image")
THREE_BY_THREE = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}


def detector_graph(
    net: NetworkSpec,
    head: DetectionHead,
    pixels: Preprocessing,
    num_classes: int,
    tensors: Tensors,
    config: Mapping[str, Any],
) -> ModelProto:
    """The ONNX model of a detector from the tensors of its `model.safetensors`.

    Input   "images", uint8 RGB [N, 3, height, width]
    Output  for the M boxes of all images, in no order: "boxes", float32 [M, 4], left, top, right, bottom in pixels of
            the input; "scores", float32 [M], 0 to 1; "labels", int64 [M]; and "image", int64 [M], which of the N

    At most MAX_BOXES of a class and an image are given. `config` is as for `onnx_graph.graph`.
    """
    from onnx import TensorProto, helper

    writer = OnnxWriter(tensors, net.norm.eps if net.norm else None)
    shapes = head.maps(net, pixels.in_chans)
    maps = _body(writer, net, head, pixels)
    merged = _pyramid(writer, head, maps, shapes)
    levels = [_outputs(writer, head, number, x, shapes[number], num_classes) for number, x in enumerate(merged)]
    logits, edges, centerness = (
        writer.node("Concat", list(parts), f"decode/{name}", axis=2)
        for name, parts in zip(("classes", "edges", "centerness"), zip(*levels, strict=True), strict=True)
    )
    scores = _scores(writer, logits, centerness)
    _best(writer, _to_boxes(writer, head, edges, shapes), scores)

    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", 3, head.height, head.width])]
    outputs = [
        helper.make_tensor_value_info(BOXES, TensorProto.FLOAT, ["M", EDGES]),
        helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["M"]),
        helper.make_tensor_value_info(LABELS, TensorProto.INT64, ["M"]),
        helper.make_tensor_value_info(IMAGE, TensorProto.INT64, ["M"]),
    ]
    return as_model(writer, net.name, inputs, outputs, config)


def _body(writer: OnnxWriter, net: NetworkSpec, head: DetectionHead, pixels: Preprocessing) -> list[str]:
    """The maps that the pyramid takes, finest first."""
    x = scaled(writer, pixels)
    shape: Shape = (pixels.in_chans, head.height, head.width)
    maps = {}
    for name, layer in head.body(net).body.items():
        x = maps[name] = as_layer(layer).onnx(writer, x, shape, name, f"body.{name}")
        shape = as_layer(layer).output_shape(shape)
    return [maps[level] for level in head.levels]


def _pyramid(writer: OnnxWriter, head: DetectionHead, maps: list[str], shapes: list[Shape]) -> list[str]:
    """The maps of the pyramid, finest first: each with the next coarser one, enlarged, added."""
    merged = [
        _conv(writer, x, f"lateral/{level}", f"lateral.{level}", ONE_BY_ONE)
        for level, x in zip(head.levels, maps, strict=True)
    ]
    for finer in range(len(maps) - 2, -1, -1):
        level, (_, height, width) = head.levels[finer], shapes[finer]
        enlarged = _enlarged(writer, merged[finer + 1], f"pyramid/{level}", shapes[finer + 1], height, width)
        merged[finer] = writer.node("Add", [merged[finer], enlarged], f"pyramid/{level}/merged")
    return [
        _conv(writer, x, f"pyramid/{level}/conv", f"pyramid.{level}", THREE_BY_THREE)
        for level, x in zip(head.levels, merged, strict=True)
    ]


def _enlarged(writer: OnnxWriter, x: str, name: str, shape: Shape, height: int, width: int) -> str:
    """The map of `shape` enlarged to height x width, each place taking the nearest one, as torch's `nearest` does."""
    for axis, side, wanted in ((2, shape[1], height), (3, shape[2], width)):
        if wanted != side:
            at = np.minimum(np.floor(np.arange(wanted, dtype=np.float32) * np.float32(side / wanted)), side - 1)
            rows = writer.constant(f"{name}/nearest_{axis}", at.astype(np.int64))
            x = writer.node("Gather", [x, rows], f"{name}/enlarged_{axis}", axis=axis)
    return x


def _outputs(
    writer: OnnxWriter, head: DetectionHead, number: int, x: str, shape: Shape, num_classes: int
) -> tuple[str, str, str]:
    """Logits of the classes, logarithms of distances, and logits of the centerness of one level: [N, outputs,
    places]."""
    level, places = head.levels[number], shape[1] * shape[2]
    about_class, about_box = (_tower(writer, head, x, tower, level, shape) for tower in ("class_tower", "box_tower"))
    found = []
    for name, tower, count in (
        ("classes", about_class, num_classes),
        ("edges", about_box, EDGES),
        ("centerness", about_box, 1),
    ):
        output = _conv(writer, tower, f"{name}/{level}", name, THREE_BY_THREE)
        if name == "edges":
            scale = writer.constant(f"edges/{level}/scale", writer.tensor("scales")[number])
            output = writer.node("Mul", [output, scale], f"edges/{level}/scaled")
        flat = writer.constant(f"{name}/{level}/shape", np.array([0, count, places]))
        found.append(writer.node("Reshape", [output, flat], f"{name}/{level}/flat"))
    return found[0], found[1], found[2]


def _tower(writer: OnnxWriter, head: DetectionHead, x: str, tower: str, level: str, shape: Shape) -> str:
    """Convolutions with group normalization, which opset 17 has as normalization of each channel alone: a group's
    places are laid out as one channel."""
    for number in range(head.depth):
        name, at = f"{tower}/{level}/{number}", f"{tower}.{number}"
        x = _conv(writer, x, f"{name}/conv", f"{at}.conv", THREE_BY_THREE)
        grouped = writer.constant(f"{name}/grouped_shape", np.array([0, GROUPS, -1]))
        x = writer.node("Reshape", [x, grouped], f"{name}/grouped")
        one = writer.constant(f"{name}/one", np.ones(GROUPS, np.float32))
        zero = writer.constant(f"{name}/zero", np.zeros(GROUPS, np.float32))
        x = writer.node("InstanceNormalization", [x, one, zero], f"{name}/normalized", epsilon=GROUP_EPS)
        whole = writer.constant(f"{name}/shape", np.array([0, head.channels, *shape[1:]]))
        x = writer.node("Reshape", [x, whole], f"{name}/whole")
        scale, shift = (writer.parameter(f"{at}.norm.{each}", -1, 1, 1) for each in ("weight", "bias"))
        x = writer.node("Mul", [x, scale], f"{name}/scaled")
        x = writer.node("Add", [x, shift], f"{name}/shifted")
        x = writer.node("Relu", [x], f"{name}/relu")
    return x


def _scores(writer: OnnxWriter, logits: str, centerness: str) -> str:
    """[N, classes, places]: geometric means of a class's probability and the centerness, infinite for no numbers, which
    suppression would drop in silence."""
    probability = writer.node("Sigmoid", [logits], "decode/probability")
    central = writer.node("Sigmoid", [centerness], "decode/central")
    product = writer.node("Mul", [probability, central], "decode/product")
    mean = writer.node("Sqrt", [product], "decode/mean")
    infinite = writer.constant("decode/infinite", np.array(np.inf, np.float32))
    unknown = writer.node("IsNaN", [mean], "decode/unknown")
    return writer.node("Where", [unknown, infinite, mean], "decode/scores")


def _to_boxes(writer: OnnxWriter, head: DetectionHead, edges: str, shapes: list[Shape]) -> str:
    """Boxes [N, places, 4] within the image from the logarithms of distances [N, 4, places]."""
    x, y, stride = head.places(shapes).T
    starts = writer.constant("decode/places", np.stack([x, y, x, y])[None])
    steps = writer.constant("decode/strides", np.stack([-stride, -stride, stride, stride])[None])
    largest = writer.constant("decode/largest", np.array(MAX_LOG_DISTANCE, np.float32))
    zero = writer.constant("decode/zero", np.array(0, np.float32))
    sides = np.array([head.width, head.height] * 2, np.float32).reshape(1, EDGES, 1)
    limited = writer.node("Min", [edges, largest], "decode/limited")
    distances = writer.node("Mul", [writer.node("Exp", [limited], "decode/exp"), steps], "decode/distances")
    moved = writer.node("Add", [distances, starts], "decode/moved")
    positive = writer.node("Max", [moved, zero], "decode/positive")
    within = writer.node("Min", [positive, writer.constant("decode/sides", sides)], "decode/within")
    return writer.node("Transpose", [within], "decode/boxes", perm=[0, 2, 1])


def _best(writer: OnnxWriter, boxes: str, scores: str) -> None:
    """Non-maximum suppression within each class, and the outputs."""
    bounds = [
        writer.constant("nms/max_boxes", np.array([MAX_BOXES])),
        writer.constant("nms/max_iou", np.array([MAX_IOU], np.float32)),
        writer.constant("nms/min_score", np.array([MIN_SCORE], np.float32)),
    ]
    found = writer.node("NonMaxSuppression", [boxes, scores, *bounds], "nms/found")  # rows of image, class and place
    image, label = (writer.constant(f"nms/column_{column}", np.array(column)) for column in (0, 1))
    where = writer.constant("nms/image_and_place", np.array([0, 2]))
    writer.node("Gather", [found, image], "nms/image", output=IMAGE, axis=1)
    writer.node("Gather", [found, label], "nms/labels", output=LABELS, axis=1)
    at = writer.node("Gather", [found, where], "nms/places", axis=1)
    writer.node("GatherND", [boxes, at], "nms/boxes", output=BOXES)
    writer.node("GatherND", [scores, found], "nms/scores", output=SCORES)


def _conv(writer: OnnxWriter, x: str, name: str, at: str, window: dict[str, Any]) -> str:
    """A convolution whose weights several levels may share."""
    return writer.node("Conv", [x, writer.parameter(f"{at}.weight"), writer.parameter(f"{at}.bias")], name, **window)
