"""The server, over real connections: what it answers, what it refuses, and that it loses nothing it took on."""

import http.client
import io
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="the server needs inceptorch[serve]")
pytest.importorskip("onnxruntime", reason="these tests serve with ONNX Runtime")

from fastapi import HTTPException

from inceptorch.classifier import Classifier
from inceptorch.cli import app, main
from inceptorch.images.decode import Decoded, decode
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import Engine, EngineOutput, open_engine
from inceptorch.inference.engines.factory import graph_of
from inceptorch.models.module import Model
from inceptorch.serve.admission import AdmissionControl, Limits
from inceptorch.serve.server import bind, create_server
from inceptorch.serve.service import Service
from inceptorch.utils.cpu import processors
from tests.conftest import TINY
from tests.helpers import png

CLASSES = ["ant", "bee", "cat"]
NOISE = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server(NamedTuple):
    """A server that runs, by its port."""

    port: int

    def ask(self, path: str, body: Any = None, headers: dict[str, str] | None = None, method: str = "") -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def predict(self, *files: tuple[str, bytes], query: str = "", headers: dict[str, str] | None = None) -> Reply:
        body, kind = form(files)
        return self.ask(f"/predict{query}", body, {"Content-Type": kind, **(headers or {})})

    def connect(self, *pieces: bytes) -> socket.socket:
        """A connection of one's own, on which this has been sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        for piece in pieces:
            connection.sendall(piece)
        return connection

    def counter(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.ask("/metrics").body.decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def wait_for(self, name: str, value: float) -> None:
        """Wait until a counter has a value."""
        until(lambda: self.counter(name) == value, f"{name} to be {value}")


def until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail(f"waited 10 s in vain for {what}")


def form(files: Iterable[tuple[str, bytes]], field: str = "file") -> tuple[bytes, str]:
    """A multipart form and its content type."""
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def head(path: str, **headers: object) -> bytes:
    """The head of a POST request."""
    lines = [f"POST {path} HTTP/1.1", "Host: here"] + [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def replied(connection: socket.socket) -> Reply:
    reply = http.client.HTTPResponse(connection)
    reply.begin()
    return Reply(reply.status, reply.headers, reply.read())


def image(kind: str = "PNG", pixels: np.ndarray = NOISE, **options: Any) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, kind, **options)
        return file.getvalue()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("served") / "tiny"
    Classifier.of(Model(TINY, len(CLASSES)), default_preprocessing(16), CLASSES).save(folder)
    return folder


@pytest.fixture(scope="module")
def exported(bundle: Path) -> Path:
    path = bundle.with_name("tiny.onnx")
    path.write_bytes(graph_of(bundle))
    return path


@pytest.fixture
def engine(exported: Path) -> Engine:
    return open_engine(exported, "onnxruntime", threads=1, batch_size=4)


@pytest.fixture(scope="module")
def server(exported: Path) -> Iterator[Server]:
    """A server for tests that leave it as it is."""
    with running({"tiny": open_engine(exported, "onnxruntime", threads=1, batch_size=4)}) as server:
        yield server


@contextmanager
def running(engines: dict[str, Engine], limits: Limits | None = None, token: str | None = None) -> Iterator[Server]:
    """A server in a thread."""
    listening = bind("127.0.0.1", 0)
    server = create_server(Service(engines, limits or Limits()), token)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield Server(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def test_answers_are_sent_at_once() -> None:
    """Without TCP_NODELAY the second part of an answer waits until the client has acknowledged the first: 40 ms."""
    with bind("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


class Gate:
    """Lets an engine answer only while it is open, and remembers how many images came together."""

    def __init__(self, engine: Engine):
        self.open, self.sizes = threading.Event(), list[int]()
        self._run = engine.run
        self.open.set()
        engine.run = self._held  # type: ignore[method-assign]

    def close(self) -> None:
        self.open.clear()
        self.sizes.clear()

    def _held(self, crops: np.ndarray, *, maps: bool = False) -> EngineOutput:
        self.sizes.append(len(crops))
        assert self.open.wait(20)
        return self._run(crops, maps=maps)


@contextmanager
def together(work: Callable[[], Reply], count: int) -> Iterator[list[Reply]]:
    """`work` in so many threads; at the end of the block, what they got."""
    replies: list[Reply] = []
    threads = [threading.Thread(target=lambda: replies.append(work())) for _ in range(count)]
    for thread in threads:
        thread.start()
    yield replies
    for thread in threads:
        thread.join(30)


def test_it_answers_as_predict_does(server: Server, bundle: Path, tmp_path: Path) -> None:
    files = {"a.png": image(), "b.jpg": image("JPEG"), "cut off.png": image()[:200], "text.jpg": b"no image"}
    exif = Image.Exif()
    exif[0x0112] = 6
    files["turned.jpg"] = image("JPEG", exif=exif)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in files]
    said = CliRunner().invoke(app, ["predict", str(bundle), *paths, "--json", "--top", "2"])
    assert said.exit_code == 1  # two cannot be read
    expected = json.loads(said.stdout)
    reply = server.predict(*zip(paths, files.values(), strict=True), query="?top=2")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    for ours, theirs in zip(reply.json, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert (ours["file"], ours.get("error")) == (theirs["file"], theirs.get("error"))
        for mine, yours in zip(ours.get("predictions", []), theirs.get("predictions", []), strict=True):
            assert (mine["label"], mine["index"]) == (yours["label"], yours["index"])
            assert mine["probability"] == pytest.approx(yours["probability"], abs=1e-5)
    assert [("error" in entry) for entry in reply.json] == [False, False, True, True, False]


def test_maps_say_where_the_network_looked(server: Server, engine: Engine) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, seen standing
    content = image("JPEG", exif=exif)
    (entry,) = server.predict(("a.jpg", content), query="?maps=1").json
    assert (entry["width"], entry["height"]) == (24, 36)
    assert entry["box"] == list(engine.config.preprocessing.box(24, 36))
    answer = engine.run(engine.config.preprocessing.apply(content)[None], maps=True)
    assert answer.maps is not None
    assert answer.map_classes is not None
    assert entry["map_classes"] == answer.map_classes[0].tolist() == [one["index"] for one in entry["predictions"]]
    np.testing.assert_allclose(entry["maps"], answer.maps[0], rtol=5.1e-4)
    assert all(len(f"{abs(value):.9e}".split("e")[0].rstrip("0")) <= 5 for value in np.ravel(entry["maps"]))


def test_several_models_by_name(bundle: Path, tmp_path: Path) -> None:
    Classifier.of(Model(TINY, 2), default_preprocessing(16), ["x", "y"]).save(tmp_path / "other")
    engines = {"first": open_engine(bundle, "onnxruntime"), "second": open_engine(tmp_path / "other", "onnxruntime")}
    with running(engines) as server:
        said = [server.predict(("a", image()), query=query).json[0] for query in ("", "?model=first", "?model=second")]
        assert said[0] == said[1]
        assert {one["label"] for one in said[2]["predictions"]} == {"x", "y"}
        about = server.ask("/about").json
        assert [(model["name"], model["classes"], model["has_maps"]) for model in about["models"]] == [
            ("first", 3, True),
            ("second", 2, True),
        ]
        unknown = server.predict(("a", image()), query="?model=secnd")
        assert (unknown.status, unknown.json) == (404, {"error": "There is no model 'secnd': did you mean 'second'?"})


@pytest.mark.parametrize(
    ("body", "kind", "status", "sentence"),
    [
        (b"", "text/plain", 400, "multipart/form-data"),
        (b"x", "multipart/form-data", 400, "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=" + "e" * 300, 400, "cannot be read"),
        (b"no form", "multipart/form-data; boundary=edge", 400, "cannot be read"),
        (form([("a", b"x")])[0][:-8], "multipart/form-data; boundary=edge", 400, "cut off"),
        (form([("a", b"x")], "image")[0], "multipart/form-data; boundary=edge", 400, "no part named 'file'"),
        (form([])[0], "multipart/form-data; boundary=edge", 400, "no part named 'file'"),
        (form([("a", b"x")] * 33)[0], "multipart/form-data; boundary=edge", 413, "32 images"),
    ],
)
def test_what_is_no_form_of_images_is_refused_with_a_sentence(
    server: Server, body: bytes, kind: str, status: int, sentence: str
) -> None:
    reply = server.ask("/predict", body, {"Content-Type": kind})
    assert reply.status == status
    assert reply.json.keys() == {"error"}
    assert sentence in reply.json["error"]
    assert server.predict(("a", image())).status == 200


@pytest.mark.parametrize("query", ["?top=0", "?top=x", "?maps=2", "?maps=true"])
def test_impossible_parameters_are_refused(server: Server, query: str) -> None:
    reply = server.predict(("a", image()), query=query)
    assert reply.status == 422
    assert reply.json["error"].startswith(f"Parameter {query[1:].partition('=')[0]}: ")


def test_the_page_may_load_nothing_from_elsewhere(server: Server) -> None:
    for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
        reply = server.ask(path)
        assert reply.status == 200
        assert reply.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert server.ask("/../application.py").status == 404


def test_unknown_paths_and_methods(server: Server) -> None:
    assert server.ask("/nothing").status == 404
    reply = server.ask("/predict")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")


def test_bodies_have_a_limit_announced_or_not(engine: Engine) -> None:
    body, kind = form([("a", bytes(200_000))])
    with running({"tiny": engine}, Limits(max_body=100_000)) as server:
        refused = server.predict(("a", bytes(200_000)))
        assert (refused.status, refused.headers["Connection"]) == (413, "close")
        assert "0.0953674 MB" in refused.json["error"]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:90_000], body[90_000:]))
        with server.connect(head("/predict", Content_Type=kind, Transfer_Encoding="chunked"), chunks) as connection:
            assert replied(connection).status == 413
        with server.connect(head("/v2/models/tiny/infer", Content_Length=100_001)) as connection:
            assert replied(connection).status == 413  # before anything of it is sent
        assert server.predict(("a", image())).status == 200


def test_a_token_guards_all_but_health_and_page(engine: Engine) -> None:
    with running({"tiny": engine}, token="open sesame ü") as server:
        for path in ("/about", "/metrics", "/v2", "/v2/models/tiny"):
            assert server.ask(path).status == 401, path
        for words in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic b3Blbg=="}):
            reply = server.predict(("a", image()), headers=words)
            assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
        right = {"Authorization": "Bearer open sesame ü".encode().decode("latin-1")}
        assert server.predict(("a", image()), headers=right).status == 200
        assert server.ask("/about", headers=right).status == 200
        for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/openapi.json"):
            assert server.ask(path).status == 200, path


def test_tensors_of_the_open_inference_protocol(server: Server, engine: Engine) -> None:
    crops = np.stack(
        [engine.config.preprocessing.apply(image("JPEG", NOISE[::-1])), engine.config.preprocessing.apply(image())]
    )
    answer = engine.run(crops, maps=True)
    pixels = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
    assert server.ask("/v2/models/tiny").json["inputs"] == [
        {"name": "images", "datatype": "UINT8", "shape": [-1, 3, 16, 16]}
    ]
    tensor = {"name": "images", "datatype": "UINT8", "shape": list(pixels.shape)}
    asked = json.dumps({"id": "7", "inputs": [{**tensor, "data": pixels.ravel().tolist()}]}).encode()
    said = server.ask("/v2/models/tiny/infer", asked).json
    assert (said["model_name"], said["id"]) == ("tiny", "7")
    old_name = asked.replace(b'"images"', b'"pictures"')
    assert server.ask("/v2/models/tiny/infer", old_name).json == said
    outputs = {one["name"]: np.reshape(one["data"], one["shape"]) for one in said["outputs"]}
    assert outputs.keys() == {"probabilities", "maps", "map_classes"}
    for name, values in outputs.items():
        np.testing.assert_allclose(values, getattr(answer, name), rtol=1e-5, atol=1e-6)

    text = json.dumps(
        {
            "inputs": [{**tensor, "parameters": {"binary_data_size": pixels.nbytes}}],
            "outputs": [{"name": "map_classes", "parameters": {"binary_data": True}}, {"name": "probabilities"}],
        }
    ).encode()
    reply = server.ask(
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
    ("asked", "sentence"),
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
def test_malformed_tensors_are_refused_with_a_sentence(server: Server, asked: Any, sentence: str) -> None:
    body = asked if isinstance(asked, str) else json.dumps(asked)
    reply = server.ask("/v2/models/tiny/infer", body.encode())
    assert reply.status == 400
    assert sentence in reply.json["error"]


def test_connections_share_batches(engine: Engine) -> None:
    gate = Gate(engine)
    with running({"tiny": engine}) as server:
        gate.close()
        with together(lambda: server.predict(("a", image())), 9) as replies:
            server.wait_for('inceptorch_queue_images{model="tiny"}', 9)
            time.sleep(0.2)  # for the decoders
            gate.open.set()
        assert [reply.status for reply in replies] == [200] * 9
        assert len({tuple(one["label"] for one in reply.json[0]["predictions"]) for reply in replies}) == 1
        assert (
            len(gate.sizes) == 3
        )  # the engine was busy with the first, of however many, then took four, then the rest
        assert gate.sizes[1] == 4
        assert sum(gate.sizes) == 9
        assert server.counter('inceptorch_batch_images_count{model="tiny"}') == 3
        assert server.counter('inceptorch_images_total{model="tiny",outcome="answered"}') == 9
        assert server.counter('inceptorch_requests_total{path="/predict",status="200"}') == 9
        assert server.counter('inceptorch_queue_images{model="tiny"}') == 0


def test_a_full_queue_refuses_before_the_body_is_sent(engine: Engine) -> None:
    gate = Gate(engine)
    with running({"tiny": engine}, Limits(queue_size=4, max_images=4)) as server:
        gate.close()
        with together(lambda: server.predict(("a", image()), ("b", image())), 2) as replies:
            server.wait_for('inceptorch_queue_images{model="tiny"}', 4)
            for path in ("/predict", "/v2/models/tiny/infer"):
                with server.connect(head(path, Content_Length=1_000_000)) as connection:
                    refused = replied(connection)
                assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
                assert "try again" in refused.json["error"]
            whole = server.predict(("a", image(pixels=np.zeros((900, 900, 3), np.uint8))))
            assert whole.status == 503  # and the answer was read though the request was on its way
            gate.open.set()
        assert [reply.status for reply in replies] == [200, 200]
        assert server.predict(*[("a", image())] * 4).status == 200


def test_a_request_with_more_images_than_there_is_room_for_leaves_nothing_behind(engine: Engine) -> None:
    gate = Gate(engine)
    with running({"tiny": engine}, Limits(queue_size=4, max_images=4)) as server:
        gate.close()
        with together(lambda: server.predict(*[("a", image())] * 3), 1) as replies:
            server.wait_for('inceptorch_queue_images{model="tiny"}', 3)
            refused = server.predict(("a", image()), ("b", image()))
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            assert server.counter('inceptorch_queue_images{model="tiny"}') == 3
            gate.open.set()
        assert [reply.status for reply in replies] == [200]


def test_the_bodies_held_at_once_have_a_limit_too() -> None:
    control = AdmissionControl(Limits(max_body=100))
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(control.reserve(100))
        with pytest.raises(HTTPException) as refused, control.reserve(1):
            pass
        assert refused.value.status_code == 503
    with control.reserve(100):
        assert (control.images, control.bytes) == (1, 100)
    assert (control.images, control.bytes) == (0, 0)


def test_the_work_of_clients_that_go_away_is_dropped(engine: Engine) -> None:
    gate = Gate(engine)
    with running({"tiny": engine}) as server:
        gate.close()
        body, kind = form([("a", image())])
        whole = head("/predict", Content_Type=kind, Content_Length=len(body)) + body
        first = server.connect(whole)
        until(lambda: gate.sizes == [1], "the engine to be busy")
        gone = [server.connect(whole) for _ in range(8)]
        server.wait_for('inceptorch_queue_images{model="tiny"}', 9)
        for number, connection in enumerate(gone):
            connection.close() if number % 2 else connection.shutdown(socket.SHUT_WR)
        part = server.connect(head("/predict", Content_Type=kind, Content_Length=len(body)) + body[:50])
        part.close()
        server.wait_for('inceptorch_queue_images{model="tiny"}', 1)
        gate.open.set()
        assert replied(first).status == 200
        assert gate.sizes == [1]
        assert server.counter('inceptorch_requests_total{path="/predict",status="499"}') == 9
        for connection in [first, *gone]:
            connection.close()


def test_slow_senders_are_cut_off(engine: Engine) -> None:
    body, kind = form([("a", image())])
    with running({"tiny": engine}, Limits(max_seconds=0.3)) as server:
        with server.connect(head("/predict", Content_Type=kind, Content_Length=len(body)), body[:100]) as connection:
            reply = replied(connection)
            assert (reply.status, reply.headers["Connection"]) == (408, "close")
            assert reply.json == {"error": "The request did not arrive within 0.3 seconds."}
            assert connection.recv(1) == b""
        for begun in (b"", b"POST /predict HT"):
            with server.connect(begun) as connection:
                assert replied(connection).status == 408
                assert connection.recv(1) == b""
        server.wait_for('inceptorch_queue_images{model="tiny"}', 0)


def test_a_failing_engine_fails_its_requests_only(
    engine: Engine, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with running({"tiny": engine}) as server:
        run = engine.run

        def fail(crops: np.ndarray, *, maps: bool = False) -> EngineOutput:
            raise ValueError("/secret/path")

        engine.run = fail  # type: ignore[method-assign]
        reply = server.predict(("a", image()))
        assert (reply.status, reply.json) == (500, {"error": "The server failed; its log says why."})
        engine.run = run  # type: ignore[method-assign]
        assert server.predict(("a", image())).status == 200
    assert "/secret/path" in caplog.text


def test_mutated_images_do_no_harm(server: Server) -> None:
    random = np.random.default_rng(0)
    kinds = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
    files = [image(kind) for kind in kinds]
    read = 0
    for _ in range(2000 // 32 + 1):
        mutated = []
        for _ in range(32):
            content = bytearray(files[random.integers(len(files))])
            for place in random.integers(0, len(content), random.integers(1, 9)):
                content[place] = random.integers(256)
            mutated.append(("a", bytes(content[: random.integers(1, 2 * len(content))])))
        reply = server.predict(*mutated)
        assert reply.status == 200
        assert [sorted(entry) for entry in reply.json if "error" not in entry] == [["file", "predictions"]] * sum(
            "error" not in entry for entry in reply.json
        )
        assert not any("0x" in entry.get("error", "") or "/" in entry.get("error", "") for entry in reply.json)
        read += sum("predictions" in entry for entry in reply.json)
    assert 100 < read < 1900  # of both kinds there are many
    assert server.predict(("a", image())).status == 200


@pytest.mark.parametrize(("large", "at_once"), [(100, 1), (10_000, processors())])
def test_large_images_are_decoded_one_at_a_time(
    server: Server, monkeypatch: pytest.MonkeyPatch, large: int, at_once: int
) -> None:
    meanwhile, seen, lock = 0, list[int](), threading.Lock()

    def watched(content: bytes) -> Decoded:
        nonlocal meanwhile
        with lock:
            meanwhile += 1
            seen.append(meanwhile)
        time.sleep(0.02)
        decoded = decode(content)
        with lock:
            meanwhile -= 1
        return decoded

    monkeypatch.setattr("inceptorch.serve.service.LARGE", large)
    monkeypatch.setattr("inceptorch.serve.service.decode", watched)
    entries = server.predict(*[("a", image())] * 8, ("b", png(30_000, 30_000, b"")), query="?maps=1").json
    assert all("predictions" in entry for entry in entries[:8])
    assert entries[8]["error"] == "has more than 89 million pixels; reduce it before use"
    assert (len(seen), max(seen)) == (8, at_once)


def test_mutated_forms_do_no_harm(server: Server) -> None:
    random = np.random.default_rng(1)
    whole, kind = form([("a.png", image()), ("b.png", b"x")])
    statuses = set()
    for _ in range(300):
        body = bytearray(whole)
        for place in random.integers(0, 100, random.integers(1, 4)):
            body[place] = random.integers(256)
        statuses.add(server.ask("/predict", bytes(body), {"Content-Type": kind}).status)
    assert statuses == {200, 400}


@contextmanager
def process(*words: object) -> Iterator[tuple[subprocess.Popen[str], Server]]:
    """`inceptorch serve` in a process that can write no file."""

    def no_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    command = [sys.executable, "-m", "inceptorch", "serve", *map(str, words), "--port", "0", "--engine", "onnxruntime"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=no_files,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    ) as child:
        try:
            assert child.stdout is not None
            lines = iter(child.stdout.readline, "")
            address = next(line for line in lines if line.startswith("serving on "))
            yield child, Server(int(address.rpartition(":")[2]))
        finally:
            child.kill()


def test_sigterm_loses_nothing_that_was_taken_on(exported: Path) -> None:
    body, kind = form([("a", image())])
    with process(exported) as (child, server):
        ends: list[str] = []

        def ask() -> None:
            while True:
                try:
                    status = server.predict(("a", image())).status
                except (ConnectionError, http.client.RemoteDisconnected):
                    ends.append("refused")
                    return
                if status != 200:
                    ends.append(f"status {status}")
                    return

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        whole = head("/predict", Content_Type=kind, Content_Length=len(body)) + body
        half, kept = server.connect(whole[:-100]), server.connect(whole)
        assert replied(kept).headers["Connection"] is None
        until(lambda: server.counter('inceptorch_requests_total{path="/predict",status="200"}') > 20, "load")
        child.send_signal(signal.SIGTERM)
        until(lambda: len(ends) > 0, "a refusal")
        kept.sendall(whole)  # as if it had been on its way
        half.sendall(whole[-100:])
        for thread in threads:
            thread.join(20)
        assert ends == ["refused"] * 4
        for connection in (kept, half):
            reply = replied(connection)
            assert (reply.status, reply.headers["Connection"], len(reply.json)) == (200, "close", 1)
            connection.close()
        with pytest.raises(ConnectionError):
            server.ask("/healthz")
        assert child.wait(20) == 0
        assert child.stdout is not None
        assert child.stdout.read() == "stopped\n"


def test_uploads_never_touch_the_disk(exported: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 1000, 3), dtype=np.uint8)
    content = image(pixels=pixels)
    assert len(content) > 3_000_000
    with process(exported) as (_, server):
        reply = server.predict(("a", content), ("b", content))
        assert (reply.status, [list(entry) for entry in reply.json]) == (200, [["file", "predictions"]] * 2)


@pytest.mark.skipif(sys.platform != "linux", reason="niceness is of threads on Linux alone")
def test_the_connections_go_before_what_computes(exported: Path) -> None:
    with process(exported) as (child, server):
        assert server.predict(("a", image())).status == 200
        nice = {
            int(task.name): int((task / "stat").read_text().rpartition(")")[2].split()[16])
            for task in Path(f"/proc/{child.pid}/task").iterdir()
        }
        own = nice.pop(child.pid)
        behind = {value - own for value in nice.values() if value > own}
        assert behind == {min(5, 19 - own), min(15, 19 - own)}  # what computes, and what decodes


def test_an_exported_file_is_served_without_torch(exported: Path) -> None:
    check = f"""
