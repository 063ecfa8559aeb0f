"""What executes a classifier: torch, ONNX Runtime or OpenVINO, behind one interface."""

from inceptorch.engines.engine import Answer, Engine, described
from inceptorch.engines.identity import identity
from inceptorch.engines.opening import ENGINES, available, is_exported, open_engine

__all__ = ["ENGINES", "Answer", "Engine", "available", "described", "identity", "is_exported", "open_engine"]
