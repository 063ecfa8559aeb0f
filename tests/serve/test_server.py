import asyncio
import errno
import http.client
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from inceptorch.errors import ServeError
from inceptorch.inference.engines import Engine
from inceptorch.serve.admission import Limits
from inceptorch.serve.server import _AcceptErrors, _max_connections, bind, bind_unix, create_server
from inceptorch.serve.service import Service
from tests.serve.helpers import form, head, image, process, read_reply, wait_until


def test_responses_are_not_delayed() -> None:
    """Without TCP_NODELAY the second part of an answer waits until the client has acknowledged the first: 40 ms."""
    with bind("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.slow
def test_sigterm_answers_accepted_requests(exported: Path) -> None:
    body, kind = form([("a", image())])
    with process(exported) as (child, server):
        ends: list[str] = []

        def send_requests() -> None:
            while True:
                try:
                    status = server.predict(("a", image())).status
                except (ConnectionError, http.client.RemoteDisconnected):
                    ends.append("refused")
                    return
                if status != 200:
                    ends.append(f"status {status}")
                    return

        threads = [threading.Thread(target=send_requests) for _ in range(4)]
        for thread in threads:
            thread.start()
        whole = head("/predict", Content_Type=kind, Content_Length=len(body)) + body
        half, idle = server.connect(whole[:-100]), server.connect(whole)
        assert read_reply(idle).headers["Connection"] is None
        wait_until(lambda: server.counter('inceptorch_requests_total{path="/predict",status="200"}') > 20, "load")
        child.send_signal(signal.SIGTERM)
        wait_until(lambda: len(ends) > 0, "a refusal")
        idle.sendall(whole)  # as if it had been on its way
        half.sendall(whole[-100:])
        for thread in threads:
            thread.join(20)
        assert ends == ["refused"] * 4
        for connection in (idle, half):
            reply = read_reply(connection)
            assert (reply.status, reply.headers["Connection"], len(reply.json)) == (200, "close", 1)
            connection.close()
        with pytest.raises(ConnectionError):
            server.request("/healthz")
        assert child.wait(20) == 0
        assert child.stdout is not None
        assert child.stdout.read() == "stopped\n"


STUCK = """
import threading, time
import inceptorch.serve.service as service
def stuck(*args, **options):
    time.sleep(1000)
"""
STUCK_DECODER = f"{STUCK}\nservice.decode = stuck"
STUCK_ENGINE = f"""{STUCK}
from inceptorch.inference.engines.onnxruntime import OnnxRuntime
before = OnnxRuntime.run
OnnxRuntime.run = lambda self, crops, **options: stuck() if crops.max() > 200 else before(self, crops, **options)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("stuck", "leaves"), [(STUCK_DECODER, True), (STUCK_DECODER, False), (STUCK_ENGINE, True)])
def test_sigterm_ends_a_server_whose_work_never_ends(exported: Path, stuck: str, leaves: bool) -> None:
    body, kind = form([("a", image())] * 4)
    whole = head("/predict", Content_Type=kind, Content_Length=len(body)) + body
    with process(exported, "--max-seconds", 1, before=stuck, stderr=subprocess.DEVNULL) as (child, server):
        connection = server.connect(whole)
        server.wait_for('inceptorch_queue_images{model="tiny"}', 4)
        if leaves:
            connection.close()
            server.wait_for('inceptorch_queue_images{model="tiny"}', 0)
        child.send_signal(signal.SIGTERM)
        assert child.wait(2 * 1 + 1 + 2 + 5) in (0, 1)  # as documented, and 5 seconds for a busy machine
        connection.close()


@pytest.mark.slow
def test_sigterm_ends_a_server_with_idle_heads_and_deaf_clients(exported: Path) -> None:
    many = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
    begun = head("/predict", Content_Type="multipart/form-data; boundary=x", Content_Length=1000)
    with process(exported, "--max-seconds", 1) as (child, server), ExitStack() as stack:
        for content in [begun, many, b"", b"GET /"] * 10:
            stack.enter_context(server.connect(content))
        assert server.request("/healthz").status == 200
        child.send_signal(signal.SIGTERM)
        assert child.wait(2 * 1 + 1 + 2 + 5) == 0


@pytest.mark.slow
def test_sighup_drains_and_sigusr1_shows_the_threads(exported: Path) -> None:
    body, kind = form([("a", image())])
    whole = head("/predict", Content_Type=kind, Content_Length=len(body)) + body
    with process(exported, "--access-log", stderr=subprocess.PIPE) as (child, server):
        assert server.predict(("a", image())).status == 200
        child.send_signal(signal.SIGUSR1)
        assert server.predict(("a", image())).status == 200
        half = server.connect(whole[:-100])
        server.wait_for("inceptorch_connections", 2)
        child.send_signal(signal.SIGHUP)
        half.sendall(whole[-100:])
        assert read_reply(half).status == 200
        half.close()
        assert child.wait(20) == 0
        assert child.stderr is not None
        written = child.stderr.read()
        assert "most recent call first" in written
        line = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} [0-9a-f]{16} 127\.0\.0\.1 POST /predict 200 \d+\.\d{3}$"
        assert len(re.findall(line, written, re.MULTILINE)) == 3


@pytest.mark.slow
def test_more_clients_than_descriptors_leave_it_answering(exported: Path) -> None:
    with process(exported, descriptors=64, stderr=subprocess.PIPE) as (child, server), ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(server.connect())
        for _ in range(20):
            assert server.predict(("a", image())).status == 200
        stack.close()
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
        assert child.stderr is not None
        assert len(child.stderr.read().splitlines()) < 5


@pytest.mark.slow
def test_a_lack_of_descriptors_is_logged_once_a_second(exported: Path) -> None:
    unlimited = "import inceptorch.serve.server as server\nserver._max_connections = lambda: 10_000"
    start = time.monotonic()
    with process(exported, before=unlimited, descriptors=64, stderr=subprocess.PIPE) as (child, server):
        with ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(server.connect())
            time.sleep(2)
        assert server.predict(("a", image())).status == 200
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
        assert child.stderr is not None
        lines = child.stderr.read().splitlines()
    assert set(lines) == {"cannot accept connections: too many open files"}
    assert len(lines) <= time.monotonic() - start + 1


@pytest.mark.slow
def test_a_unix_socket(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "serve.sock"
    bind_unix(path).close()  # as a killed server leaves it
    assert stat.S_ISSOCK(path.stat().st_mode)
    with process(exported, "--unix-socket", path) as (child, _):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(path))
            body, kind = form([("a", image())])
            connection.sendall(head("/predict", Content_Type=kind, Content_Length=len(body)) + body)
            assert read_reply(connection).status == 200
        with pytest.raises(ServeError, match="already in use. Try another --unix-socket"):
            bind_unix(path)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    assert not path.exists()
    path.write_text("not a socket")
    with pytest.raises(ServeError, match="already in use"):
        bind_unix(path)
    assert path.read_text() == "not a socket"


def test_that_no_connection_can_be_accepted_is_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    handler, loop = _AcceptErrors(), asyncio.new_event_loop()
    context = {
        "message": "socket.accept() out of system resource",
        "exception": OSError(errno.EMFILE, "Too many open files"),
    }
    for _ in range(3):
        handler(loop, context)
    assert caplog.messages == ["cannot accept connections: too many open files"]
    handler._last -= 1
    handler(loop, context)
    loop.close()
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("max_seconds", [0.4, 30])
def test_a_shutdown_leaves_time_for_a_request_to_arrive_and_for_its_answer(engine: Engine, max_seconds: float) -> None:
    service = Service({"tiny": engine}, Limits(max_seconds=max_seconds))
    seconds = create_server(service).config.timeout_graceful_shutdown
    service.close()
    assert seconds is not None
    assert 2 * max_seconds < seconds < 2 * max_seconds + 2


def test_connections_leave_descriptors_for_what_is_open_and_for_those_that_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for limit in (500, 5, 100_000, resource.RLIM_INFINITY):
        monkeypatch.setattr(resource, "getrlimit", lambda which, limit=limit: (limit, limit))
        found.append(_max_connections())
    assert found == [500 - len(os.listdir("/dev/fd")) - 24, 1, 1024, 1024]
