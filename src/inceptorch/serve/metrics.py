"""Counters for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        seconds = partial(Histogram, registry=registry, buckets=SECONDS)
        self._requests = counter(
            "inceptorch_requests", "Requests by path and status; 499: the client disconnected.", ["path", "status"]
        )
        self._seconds = seconds(
            "inceptorch_request_seconds", "Time from a request's head to the end of its answer.", ["path"]
        )
        self._images = counter("inceptorch_images", "Images by outcome.", ["model", "outcome"])
        self._queue = gauge("inceptorch_queue_images", "Images accepted and not answered yet.", ["model"])
        self._batch = Histogram(
            "inceptorch_batch_images", "Images per batch.", ["model"], registry=registry, buckets=BATCH_SIZES
        )
        self._engine = seconds("inceptorch_engine_seconds", "Time of a batch in the engine.", ["model"])

    def count_request(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def of_model(self, name: str, queue_length: Callable[[], float]) -> ModelMetrics:
        self._queue.labels(name).set_function(queue_length)
        answered, unreadable = (self._images.labels(name, outcome) for outcome in ("answered", "unreadable"))
        return ModelMetrics(answered, unreadable, self._batch.labels(name), self._engine.labels(name))

    def text(self) -> bytes:
        """All counters in Prometheus's text format."""
        return generate_latest(self._registry)


class ModelMetrics(NamedTuple):
    """The counters of one model."""

    answered: Counter
    unreadable: Counter
    batch: Histogram
    engine: Histogram
