"""A check of DATA from beginning to end. Nothing in DATA is changed."""

from __future__ import annotations

from pathlib import Path

from inceptorch.checks.classes import of_classes
from inceptorch.checks.duplicates import of_duplicates
from inceptorch.checks.findings import Findings, in_order
from inceptorch.checks.images import LARGE, TINY, of_images, of_other_files
from inceptorch.checks.scan import read_all
from inceptorch.data.resolve import parts_of
from inceptorch.errors import DataError
from inceptorch.utils.progress import Progress


def check(
    data: str | Path,
    *,
    model: str | Path | None = None,
    tiny: int = TINY,
    large: float = LARGE,
    near: bool = True,
    progress: Progress | None = None,
) -> Findings:
    """Look over all splits of DATA, whatever `train` takes as such.

    model   a run, a bundle or published weights, whose class names are DATA's: labels that it doubts are found too
    tiny    pixels of a shorter side that is too small
    large   million pixels from which on decoding takes long
    near    also looks for images that are nearly the same; not wanted where all images are alike by their nature, as
            digits or the frames of a film are

    What was read of each image is remembered, so that a check that was interrupted goes on. Raises DataError where DATA
    is none, or has a class that the model does not know, and BundleError for the model.
    """
    progress = progress or Progress()
    splits = {name: find() for name, find in parts_of(data).items()}
    if not any(split.classes for split in splits.values()):
        raise DataError(f"{data} has no class folders; put the images of each class into a folder of its own.")
    if model is not None:
        from inceptorch.classifier.hub import load

        classifier = load(model).to_best_device()
        relabelled = {name: split.relabelled(classifier.classes) for name, split in splits.items()}
    survey = read_all(splits, progress)
    found = [
        *of_images(survey, tiny, large),
        *of_other_files(splits, progress),
        *of_duplicates(survey, near, progress),
        *of_classes(survey),
    ]
    caveats: list[str] = []
    if model is not None:
        from inceptorch.checks.labels import of_labels

        doubtful, caveats = of_labels(survey, relabelled, classifier, progress)
        found += doubtful
    return Findings(str(data), survey, in_order(found), caveats)
