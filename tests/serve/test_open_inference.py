import json
from typing import Any

import numpy as np
import pytest

from inceptorch.inference.engines import Engine
from tests.serve.helpers import NOISE, Server, image


def test_tensors_as_json_and_as_bytes(server: Server, engine: Engine) -> None:
    crops = np.stack(
        [engine.config.preprocessing.apply(image("JPEG", NOISE[::-1])), engine.config.preprocessing.apply(image())]
    )
    answer = engine.run(crops, maps=True)
    pixels = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
    assert server.request("/v2/models/tiny").json["inputs"] == [
        {"name": "images", "datatype": "UINT8", "shape": [-1, 3, 16, 16]}
    ]
    tensor = {"name": "images", "datatype": "UINT8", "shape": list(pixels.shape)}
    payload = json.dumps({"id": "7", "inputs": [{**tensor, "data": pixels.ravel().tolist()}]}).encode()
    result = server.request("/v2/models/tiny/infer", payload).json
    assert (result["model_name"], result["id"]) == ("tiny", "7")
    old_name = payload.replace(b'"images"', b'"pictures"')
    assert server.request("/v2/models/tiny/infer", old_name).json == result
    outputs = {one["name"]: np.reshape(one["data"], one["shape"]) for one in result["outputs"]}
    assert outputs.keys() == {"probabilities", "maps", "map_classes"}
    for name, values in outputs.items():
        np.testing.assert_allclose(values, getattr(answer, name), rtol=1e-5, atol=1e-6)

    text = json.dumps(
        {
            "inputs": [{**tensor, "parameters": {"binary_data_size": pixels.nbytes}}],
            "outputs": [{"name": "map_classes", "parameters": {"binary_data": True}}, {"name": "probabilities"}],
        }
    ).encode()
    reply = server.request(
        "/v2/models/tiny/infer", text + pixels.tobytes(), {"Inference-Header-Content-Length": str(len(text))}
    )
    length = int(reply.headers["Inference-Header-Content-Length"])
    classes, probabilities = json.loads(reply.body[:length])["outputs"]
    assert classes["parameters"] == {"binary_data_size": len(reply.body) - length}
    np.testing.assert_array_equal(
        np.frombuffer(reply.body[length:], "<i8").reshape(classes["shape"]), answer.map_classes
    )
    np.testing.assert_allclose(
        np.reshape(probabilities["data"], probabilities["shape"]), answer.probabilities, atol=1e-6
    )


TENSOR = {"name": "images", "datatype": "UINT8", "shape": [1, 3, 16, 16], "data": [0] * 768}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("{", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("[]", "Input should be an object"),
        ({"inputs": [TENSOR, TENSOR]}, "inputs: List should have at most 1 item"),
        ({"inputs": [TENSOR | {"name": "x"}]}, "inputs.0.name: Input should be 'images'"),
        ({"inputs": [TENSOR | {"datatype": "FP32"}]}, "inputs.0.datatype: Input should be 'UINT8'"),
        ({"inputs": [TENSOR | {"shape": [1, 16, 16, 3]}]}, "[N, 3, 16, 16]"),
        ({"inputs": [TENSOR | {"shape": [True, 3, 16, 16]}]}, "inputs.0.shape.0: Input should be a valid integer"),
        ({"inputs": [TENSOR | {"shape": [0, 3, 16, 16]}]}, "inputs.0.shape.0: Input should be greater than 0"),
        ({"inputs": [TENSOR | {"data": [0] * 767}]}, "768 whole numbers"),
        ({"inputs": [TENSOR | {"data": [0] * 767 + [256]}]}, "768 whole numbers"),
        ({"inputs": [TENSOR | {"data": [0] * 767 + [0.5]}]}, "768 whole numbers"),
        ({"inputs": [TENSOR | {"data": [[0], [0, 1]]}]}, "768 whole numbers"),
        ({"inputs": [TENSOR | {"data": [10**30] * 768}]}, "768 whole numbers"),
        ({"inputs": [TENSOR | {"data": None}]}, "768 whole numbers"),
        ({"inputs": [TENSOR | {"data": None, "parameters": {"binary_data_size": 768}}]}, "768 bytes must follow"),
        ({"inputs": [TENSOR], "outputs": [{"name": "x"}]}, "outputs.0.name: Input should be"),
        ({"inputs": [TENSOR], "parameters": 1}, "parameters: Input should be an object"),
        ({"inputs": [TENSOR], "id": 1}, "id: Input should be a valid string"),
    ],
)
def test_malformed_tensors_are_refused(server: Server, payload: Any, message: str) -> None:
    body = payload if isinstance(payload, str) else json.dumps(payload)
    reply = server.request("/v2/models/tiny/infer", body.encode())
    assert reply.status == 400
    assert message in reply.json["error"]
