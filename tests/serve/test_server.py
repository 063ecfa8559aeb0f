import http.client
import signal
import socket
import threading
from pathlib import Path

import pytest

from inceptorch.serve.server import bind
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
