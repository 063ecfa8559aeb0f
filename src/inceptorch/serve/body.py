"""Request bodies, in memory only: no upload touches the disk."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from inceptorch.serve.admission import Limits, Reservation

GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # for zlib: whichever the header says
# It logs every malformed form, and anyone can send those.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


async def chunks(request: Request, max_size: int, reservation: Reservation) -> AsyncGenerator[bytes]:
    """The body in pieces, inflated. Raises HTTPException 400 if it is malformed, 413 above `max_size` bytes, 415 for
    an unknown encoding and 503 if the server is full, and ClientDisconnect."""
    if int(request.headers.get("content-length", 0)) > max_size:
        raise too_large(max_size)
    inflate = _inflater(request.headers.get("content-encoding", "identity").strip().lower())
    size = 0
    async for chunk in request.stream():
        if inflate is not None and chunk:
            chunk = _inflated(inflate, chunk, max_size + 1 - size)
        size += len(chunk)
        if size > max_size:
            raise too_large(max_size)
        reservation.add(size=len(chunk))
        yield chunk
    if inflate is not None and size and not inflate.eof:
        raise malformed("The compressed body is cut off before its end.")


def _inflater(encoding: str) -> zlib._Decompress | None:
    if encoding in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(GZIP_OR_ZLIB)
    if encoding != "identity":
        message = "The body has a Content-Encoding that is not read here. Send it as it is, or as gzip or deflate."
        raise HTTPException(415, message, {"Accept-Encoding": "gzip, deflate"})
    return None


def _inflated(inflate: zlib._Decompress, chunk: bytes, max_size: int) -> bytes:
    try:
        content = inflate.decompress(chunk, max_size)
    except zlib.error:
        raise malformed("The body is not compressed as its Content-Encoding says.") from None
    if inflate.unused_data:
        raise malformed("The body goes on after the end of its compressed content.")
    return content


@asynccontextmanager
async def in_time(limits: Limits) -> AsyncIterator[None]:
    """A block in which a request must arrive. Raises HTTPException 408."""
    try:
        async with asyncio.timeout(limits.max_seconds):
            yield
    except TimeoutError:
        raise HTTPException(408, f"The request did not arrive within {limits.max_seconds:g} seconds.") from None


async def read_images(request: Request, limits: Limits, reservation: Reservation) -> list[tuple[str, bytes]]:
    """The images of a request with their file names: the `file` fields of a form, or a body that is an image itself.
    Raises HTTPException: 400 if malformed, 408, 413, 415, or 503 if full."""
    stream = chunks(request, limits.max_body, reservation)
    if request.headers.get("content-type", "").lower().startswith("image/"):
        async with in_time(limits):
            images = [("", b"".join([chunk async for chunk in stream]))]
    else:
        images = await _Form(request, stream, limits).read()
    reservation.add(images=len(images))
    return images


class _Form(MultiPartParser):
    """A multipart form. Starlette's parser would write large files to disk and accept a form that is cut off."""

    def __init__(self, request: Request, stream: AsyncGenerator[bytes], limits: Limits):
        stream = self._until_end(stream)
        super().__init__(request.headers, stream, max_files=limits.max_images, max_part_size=limits.max_body)
        self.spool_max_size = limits.max_body + 1
        self._limits, self._complete = limits, False

    async def read(self) -> list[tuple[str, bytes]]:
        """Names and contents of its files."""
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
            return [(file.filename or "", file.file.read()) for file in files]  # from memory
        finally:
            await form.close()

    async def _until_end(self, stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        async for chunk in stream:
            yield chunk
        if not self._complete:  # raised here, as the parser then closes its files
            raise malformed("The form is cut off before its end.")

    def on_end(self) -> None:
        self._complete = True


def too_large(max_size: int) -> HTTPException:
    return HTTPException(413, f"The request has more than {max_size / 2**20:g} MB; send fewer images at once.")


def too_many(limits: Limits) -> HTTPException:
    return HTTPException(413, f"A request may have {limits.max_images} images; send the others in another.")


def malformed(message: str) -> HTTPException:
    return HTTPException(400, message)
