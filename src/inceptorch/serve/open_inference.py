"""The Open Inference Protocol, version 2: tensors as JSON, or as bytes after it (the binary tensor extension)."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from fastapi import HTTPException
from numpy.typing import NDArray
from pydantic import ValidationError
from starlette.datastructures import Headers

from inceptorch.networks.onnx_graph import INPUT
from inceptorch.serve.admission import Limits
from inceptorch.serve.body import malformed, too_large, too_many
from inceptorch.serve.schemas import InferRequest, InputTensor
from inceptorch.serve.served_model import ServedModel
from inceptorch.serve.service import ModelEndpoint

HEADER = "Inference-Header-Content-Length"  # the length of the JSON in front of binary tensors
ON_WIRE = {"FP32": "<f4", "INT64": "<i8"}
VERSION = "1"
# Bytes of JSON: three images of 299 pixels. Empty lists take thirty times their text in memory once they are parsed.
# One larger image is allowed, with six bytes for each number.
MAX_JSON = 4 * 2**20


class Inference(NamedTuple):
    """A parsed request: uint8 images [N, H, W, 3], and for each wanted output whether it is sent as bytes."""

    id: str | None
    images: NDArray[np.uint8]
    outputs: dict[str, bool]


def metadata(endpoint: ModelEndpoint) -> dict[str, Any]:
    model = endpoint.model
    return {
        "name": endpoint.name,
        "versions": [VERSION],
        "platform": f"inceptorch_{endpoint.engine.name}",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, 3, model.height, model.width]}],
        "outputs": [
            {"name": name, "datatype": model.datatypes[name], "shape": [-1, *array.shape[1:]]}
            for name, array in model.tensors([endpoint.example]).items()
        ],
    }


def max_json(endpoint: ModelEndpoint, limits: Limits) -> int:
    """The largest JSON of a request, in bytes."""
    return min(limits.max_body, max(MAX_JSON, 6 * 3 * endpoint.model.height * endpoint.model.width))


def check_head(headers: Headers) -> None:
    """Raise HTTPException 415 for a body of another type: a form on any page can send text, but not these."""
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/octet-stream"):
        raise HTTPException(415, "The body is not JSON. Send it with Content-Type: application/json")


def parse(body: bytes, header: str | None, endpoint: ModelEndpoint, limits: Limits) -> Inference:
    """Read a request. Raises HTTPException 400 if it is malformed, 413 for too many images or too much JSON."""
    length = str(len(body)) if header is None else header
    if not (length.isdecimal() and len(length) < 20 and int(length) <= len(body)):
        raise malformed(f"{HEADER} must be how many bytes of the body are JSON.")
    if int(length) > max_json(endpoint, limits):
        raise too_large(max_json(endpoint, limits))
    try:
        request = InferRequest.model_validate_json(body[: int(length)])
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ": ".join([".".join(map(str, first["loc"])), first["msg"]]).removeprefix(": ")
        raise malformed(f"The request is malformed: {where}.") from None
    binary = body[int(length) :]
    pixels = _pixels(request.inputs[0], binary, endpoint.model, limits)
    known = endpoint.model.tensors([endpoint.example])
    as_bytes = request.parameters.get("binary_data_output") is True
    outputs = dict.fromkeys(known, as_bytes)
    if request.outputs is not None:
        outputs = {each.name: each.parameters.get("binary_data", as_bytes) is True for each in request.outputs}
        if unknown := outputs.keys() - known:
            raise malformed(f"There is no output {min(unknown)!r}; there are: {', '.join(known)}.")
    return Inference(request.id, pixels.transpose(0, 2, 3, 1), outputs)


def respond(inference: Inference, endpoint: ModelEndpoint, results: list[Any]) -> tuple[bytes, int | None]:
    """The body of the response, and the length of its JSON if bytes follow it."""
    arrays, outputs, binary = endpoint.model.tensors(results), [], []
    for name, as_bytes in inference.outputs.items():
        array = arrays[name]
        datatype = endpoint.model.datatypes[name]
        output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
        if as_bytes:
            binary.append(array.astype(ON_WIRE[datatype]).tobytes())
            output["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            output["data"] = array.ravel().tolist()
        outputs.append(output)
    response: dict[str, Any] = {"model_name": endpoint.name, "model_version": VERSION, "outputs": outputs}
    if inference.id is not None:
        response["id"] = inference.id
    text = json.dumps(response, allow_nan=False).encode()
    return b"".join([text, *binary]), len(text) if binary else None


def _pixels(tensor: InputTensor, binary: bytes, model: ServedModel, limits: Limits) -> NDArray[np.uint8]:
    """The input, uint8 [N, 3, H, W]."""
    height, width = model.height, model.width
    shape, count = tensor.shape, tensor.shape[0] * 3 * height * width
    if shape[1:] != [3, height, width]:
        raise malformed(f"The shape must be [N, 3, {height}, {width}], not {shape}.")
    if shape[0] > limits.max_images:
        raise too_many(limits)
    binary_size = tensor.parameters.get("binary_data_size")
    if binary_size is not None:
        if binary_size != count or len(binary) != count or tensor.data is not None:
            raise malformed(f"{count} bytes must follow the JSON, as many as the shape and binary_data_size say.")
        return np.frombuffer(binary, np.uint8).reshape(shape)
    if binary:
        raise malformed("Bytes follow the JSON, but the input has no parameter binary_data_size.")
    # Types and counts come before numpy, which makes every element as long as the longest.
    values = tensor.data or []
    while values and all(type(value) is list for value in values) and len(set(map(len, values))) == 1:
        values = list(chain.from_iterable(values))
    if len(values) != count or any(type(value) is not int or not 0 <= value <= 255 for value in values):
        raise malformed(f"The data must be {count} whole numbers from 0 to 255, as many as the shape says.")
    return np.array(values, np.uint8).reshape(shape)
