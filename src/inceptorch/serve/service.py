"""The classifiers of one server, and the way of a image through them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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
from inceptorch.serve.admission import Limits, Room
from inceptorch.serve.dynamic_batcher import DynamicBatcher, SingleOutput, run_single
from inceptorch.serve.metrics import Metrics
from inceptorch.serve.priority import IMAGES, step_back
from inceptorch.utils.cpu import processors

Result = TypeVar("Result")

LARGE = 16_000_000  # pixels; larger images are decoded one at a time, as each may take a gigabyte while it is
LONG = 2**20  # bytes of JSON alone; longer ones are read one at a time, as numbers take several times their text


class ModelEndpoint:
    """A classifier under its name, ready to answer: its engine has answered once already.

    Raises BundleError if its answers are not finite numbers.
    """

    def __init__(self, name: str, engine: Engine, limits: Limits, metrics: Metrics):
        self.name, self.engine = name, engine
        self.first = _first_output(engine)  # of a gray image
        self.room = Room(limits)
        self.metrics = metrics.of_model(name, lambda: self.room.images)
        self.batcher = DynamicBatcher(engine, self.metrics)

    def about(self) -> dict[str, Any]:
        """What the page wants to know of it."""
        return {
            "name": self.name,
            "network": self.engine.config.network.name,
            "classes": len(self.engine.config.classes),
            "size": self.engine.config.preprocessing.size,
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "has_maps": self.first.maps is not None,
        }


@dataclass
class Service:
    """What the requests of one server share."""

    models: Mapping[str, ModelEndpoint]
    limits: Limits
    metrics: Metrics
    decoders: ThreadPoolExecutor = field(default_factory=lambda: _threads(processors()))
    # For what takes much memory while it is read: one at a time.
    for_large: ThreadPoolExecutor = field(default_factory=lambda: _threads(1))

    def named(self, name: str | None) -> ModelEndpoint:
        """A model by its name; None: the first. Raises HTTPException 404."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise HTTPException(404, f"There is no model {name!r}: {did_you_mean(name, self.models)}")
        return self.models[name]

    async def predict(self, served: ModelEndpoint, upload: UploadFile, top: int, maps: bool) -> dict[str, Any]:
        """The entry of one file, as `predict --json` prints it; with `maps`, also where the network looked."""
        entry: dict[str, Any] = {"file": upload.filename}
        loop = asyncio.get_running_loop()
        try:
            preprocessing = served.engine.config.preprocessing
            content = upload.file.read()  # which is in memory
            upload.file.close()
            read = await loop.run_in_executor(self.decoders, _unless_large, content, preprocessing)
            if read is None:
                read = await loop.run_in_executor(self.for_large, _crop, content, preprocessing)
        except ImageError as error:
            served.metrics.unreadable.inc()
            return {**entry, "error": error.reason}
        crop, size = read
        one = await self.answer(served, crop)
        entry["predictions"] = top_classes(one.probabilities.tolist(), served.engine.config.classes, top)
        if maps:
            entry |= _looked(one, served.engine.config.preprocessing, *size)
        return entry

    async def answer(self, served: ModelEndpoint, crop: ImageArray) -> SingleOutput:
        """What the engine says of a crop."""
        one = await asyncio.wrap_future(served.batcher.submit(crop))
        served.metrics.answered.inc()
        return one

    def close(self) -> None:
        """End the threads when what was taken on is answered."""
        for served in self.models.values():
            served.batcher.close()
        self.decoders.shutdown()
        self.for_large.shutdown()


async def gather_all(work: Iterable[Awaitable[Result]]) -> list[Result]:
    """The results of all; where one fails, its exception, but not before the others have ended too."""
    found = await asyncio.gather(*work, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return cast(list[Result], found)


async def cancel_on_disconnect(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is dropped if the client goes away before that. Raises ClientDisconnect."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, initializer=step_back, initargs=(IMAGES,))


def _unless_large(content: bytes, preprocessing: Preprocessing) -> tuple[ImageArray, tuple[int, int]] | None:
    """What `_crop` says of a file; None for a large image, which is to be read elsewhere. Raises ImageError."""
    header = read_header(content)
    return None if header.width * header.height > LARGE else _crop(content, preprocessing)


def _crop(content: bytes, preprocessing: Preprocessing) -> tuple[ImageArray, tuple[int, int]]:
    """The crop of a file, with width and height of its upright image. Raises ImageError."""
    image = decode(content).image
    return preprocessing.apply(image), image.size


def _looked(one: SingleOutput, preprocessing: Preprocessing, width: int, height: int) -> dict[str, Any]:
    """Where the network looked: what `?maps=1` adds to an entry."""
    return {
        "maps": [] if one.maps is None else _rounded(one.maps),
        "map_classes": [] if one.map_classes is None else one.map_classes.tolist(),
        "box": list(preprocessing.box(width, height)),
        "width": width,
        "height": height,
    }


def _rounded(maps: NDArray[np.float32]) -> list[list[list[float]]]:
    """Numbers to 4 significant digits, which is finer than any color."""
    return [[[float(f"{value:.4g}") for value in row] for row in rows] for rows in maps.tolist()]


def _first_output(engine: Engine) -> SingleOutput:
    """What the engine makes of a gray image, after as many as it takes together: then nothing is left to be made ready
    when the first request comes."""
    size = engine.config.preprocessing.size
    gray = np.full((engine.batch_size, size, size, 3), 128, np.uint8)
    run_single(engine, list(gray))
    (first,) = run_single(engine, [gray[0]])
    if not np.isfinite(first.probabilities).all():
        raise NonFiniteOutputError
    return first
