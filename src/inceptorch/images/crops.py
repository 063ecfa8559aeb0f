"""Crop protocols, as data: the crops of an image whose probabilities are averaged.

A protocol is written for networks on 224x224 pixels, as in the papers, and scaled to others: a shorter side of 256
becomes round(size * 256 / 224). What the papers leave open is fixed here:

    resizing    the filter of the preprocessing, on the upright image, the longer side rounded to the nearest pixel
    squares     of the resized image; the middle one begins at half of what is left over, rounded down
    crops       within a square, in the order top left, top right, bottom left, bottom right, center, whole
    center      alone, as in protocol `center`, it is the middle of the resized image, as in `Preprocessing.apply`
    shifting    of each crop, behind all in place: 7 pixels at 224 are one at 32
    mirroring   of each crop left to right, behind all that are not mirrored
    averaging   of probabilities, not logits, in float64
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from msgspec import Meta
from PIL import Image

from inceptorch.errors import ProtocolError, did_you_mean, within
from inceptorch.images.preprocessing import ImageArray, Preprocessing, center, resize_shorter
from inceptorch.utils.files import load_yaml
from inceptorch.utils.validation import build, check_fields

SIZE = 224  # of the networks that the papers' protocols are written for
SUFFIXES = (".yaml", ".yml")
Name = Annotated[
    str,
    Meta(pattern=r"\A[^./\\\x00][^/\\\x00]*\Z", description="a name without slashes that does not begin with a dot"),
]
Sides = Annotated[
    tuple[Annotated[int, Meta(ge=SIZE, le=4096)], ...],
    Meta(description=f"a list of whole numbers from {SIZE} to 4096"),
]
CropKinds = Annotated[
    tuple[Literal["corners", "center", "whole"], ...],
    Meta(min_length=1, description="a list of some of corners, center, whole"),
]


@dataclass(frozen=True)
class CropProtocol:
    """One set of crops.

    source     paper or author, and what is an interpretation
    sides      lengths of the shorter side to resize to, for a network on 224 pixels; none: that of the preprocessing
    squares    of the resized image: the middle one, or three: left, middle and right, or top, middle and bottom
    crops      of each square: its four corners, its center, and the whole square resized to the network's size
    mirror     also each crop mirrored left to right
    reduce_to  shorter side to reduce the image to first, which removes details, for a network on 224; 0: no reduction
    shift      pixels, for a network on 224, by which each crop is also moved: up and left, and down and right, with its
               edges reflected and half the weight of the crop in place; 0: not at all
    """

    name: Name
    source: str = "one's own"
    sides: Sides = ()
    squares: Literal["middle", "three"] = "middle"
    crops: CropKinds = ("center",)
    mirror: bool = False
    reduce_to: Annotated[int, Meta(ge=0, le=4096)] = 0
    shift: Annotated[int, Meta(ge=0, le=SIZE // 2)] = 0

    def __post_init__(self) -> None:
        check_fields(self, ProtocolError, f"Protocol {self.name!r}: ")
        if len(set(self.crops)) < len(self.crops):
            raise ProtocolError(f"Protocol {self.name!r}: crops has a kind twice.")

    @property
    def count(self) -> int:
        """Number of crops per image."""
        crops = sum(4 if crop == "corners" else 1 for crop in self.crops)
        squares, views = 3 if self.squares == "three" else 1, (2 if self.mirror else 1) * (3 if self.shift else 1)
        return max(1, len(self.sides)) * squares * crops * views

    def apply(self, image: Image.Image, preprocessing: Preprocessing) -> Crops:
        """The crops of an upright RGB image. Equal ones, as the three of a square image, come once with a larger
        weight."""
        if self.reduce_to:
            image = resize_shorter(image, _scaled(self.reduce_to, preprocessing), preprocessing.filter)
        counts: dict[tuple[int, CropBox], int] = {}
        resized = [resize_shorter(image, side, preprocessing.filter) for side in self._sides(preprocessing)]
        for number, each in enumerate(resized):
            for box in self._crop_boxes(each.size, preprocessing.size):
                counts[number, box] = counts.get((number, box), 0) + 1
        crops = [_crop(resized[number], box, preprocessing) for number, box in counts]
        weights = [float(count) for count in counts.values()]
        if self.shift:
            by = _scaled(self.shift, preprocessing)
            crops += [_shifted(crop, step) for step in (-by, by) for crop in crops]
            weights = [2 * weight for weight in weights] + weights + weights
        if self.mirror:
            crops += [crop[:, ::-1] for crop in crops]
            weights += weights
        return Crops(np.stack(crops), np.array(weights) / sum(weights))

    def _sides(self, preprocessing: Preprocessing) -> list[int]:
        return [max(preprocessing.size, _scaled(side, preprocessing)) for side in self.sides] or [preprocessing.resize]

    def _crop_boxes(self, size: tuple[int, int], crop: int) -> Iterable[CropBox]:
        """Every crop of an image of width and height `size`, without mirroring."""
        width, height = size
        side = min(size)
        if self.squares == "middle" and self.crops == ("center",):
            yield CropBox(*center(size, crop), crop)
            return
        spare = max(size) - side
        for offset in (0, spare // 2, spare) if self.squares == "three" else (spare // 2,):
            left, top = (offset, 0) if width >= height else (0, offset)
            for kind in ("corners", "center", "whole"):
                if kind in self.crops:
                    for x, y, length in _within(side, crop)[kind]:
                        yield CropBox(left + x, top + y, length)

    def describe(self, preprocessing: Preprocessing) -> str:
        """One line for results and model cards."""
        sides = ", ".join(map(str, self._sides(preprocessing)))
        reduced = f"reduced to {_scaled(self.reduce_to, preprocessing)}, then " if self.reduce_to else ""
        squares = "left, middle and right square, " if self.squares == "three" else ""
        names = {"corners": "four corners", "center": "center", "whole": f"whole square to {preprocessing.size}"}
        if self.crops == ("center",) and not self.mirror and not squares:
            crops = f"center crop {preprocessing.size}"
        else:
            crops = f"crops {preprocessing.size}: {', '.join(names[crop] for crop in self.crops)}"
        mirrored = ", mirrored too" if self.mirror else ""
        by = _scaled(self.shift, preprocessing)
        shifted = f", each in place and shifted by {by} {'pixel' if by == 1 else 'pixels'} both ways" * (self.shift > 0)
        averaged = f"; probabilities of {self.count} averaged" if self.count > 1 else ""
        resized = f"{reduced}shorter side to {sides} ({preprocessing.filter})"
        return f"{self.name}: {resized}, {squares}{crops}{mirrored}{shifted}{averaged}"

    def to_dict(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


class CropBox(NamedTuple):
    """A square crop of a resized image, in pixels."""

    left: int
    top: int
    side: int


class Crops(NamedTuple):
    """The crops of one image, uint8 RGB [C, S, S, 3], and their weights [C], which sum to 1."""

    images: np.ndarray[Any, np.dtype[np.uint8]]
    weights: np.ndarray[Any, np.dtype[np.float64]]


CENTER = CropProtocol("center", source="the preprocessing of the weights")
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        CENTER,
        CropProtocol(
            "10crop",
            source="Krizhevsky et al. 2012 section 4.1, which arXiv:1409.4842 Table 3 counts without describing",
            sides=(256,),
            crops=("corners", "center"),
            mirror=True,
        ),
        CropProtocol(
            "12crop",
            source="arXiv:1512.00567 Table 4 counts it only; here the six crops of one of the 144's squares",
            sides=(256,),
            crops=("corners", "center", "whole"),
            mirror=True,
        ),
        CropProtocol(
            "144crop",
            source="arXiv:1409.4842 section 7",
            sides=(256, 288, 320, 352),
            squares="three",
            crops=("corners", "center", "whole"),
            mirror=True,
        ),
        CropProtocol(
            "low-resolution",
            source="after arXiv:1512.00567 section 8: the details of 79 of 299 pixels, at the network's size",
            reduce_to=59,
        ),
        CropProtocol(
            "6view",
            source="airbench (arXiv:2404.00498 section 3.5), which averages logits",
            mirror=True,
            shift=7,
        ),
    )
}


def get_protocol(name: str | CropProtocol) -> CropProtocol:
    """The protocol called `name`, or the one in the YAML file of that path. Raises ProtocolError."""
    if isinstance(name, CropProtocol):
        return name
    if name.lower().endswith(SUFFIXES):
        return _read(Path(name))
    if name not in PROTOCOLS:
        raise ProtocolError(
            f"There is no protocol {name!r}: {did_you_mean(name, PROTOCOLS)} One of your own is a .yaml file."
        )
    return PROTOCOLS[name]


def _read(path: Path) -> CropProtocol:
    values = load_yaml(path, ProtocolError, "write lines like `sides: [256, 288]`")
    try:
        return build(CropProtocol, {"name": path.stem, **values}, "A protocol", ProtocolError)
    except ProtocolError as error:
        raise ProtocolError(within(path, error)) from None


def _shifted(crop: ImageArray, by: int) -> ImageArray:
    """The crop moved down and to the right by so many pixels, with its edges reflected."""
    most, side = abs(by), len(crop)
    padded = np.pad(crop, ((most, most), (most, most), (0, 0)), mode="reflect")
    return padded[most - by : most - by + side, most - by : most - by + side]


def _scaled(side: int, preprocessing: Preprocessing) -> int:
    return max(1, round(preprocessing.size * side / SIZE))


def _within(side: int, crop: int) -> dict[str, list[tuple[int, int, int]]]:
    """Left, top and side of each kind of crop of `crop` pixels within a square of `side`."""
    end, middle = side - crop, (side - crop) // 2
    return {
        "corners": [(x, y, crop) for y in (0, end) for x in (0, end)],
        "center": [(middle, middle, crop)],
        "whole": [(0, 0, side)],
    }


def _crop(image: Image.Image, box: CropBox, preprocessing: Preprocessing) -> ImageArray:
    """One crop of a resized image, uint8 [S, S, 3]."""
    left, top, side = box
    crop, size = image.crop((left, top, left + side, top + side)), preprocessing.size
    if side != size:
        crop = crop.resize((size, size), Image.Resampling[preprocessing.filter.upper()])
    return np.asarray(crop)
