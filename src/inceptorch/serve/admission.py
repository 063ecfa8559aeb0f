"""Admission control: a request that does not fit is refused before its body is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import HTTPException

from inceptorch.errors import ServeError

MAX_BODIES = 8  # of the largest size, in memory for one model


@dataclass(frozen=True)
class Limits:
    """The limits of a server. Raises ServeError if the queue is too short for one request.

    max_body     bytes of a request
    max_images   images of a request
    max_seconds  for a request to arrive, and for its answer to be taken; the work between may take twice as long
    queue_size   images of a model that are accepted and not answered yet
    """

    max_body: int = 32 * 2**20
    max_images: int = 32
    max_seconds: float = 30.0
    queue_size: int = 64

    def __post_init__(self) -> None:
        if self.queue_size < self.max_images:
            raise ServeError(
                f"A queue of {self.queue_size} images is too short for a request of {self.max_images}. "
                "Raise --queue-size or lower --max-images."
            )


class AdmissionControl:
    """Counts a model's accepted, unanswered images, and the bytes of bodies in memory. It runs on the event loop alone,
    so it needs no lock."""

    def __init__(self, limits: Limits):
        self.images, self.bytes = 0, 0
        self.max_images, self.max_bytes = limits.queue_size, MAX_BODIES * limits.max_body

    @contextmanager
    def reserve(self) -> Iterator[Reservation]:
        """An empty reservation for one request. Raises HTTPException 503 if the queue is full.

        What a head announces counts for nothing: bytes count once they have arrived, and images once all have."""
        if self.images >= self.max_images:
            raise _busy()
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.images -= reservation.images
            self.bytes -= reservation.bytes


class Reservation:
    """The images and bytes of one request."""

    def __init__(self, control: AdmissionControl):
        self.images, self.bytes, self._control = 0, 0, control

    def add(self, images: int = 0, size: int = 0) -> None:
        """Reserve more. Raises HTTPException 503 if the server is full."""
        control = self._control
        if control.images + images > control.max_images or control.bytes + size > control.max_bytes:
            raise _busy()
        control.images += images
        control.bytes += size
        self.images += images
        self.bytes += size


def _busy() -> HTTPException:
    return HTTPException(503, "The server is busy; try again in one second.", {"Retry-After": "1"})
