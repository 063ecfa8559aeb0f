import time
from functools import partial
from itertools import chain

import numpy as np
import pytest

from inceptorch.inference.engines import Engine, EngineOutput
from inceptorch.serve.dynamic_batcher import DynamicBatcher, run_batch
from inceptorch.serve.metrics import Metrics
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


def test_crops_are_answered_in_the_order_of_their_arrival(engine: Engine) -> None:
    engine.batch_size = 2
    run, levels = engine.run, list[list[int]]()

    def watched(crops: np.ndarray, *, maps: bool = False) -> EngineOutput:
        levels.append(crops[:, 0, 0, 0].tolist())
        return run(crops, maps=maps)

    engine.run = watched  # type: ignore[method-assign]
    metrics = Metrics()
    batcher = DynamicBatcher(
        engine, partial(run_batch, engine), metrics.batch.labels("tiny"), metrics.engine.labels("tiny")
    )
    gate = Gate(engine)
    gate.close()
    futures = [batcher.submit(np.full((16, 16, 3), 20 * level, np.uint8)) for level in range(9)]
    gate.open.set()
    outputs = [future.result(20).probabilities for future in futures]
    batcher.close(20)
    assert list(chain.from_iterable(levels)) == [0, 20, 40, 60, 80, 100, 120, 140, 160]
    for level, output in enumerate(outputs):
        alone = run(np.full((1, 16, 16, 3), 20 * level, np.uint8)).probabilities[0]
        np.testing.assert_allclose(output, alone, rtol=1e-5)


@pytest.mark.parametrize("failure", [SystemExit(3), ValueError("x"), MemoryError()])
def test_whatever_an_engine_raises_leaves_its_thread_alive(engine: Engine, failure: BaseException) -> None:
    metrics, run = Metrics(), engine.run

    def fail(crops: np.ndarray, *, maps: bool = False) -> EngineOutput:
        raise failure

    def answer_twice(crops: np.ndarray, *, maps: bool = False) -> EngineOutput:
        return run(np.concatenate([crops, crops]), maps=maps)

    batcher = DynamicBatcher(
        engine, partial(run_batch, engine), metrics.batch.labels("tiny"), metrics.engine.labels("tiny")
    )
    crop = np.zeros((16, 16, 3), np.uint8)
    engine.run = fail  # type: ignore[method-assign]
    with pytest.raises(Exception, match=".*"):  # an Exception also for SystemExit, which would end the event loop
        batcher.submit(crop).result(20)
    engine.run = answer_twice  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="answered 1 images with 2 outputs"):
        batcher.submit(crop).result(20)
    engine.run = run  # type: ignore[method-assign]
    assert batcher.submit(crop).result(20).probabilities.shape == (3,)
    assert batcher.is_alive()
    batcher.close(20)
    assert not batcher.is_alive()
