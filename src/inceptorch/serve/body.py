"""Request bodies, in memory only: no upload touches the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from inceptorch.serve.admission import Limits, Reservation

# It logs every malformed form, and anyone can send those.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def content_length(request: Request, limits: Limits) -> int:
    """The size of a body in bytes from its header, or the largest allowed. Raises HTTPException 413."""
    size = int(request.headers.get("content-length", limits.max_body))
    if size > limits.max_body:
        raise too_large(limits)
    return size


async def chunks(request: Request, limits: Limits) -> AsyncGenerator[bytes]:
    """The body in pieces. Raises HTTPException 413 and ClientDisconnect."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.max_body:
            raise too_large(limits)
        yield chunk


@asynccontextmanager
async def in_time(limits: Limits) -> AsyncIterator[None]:
    """A block in which a request must arrive. Raises HTTPException 408."""
    try:
        async with asyncio.timeout(limits.max_seconds):
            yield
    except TimeoutError:
        raise HTTPException(408, f"The request did not arrive within {limits.max_seconds:g} seconds.") from None


class Form(MultiPartParser):
    """The `file` fields of a multipart form. Starlette's parser would write large files to disk and accept a form
    that is cut off."""

    def __init__(self, request: Request, limits: Limits, reservation: Reservation):
        stream = self._until_end(chunks(request, limits))
        super().__init__(request.headers, stream, max_files=limits.max_images, max_part_size=limits.max_body)
        self.spool_max_size = limits.max_body + 1
        self._limits, self._reservation, self._complete = limits, reservation, False

    @asynccontextmanager
    async def files(self) -> AsyncIterator[list[UploadFile]]:
        """The files, open inside the block. Raises HTTPException: 400 if malformed, 408, 413, or 503 if full."""
        kind, options = parse_options_header(self.headers.get("content-type"))
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise malformed("Send images as multipart/form-data, as in: curl -F file=@image.jpg ADDRESS/predict")
        try:
            async with in_time(self._limits):
                form = await self.parse()
        except (MultiPartException, FormParserError) as error:
            why = getattr(error, "message", str(error)).rstrip(".")
            if why.startswith("Too many files"):
                raise too_many(self._limits) from None
            raise malformed(f"The form cannot be read: {why}.") from None
        try:
            files = [file for file in form.getlist("file") if isinstance(file, UploadFile)]
            if not files:
                raise malformed("The form has no part named 'file' with a file name; send each image as one.")
            self._reservation.add(len(files) - 1)  # the first is reserved already
            yield files
        finally:
            await form.close()

    async def _until_end(self, stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        async for chunk in stream:
            yield chunk
        if not self._complete:  # raised here, as the parser then closes its files
            raise malformed("The form is cut off before its end.")

    def on_end(self) -> None:
        self._complete = True


def too_large(limits: Limits) -> HTTPException:
    return HTTPException(413, f"The request has more than {limits.max_body / 2**20:g} MB; send fewer images at once.")


def too_many(limits: Limits) -> HTTPException:
    return HTTPException(413, f"A request may have {limits.max_images} images; send the others in another.")


def malformed(message: str) -> HTTPException:
    return HTTPException(400, message)
