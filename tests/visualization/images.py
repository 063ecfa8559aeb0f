"""Images for tests of style transfer."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def waves(height: int, width: int) -> Pixels:
    """A smooth image, orange to the left and blue to the right."""
    y, x = np.mgrid[:height, :width] / 64
    channels = (0.9 - x / 2, 0.5 + 0.3 * np.sin(4 * y), 0.2 + x / 2)
    return (np.stack(channels, 2).clip(0, 1) * 255).astype(np.uint8)


def stripes(height: int = 48, width: int = 64) -> Pixels:
    """Stripes of two pixels in green and black."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, np.arange(width) % 4 < 2, 1] = 200
    return image
