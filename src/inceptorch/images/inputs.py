"""The types of images that are accepted.

    path, str        a file
    bytes            of a file
    file object      open in binary mode
    Pillow image     of any mode
    numpy array      uint8 or uint16, [H, W], [H, W, 1], [H, W, 3] RGB or [H, W, 4] RGBA. OpenCV's images are BGR: give
                     `image[..., ::-1]`
    torch tensor     uint8, [H, W], [C, H, W] or [H, W, C], with C as for an array

All go through the same preprocessing: an array of 16 bits has the prediction of the same image from a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inceptorch.errors import ImageError, ImageInputError
from inceptorch.images.decode import Decoded, decode, decode_alpha
from inceptorch.images.limits import check_bytes

CHANNELS = (1, 3, 4)


def load_image(image: Any) -> Image.Image:
    """The upright RGB image of an `ImageInput`. Raises ImageError, and ImageInputError for other types."""
    return decode_input(image).image


def load_image_and_alpha(image: Any) -> tuple[Image.Image, Image.Image | None]:
    """The image of `load_image`, and its opacity in mode L; None where all of it is opaque."""
    source = _source(image)
    return decode(source).image, decode_alpha(source)


def decode_input(image: Any) -> Decoded:
    """The image of `load_image` with what its file tells about it."""
    return decode(_source(image))


def _source(image: Any) -> str | Path | bytes | Image.Image:
    """An `ImageInput` as `decode` takes it."""
    if isinstance(image, bytearray | memoryview):
        image = bytes(image)
    if isinstance(image, str | Path | bytes | Image.Image):
        return image
    if _is_tensor(image):
        image = _from_tensor(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if hasattr(image, "read"):
        return _from_file(image)
    name = type(image).__name__
    kind = "None" if image is None else f"an {name}" if name[0] in "aeiou" else f"a {name}"
    raise ImageInputError(
        f"Cannot use {kind} as an image. Try a path, bytes, an open file, a Pillow image, a numpy array or a torch "
        "tensor."
    )


def is_one_image(images: Any) -> bool:
    """Whether this is one image, not several. Raises ImageInputError for neither."""
    single = isinstance(images, str | Path | bytes | bytearray | memoryview | Image.Image | np.ndarray)
    if single or hasattr(images, "read") or _is_tensor(images):
        return True
    if isinstance(images, Iterable) and not isinstance(images, dict):
        return False
    load_image(images)  # says why not
    return True


def _from_file(file: Any) -> bytes:
    """What is left to read in a file object."""
    blocks: list[bytes] = []
    size = 0
    while True:
        block = file.read(1 << 24)
        if not isinstance(block, bytes):
            raise ImageInputError(f"Cannot read an image from {file!r}: it is open as text. Try open(file, 'rb').")
        if not block:
            return b"".join(blocks)
        blocks.append(block)
        size += len(block)
        check_bytes(None, size)


def _is_tensor(image: Any) -> bool:
    # Without importing torch.
    return type(image).__module__.partition(".")[0] == "torch" and hasattr(image, "detach")


def _from_tensor(tensor: Any) -> NDArray[Any]:
    """A tensor as an array with channels last."""
    shape = tuple(tensor.shape)
    if str(tensor.dtype) != "torch.uint8":
        raise ImageInputError(
            f"Cannot use a tensor of {tensor.dtype} and shape {shape} as an image: it must be uint8, as the network's "
            "mean and deviation are applied here. Try (image * 255).round().to(torch.uint8) for values from 0 to 1."
        )
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    if array.ndim == 3 and shape[2] not in CHANNELS and shape[0] in CHANNELS:
        array = array.transpose(1, 2, 0)
    return array


def _from_array(array: NDArray[Any]) -> Image.Image:
    described = f"Cannot use an array of {array.dtype} and shape {array.shape} as an image:"
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        integers = array.dtype.kind in "iu"
        to_8_bits = "image.astype('uint8')" if integers else "(image * 255).round().astype('uint8')"
        values = f"values from 0 to {255 if integers else 1}"
        raise ImageInputError(f"{described} it must be uint8 or uint16. Try {to_8_bits} for {values}.")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in CHANNELS):
        raise ImageInputError(
            f"{described} the shape must be [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]. Give several images as a list."
        )
    if 0 in array.shape:
        raise ImageError(None, "has no pixels")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.dtype != np.uint8:
        array = (array >> 8).astype(np.uint8)  # the high byte, as of a file
    return Image.fromarray(np.ascontiguousarray(array))
