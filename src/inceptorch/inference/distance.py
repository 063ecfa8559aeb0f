"""How far an image is from those of training, by the features before the classifier.

The Mahalanobis distance to the nearest class (arXiv:1807.03888), in standard deviations from the mean of the validation
images. A threshold from these tells what is out of distribution.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.config import DistanceThreshold
from inceptorch.classifier.statistics import STATISTICS, Doubles, FeatureStatistics
from inceptorch.errors import BundleError, EngineError
from inceptorch.inference.engines.base import Engine
from inceptorch.utils.arrays import Floats

FALSE_ALARMS = 0.05  # fraction of the validation images above the threshold, at most


class FeatureDistance:
    """Distances of features, by the statistics of a bundle and the threshold in its metadata."""

    def __init__(self, statistics: FeatureStatistics, reference: DistanceThreshold):
        self.reference = reference
        self._distance = MahalanobisDistance(statistics)

    def __call__(self, features: Floats) -> Doubles:
        """The distances [N] of features [N, D], in standard deviations from the mean of the validation images."""
        distances: Doubles = (self._distance(features) - self.reference["mean"]) / self.reference["std"]
        return distances

    def entry(self, distance: float) -> dict[str, Any]:
        """What an entry has of it."""
        return {"distance": distance, "out_of_distribution": distance > self.reference["threshold"]}


class MahalanobisDistance:
    """The squared Mahalanobis distance to the nearest class, divided by the number of features."""

    def __init__(self, statistics: FeatureStatistics):
        present = statistics.counts > 0
        self._mean = statistics.mean  # around which the sums below lose fewest digits
        self._precision = np.linalg.inv(statistics.shrunk(statistics.covariance))
        means = statistics.means[present] - self._mean
        self._rows = means @ self._precision
        self._squares = (self._rows * means).sum(1)

    def __call__(self, features: Floats) -> Doubles:
        """The distances [N] of features [N, D]."""
        x = features - self._mean
        nearest = (self._squares - 2 * x @ self._rows.T).min(1)
        distances: Doubles = (nearest + ((x @ self._precision) * x).sum(1)) / features.shape[1]
        return distances


def distance_of(engine: Engine) -> FeatureDistance:
    """The distance by an engine's bundle. Raises EngineError for an engine without features, BundleError for a bundle
    that cannot tell."""
    if not isinstance(engine.source, Classifier):
        raise EngineError(
            f"Cannot tell the distance of images with {engine}, which has no features. Try --engine torch with the run "
            "or bundle."
        )
    statistics, reference = engine.source.statistics, engine.config.metadata.distance
    if statistics is None or reference is None:
        raise BundleError(
            f"Cannot tell the distance of images: the model has no {STATISTICS}, which recipe head writes. Try a run "
            "of inceptorch train DATA --weights BUNDLE."
        )
    numbers = [reference["threshold"], reference["mean"], reference["std"]]
    if not all(isinstance(each, int | float) for each in numbers) or reference["std"] <= 0:
        raise BundleError(
            "Cannot tell the distance of images: the values of distance in the metadata are impossible. Make the "
            "bundle again."
        )
    return FeatureDistance(statistics, reference)


def distance_threshold(statistics: FeatureStatistics, features: Floats) -> DistanceThreshold:
    """The threshold that at most a twentieth of the validation images' features [N, D] exceed."""
    distances = MahalanobisDistance(statistics)(features)
    mean, std = float(distances.mean()), float(distances.std()) or 1.0
    ordered = np.sort((distances - mean) / std)
    threshold = float(ordered[-1 - int(FALSE_ALARMS * len(ordered))])
    false_alarms = float((ordered > threshold).mean())
    return DistanceThreshold(threshold=threshold, mean=mean, std=std, n=len(ordered), false_alarms=false_alarms)
