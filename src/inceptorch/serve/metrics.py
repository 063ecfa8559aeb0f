"""Counters for Prometheus."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class MovingMean:
    """The mean of values, in which the last `count` weigh most."""

    def __init__(self, count: int = 1000):
        self.value, self._seen, self._count = 0.0, 0, count

    def add(self, value: float) -> None:
        self._seen = min(self._seen + 1, self._count)
        self.value += (value - self.value) / self._seen


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        counter, histogram = partial(Counter, registry=self._registry), partial(Histogram, registry=self._registry)
        self.requests = counter(
            "inceptorch_requests", "Requests by path and status; 499: the client disconnected.", ["path", "status"]
        )
        self.request_seconds = histogram(
            "inceptorch_request_seconds", "From a request's head to the end of its answer.", ["path"], buckets=SECONDS
        )
        self.images = counter("inceptorch_images", "Images by outcome.", ["model", "outcome"])
        self.queue = Gauge(
            "inceptorch_queue_images", "Images accepted and not answered yet.", ["model"], registry=self._registry
        )
        self.connections = Gauge("inceptorch_connections", "Open connections.", registry=self._registry)
        self.distance = Gauge(
            "inceptorch_distance",
            "Mean distance from the training images, of the last thousand images or so, in standard deviations of the "
            "validation images.",
            ["model"],
            registry=self._registry,
        )
        self.out_of_distribution = counter(
            "inceptorch_out_of_distribution_images", "Images farther than the threshold.", ["model"]
        )
        self.batch = histogram("inceptorch_batch_images", "Images per batch.", ["model"], buckets=BATCH_SIZES)
        self.engine = histogram("inceptorch_engine_seconds", "Batches in the engine.", ["model"], buckets=SECONDS)

    def text(self) -> bytes:
        """All counters in Prometheus's text format."""
        return generate_latest(self._registry)
