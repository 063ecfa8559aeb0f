"""The body of a request, in memory only: no upload touches the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from inceptorch.serve.admission import Limits, Place

T = TypeVar("T")

# It has a line for every malformed form, which anyone can send.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def announced(request: Request, limits: Limits) -> int:
    """The size of a body by its head, in bytes; the largest where it does not say. Raises HTTPException 413."""
    size = int(request.headers.get("content-length", limits.body))
    if size > limits.body:
        raise too_large(limits)
    return size


async def read_body(request: Request, limits: Limits) -> bytes:
    """The whole body. Raises HTTPException 408 and 413, and ClientDisconnect."""

    async def whole() -> bytes:
        return b"".join([chunk async for chunk in _chunks(request, limits)])

    return await _in_time(whole(), limits)


async def _chunks(request: Request, limits: Limits) -> AsyncGenerator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.body:
            raise too_large(limits)
        yield chunk


async def _in_time(work: Coroutine[Any, Any, T], limits: Limits) -> T:
    try:
        async with asyncio.timeout(limits.seconds):
            return await work
    except TimeoutError:
        raise HTTPException(408, f"The request did not arrive within {limits.seconds:g} seconds.") from None


def too_large(limits: Limits) -> HTTPException:
    return HTTPException(413, f"The request has more than {limits.body / 2**20:g} MB; send fewer images at once.")


class Form(MultiPartParser):
    """The parts named `file` of a multipart form.

    Starlette would lay large ones into files, and takes a form that is cut off for a whole one.
    """

    def __init__(self, request: Request, limits: Limits, place: Place):
        chunks = self._to_the_end(_chunks(request, limits))
        super().__init__(request.headers, chunks, max_files=limits.files, max_part_size=limits.body)
        self.spool_max_size = limits.body + 1
        self._limits, self._place = limits, place
        self._complete = False

    @asynccontextmanager
    async def files(self) -> AsyncIterator[list[UploadFile]]:
        """The files, while this lasts.

        Raises HTTPException: 400 for what is no such form, 408 and 413, 503 if there is no room for them.
        """
        kind, options = parse_options_header(self.headers.get("content-type"))
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise malformed("Send images as multipart/form-data, as in: curl -F file=@image.jpg ADDRESS/predict")
        try:
            form = await _in_time(self.parse(), self._limits)
        except (MultiPartException, FormParserError) as error:
            why = getattr(error, "message", str(error)).rstrip(".")
            if why.startswith("Too many files"):
                raise too_many(self._limits) from None
            raise malformed(f"The form cannot be read: {why}.") from None
        try:
            files = [file for file in form.getlist("file") if isinstance(file, UploadFile)]
            if not files:
                raise malformed("The form has no part named 'file' with a file name; send each image as one.")
            self._place.take(len(files) - 1)  # the first has its place already
            yield files
        finally:
            await form.close()

    async def _to_the_end(self, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        async for chunk in chunks:
            yield chunk
        if not self._complete:
            raise malformed("The form is cut off before its end.")

    def on_end(self) -> None:
        self._complete = True


def too_many(limits: Limits) -> HTTPException:
    return HTTPException(413, f"A request may have {limits.files} images; send the others in another.")


def malformed(sentence: str) -> HTTPException:
    """What is wrong with a request, with status 400."""
    return HTTPException(400, sentence)