import sys
from inceptorch.inference.engines import open_engine
from inceptorch.serve.admission import Limits
from inceptorch.serve.server import create_server
from inceptorch.serve.service import Service
create_server(Service({{"tiny": open_engine({str(exported)!r}, "onnxruntime")}}, Limits()))
assert not {{"torch", "torchvision"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_what_cannot_start_says_why(
    exported: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words, sentence in (
            ([exported, "--port", port], "address already in use. Try another --host or --port"),
            ([exported, "--port", 0, "--host", "no.such.host.invalid"], "Try another --host"),
            ([exported, bundle, "--port", 0], "Cannot serve two models named 'tiny'"),
            ([exported, "--port", 0, "--queue-size", 8], "Raise --queue-size"),
            ([exported, "--queue", 8], "Try --queue-size."),
            ([exported, "--max-files=8"], "Try --max-images."),
            ([exported, "--streams", 2], "Try --concurrency."),
            ([exported, "--port", 0, "--token", ""], "The token is empty"),
            (["missing.onnx", "--port", 0], "missing.onnx does not exist"),
            ([f"{exported.parent}/a b.onnx", "--port", 0], "NAME="),
        ):
            monkeypatch.setattr(sys, "argv", ["inceptorch", "serve", *map(str, words)])
            with pytest.raises(SystemExit) as stop:
                main()
            said = capsys.readouterr()
            assert (stop.value.code, said.out) == (2, "")
            assert sentence in said.err
            assert len(said.err.splitlines()) == 1


def test_openapi_is_true(server: Server, tmp_path: Path) -> None:
    """Every operation, with what fits its description and what does not, by schemathesis."""
    pytest.importorskip("schemathesis")
    # No schema can say that a tensor has as many numbers as its shape says, so some that fit it are refused.
    (tmp_path / "config.toml").write_text(
        '[[operations]]\ninclude-path = "/v2/models/{name}/infer"\nchecks.positive_data_acceptance.enabled = false\n'
    )
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "config.toml", "run"]
    options = ["--phases", "coverage,fuzzing", "--max-examples", "5", "--seed", "1"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}/openapi.json", *options],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
