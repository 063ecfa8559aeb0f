"""A hash of everything that affects an engine's outputs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from inceptorch.classifier.classifier import Classifier
from inceptorch.inference.engines.base import Engine


def fingerprint(engine: Engine) -> str:
    """A hash of weights, network and preprocessing; below fp32, also of engine and precision."""
    digest = hashlib.sha256()
    match engine.source:
        case Classifier():
            _add_classifier(digest, engine.source)
        case bytes():
            digest.update(engine.source)
        case Path():
            for file in (engine.source, engine.source.with_suffix(".bin")):
                if file.is_file():
                    digest.update(file.read_bytes())
    if engine.precision != "fp32":  # where engines agree
        digest.update(str(engine).encode())
    return digest.hexdigest()


def classifier_fingerprint(classifier: Classifier) -> str:
    """The `fingerprint` of a classifier in torch in fp32. The model stays on the device where it is."""
    digest = hashlib.sha256()
    _add_classifier(digest, classifier)
    return digest.hexdigest()


def _add_classifier(digest: hashlib._Hash, classifier: Classifier) -> None:
    config = {**classifier.config.to_dict(), "metadata": None}
    digest.update(json.dumps(config, sort_keys=True).encode())
    for name, tensor in sorted(classifier.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
