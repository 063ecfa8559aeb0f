"""The models of one server, and how an image passes through them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
from fastapi import HTTPException, Request
from PIL import Image
from starlette.requests import ClientDisconnect

from inceptorch.errors import ImageError, did_you_mean
from inceptorch.images.decode import decode, read_header
from inceptorch.inference.engines import Engine
from inceptorch.serve.admission import AdmissionControl, Limits
from inceptorch.serve.dynamic_batcher import DynamicBatcher
from inceptorch.serve.metrics import Metrics, MovingMean
from inceptorch.serve.priority import DECODING, lower_priority
from inceptorch.serve.served_model import Parameters, ServedModel, served
from inceptorch.utils.cpu import processors

Result = TypeVar("Result")

TRIAL = 1.0  # seconds that a check of readiness waits for an image
CLOSING = 1.0  # seconds to wait for a thread that has nothing left to answer
LARGE = 16_000_000  # pixels; larger images are decoded one at a time, as each may take a gigabyte meanwhile


class ModelEndpoint:
    """A named model whose engine is warm. Raises NonFiniteOutputError if its outputs are not finite."""

    def __init__(self, name: str, engine: Engine, limits: Limits, metrics: Metrics, distance: bool = False):
        self.name, self.engine = name, engine
        self.model = served(engine, distance)
        # A full batch, then a single image: nothing is left to initialize when the first request comes.
        gray = self.model.of_pixels(np.full((self.model.height, self.model.width, 3), 128, np.uint8))
        self.model.run([gray] * engine.batch_size)
        (self.example,) = self.model.run([gray])
        self.model.check(self.example)
        self.is_good = True  # the last answer
        self.trial: asyncio.Future[Any] | None = None  # of an image, since an answer was not good
        self.admission = AdmissionControl(limits)
        metrics.queue.labels(name).set_function(lambda: self.admission.images)
        self.answered, self.unreadable = (metrics.images.labels(name, each) for each in ("answered", "unreadable"))
        self.distances: MovingMean | None = None
        if distance:
            self.distances, self.far = MovingMean(), metrics.out_of_distribution.labels(name)
            metrics.distance.labels(name).set_function(lambda: self.distances.value if self.distances else 0.0)
        sizes, seconds = metrics.batch.labels(name), metrics.engine.labels(name)
        self.batcher = DynamicBatcher(engine, self.model.run, sizes, seconds)

    def about(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "task": self.model.task,
            "network": self.engine.config.network.name,
            "classes": len(self.engine.config.classes),
            "size": self.engine.config.preprocessing.size,
            "width": self.model.width,
            "height": self.model.height,
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "has_maps": False,
            **self.model.about(self.example),
        }

    async def run(self, input: Any) -> Any:
        """The output for an input. Raises NonFiniteOutputError, and what the engine raises."""
        try:
            output = await asyncio.wrap_future(self.batcher.submit(input))
            self.model.check(output)
        except Exception:
            self.is_good = False
            raise
        self.is_good = True
        self.answered.inc()
        if self.distances is not None:
            self.distances.add(output.distance)
            self.far.inc(self.model.is_far(output))
        return output


class Service:
    """Warm models, and threads that decode images, for all requests. Raises NonFiniteOutputError."""

    def __init__(self, engines: Mapping[str, Engine], limits: Limits, distance: bool = False):
        self.limits, self.metrics = limits, Metrics()
        self.models = {
            name: ModelEndpoint(name, engine, limits, self.metrics, distance) for name, engine in engines.items()
        }
        pool = partial(ThreadPoolExecutor, initializer=lower_priority, initargs=(DECODING,))
        self.decoders, self.one_at_a_time = pool(processors()), pool(1)  # the latter for what takes much memory
        with io.BytesIO() as file:
            Image.new("L", (8, 8), 128).save(file, "PNG")
            self._gray = file.getvalue()

    def endpoint(self, name: str | None) -> ModelEndpoint:
        """The model of this name; None: the first one. Raises HTTPException 404."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            name = name[:100]  # of a sentence
            raise HTTPException(404, f"There is no model {name!r}: {did_you_mean(name, self.models)}")
        return self.models[name]

    @asynccontextmanager
    async def answering(self, endpoint: ModelEndpoint) -> AsyncIterator[None]:
        """A block in which a request must be answered. Raises HTTPException 503: a decoder or an engine may hang."""
        seconds = 2 * self.limits.max_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            endpoint.is_good = False
            message = f"The request was not answered within {seconds:g} seconds; send fewer images at once."
            raise HTTPException(503, message, {"Retry-After": "1"}) from None

    async def is_ready(self, endpoint: ModelEndpoint) -> bool:
        """Whether its threads are alive and its last answer was good. If that was bad, an image is tried, as no other
        may come before the model is ready."""
        if not endpoint.is_good:
            if endpoint.trial is None or endpoint.trial.done():
                endpoint.trial = asyncio.ensure_future(self.predict(endpoint, "", self._gray, Parameters()))
                endpoint.trial.add_done_callback(lambda trial: trial.cancelled() or trial.exception())
            await asyncio.wait([endpoint.trial], timeout=TRIAL)
        return endpoint.is_good and endpoint.batcher.is_alive()

    async def predict(
        self, endpoint: ModelEndpoint, name: str, content: bytes, parameters: Parameters
    ) -> dict[str, Any]:
        """The entry for one file in the format of `predict --json`, with `maps` also what the page draws."""
        entry: dict[str, Any] = {"file": name}
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(self.decoders, _prepare_unless_large, content, endpoint.model)
            if result is None:
                result = await loop.run_in_executor(self.one_at_a_time, _prepare, content, endpoint.model)
        except ImageError as error:
            endpoint.unreadable.inc()
            return {**entry, "error": error.reason}
        input, size = result
        return {**entry, **endpoint.model.answer(await endpoint.run(input), parameters, size)}

    def close(self) -> None:
        """End the threads, of which those that still work do so for clients that have gone."""
        for endpoint in self.models.values():
            endpoint.batcher.close(CLOSING)
        for pool in (self.decoders, self.one_at_a_time):
            pool.shutdown(wait=False, cancel_futures=True)


def _prepare(content: bytes, model: ServedModel) -> tuple[Any, tuple[int, int]]:
    """The input for a file, and the width and height of the upright image. Raises ImageError."""
    image = decode(content).image
    return model.prepare(image), image.size


def _prepare_unless_large(content: bytes, model: ServedModel) -> tuple[Any, tuple[int, int]] | None:
    header = read_header(content)
    return None if header.width * header.height > LARGE else _prepare(content, model)


async def gather_all(work: Iterable[Awaitable[Result]]) -> list[Result]:
    """All results; if one fails, its exception, but only after the others have ended."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast(list[Result], results)


async def cancel_on_disconnect(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is canceled if the client disconnects. Raises ClientDisconnect."""

    async def disconnect() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task, disconnected = asyncio.ensure_future(work), asyncio.ensure_future(disconnect())
    try:
        await asyncio.wait([task, disconnected], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        disconnected.cancel()
        await asyncio.wait([task])  # before its place in the queue is free, nothing of it may still begin
