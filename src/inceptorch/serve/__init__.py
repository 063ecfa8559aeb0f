"""Classifiers over HTTP: one process, whose connections share batches."""

from inceptorch.serve.admission import Limits
from inceptorch.serve.priority import run_at_low_priority
from inceptorch.serve.server import bind, create_server, is_loopback, parse_model_args, run, url_of
from inceptorch.serve.service import create_service

__all__ = [
    "Limits",
    "bind",
    "create_server",
    "create_service",
    "is_loopback",
    "parse_model_args",
    "run",
    "run_at_low_priority",
    "url_of",
]
