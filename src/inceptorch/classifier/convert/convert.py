"""Weights in and out by one verb."""

from __future__ import annotations

from pathlib import Path

from inceptorch.classifier.convert.export_weights import export_weights
from inceptorch.classifier.convert.import_weights import import_weights
from inceptorch.classifier.hub import HUB, resolve_weights
from inceptorch.classifier.published import published
from inceptorch.errors import BundleError


def convert(
    weights: str | Path, out: str | Path, *, source: str | None = None, labels: str | Path | None = None
) -> Path:
    """Write another library's file of weights as the bundle `out`, or a bundle as the file `out` of another library.

    weights  a file of torchvision (.pth), timm (.safetensors) or Caffe (.caffemodel, .npz); or a bundle, a run,
             published weights by name
    source   the published weights that the file has, where it fits several whose preprocessing differs
    labels   a file of class names, one per line; by default synset_words.txt beside the file

    Returns `out`. Raises BundleError for a file that is damaged or fits no network, and RunError if `out` is in use.
    """
    name = str(weights)
    if Path(name).is_dir() or name in published() or name.startswith(HUB):
        if source or labels:
            raise BundleError("Cannot use --source or --labels with a bundle, which knows both. Leave them out.")
        export_weights(resolve_weights(name), Path(out))
    else:
        import_weights(Path(name), Path(out), source=source, labels=Path(labels) if labels else None)
    return Path(out)
