"""A check of DATA. Nothing in DATA is changed."""

from __future__ import annotations

from pathlib import Path

from inceptorch.checks.boxes import box_findings
from inceptorch.checks.classes import class_findings
from inceptorch.checks.duplicates import duplicate_findings
from inceptorch.checks.findings import KINDS, Findings
from inceptorch.checks.images import MAX_MEGAPIXELS, MIN_SIZE, image_findings, other_file_findings
from inceptorch.checks.scan import scan_dataset
from inceptorch.data.box_split import BoxSplit
from inceptorch.data.resolve import open_splits
from inceptorch.errors import DataError
from inceptorch.utils.progress import Progress


def check(
    data: str | Path,
    *,
    model: str | Path | None = None,
    min_size: int = MIN_SIZE,
    max_megapixels: float = MAX_MEGAPIXELS,
    near_duplicates: bool = True,
    by_features: str | Path | None = None,
    progress: Progress | None = None,
) -> Findings:
    """Find faults in all splits of DATA, which is anything that `train` accepts.

    model             a run, a bundle or published weights with DATA's classes, to find doubtful labels too
    min_size          shorter side in pixels below which an image is reported
    max_megapixels    size above which an image is reported as slow to decode
    near_duplicates   also search for nearly equal images; not useful for digits or the frames of a film

    by_features       a run, a bundle or published weights whose features tell which images are nearly equal, instead
                      of thumbnails: mirrored, turned and cropped copies are found, too

    The scan of each image is cached, so an interrupted check continues. Raises DataError if DATA is unusable or has a
    class that the model lacks, and BundleError for an unusable model.
    """
    progress = progress or Progress()
    splits = {name: find() for name, find in open_splits(data, allow_missing=True).items()}
    with_boxes = any(isinstance(split, BoxSplit) for split in splits.values())
    if with_boxes and model is not None:
        raise DataError(f"Cannot look for doubtful labels in {data}: its images have boxes. Try without --model.")
    if not with_boxes and not any(split.classes for split in splits.values()):
        raise DataError(
            f"Cannot check {data}: it has no class folders. Put the images of each class into a folder of its own."
        )
    if model is not None:
        from inceptorch.checks.labels import label_findings
        from inceptorch.classifier.hub import load

        classifier = load(model).to_best_device()
        relabeled = {name: split.with_classes(classifier.classes) for name, split in splits.items()}
    scan = scan_dataset(splits, progress)
    embeddings = None
    if by_features is not None and near_duplicates:
        from inceptorch.checks.features import embeddings_of

        embeddings = embeddings_of(scan, by_features, progress)
    found = [
        *image_findings(scan, min_size, max_megapixels),
        *other_file_findings(splits, progress),
        *duplicate_findings(scan, near_duplicates, progress, embeddings),
        *class_findings(scan),
        *box_findings(scan),
    ]
    caveats: list[str] = []
    if model is not None:
        doubtful, caveats = label_findings(scan, relabeled, classifier, progress)
        found += doubtful
    ranks = list(KINDS)
    return Findings(str(data), scan, sorted(found, key=lambda finding: ranks.index(finding.kind)), caveats)
