"""The classifiers of one server, and how an image passes through them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
from fastapi import HTTPException, Request
from numpy.typing import NDArray
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from inceptorch.errors import ImageError, NonFiniteOutputError, did_you_mean
from inceptorch.images.decode import decode, read_header
from inceptorch.images.preprocessing import ImageArray, Preprocessing
from inceptorch.inference.engines import Engine
from inceptorch.inference.predictor import top_classes
from inceptorch.serve.admission import AdmissionControl, Limits
from inceptorch.serve.dynamic_batcher import DynamicBatcher, SingleOutput, run_batch
from inceptorch.serve.metrics import Metrics
from inceptorch.serve.priority import DECODING, lower_priority
from inceptorch.utils.cpu import processors

Result = TypeVar("Result")

LARGE = 16_000_000  # pixels; larger images are decoded one at a time, as each may take a gigabyte meanwhile


class ModelEndpoint:
    """A named classifier whose engine is warm. Raises NonFiniteOutputError if its outputs are not finite."""

    def __init__(self, name: str, engine: Engine, limits: Limits, metrics: Metrics):
        self.name, self.engine = name, engine
        # A full batch, then a single image: nothing is left to initialize when the first request comes.
        size = engine.config.preprocessing.size
        gray = np.full((engine.batch_size, size, size, 3), 128, np.uint8)
        run_batch(engine, list(gray))
        (self.example,) = run_batch(engine, [gray[0]])
        if not np.isfinite(self.example.probabilities).all():
            raise NonFiniteOutputError
        self.admission = AdmissionControl(limits)
        metrics.queue.labels(name).set_function(lambda: self.admission.images)
        self.answered, self.unreadable = (metrics.images.labels(name, each) for each in ("answered", "unreadable"))
        self.batcher = DynamicBatcher(engine, metrics.batch.labels(name), metrics.engine.labels(name))

    def about(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "network": self.engine.config.network.name,
            "classes": len(self.engine.config.classes),
            "size": self.engine.config.preprocessing.size,
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "has_maps": self.example.maps is not None,
        }

    async def run(self, crop: ImageArray) -> SingleOutput:
        output = await asyncio.wrap_future(self.batcher.submit(crop))
        self.answered.inc()
        return output


class Service:
    """Warm models, and threads that decode images, for all requests. Raises NonFiniteOutputError."""

    def __init__(self, engines: Mapping[str, Engine], limits: Limits):
        self.limits, self.metrics = limits, Metrics()
        self.models = {name: ModelEndpoint(name, engine, limits, self.metrics) for name, engine in engines.items()}
        pool = partial(ThreadPoolExecutor, initializer=lower_priority, initargs=(DECODING,))
        self.decoders, self.one_at_a_time = pool(processors()), pool(1)  # the latter for what takes much memory

    def endpoint(self, name: str | None) -> ModelEndpoint:
        """The model of this name; None: the first one. Raises HTTPException 404."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise HTTPException(404, f"There is no model {name!r}: {did_you_mean(name, self.models)}")
        return self.models[name]

    async def predict(self, endpoint: ModelEndpoint, upload: UploadFile, top: int, maps: bool) -> dict[str, Any]:
        """The entry for one file in the format of `predict --json`, with `maps` also its activation maps."""
        config = endpoint.engine.config
        entry: dict[str, Any] = {"file": upload.filename}
        loop = asyncio.get_running_loop()
        content = upload.file.read()  # from memory
        upload.file.close()
        try:
            result = await loop.run_in_executor(self.decoders, _preprocess_unless_large, content, config.preprocessing)
            if result is None:
                result = await loop.run_in_executor(self.one_at_a_time, _preprocess, content, config.preprocessing)
        except ImageError as error:
            endpoint.unreadable.inc()
            return {**entry, "error": error.reason}
        crop, (width, height) = result
        output = await endpoint.run(crop)
        entry["predictions"] = top_classes(output.probabilities.tolist(), config.classes, top)
        if maps:
            entry["maps"] = [] if output.maps is None else _rounded(output.maps)
            entry["map_classes"] = [] if output.map_classes is None else output.map_classes.tolist()
            entry |= {"box": list(config.preprocessing.box(width, height)), "width": width, "height": height}
        return entry

    def close(self) -> None:
        """End the threads once everything accepted is answered."""
        for endpoint in self.models.values():
            endpoint.batcher.close()
        self.decoders.shutdown()
        self.one_at_a_time.shutdown()


def _preprocess(content: bytes, preprocessing: Preprocessing) -> tuple[ImageArray, tuple[int, int]]:
    """The crop of a file, and the width and height of the upright image. Raises ImageError."""
    image = decode(content).image
    return preprocessing.apply(image), image.size


def _preprocess_unless_large(content: bytes, preprocessing: Preprocessing) -> tuple[ImageArray, tuple[int, int]] | None:
    header = read_header(content)
    return None if header.width * header.height > LARGE else _preprocess(content, preprocessing)


def _rounded(maps: NDArray[np.float32]) -> list[list[list[float]]]:
    """Numbers to 4 significant digits, which is finer than any color."""
    return [[[float(f"{value:.4g}") for value in row] for row in rows] for rows in maps.tolist()]


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
