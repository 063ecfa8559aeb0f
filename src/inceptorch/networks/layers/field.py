"""Receptive fields: what one place of a map sees of the network's input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Along one axis, in pixels of the input: place i of the map sees `size` pixels from `start + i * stride` on.

    The start may be negative, and the end beyond the image: padding is counted.
    """

    start: int = 0
    size: int = 1
    stride: int = 1

    def slid(self, window: int, stride: int = 1, pad: int = 0) -> Span:
        """What a place sees behind a window that slides over the map."""
        return Span(self.start - pad * self.stride, self.size + (window - 1) * self.stride, self.stride * stride)

    def joined(self, other: Span) -> Span:
        """What a place sees that looks at both, from the first pixel to the last."""
        start = min(self.start, other.start)
        end = max(self.start + self.size, other.start + other.size)
        return Span(start, end - start, max(self.stride, other.stride))


@dataclass(frozen=True)
class Field:
    """Both axes. As it is made, the field of a pixel of the input itself."""

    height: Span = Span()
    width: Span = Span()

    def slid(self, window: tuple[int, int], stride: int = 1, pads: tuple[int, int] = (0, 0)) -> Field:
        """As `Span.slid`, with the height and width of window and padding."""
        return Field(self.height.slid(window[0], stride, pads[0]), self.width.slid(window[1], stride, pads[1]))

    def joined(self, other: Field) -> Field:
        return Field(self.height.joined(other.height), self.width.joined(other.width))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels of the input."""
        return self.height.size, self.width.size

    @property
    def stride(self) -> int:
        """Pixels of the input from one place to the next."""
        return self.height.stride
