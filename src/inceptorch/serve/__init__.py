"""Classifiers over HTTP: one process, whose connections share batches."""

from inceptorch.serve.admission import Limits
from inceptorch.serve.priority import computing
from inceptorch.serve.server import address, bind, is_loopback, named, run, server_of, serving_of

__all__ = ["Limits", "address", "bind", "computing", "is_loopback", "named", "run", "server_of", "serving_of"]
