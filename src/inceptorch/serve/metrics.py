"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of one server."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "inceptorch_requests",
            "Requests, by path and status; 499: the client went away.",
            ["path", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "inceptorch_request_seconds",
            "From the head of a request to the end of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._images = Counter(
            "inceptorch_images", "Images, by what became of them.", ["model", "outcome"], registry=self._registry
        )
        self._waiting = Gauge(
            "inceptorch_queue_images", "Images taken on and not answered yet.", ["model"], registry=self._registry
        )
        self._batch = Histogram(
            "inceptorch_batch_images",
            "Images that went through the network together.",
            ["model"],
            buckets=IMAGES,
            registry=self._registry,
        )
        self._engine = Histogram(
            "inceptorch_engine_seconds", "A batch in the engine.", ["model"], buckets=SECONDS, registry=self._registry
        )

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that has been answered."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def of_model(self, name: str, waiting: Callable[[], float]) -> ModelMetrics:
        """The counters of one model; `waiting` says how many of its images are not answered yet."""
        self._waiting.labels(name).set_function(waiting)
        return ModelMetrics(
            self._images.labels(name, "answered"),
            self._images.labels(name, "unreadable"),
            self._batch.labels(name),
            self._engine.labels(name),
        )

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)


class ModelMetrics:
    """Counters of one model."""

    def __init__(self, answered: Counter, unreadable: Counter, batch: Histogram, engine: Histogram):
        self.answered, self.unreadable, self.batch, self.engine = answered, unreadable, batch, engine
