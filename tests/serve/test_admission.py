from contextlib import ExitStack

import numpy as np
import pytest
from fastapi import HTTPException

from inceptorch.inference.engines import Engine
from inceptorch.serve.admission import AdmissionControl, Limits
from tests.serve.helpers import Gate, head, image, in_parallel, read_reply, running


def test_a_full_queue_refuses_before_the_body(engine: Engine) -> None:
    gate = Gate(engine)
    with running({"tiny": engine}, Limits(queue_size=4, max_images=4)) as server:
        gate.close()
        with in_parallel(lambda: server.predict(("a", image()), ("b", image())), 2) as replies:
            server.wait_for('inceptorch_queue_images{model="tiny"}', 4)
            for path in ("/predict", "/v2/models/tiny/infer"):
                with server.connect(head(path, Content_Length=1_000_000)) as connection:
                    refused = read_reply(connection)
                assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
                assert "try again" in refused.json["error"]
            whole = server.predict(("a", image(pixels=np.zeros((900, 900, 3), np.uint8))))
            assert whole.status == 503  # and the answer was read though the request was on its way
            gate.open.set()
        assert [reply.status for reply in replies] == [200, 200]
        assert server.predict(*[("a", image())] * 4).status == 200


def test_a_refused_request_leaves_no_reservation(engine: Engine) -> None:
    gate = Gate(engine)
    with running({"tiny": engine}, Limits(queue_size=4, max_images=4)) as server:
        gate.close()
        with in_parallel(lambda: server.predict(*[("a", image())] * 3), 1) as replies:
            server.wait_for('inceptorch_queue_images{model="tiny"}', 3)
            refused = server.predict(("a", image()), ("b", image()))
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            assert server.counter('inceptorch_queue_images{model="tiny"}') == 3
            gate.open.set()
        assert [reply.status for reply in replies] == [200]


def test_bodies_in_memory_are_limited() -> None:
    control = AdmissionControl(Limits(max_body=100))
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(control.reserve()).add(size=100)
        with pytest.raises(HTTPException) as refused, control.reserve() as reservation:
            reservation.add(size=1)
        assert refused.value.status_code == 503
    with control.reserve() as reservation:
        reservation.add(1, 100)
        assert (control.images, control.bytes) == (1, 100)
    assert (control.images, control.bytes) == (0, 0)


def test_heads_without_a_body_take_no_place(engine: Engine) -> None:
    """More than the queue is long, and of an announced size that no memory would hold."""
    kind = "multipart/form-data; boundary=edge"
    heads = [head("/predict", Content_Type=kind, Content_Length=30_000_000) + b"--edge\r\n"] * 150
    heads += [head("/v2/models/tiny/infer", Transfer_Encoding="chunked")] * 50
    with running({"tiny": engine}, Limits(queue_size=4, max_images=4)) as server, ExitStack() as stack:
        for each in heads:
            stack.enter_context(server.connect(each))
        assert server.predict(("a", image())).status == 200
        assert server.request("/healthz").status == 200
        assert server.counter('inceptorch_queue_images{model="tiny"}') == 0
