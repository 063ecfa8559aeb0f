import time

import numpy as np
import pytest

from inceptorch.inference.engines import Engine, EngineOutput
from tests.serve.helpers import Gate, image, in_parallel, running


def test_connections_share_batches(engine: Engine) -> None:
    gate = Gate(engine)
    with running({"tiny": engine}) as server:
        gate.close()
        with in_parallel(lambda: server.predict(("a", image())), 9) as replies:
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
