"""Windows that slide over a map: their sizes, paddings and how many of them fit.

Padding is part of the table:

    "same"    (kernel - 1) / 2 on every side, so that stride 1 keeps the size
    "valid"   none; what does not fill a window is dropped
    "ceil"    none; the last window may hang over the edge (Caffe's pooling)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from inceptorch.errors import TableError
from inceptorch.networks.layers.base import BaseLayer, Shape, TooSmallError, require_positive
from inceptorch.networks.layers.field import Field

Padding = Literal["same", "valid", "ceil"]
# The papers' 1x7 is (1, 7).
Kernel = Annotated[int | tuple[int, int], Meta(description="a whole number or two, [height, width]")]


class Window(BaseLayer):
    """A layer that slides a window; its dataclass has the fields `kernel`, `stride` and `pad`."""

    kernel: Any
    stride: Any
    pad: Any

    def require_window(self) -> None:
        """Raise TableError for a window that cannot be."""
        require_positive(stride=self.stride)
        height, width = self.window_size
        if min(height, width) < 1:
            raise TableError(f"A window of {height}x{width} is empty.")
        if self.pad not in ("same", "valid", "ceil"):
            raise TableError(f"There is no padding {self.pad!r}; there are same, valid and ceil.")
        if self.pad == "same" and (height % 2 == 0 or width % 2 == 0):
            raise TableError(f"A {height}x{width} window has no middle, so its padding cannot be 'same'.")

    @property
    def window_size(self) -> tuple[int, int]:
        """Height and width of the window."""
        height, width = self.kernel if isinstance(self.kernel, tuple) else (self.kernel, self.kernel)
        return height, width

    @property
    def pads(self) -> tuple[int, int]:
        """The padding above and below, and left and right, of a map."""
        height, width = self.window_size
        return ((height - 1) // 2, (width - 1) // 2) if self.pad == "same" else (0, 0)

    @property
    def reduction(self) -> int:
        return int(self.stride)

    def field(self, field: Field, shape: Shape) -> Field:
        return field.slid(self.window_size, self.stride, self.pads)

    @property
    def window(self) -> str:
        """3x3/2 is a 3x3 window with stride 2; V (valid): no padding."""
        height, width = self.window_size
        stride = f"/{self.stride}" if self.stride > 1 else ""
        return f"{height}x{width}{stride}" + {"same": "", "valid": " V", "ceil": " ceil"}[self.pad]

    @property
    def onnx_window(self) -> dict[str, Any]:
        above, left = self.pads
        return {
            "kernel_shape": [*self.window_size],
            "strides": [self.stride, self.stride],
            "pads": [above, left, above, left],
        }

    def slide(self, shape: Shape) -> tuple[int, int]:
        """How many windows fit on a map, down and across; PyTorch's and Caffe's arithmetic."""
        _, height, width = shape
        down, across = (
            self._windows(size, window, 2 * around)
            for size, window, around in zip((height, width), self.window_size, self.pads, strict=True)
        )
        if min(down, across) < 1:
            raise TooSmallError(
                f"a {'x'.join(map(str, self.window_size))} window does not fit into a {height}x{width} map"
            )
        return down, across

    def _windows(self, size: int, window: int, around: int) -> int:
        """How many windows of size `window` fit on `size` pixels; 0 if none does."""
        room = size + around - window
        if self.pad == "ceil":
            windows = int(-(-room // self.stride) + 1)
            # A window must begin inside the map.
            return windows - 1 if (windows - 1) * self.stride >= size else windows
        return int(room // self.stride + 1) if room >= 0 else 0
