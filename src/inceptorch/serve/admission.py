"""What a server takes on at most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import HTTPException

from inceptorch.errors import ServeError

BODIES = 8  # of the largest size, that may be held for one model at once


@dataclass(frozen=True)
class Limits:
    """What a server takes on at most.

    body     bytes of one request
    files    images of one request
    seconds  for a request to arrive
    queue    images of one model that are taken on and not answered yet

    Raises ServeError if the queue has no room for one request.
    """

    body: int = 32 * 2**20
    files: int = 32
    seconds: float = 30.0
    queue: int = 64

    def __post_init__(self) -> None:
        if self.queue < self.files:
            raise ServeError(
                f"A queue of {self.queue} has no room for a request of {self.files} images; raise --queue or lower --max-files."
            )


class Room:
    """What one model has taken on and not answered yet. It is counted on the event loop, so it needs no lock."""

    def __init__(self, limits: Limits):
        self.images, self.bytes = 0, 0
        self._most_images, self._most_bytes = limits.queue, BODIES * limits.body

    @contextmanager
    def place(self, size: int) -> Iterator[Place]:
        """Room for a request whose body has `size` bytes and one image. Raises HTTPException 503 if there is none."""
        if self.bytes + size > self._most_bytes:
            raise busy()
        place = Place(self)
        place.take()
        self.bytes += size
        try:
            yield place
        finally:
            self.images -= place.images
            self.bytes -= size

    def take(self, images: int) -> None:
        if self.images + images > self._most_images:
            raise busy()
        self.images += images


class Place:
    """The part of a room that one request has."""

    def __init__(self, room: Room):
        self.images, self._room = 0, room

    def take(self, images: int = 1) -> None:
        """Room for more images. Raises HTTPException 503 if there is none."""
        self._room.take(images)
        self.images += images


def busy() -> HTTPException:
    return HTTPException(
        503, "The server has as much to do as it takes on; try again in a second.", {"Retry-After": "1"}
    )
