"""What makes the measures of two sets of images hard to compare with others, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from inceptorch.features.conventions import NETWORK
from inceptorch.features.sides import Opened
from inceptorch.features.store import DEEP, TRANSPARENT, TURNED, Features

USUAL_N = 10_000  # below which papers do not report FID
UNEQUAL = 1.25  # medians of the sizes of both sides that differ by this factor
READ_OTHERWISE = {
    TURNED: "turned by EXIF, which is followed here and ignored there",
    DEEP: "of 16 bits per channel, of which the high byte is taken here and another one there",
    TRANSPARENT: "transparent, which is laid over white here and dropped there",
}


def remarks(one: Opened, two: Opened, about: Mapping[str, str], size: int) -> list[str]:
    """The sentences; `size` is that of the network's input."""
    found = [*_on_network(about), *_on_formats(one, two), *_on_sizes(one, two)]
    for opened in (one, two):
        found += [*_on_number(opened), *_on_files(opened, about, size)]
    return found


def _on_network(about: Mapping[str, str]) -> Iterator[str]:
    if about["network"] != NETWORK:
        yield f"These are features of {about['network']}: a Fréchet distance of its own, which is no FID."


def _on_number(opened: Opened) -> Iterator[str]:
    n, dim = opened.side.statistics.n, len(opened.side.statistics.mu)
    if n is None:
        yield f"{opened.name} does not say of how many images it is, on which FID depends."
    elif n < dim:
        yield (
            f"{opened.name} has {n} images, fewer than the {dim} features: FID is far too high, and depends on n more "
            "than on the images. Compare it only at the same n, or take KID, which has no bias."
        )
    elif n < USUAL_N:
        yield f"{opened.name} has {n} images: FID falls as n grows. Compare it only at the same n."


def _on_formats(one: Opened, two: Opened) -> Iterator[str]:
    if one.formats and two.formats and one.formats.keys() != two.formats.keys():
        first, second = (" and ".join(each.formats) for each in (one, two))
        yield f"The formats of the files differ ({first}, {second}): traces of compression count as a difference."


def _on_sizes(one: Opened, two: Opened) -> Iterator[str]:
    if one.side.features is None or two.side.features is None:
        return
    sizes = [_sizes(each.side.features) for each in (one, two) if each.side.features is not None]
    first, second = (np.median(each, 0) for each in sizes)
    if max((first / second).max(), (second / first).max()) > UNEQUAL:
        words = ["{:.0f}x{:.0f}".format(*each) for each in (first, second)]
        yield (
            f"The sizes of the images differ (medians {words[0]} and {words[1]} pixels): resizing blurs one side more "
            "than the other, which counts as a difference."
        )
    same = [len(np.unique(each, axis=0)) == 1 for each in sizes]
    if same[0] != same[1]:
        uniform, varied = (one, two) if same[0] else (two, one)
        yield (
            f"All images of {uniform.name} have one size, and those of {varied.name} have not: if they were resized or "
            "cropped before, so should the others be. Try the originals of both."
        )


def _on_files(opened: Opened, about: Mapping[str, str], size: int) -> Iterator[str]:
    if not opened.side.statistics.about:
        yield f"{opened.name} does not say by which convention it was made; taken as {about['convention']}."
    features = opened.side.features
    if features is None:
        return
    if (_sizes(features) == size).all():
        yield (
            f"All images of {opened.name} have {size}x{size} pixels, as the network: if they were resized before, the "
            "convention's own resizing did not happen. Try the originals."
        )
    flags = features.column("flags")
    for flag, what in READ_OTHERWISE.items():
        if count := int((flags & flag != 0).sum()):
            yield f"{count} of {len(features)} images of {opened.name} are {what}, by {about['convention']}'s own code."


def _sizes(features: Features) -> NDArray[np.int32]:
    """Width and height of each image, [N, 2]."""
    return np.stack([features.column("width"), features.column("height")], 1)
