"""The classifiers of one server, and the way of a picture through them."""

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

from inceptorch.classifier.classifier import not_finite, top_classes
from inceptorch.errors import ImageError, did_you_mean
from inceptorch.images.preprocessing import Pixels, Square, decode, size_of
from inceptorch.inference.engines import Engine
from inceptorch.serve.admission import Limits, Room
from inceptorch.serve.dynamic_batcher import Batches, One, ones
from inceptorch.serve.metrics import Metrics
from inceptorch.serve.priority import PICTURES, step_back
from inceptorch.utils.cpu import processors

Result = TypeVar("Result")

LARGE = 16_000_000  # pixels; larger pictures are decoded one at a time, as each may take a gigabyte while it is
LONG = 2**20  # bytes of JSON alone; longer ones are read one at a time, as numbers take several times their text


class Served:
    """A classifier under its name, ready to answer: its engine has answered once already.

    Raises BundleError if its answers are not finite numbers.
    """

    def __init__(self, name: str, engine: Engine, limits: Limits, metrics: Metrics):
        self.name, self.engine = name, engine
        self.first = _first_answer(engine)  # of a gray square
        self.room = Room(limits)
        self.metrics = metrics.of_model(name, lambda: self.room.pictures)
        self.batches = Batches(engine, self.metrics)

    def about(self) -> dict[str, Any]:
        """What the page wants to know of it."""
        return {
            "name": self.name,
            "network": self.engine.net.name,
            "classes": len(self.engine.classes),
            "size": self.engine.pixels.size,
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "has_maps": self.first.maps is not None,
        }


@dataclass
class Serving:
    """What the requests of one server share."""

    models: Mapping[str, Served]
    limits: Limits
    metrics: Metrics
    decoders: ThreadPoolExecutor = field(default_factory=lambda: _threads(processors()))
    # For what takes much memory while it is read: one at a time.
    for_large: ThreadPoolExecutor = field(default_factory=lambda: _threads(1))

    def named(self, name: str | None) -> Served:
        """A model by its name; None: the first. Raises HTTPException 404."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise HTTPException(404, f"There is no model {name!r}: {did_you_mean(name, self.models)}")
        return self.models[name]

    async def predict(self, served: Served, upload: UploadFile, top: int, maps: bool) -> dict[str, Any]:
        """The entry of one file, as `predict --json` prints it; with `maps`, also where the network looked."""
        entry: dict[str, Any] = {"file": upload.filename}
        loop = asyncio.get_running_loop()
        try:
            pixels = served.engine.pixels
            content = upload.file.read()  # which is in memory
            upload.file.close()
            read = await loop.run_in_executor(self.decoders, _unless_large, content, pixels, maps)
            if read is None:
                read = await loop.run_in_executor(self.for_large, _square, content, pixels, maps)
        except ImageError as error:
            served.metrics.unreadable.inc()
            return {**entry, "error": error.reason}
        square, size = read
        one = await self.answer(served, square)
        entry["predictions"] = top_classes(one.probabilities.tolist(), served.engine.classes, top)
        if maps:
            entry |= _looked(one, served.engine.pixels, *size)
        return entry

    async def answer(self, served: Served, square: Square) -> One:
        """What the engine says of a square."""
        one = await asyncio.wrap_future(served.batches.submit(square))
        served.metrics.answered.inc()
        return one

    def close(self) -> None:
        """End the threads when what was taken on is answered."""
        for served in self.models.values():
            served.batches.close()
        self.decoders.shutdown()
        self.for_large.shutdown()


async def together(work: Iterable[Awaitable[Result]]) -> list[Result]:
    """The results of all; where one fails, its exception, but not before the others have ended too."""
    found = await asyncio.gather(*work, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return cast(list[Result], found)


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
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
    return ThreadPoolExecutor(count, initializer=step_back, initargs=(PICTURES,))


def _unless_large(content: bytes, pixels: Pixels, sized: bool) -> tuple[Square, tuple[int, int]] | None:
    """What `_square` says of a file; None for a large picture, which is to be read elsewhere. Raises ImageError."""
    width, height = size_of(content)
    return None if width * height > LARGE else _square(content, pixels, sized)


def _square(content: bytes, pixels: Pixels, sized: bool) -> tuple[Square, tuple[int, int]]:
    """The square of a file, and, if `sized`, width and height of its upright picture. Raises ImageError."""
    if not sized:
        return pixels.square(content), (0, 0)
    image = decode(content)
    return pixels.square(image), image.size


def _looked(one: One, pixels: Pixels, width: int, height: int) -> dict[str, Any]:
    """Where the network looked: what `?maps=1` adds to an entry."""
    return {
        "maps": [] if one.maps is None else _rounded(one.maps),
        "map_classes": [] if one.map_classes is None else one.map_classes.tolist(),
        "box": list(pixels.box(width, height)),
        "width": width,
        "height": height,
    }


def _rounded(maps: NDArray[np.float32]) -> list[list[list[float]]]:
    """Numbers to 4 significant digits, which is finer than any colour."""
    return [[[float(f"{value:.4g}") for value in row] for row in rows] for rows in maps.tolist()]


def _first_answer(engine: Engine) -> One:
    """What the engine says of a gray square, after as many as it takes together: then nothing is left to be made ready
    when the first request comes."""
    size = engine.pixels.size
    gray = np.full((engine.batch, size, size, 3), 128, np.uint8)
    engine.answer(gray)
    first = ones(engine.answer(gray[:1]))[0]
    if not np.isfinite(first.probabilities).all():
        raise not_finite()
    return first
