"""Engines execute a classifier: torch, ONNX Runtime or OpenVINO, with one interface."""

from inceptorch.inference.engines.base import Engine, EngineOutput
from inceptorch.inference.engines.factory import available, open_engine
from inceptorch.inference.engines.fingerprint import fingerprint
from inceptorch.inference.engines.formats import ENGINES, is_exported

__all__ = ["ENGINES", "Engine", "EngineOutput", "available", "fingerprint", "is_exported", "open_engine"]
