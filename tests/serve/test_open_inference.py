import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inceptorch.inference.engines import Engine
from tests.serve.helpers import NOISE, Server, head, image, process, read_reply


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
        ({"inputs": [TENSOR | {"data": [True] * 768}]}, "768 whole numbers"),
        ({"inputs": [TENSOR | {"data": [0] * 767 + ["0"]}]}, "768 whole numbers"),
        ({"inputs": [TENSOR | {"data": [[0] * 384, [0] * 383, [0]]}]}, "768 whole numbers"),
        ({"inputs": [TENSOR | {"data": []}]}, "768 whole numbers"),
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


def test_tensors_may_be_nested_as_their_shape(server: Server) -> None:
    pixels = NOISE[:16, :16].transpose(2, 0, 1)[None]
    flat, nested = (
        server.request("/v2/models/tiny/infer", json.dumps({"inputs": [TENSOR | {"data": data}]}).encode())
        for data in (pixels.ravel().tolist(), pixels.tolist())
    )
    assert (flat.status, nested.status) == (200, 200)
    assert flat.json == nested.json


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_json_cannot_take_many_times_its_size(exported: Path) -> None:
    """Strings of which numpy would make an array of 6 GB, and lists of nothing."""
    data = ["a" * 100_000] + [""] * 15_000
    with process(exported) as (child, server):

        def peak() -> int:
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child.pid}/status").read_text())
            assert found is not None
            return int(found[1]) // 1024

        assert server.predict(("a", image())).status == 200
        reply = server.request("/v2/models/tiny/infer", json.dumps({"inputs": [TENSOR | {"data": data}]}).encode())
        assert (reply.status, peak() < 300) == (400, True), peak()
        nothing = b'{"inputs": [' + b"[]," * 1_300_000 + b"[]]}"
        assert server.request("/v2/models/tiny/infer", nothing).status == 400
        assert peak() < 500, peak()
        with server.connect(head("/v2/models/tiny/infer", Content_Length=5_000_000)) as connection:
            refused = read_reply(connection)
        assert (refused.status, "4 MB" in refused.json["error"]) == (413, True)
        long = {"Inference-Header-Content-Length": "5000000"}
        assert server.request("/v2/models/tiny/infer", bytes(5_000_000), long).status == 413


def test_only_types_that_no_foreign_form_can_send(server: Server) -> None:
    body = json.dumps({"inputs": [TENSOR]}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        reply = server.request("/v2/models/tiny/infer", body, {"Content-Type": kind})
        assert (reply.status, "application/json" in reply.json["error"]) == (415, True)
    for kind in ("application/json; charset=utf-8", "Application/Octet-Stream"):
        assert server.request("/v2/models/tiny/infer", body, {"Content-Type": kind}).status == 200


def test_paths_with_the_version_that_the_metadata_names(server: Server) -> None:
    body = json.dumps({"inputs": [TENSOR]}).encode()
    (version,) = server.request("/v2/models/tiny").json["versions"]
    for path, content in (("", None), ("/ready", None), ("/infer", body)):
        with_version = server.request(f"/v2/models/tiny/versions/{version}{path}", content)
        assert with_version.status == 200
        assert with_version.json == server.request(f"/v2/models/tiny{path}", content).json
        assert server.request(f"/v2/models/tiny/versions/2{path}", content).status == 404
