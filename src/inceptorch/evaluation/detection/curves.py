"""Average precision from matches, for all images and for resamples of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inceptorch.evaluation.detection.matching import Flags, Ints, Matches, Pool
from inceptorch.evaluation.detection.rules import Rule
from inceptorch.tasks.metrics import Interval, Z
from inceptorch.utils.arrays import Floats

BLOCK = 1 << 20  # numbers that are handled at once, which bounds memory


@dataclass(frozen=True)
class Curves:
    """What the curves of precision over recall are made of, for objects of one size.

    order    rows of the detections, the highest score first; equal scores in the order of their images
    counted  whether an object counts: it has the size, and is neither difficult nor a crowd
    """

    objects: Pool
    found: Pool
    matches: Matches
    order: Ints
    counted: Flags
    rule: Rule

    @classmethod
    def of(cls, objects: Pool, found: Pool, matches: Matches, counted: Flags, rule: Rule) -> Curves:
        return cls(objects, found, matches, np.argsort(-found.boxes.scores, kind="stable"), counted, rule)

    def positives(self, classes: int) -> Ints:
        """The number of objects of each class that count, [classes]."""
        return np.bincount(self.objects.boxes.labels[self.counted], minlength=classes)

    def average_precisions(self, classes: int) -> Floats:
        """AP at every threshold, [T, classes]; nan for a class without objects."""
        images = 1 + max(self.objects.images.max(initial=-1), self.found.images.max(initial=-1))
        return np.stack([self._of_class(label, np.ones((images, 1))) for label in range(classes)], 1)[..., 0]

    def recalls(self, classes: int, boxes: int) -> Floats:
        """The recall of the `boxes` best detections of each image, [T, classes]; nan for a class without objects."""
        right = self.matches.right & (self.found.ranks < boxes)
        hits = [np.bincount(self.found.boxes.labels[each], minlength=classes) for each in right]
        positives = self.positives(classes)
        recalls = np.full((len(hits), classes), np.nan)
        np.divide(hits, positives, out=recalls, where=positives > 0)
        return recalls

    def precisions(self, label: int, recalls: Floats) -> Floats | None:
        """The precision of a class at these recalls [R], by the first threshold: the greatest at that recall or a
        higher one, 0 beyond the last; None for a class without objects."""
        positives = int((self.counted & (self.objects.boxes.labels == label)).sum())
        if not positives:
            return None
        rows = self.order[self.found.boxes.labels[self.order] == label]
        right = self.matches.right[0, rows[~self.matches.ignored[0, rows]]]
        hits = np.arange(1.0, 1 + right.sum())
        precision = interpolated(hits, 1.0 + np.flatnonzero(right))
        return np.append(precision, 0.0)[np.searchsorted(hits / positives, recalls)]

    def resampled(self, images: int, classes: int, resamples: int, seed: int) -> tuple[Floats, Floats]:
        """The mean AP over classes, at the first threshold and at all, of resamples of the images, [resamples] each."""
        random = np.random.default_rng(seed)
        step = max(1, min(resamples, BLOCK // max(images, 1)))
        parts = []
        for begin in range(0, resamples, step):
            draws = random.multinomial(images, np.full(images, 1 / images), min(step, resamples - begin))
            weights = np.ascontiguousarray(draws.T, np.float32)
            total = np.zeros((2, len(draws)))
            number = np.zeros(len(draws))
            for label in np.flatnonzero(self.positives(classes)):
                ap = self._of_class(int(label), weights)
                present = ~np.isnan(ap[0])
                number += present
                total += np.where(present, [ap[0], ap.mean(0)], 0)
            parts.append(total[:, number > 0] / number[number > 0])
        first, every = np.concatenate(parts, 1)
        return first, every

    def _of_class(self, label: int, weights: Floats) -> Floats:
        """AP of a class at every threshold where each image comes `weights` [images, B] times, [T, B]."""
        mine = self.counted & (self.objects.boxes.labels == label)
        if not mine.any():
            return np.full((len(self.matches.truth), weights.shape[1]), np.nan)
        rows = self.order[self.found.boxes.labels[self.order] == label]
        step = max(1, BLOCK // max(len(rows), mine.sum()))
        return np.concatenate(
            [
                self._of_rows(rows, self.objects.images[mine], weights[:, begin : begin + step])
                for begin in range(0, weights.shape[1], step)
            ],
            1,
        )

    def _of_rows(self, rows: Ints, images: Ints, weights: Floats) -> Floats:
        positives = weights[images].sum(0)
        times = weights[self.found.images[rows]]
        right, ignored = self.matches.right[:, rows], self.matches.ignored[:, rows]
        shared = None if ignored.any() else times.cumsum(0)
        out = np.empty((len(right), weights.shape[1]))
        for hit, left_out, result in zip(right, ignored, out, strict=True):
            seen = np.where(left_out[:, None], 0, times).cumsum(0) if shared is None else shared
            result[:] = area(times[hit].cumsum(0), seen[hit], positives, self.rule.recall_points)
        return out


def area(right: Floats, seen: Floats, positives: Floats, points: int) -> Floats:
    """The mean precision over recall, [B]; nan where nothing is positive.

    right, seen  at each right detection, the number of right ones and of all up to it, [D, B]
    positives    the number of objects, [B]
    points       recalls from 0 to 1 at which precision is read; 0: the area under the curve

    Precision at a recall is the greatest at that recall or a higher one.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / positives.astype(np.float64)  # as points are
    precision = interpolated(right, seen)
    reached = np.searchsorted(np.linspace(0, 1, points), recall, side="right") / points if points else recall
    gained = np.diff(reached, axis=0, prepend=0)
    total: Floats = np.where(positives > 0, np.einsum("db,db->b", precision, gained), np.nan)
    return total


def interpolated(right: Floats, seen: Floats) -> Floats:
    """The precision at each right detection, or at a later one if it is greater there, [D, ...]; arguments as for
    `area`."""
    precision: Floats = right / np.maximum(seen, 1)
    np.maximum.accumulate(precision[::-1], axis=0, out=precision[::-1])
    return precision


def mean(values: Floats) -> float | None:
    """Of those that are not nan; None without any."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else None


def interval(estimate: float | None, resampled: Floats, images: int) -> Interval | None:
    """The 95 % interval of a mean AP from resamples of the images; None where it has no value."""
    if estimate is None or len(resampled) < 2:
        return None
    low, high = spread(estimate, resampled, images)
    return max(0.0, min(low, estimate)), min(1.0, max(high, estimate))


def spread(estimate: float, resampled: Floats, images: int) -> Interval:
    """The 95 % interval of a figure from resamples of the images, before it is brought into a range.

    AP is biased upward where images are few, and that of resamples by as much again. Hence the normal interval with the
    bias taken off (Davison and Hinkley 1997, section 5.2), and the deviation scaled from n - 1 to n images."""
    center = 2 * estimate - float(resampled.mean())
    half = Z * float(resampled.std(ddof=1)) * math.sqrt(images / (images - 1))
    return center - half, center + half
