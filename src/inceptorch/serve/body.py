"""The body of a request, in memory only: no upload touches the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from inceptorch.serve.admission import Limits, Place

# It has a line for every malformed form, which anyone can send.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def announced(request: Request, limits: Limits) -> int:
    """The size of a body by its head, in bytes; the largest where it does not say. Raises HTTPException 413."""
    size = int(request.headers.get("content-length", limits.body))
    if size > limits.body:
        raise too_large(limits)
    return size


async def read_body(request: Request, limits: Limits, consume: Callable[[bytes], object]) -> None:
    """Give the body to `consume` as it arrives. Raises HTTPException 408 and 413, and ClientDisconnect."""
    size = 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.body:
                    raise too_large(limits)
                consume(chunk)
    except TimeoutError:
        raise HTTPException(408, f"The request did not arrive within {limits.seconds:g} seconds.") from None


def too_large(limits: Limits) -> HTTPException:
    return HTTPException(413, f"The request has more than {limits.body / 2**20:g} MB; send fewer pictures at once.")


@dataclass
class Upload:
    """One file of a form."""

    name: str
    content: bytearray = field(default_factory=bytearray)

    def taken(self) -> bytes:
        """What is in it, which it gives up."""
        content = bytes(self.content)
        self.content.clear()
        return content


class Form:
    """The parts named `file` of a multipart form, taken in piece by piece; other parts are passed over.

    All raise HTTPException: 400 for what is no such form, 413 for too many files, 503 if there is no room for them.
    """

    def __init__(self, content_type: str | None, limits: Limits, place: Place):
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise malformed("Send pictures as multipart/form-data, as in: curl -F file=@picture.jpg ADDRESS/predict")
        self._limits, self._place = limits, place
        self._files: list[Upload] = []
        self._current: Upload | None = None
        self._field, self._value, self._head = bytearray(), bytearray(), dict[bytes, bytes]()
        self._complete = False
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._head.clear,
                    "on_header_field": self._on_field,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header,
                    "on_headers_finished": self._on_head,
                    "on_part_data": self._on_data,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise malformed(f"The form cannot be read: {error}.") from None

    def write(self, chunk: bytes) -> None:
        """Take in the next piece of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise malformed(f"The form cannot be read: {error}.") from None

    def finish(self) -> list[Upload]:
        """The files, when the body has ended."""
        if not self._complete:
            raise malformed("The form is cut off before its end.")
        if not self._files:
            raise malformed("The form has no part named 'file'; send each picture as one.")
        return self._files

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._head[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _on_head(self) -> None:
        _, options = parse_options_header(self._head.get(b"content-disposition"))
        self._current = None
        if options.get(b"name") != b"file":
            return
        if len(self._files) == self._limits.files:
            raise too_many(self._limits)
        if self._files:  # the first has its place already
            self._place.take()
        self._current = Upload(options.get(b"filename", b"").decode("utf-8", "replace"))
        self._files.append(self._current)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._current is not None:
            self._current.content += memoryview(data)[start:end]

    def _on_end(self) -> None:
        self._complete = True


def too_many(limits: Limits) -> HTTPException:
    return HTTPException(413, f"A request may have {limits.files} pictures; send the others in another.")


def malformed(sentence: str) -> HTTPException:
    """What is wrong with a request, with status 400."""
    return HTTPException(400, sentence)
