"""Images that are nearly the same: resized, compressed again, brighter or darker, or slightly cropped.

Each image has a 64-bit hash: the signs of the lowest frequencies of its thumbnail's cosine transform (Zauner,
"Implementation and Benchmarking of Perceptual Image Hash Functions", 2010). Multi-index hashing (Norouzi, Punjani and
Fleet, arXiv:1307.2982) finds all pairs of hashes that differ in few bits. As hashes alone would match many different
images, each pair is then compared on the thumbnails themselves. `bench/data/near_duplicates.py` measures how well the
thresholds below separate changed images from different ones. Images that are mostly plain need a higher similarity:
there the outline of an object is nearly all that is compared, and different bottles have the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inceptorch.checks.scan import SIZE
from inceptorch.utils.progress import Progress

BITS, BANDS = 64, 4
BAND = BITS // BANDS
RADIUS = 13  # bits in which the hashes of a pair may differ: one of four bands then differs in three at most
SIMILAR = 0.82  # correlation of the gradients of two thumbnails of nearly the same image; of others, 0.75 was seen
SIMILAR_PLAIN = 0.96  # the same where either image is mostly plain
PLAIN = 0.005  # fraction of the gradients' energy in the weaker half of them, below which an image is mostly plain
MAYBE_CROPPED = 0.4  # correlation above which crops are tried
MAX_COLOR_DIFFERENCE = 40  # of 255, in every sixteenth of the image
MIN_ENERGY = 2.0  # levels of gray: thumbnails with less gradient hold too little to compare
# Fractions of a side cut off at either end.
CROPS = ((0.0, 0.0), (0.03, 0.0), (0.0, 0.03), (0.03, 0.03), (0.06, 0.0), (0.0, 0.06), (0.06, 0.06))
CHUNK = 512  # pairs or images compared at a time
MAX_CANDIDATES = 1 << 18  # pairs of hashes compared at a time

Grays = NDArray[np.uint8]  # [N, 16, 16]
Tints = NDArray[np.uint8]  # [N, 4, 4, 2]
Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]
Floats = NDArray[np.float32]


class Group(NamedTuple):
    """Images that are nearly the first of them."""

    members: Indices
    similarity: float  # the lowest one to the first


def find_groups(grays: Grays, tints: Tints, progress: Progress) -> list[Group]:
    """The near duplicates, each at least once. An image stands in two groups where it is like the first images of both
    and these are not like each other; so a chain of images, each like the next, is never called one image."""
    energy, weaker = gradient_energy(grays)
    textured = np.flatnonzero(energy >= MIN_ENERGY)
    if len(textured) < 2:
        return []
    progress.info(f"looking for near duplicates among {len(textured)} images")
    hashes, plain = perceptual_hashes(grays[textured]), weaker[textured] < PLAIN
    grays, tints = grays[textured], tints[textured]
    chains, partner, nearest = np.arange(len(grays)), np.arange(len(grays)), np.full(len(grays), -1, np.float32)
    for a, b in pairs_within(hashes, RADIUS):
        apart = chains[a] != chains[b]  # a thousand copies of one image need thousands of comparisons, not millions
        a, b = a[apart], b[apart]
        scores = similarity(grays, tints, a, b)
        same = scores >= threshold(plain, a, b)
        a, b, scores = a[same], b[same], scores[same]
        chains = _joined(chains, a, b)
        for one, other in ((a, b), (b, a)):
            partner[one], nearest[one] = other, scores
    groups = []
    for chain in positions(chains):
        while len(chain):
            first, others = chain[0], chain[1:]
            near = others[np.bitwise_count(hashes[others] ^ hashes[first]) <= RADIUS]
            scores = similarity(grays, tints, np.full(len(near), first), near)
            same = scores >= threshold(plain, np.full(len(near), first), near)
            members, lowest = near[same], scores[same].min(initial=1)
            if not len(members):  # those that it is like are in other groups already
                members, lowest = partner[[first]], nearest[first]
            groups.append(Group(textured[np.append(first, members)], float(lowest)))
            chain = np.setdiff1d(others, members)
    return groups


def threshold(plain: NDArray[np.bool_], a: Indices, b: Indices) -> Floats:
    """The similarity of images a[i] and b[i] from which on they are nearly the same, [N]."""
    return np.where(plain[a] | plain[b], SIMILAR_PLAIN, SIMILAR).astype(np.float32)


def perceptual_hashes(grays: Grays) -> Hashes:
    """A hash for each thumbnail: the signs of 64 frequencies, the lowest first but for the mean."""
    order = sorted(((row, column) for row in range(SIZE) for column in range(SIZE)), key=lambda at: (sum(at), at))
    rows, columns = np.array(order[1 : BITS + 1]).T
    cosines = np.cos(np.pi / SIZE * np.outer(np.arange(SIZE), np.arange(SIZE) + 0.5)).astype(np.float32)
    hashes = np.zeros(len(grays), np.uint64)
    for chunk in _chunks(len(grays), 16 * CHUNK):
        frequencies = cosines @ grays[chunk].astype(np.float32) @ cosines.T
        bits = frequencies[:, rows, columns] > 0
        hashes[chunk] = np.ascontiguousarray(np.packbits(bits, axis=1, bitorder="little")).view("<u8")[:, 0]
    return hashes


def pairs_within(hashes: Hashes, radius: int) -> Iterator[tuple[Indices, Indices]]:
    """Every pair of hashes that differ in at most `radius` bits, once, as two arrays of indices, many pairs at a time.

    The bits are divided into four bands. At least one band of a pair differs in no more than a quarter of the radius,
    so only hashes that nearly agree in some band are compared.
    """
    bands = np.zeros((len(hashes), BANDS), np.uint16)
    for bit in range(BITS):  # neighboring bits depend on each other, so a band has every fourth
        value = (hashes >> np.uint64(bit)) & np.uint64(1)
        bands[:, bit % BANDS] |= value.astype(np.uint16) << np.uint16(bit // BANDS)
    near = radius // BANDS
    masks = [sum(1 << bit for bit in bits) for count in range(near + 1) for bits in combinations(range(BAND), count)]
    for band in range(BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        keys, in_order = bands[order, band].astype(np.int64), hashes[order]
        counts = np.bincount(keys, minlength=1 << BAND)
        starts = np.cumsum(counts) - counts
        for mask in masks:
            partners = keys ^ mask
            if mask:  # every bucket with the one whose key differs by the mask, starting from the lower key
                begin, length = starts[partners], np.where(keys < partners, counts[partners], 0)
            else:  # each hash with those after it in its bucket
                begin = np.arange(len(keys)) + 1
                length = starts[keys] + counts[keys] - begin
            for left, right in _expanded(begin, length):
                within = np.bitwise_count(in_order[left] ^ in_order[right]) <= radius
                a, b = order[left[within]], order[right[within]]
                new = ~(np.bitwise_count(bands[a, :band] ^ bands[b, :band]) <= near).any(1)  # not from an earlier band
                if new.any():
                    yield a[new], b[new]


def similarity(grays: Grays, tints: Tints, a: Indices, b: Indices) -> Floats:
    """The similarity of images a[i] and b[i], [N]: the correlation of their thumbnails' gradients, or the highest one
    with either cropped; -1 if their colors differ."""
    scores = np.full(len(a), -1, np.float32)
    for chunk in _chunks(len(a), CHUNK):
        of_a, of_b = (grays[which[chunk]].astype(np.float32) for which in (a, b))
        found = (gradients(of_a) * gradients(of_b)).sum(1)
        maybe = np.flatnonzero((found >= MAYBE_CROPPED) & (found < SIMILAR))
        if len(maybe):
            of_a, of_b = of_a[maybe], of_b[maybe]
            found[maybe] = np.maximum(found[maybe], np.maximum(_best_crop(of_a, of_b), _best_crop(of_b, of_a)))
        colors = np.abs(tints[a[chunk]].astype(np.int16) - tints[b[chunk]]).max((1, 2, 3))
        scores[chunk] = np.where(colors <= MAX_COLOR_DIFFERENCE, found, -1)
    return scores


def gradients(grays: Floats) -> Floats:
    """The differences of neighboring pixels in thumbnails [N, 16, 16], centered in each direction, as unit vectors
    [N, 480].

    Brightness itself follows the composition: one bright flower in the middle is like any other. Gradients do so less,
    as they weigh all frequencies of a photograph about equally.
    """
    raw = _raw_gradients(grays)
    return np.asarray(raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-6), np.float32)


def gradient_energy(grays: Grays) -> tuple[Floats, Floats]:
    """The root mean square of each thumbnail's gradients, in levels of gray, [N], and the fraction of their squares
    that the weaker half of them has, [N]."""
    energy, weaker = np.zeros(len(grays), np.float32), np.zeros(len(grays), np.float32)
    for chunk in _chunks(len(grays), 16 * CHUNK):
        squares = np.sort(_raw_gradients(grays[chunk].astype(np.float32)) ** 2)
        energy[chunk] = np.sqrt(squares.mean(1))
        weaker[chunk] = squares[:, : squares.shape[1] // 2].sum(1) / np.maximum(squares.sum(1), 1e-6)
    return energy, weaker


def _raw_gradients(grays: Floats) -> Floats:
    directions = [np.diff(grays, axis=axis).reshape(len(grays), -1) for axis in (1, 2)]
    return np.concatenate([each - each.mean(1, keepdims=True) for each in directions], 1)


def _best_crop(whole: Floats, cropped: Floats) -> Floats:
    """The highest correlation of each `cropped` with its `whole` [N, 16, 16], cropped vertically, then horizontally."""
    target = gradients(cropped)
    for axis in (1, 2):
        crops = np.stack([_crop(whole, axis, *lost) for lost in CROPS], 1)
        of_crops = gradients(crops.reshape(-1, SIZE, SIZE)).reshape(len(whole), len(CROPS), -1)
        scores = (of_crops @ target[:, :, None])[..., 0]
        whole = crops[np.arange(len(crops)), scores.argmax(1)]
    return np.asarray(scores.max(1), np.float32)


def _crop(grays: Floats, axis: int, before: float, after: float) -> Floats:
    """Thumbnails with these fractions of one side cut off, by linear interpolation."""
    at = SIZE * (before + (np.arange(SIZE) + 0.5) / SIZE * (1 - before - after)) - 0.5
    weights = np.maximum(0, 1 - np.abs(np.clip(at, 0, SIZE - 1)[:, None] - np.arange(SIZE))).astype(np.float32)
    return np.asarray(weights @ grays if axis == 1 else grays @ weights.T, np.float32)


def _expanded(begin: Indices, length: Indices) -> Iterator[tuple[Indices, Indices]]:
    """The pairs of each position i with begin[i], ..., begin[i] + length[i] - 1, in chunks."""
    nonempty = np.flatnonzero(length > 0)
    begin, length = begin[nonempty], length[nonempty]
    ends = np.cumsum(length)
    first = 0
    while first < len(nonempty):
        done = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + MAX_CANDIDATES, side="right")))
        many, to = length[first:last], ends[first:last] - done
        left = np.repeat(nonempty[first:last], many)
        yield left, np.arange(len(left)) + np.repeat(begin[first:last] - (to - many), many)
        first = last


def positions(values: Indices) -> list[Indices]:
    """The positions of each value that occurs more than once, in order."""
    order = np.argsort(values, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(values[order])) + 1)
    return sorted((group for group in groups if len(group) > 1), key=lambda group: int(group[0]))


def _joined(groups: Indices, a: Indices, b: Indices) -> Indices:
    """Groups, each named by its lowest index, after joining those of a[i] and b[i]."""
    groups = groups.copy()
    while True:
        low, high = np.minimum(groups[a], groups[b]), np.maximum(groups[a], groups[b])
        if (low == high).all():
            return groups
        np.minimum.at(groups, high, low)
        while (groups[groups] != groups).any():
            groups = groups[groups]


def _chunks(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
