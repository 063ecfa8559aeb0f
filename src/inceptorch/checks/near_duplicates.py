"""Images that are nearly the same: resized, compressed again, brighter or darker, or cut a little at the sides.

Each image has a hash of 64 bits: the signs of the lowest frequencies of its thumbnail's cosine transform, as in Zauner,
"Implementation and Benchmarking of Perceptual Image Hash Functions", 2010. All pairs of hashes that differ in few bits are
found by multi-index hashing (Norouzi, Punjani and Fleet, arXiv:1307.2982), and are then held against each other on the
thumbnails themselves, as hashes alone would take many a pair for alike. `python -m bench.near_duplicates` measures how the
bounds below part changed images from different ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from inceptorch.checks.scan import SIDE
from inceptorch.utils.progress import Progress

BITS, BANDS = 64, 4
BAND = BITS // BANDS
RADIUS = 13  # bits in which the hashes of a pair differ at most: as many as leave one of four bands within three
ALIKE = 0.82  # correlation of the slopes of two thumbnails of nearly the same image; of others, 0.75 was seen
MAYBE = 0.4  # correlation from which on it is tried whether one was cut
TINT = 40  # of 255: in no sixteenth do colors differ by more
FLAT = 2.0  # levels of gray: thumbnails whose slopes are flatter hold too little to compare
# Shares of a side lost at either end.
CUTS = ((0.0, 0.0), (0.03, 0.0), (0.0, 0.03), (0.03, 0.03), (0.06, 0.0), (0.0, 0.06), (0.06, 0.06))
PIECE = 512  # pairs or images compared at a time
CANDIDATES = 1 << 18  # pairs whose hashes are compared at a time

Grays = NDArray[np.uint8]  # [N, 16, 16]
Tints = NDArray[np.uint8]  # [N, 4, 4, 2]
Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Floats = NDArray[np.float32]


def groups_of(grays: Grays, tints: Tints, progress: Progress) -> tuple[Numbers, Floats]:
    """For each image the group of nearly the same ones that it is in, named by the lowest number in it, and how alike the
    most similar one in it is, of those that were compared: a correlation, -1 where it is alone."""
    groups, nearest = np.arange(len(grays)), np.full(len(grays), -1, np.float32)
    lively = np.flatnonzero(liveliness(grays) >= FLAT)
    if len(lively) < 2:
        return groups, nearest
    progress.info(f"looking for near duplicates among {len(lively)} images")
    for first, second in pairs_within(hashes_of(grays[lively]), RADIUS):
        a, b = lively[first], lively[second]
        apart = (
            groups[a] != groups[b]
        )  # so that a thousand images that are all alike take thousands of looks, not millions
        a, b = a[apart], b[apart]
        alike = likeness(grays, tints, a, b)
        same = alike >= ALIKE
        if same.any():
            groups = _joined(groups, a[same], b[same])
            for one in (a, b):
                np.maximum.at(nearest, one[same], alike[same])
    return groups, nearest


def hashes_of(grays: Grays) -> Hashes:
    """A hash for each thumbnail: bit by bit the sign of a frequency, the lowest first but for the mean."""
    order = sorted(((row, column) for row in range(SIDE) for column in range(SIDE)), key=lambda at: (sum(at), at))
    rows, columns = np.array(order[1 : BITS + 1]).T
    cosines = np.cos(np.pi / SIDE * np.outer(np.arange(SIDE), np.arange(SIDE) + 0.5)).astype(np.float32)
    hashes = np.zeros(len(grays), np.uint64)
    for piece in _pieces(len(grays), 16 * PIECE):
        frequencies = cosines @ grays[piece].astype(np.float32) @ cosines.T
        bits = frequencies[:, rows, columns] > 0
        hashes[piece] = np.ascontiguousarray(np.packbits(bits, axis=1, bitorder="little")).view("<u8")[:, 0]
    return hashes


def pairs_within(hashes: Hashes, radius: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Every pair of hashes that differ in at most `radius` bits, once, as two arrays of numbers, many pairs at a time.

    The bits are divided into four bands. Of a pair, one band at least differs in no more than a quarter of the radius; so
    for every band only those are compared that agree in it but for so many bits.
    """
    bands = np.stack(
        [_every_fourth_bit(hashes, band) for band in range(BANDS)], 1
    )  # neighboring bits depend on each other
    for band in range(BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        keys, in_order = bands[order, band].astype(np.int64), hashes[order]
        counts = np.bincount(keys, minlength=1 << BAND)
        starts = np.cumsum(counts) - counts
        for mask in _masks(radius // BANDS):
            partners = keys ^ mask
            if mask:  # every bucket with the one whose key differs by the mask, seen from the lower one
                begin, length = starts[partners], np.where(keys < partners, counts[partners], 0)
            else:  # every bucket with itself, each with those behind it
                begin = np.arange(len(keys)) + 1
                length = starts[keys] + counts[keys] - begin
            for left, right in _expanded(begin, length):
                near = np.bitwise_count(in_order[left] ^ in_order[right]) <= radius
                a, b = order[left[near]], order[right[near]]
                given = np.bitwise_count(bands[a, :band] ^ bands[b, :band]) <= radius // BANDS  # by an earlier band
                new = ~given.any(1)
                if new.any():
                    yield a[new], b[new]


def likeness(grays: Grays, tints: Tints, a: Numbers, b: Numbers) -> Floats:
    """How alike the images a[i] and b[i] are, [N]: the correlation of the slopes of their thumbnails, the highest of
    those where one is tried as a part of the other; -1 where their colors differ."""
    alike = np.full(len(a), -1, np.float32)
    for piece in _pieces(len(a), PIECE):
        of_a, of_b = (grays[which[piece]].astype(np.float32) for which in (a, b))
        found = (slopes(of_a) * slopes(of_b)).sum(1)
        tried = np.flatnonzero((found >= MAYBE) & (found < ALIKE))
        if len(tried):
            cut = np.maximum(_cut_from(of_a[tried], of_b[tried]), _cut_from(of_b[tried], of_a[tried]))
            found[tried] = np.maximum(found[tried], cut)
        colors = np.abs(tints[a[piece]].astype(np.int16) - tints[b[piece]]).max((1, 2, 3))
        alike[piece] = np.where(colors <= TINT, found, -1)
    return alike


def slopes(grays: Floats) -> Floats:
    """The differences between neighbors in thumbnails [N, 16, 16], each kind about its mean, as vectors [N, 480] of length 1.

    Brightness itself follows the composition: a bright flower in the middle is like any other. Its slopes do so less, as
    they weigh all frequencies of a photograph about alike.
    """
    raw = _raw_slopes(grays)
    return np.asarray(raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-6), np.float32)


def liveliness(grays: Grays) -> Floats:
    """The root mean square of each thumbnail's slopes, in levels of gray, [N]."""
    found = np.zeros(len(grays), np.float32)
    for piece in _pieces(len(grays), 16 * PIECE):
        found[piece] = np.sqrt((_raw_slopes(grays[piece].astype(np.float32)) ** 2).mean(1))
    return found


def _raw_slopes(grays: Floats) -> Floats:
    kinds = [np.diff(grays, axis=axis).reshape(len(grays), -1) for axis in (1, 2)]
    return np.concatenate([kind - kind.mean(1, keepdims=True) for kind in kinds], 1)


def _cut_from(whole: Floats, part: Floats) -> Floats:
    """The highest correlation of each `part` with its `whole` [N, 16, 16] after cuts above and below, and after these, left
    and right."""
    wanted = slopes(part)
    for axis in (1, 2):
        cut = np.stack([_cut(whole, axis, *lost) for lost in CUTS], 1)
        of_cut = slopes(cut.reshape(-1, SIDE, SIDE)).reshape(len(whole), len(CUTS), -1)
        alike = (of_cut @ wanted[:, :, None])[..., 0]
        whole = cut[np.arange(len(cut)), alike.argmax(1)]
    return np.asarray(alike.max(1), np.float32)


def _cut(grays: Floats, axis: int, lost: float, lost_behind: float) -> Floats:
    """Thumbnails as if these shares of one side had been cut off, by linear interpolation."""
    at = SIDE * (lost + (np.arange(SIDE) + 0.5) / SIDE * (1 - lost - lost_behind)) - 0.5
    weights = np.maximum(0, 1 - np.abs(np.clip(at, 0, SIDE - 1)[:, None] - np.arange(SIDE))).astype(np.float32)
    return np.asarray(weights @ grays if axis == 1 else grays @ weights.T, np.float32)


def _every_fourth_bit(hashes: Hashes, first: int) -> NDArray[np.uint16]:
    """The bits first, first + 4, ... of each hash."""
    found = np.zeros(len(hashes), np.uint16)
    for position in range(BAND):
        bit = (hashes >> np.uint64(first + BANDS * position)) & np.uint64(1)
        found |= bit.astype(np.uint16) << np.uint16(position)
    return found


def _masks(most: int) -> list[int]:
    """All numbers of a band's bits with at most so many ones."""
    return [sum(1 << bit for bit in bits) for count in range(most + 1) for bits in combinations(range(BAND), count)]


def _expanded(begin: Numbers, length: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """The pairs of each position i with begin[i], begin[i] + 1, ..., so many as length[i] says, in pieces."""
    some = np.flatnonzero(length > 0)
    begin, length = begin[some], length[some]
    ends = np.cumsum(length)
    first = 0
    while first < len(some):
        done = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + CANDIDATES, side="right")))
        many, to = length[first:last], ends[first:last] - done
        left = np.repeat(some[first:last], many)
        right = np.arange(len(left)) + np.repeat(begin[first:last] - (to - many), many)
        yield left, right
        first = last


def _joined(groups: Numbers, a: Numbers, b: Numbers) -> Numbers:
    """Groups, each named by its lowest number, after those of a[i] and b[i] have become one."""
    groups = groups.copy()
    while True:
        low, high = np.minimum(groups[a], groups[b]), np.maximum(groups[a], groups[b])
        if (low == high).all():
            return groups
        np.minimum.at(groups, high, low)
        while (groups[groups] != groups).any():
            groups = groups[groups]


def _pieces(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
