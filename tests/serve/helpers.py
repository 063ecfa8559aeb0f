"""A running server for tests, and requests to it over real connections."""

import http.client
import io
import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from inceptorch.inference.engines import Engine, EngineOutput
from inceptorch.serve.admission import Limits
from inceptorch.serve.guard import Access
from inceptorch.serve.server import bind, create_server
from inceptorch.serve.service import Service

READY = ("/readyz", "/v2/health/ready", "/v2/models/tiny/ready")
NOISE = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server(NamedTuple):
    """A running server, by its port."""

    port: int

    def request(self, path: str, body: Any = None, headers: dict[str, str] | None = None, method: str = "") -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def predict(self, *files: tuple[str, bytes], query: str = "", headers: dict[str, str] | None = None) -> Reply:
        body, kind = form(files)
        return self.request(f"/predict{query}", body, {"Content-Type": kind, **(headers or {})})

    def connect(self, *pieces: bytes) -> socket.socket:
        """A new connection, on which these bytes have been sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        for piece in pieces:
            connection.sendall(piece)
        return connection

    def counter(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.request("/metrics").body.decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def wait_for(self, name: str, value: float) -> None:
        """Wait until a counter has a value."""
        wait_until(lambda: self.counter(name) == value, f"{name} to be {value}")


def wait_until(condition: Callable[[], bool], what: str) -> None:
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
    lines = [f"POST {path} HTTP/1.1", "Host: localhost"] + [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def read_reply(connection: socket.socket) -> Reply:
    reply = http.client.HTTPResponse(connection)
    reply.begin()
    return Reply(reply.status, reply.headers, reply.read())


def image(kind: str = "PNG", pixels: np.ndarray = NOISE, **options: Any) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, kind, **options)
        return file.getvalue()


@contextmanager
def running(
    engines: dict[str, Engine], limits: Limits | None = None, access: Access | None = None, distance: bool = False
) -> Iterator[Server]:
    """A server in a thread."""
    listening = bind("127.0.0.1", 0)
    server = create_server(Service(engines, limits or Limits(), distance), access)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield Server(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


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
def in_parallel(work: Callable[[], Reply], count: int) -> Iterator[list[Reply]]:
    """`work` in so many threads; at the end of the block, what they got."""
    replies: list[Reply] = []
    threads = [threading.Thread(target=lambda: replies.append(work())) for _ in range(count)]
    for thread in threads:
        thread.start()
    yield replies
    for thread in threads:
        thread.join(30)


@contextmanager
def process(
    *words: object, before: str = "", descriptors: int | None = None, stderr: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], Server]]:
    """`inceptorch serve` in a process that can write no file. `before` is Python that it runs first."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        if descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    start = f"{before}\nfrom inceptorch.cli import main\nmain()"
    command = [sys.executable, "-c", start, "serve", *map(str, words), "--port", "0", "--engine", "onnxruntime"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        preexec_fn=limit,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    ) as child:
        try:
            assert child.stdout is not None
            lines = iter(child.stdout.readline, "")
            address = next(line for line in lines if line.startswith("serving on "))
            yield child, Server(int(address.rpartition(":")[2] if "http" in address else 0))
        finally:
            child.kill()
