"""What decides an engine's outputs, as a hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from inceptorch.classifier.classifier import Classifier
from inceptorch.inference.engines.base import Engine


def fingerprint(engine: Engine) -> str:
    """A hash of weights, network and preprocessing, and of engine and precision where that is not fp32."""
    digest = hashlib.sha256()
    match engine.source:
        case Classifier():
            _of_classifier(engine.source, digest)
        case bytes():
            digest.update(engine.source)
        case Path():
            for file in (engine.source, engine.source.with_suffix(".bin")):
                if file.is_file():
                    digest.update(file.read_bytes())
    if engine.precision != "fp32":  # in which engines agree
        digest.update(str(engine).encode())
    return digest.hexdigest()


def _of_classifier(classifier: Classifier, digest: hashlib._Hash) -> None:
    digest.update(json.dumps({**classifier.config.to_dict(), "metadata": None}, sort_keys=True).encode())
    for name, tensor in sorted(classifier.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
