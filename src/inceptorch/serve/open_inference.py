"""The Open Inference Protocol, version 2: tensors as JSON, or as bytes behind it (its binary tensor extension)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.networks.onnx_graph import INPUT, MAP_CLASSES, MAPS, PROBABILITIES
from inceptorch.serve.admission import Limits
from inceptorch.serve.body import malformed, too_many
from inceptorch.serve.dynamic_batcher import SingleOutput
from inceptorch.serve.service import ModelEndpoint

HEAD = "Inference-Header-Content-Length"  # the header that says how long the JSON is before the bytes of tensors
OUTPUTS = {PROBABILITIES: "FP32", MAPS: "FP32", MAP_CLASSES: "INT64"}  # as `SingleOutput` has them
VERSION = "1"


@dataclass(frozen=True)
class Inference:
    """A request for tensors: uint8 crops [N, S, S, 3], and the outputs wanted, each as bytes or not."""

    id: str | None
    crops: NDArray[np.uint8]
    outputs: dict[str, bool]


def metadata(served: ModelEndpoint) -> dict[str, Any]:
    """What the protocol says of a model."""
    size = served.engine.config.preprocessing.size
    outputs = [
        {"name": name, "datatype": OUTPUTS[name], "shape": [-1, *array.shape[1:]]}
        for name, array in _arrays([served.first]).items()
    ]
    return {
        "name": served.name,
        "versions": [VERSION],
        "platform": f"inceptorch_{served.engine.name}",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, 3, size, size]}],
        "outputs": outputs,
    }


def parse(body: bytes, head: str | None, served: ModelEndpoint, limits: Limits) -> Inference:
    """Read a request. Raises HTTPException 400 for what is not one, 413 for too many images."""
    end = len(body) if head is None else int(head) if head.isdecimal() and len(head) < 20 else -1
    if not 0 <= end <= len(body):
        raise malformed(f"{HEAD} must be how many bytes of the body are JSON.")
    try:
        asked = json.loads(body[:end])
    except (ValueError, RecursionError):
        raise malformed("The body is not JSON.") from None
    if not isinstance(asked, dict):
        raise malformed("The body must be a JSON object with a list of inputs.")
    identity, inputs = asked.get("id"), asked.get("inputs")
    if identity is not None and not isinstance(identity, str):
        raise malformed("The id of a request must be a string.")
    if not (isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], dict)):
        raise malformed(f"There must be a list of one input, {INPUT!r}.")
    pixels = _pixels(inputs[0], body[end:], served.engine.config.preprocessing.size, limits)
    return Inference(identity, pixels.transpose(0, 2, 3, 1), _wanted(asked, served))


def answer(inference: Inference, served: ModelEndpoint, ones: list[SingleOutput]) -> tuple[bytes, int | None]:
    """The body of the answer; and how long its JSON is, if bytes follow it."""
    arrays, outputs, binary = _arrays(ones), [], []
    for name, as_bytes in inference.outputs.items():
        array = arrays[name]
        output: dict[str, Any] = {"name": name, "datatype": OUTPUTS[name], "shape": list(array.shape)}
        if as_bytes:
            binary.append(array.astype(array.dtype.newbyteorder("<")).tobytes())
            output["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            output["data"] = array.ravel().tolist()
        outputs.append(output)
    said: dict[str, Any] = {"model_name": served.name, "model_version": VERSION, "outputs": outputs}
    if inference.id is not None:
        said["id"] = inference.id
    text = json.dumps(said, allow_nan=False).encode()
    return b"".join([text, *binary]), len(text) if binary else None


def _pixels(tensor: dict[str, Any], binary: bytes, size: int, limits: Limits) -> NDArray[np.uint8]:
    """The input, uint8 [N, 3, S, S]."""
    shape, data = tensor.get("shape"), tensor.get("data")
    if (tensor.get("name"), tensor.get("datatype")) != (INPUT, "UINT8"):
        raise malformed(f"The input must be {INPUT!r} of datatype UINT8.")
    if not (isinstance(shape, list) and len(shape) == 4 and all(type(side) is int for side in shape)):
        raise malformed(f"The shape must be [N, 3, {size}, {size}].")
    if shape[0] < 1 or shape[1:] != [3, size, size]:
        raise malformed(f"The shape must be [N, 3, {size}, {size}], not {shape}.")
    if shape[0] > limits.files:
        raise too_many(limits)
    count = shape[0] * 3 * size * size
    said = _parameters(tensor).get("binary_data_size")
    if said is not None:
        if said != count or len(binary) != count or data is not None:
            raise malformed(f"{count} bytes must follow the JSON, as many as the shape and binary_data_size say.")
        return np.frombuffer(binary, np.uint8).reshape(shape)
    if binary:
        raise malformed("Bytes follow the JSON, but the input has no parameter binary_data_size.")
    try:
        values = np.asarray(data)
    except (ValueError, OverflowError):
        values = np.empty(0)
    if values.dtype.kind not in "iu" or values.size != count or values.min() < 0 or values.max() > 255:
        raise malformed(f"The data must be {count} whole numbers from 0 to 255, as many as the shape says.")
    return values.astype(np.uint8).reshape(shape)


def _wanted(asked: dict[str, Any], served: ModelEndpoint) -> dict[str, bool]:
    """The outputs to give, and whether as bytes: those that are asked for, else all."""
    known = _arrays([served.first])
    by_default = _parameters(asked).get("binary_data_output") is True
    wanted = asked.get("outputs")
    if wanted is None:
        return dict.fromkeys(known, by_default)
    if not (isinstance(wanted, list) and all(isinstance(one, dict) for one in wanted)):
        raise malformed("The outputs must be a list of objects with a name.")
    for one in wanted:
        if not isinstance(one.get("name"), str) or one["name"] not in known:
            raise malformed(f"There is no output {one.get('name')!r}; there are: {', '.join(known)}.")
    return {one["name"]: _parameters(one).get("binary_data", by_default) is True for one in wanted}


def _parameters(of: dict[str, Any]) -> dict[str, Any]:
    parameters = of.get("parameters", {})
    if not isinstance(parameters, dict):
        raise malformed("Parameters must be an object.")
    return parameters


def _arrays(ones: list[SingleOutput]) -> dict[str, NDArray[Any]]:
    """The outputs, by their names."""
    columns = zip(OUTPUTS, zip(*ones, strict=True), strict=True)
    return {name: np.stack(column) for name, column in columns if column[0] is not None}
