import pytest

from inceptorch.inference.engines import Engine
from inceptorch.serve.admission import Limits
from tests.serve.helpers import form, head, image, read_reply, running


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
