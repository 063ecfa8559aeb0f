"""What decides an engine's answers, as a hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from inceptorch.classifier.classifier import Classifier
from inceptorch.inference.engines.base import Engine, described


def identity(engine: Engine) -> str:
    """A hash of weights, table and pixel contract, and of engine and precision where that is not fp32."""
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
        digest.update(described(engine).encode())
    return digest.hexdigest()


def _of_classifier(classifier: Classifier, digest: hashlib._Hash) -> None:
    digest.update(json.dumps({**classifier.config(), "about": None}, sort_keys=True).encode())
    for name, tensor in sorted(classifier.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
