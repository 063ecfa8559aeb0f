"""Caffe's files of weights: a protocol buffer of layers, each with its blobs.

Only the fields that hold weights are described here, so everything else in a file is skipped as unknown.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inceptorch.errors import BundleError
from inceptorch.utils.files import reading, require_regular

# The fields of each message: name, number and type; [] is repeated. The numbers are those of Caffe's caffe.proto.
MESSAGES = {
    "BlobShape": "dim 1 int64[]",
    "BlobProto": "num 1 int32, channels 2 int32, height 3 int32, width 4 int32, data 5 float[], shape 7 BlobShape",
    "LayerParameter": "name 1 string, type 2 string, blobs 7 BlobProto[]",
    "V1LayerParameter": "name 4 string, blobs 6 BlobProto[]",
    "NetParameter": "name 1 string, layers 2 V1LayerParameter[], layer 100 LayerParameter[]",
}


@cache
def net_parameter() -> Any:
    """The class of Caffe's outermost message. Raises ModuleNotFoundError without protobuf."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for message, text in MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, number, kind in (words.split() for words in text.split(", ")):
            type_name, repeated = kind.removesuffix("[]"), kind.endswith("[]")
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            added = described.field.add(name=name, number=int(number), label=label)
            if type_name in MESSAGES:
                added.type, added.type_name = field.TYPE_MESSAGE, f".caffe.{type_name}"
            else:
                added.type = getattr(field, f"TYPE_{type_name.upper()}")
                if repeated:
                    added.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def read_caffemodel(path: Path) -> dict[str, Tensor]:
    """The weights of a .caffemodel by `<layer>.weight` (out, in, kh, kw) and `<layer>.bias`; for normalization also
    `.running_mean` and `.running_var`. Raises BundleError."""
    from google.protobuf.message import DecodeError

    require_regular(path, BundleError)
    try:
        with reading(path, BundleError):
            net = net_parameter().FromString(path.read_bytes())
    except DecodeError:
        raise BundleError(
            f"Cannot read {path}: it is not a .caffemodel, or is damaged. Try another copy of it."
        ) from None
    tensors: dict[str, Tensor] = {}
    for layer in (*net.layers, *net.layer):
        if layer.blobs:
            blobs = [_tensor(blob, layer.name, path) for blob in layer.blobs]
            tensors |= _named(layer.name, getattr(layer, "type", ""), blobs)
    if not tensors:
        raise BundleError(f"Cannot read {path}: it is not a .caffemodel, or has no weights in it. Try another file.")
    return tensors


def _named(layer: str, kind: str, blobs: list[Tensor]) -> dict[str, Tensor]:
    """A layer's tensors under torch's names."""
    if kind == "BN":  # one layer: scale, shift, mean, variance
        parts = ("weight", "bias", "running_mean", "running_var")
        return {f"{layer}.{part}": blob.flatten() for part, blob in zip(parts, blobs, strict=False)}
    if kind == "BatchNorm" and len(blobs) == 3:  # mean and variance, both to be divided by a third; Scale follows
        mean, variance, weight = (blob.flatten() for blob in blobs)
        factor = 1 / weight if weight.numel() == 1 and weight.item() else 0.0
        return {f"{layer}.running_mean": mean * factor, f"{layer}.running_var": variance * factor}
    if kind == "Scale":
        layer = layer.removesuffix("_scale") + ("" if layer.removesuffix("_scale").endswith("_bn") else "_bn")
    return {f"{layer}.{part}": blob for part, blob in zip(("weight", "bias"), blobs, strict=False)}


def _tensor(blob: Any, layer: str, path: Path) -> Tensor:
    """A blob as a tensor."""
    shape = list(blob.shape.dim) or [blob.num, blob.channels, blob.height, blob.width]
    if not blob.shape.dim and shape[:2] == [1, 1]:  # old files write a matrix as 1x1xOUTxIN, a vector as 1x1x1xOUT
        shape = shape[3:] if shape[2] == 1 else shape[2:]
    values = torch.from_numpy(np.array(blob.data, np.float32))
    if values.numel() != np.prod(shape):
        raise BundleError(
            f"Cannot read {path}: layer {layer} has {values.numel()} numbers for a shape of {shape}. Try another copy "
            "of it."
        )
    return values.reshape(shape)
