"""What executes a classifier: torch, ONNX Runtime or OpenVINO, behind one interface."""

from inceptorch.inference.engines.base import Answer, Engine, described
from inceptorch.inference.engines.factory import ENGINES, available, is_exported, open_engine
from inceptorch.inference.engines.fingerprint import identity

__all__ = ["ENGINES", "Answer", "Engine", "available", "described", "identity", "is_exported", "open_engine"]
