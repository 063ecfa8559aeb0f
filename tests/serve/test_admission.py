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
            stack.enter_context(control.reserve(100))
        with pytest.raises(HTTPException) as refused, control.reserve(1):
            pass
        assert refused.value.status_code == 503
    with control.reserve(100):
        assert (control.images, control.bytes) == (1, 100)
    assert (control.images, control.bytes) == (0, 0)
