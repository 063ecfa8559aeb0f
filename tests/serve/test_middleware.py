import logging
import re
import select
import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from inceptorch.inference.engines import Engine
from inceptorch.serve.admission import Limits
from tests.serve.helpers import Server, form, head, image, read_reply, running


@pytest.mark.slow
def test_slow_requests_time_out(engine: Engine) -> None:
    body, kind = form([("a", image())])
    with running({"tiny": engine}, Limits(max_seconds=0.3)) as server:
        with server.connect(head("/predict", Content_Type=kind, Content_Length=len(body)), body[:100]) as connection:
            reply = read_reply(connection)
            assert (reply.status, reply.headers["Connection"]) == (408, "close")
            assert reply.json == {"error": "The request did not arrive within 0.3 seconds."}
            assert connection.recv(1) == b""
        for begun in (b"", b"POST /predict HT"):
            with server.connect(begun) as connection:
                assert read_reply(connection).status == 408
                assert connection.recv(1) == b""
        server.wait_for('inceptorch_queue_images{model="tiny"}', 0)


def closed(connection: socket.socket) -> bool:
    """Whether the other side has closed a connection; nothing is read or sent."""
    poll = select.poll()
    poll.register(connection, getattr(select, "POLLRDHUP", select.POLLIN))
    return bool(poll.poll(0))


def send_quietly(connection: socket.socket, content: bytes) -> None:
    with suppress(OSError):
        connection.sendall(content)


@pytest.mark.slow
def test_clients_that_never_read_are_closed(engine: Engine) -> None:
    many = b"GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n" * 2000
    with running({"tiny": engine}, Limits(max_seconds=0.3)) as server, ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", server.port))
            threading.Thread(target=send_quietly, args=(connection, many), daemon=True).start()
        server.wait_for("inceptorch_connections", 6)
        server.wait_for("inceptorch_connections", 1)  # that of the question


def test_above_the_limit_the_most_silent_connection_makes_room(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inceptorch.serve.server.MAX_CONNECTIONS", 6)
    body, kind = form([("a", image())])
    half = head("/predict", Content_Type=kind, Content_Length=len(body)) + body[:100]
    with running({"tiny": engine}) as server, ExitStack() as stack:
        silent = [stack.enter_context(server.connect(begun)) for begun in (b"", half, b"GET /", half, b"", half)]
        assert not any(map(closed, silent))
        for _ in range(20):
            assert server.request("/healthz").status == 200
        assert list(map(closed, silent)) == [True, False, False, False, False, False]


def test_head_is_answered_as_get_without_a_body(server: Server) -> None:
    for path in ("/", "/page.js", "/healthz", "/readyz", "/about", "/metrics", "/v2", "/openapi.json"):
        get, reply = server.request(path), server.request(path, method="HEAD")
        assert (reply.status, reply.body) == (200, b""), path
        if path != "/metrics":
            assert reply.headers["Content-Length"] == str(len(get.body))
    assert server.request("/predict", method="HEAD").status == 405


def test_a_path_may_end_in_a_slash(server: Server) -> None:
    """A redirect would need the prefix of a proxy, which the server does not know."""
    for path in ("/v2", "/about", "/v2/models/tiny", "/healthz"):
        assert server.request(f"{path}/").json == server.request(path).json
    assert server.predict(("a", image()), query="/").status == 200
    assert server.request("/nothing/").status == 404


def test_every_answer_has_the_id_of_its_request_and_the_log_has_it(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "inceptorch.serve.access")
    with running({"tiny": engine}) as server:
        first, second = (server.request("/healthz").headers["X-Request-ID"] for _ in range(2))
        assert re.fullmatch("[0-9a-f]{16}", first)
        assert first != second
        given = server.predict(("a", image()), headers={"X-Request-ID": "proxy-7"}).headers["X-Request-ID"]
        assert given == "proxy-7"
        strange = server.request("/nothing", headers={"X-Request-ID": "a b\tc"}).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{16}", strange)
    lines = [record.getMessage() for record in caplog.records if record.name == "inceptorch.serve.access"]
    assert [line.rpartition(" ")[0] for line in lines] == [
        f"{first} 127.0.0.1 GET /healthz 200",
        f"{second} 127.0.0.1 GET /healthz 200",
        "proxy-7 127.0.0.1 POST /predict 200",
        f"{strange} 127.0.0.1 GET /nothing 404",
    ]
