from inceptorch.serve.metrics import Metrics
from tests.serve.helpers import Server, image


def test_counters_are_separate_per_server_and_in_prometheus_format() -> None:
    metrics, other = Metrics(), Metrics()
    metrics.images.labels("tiny", "answered").inc(3)
    metrics.queue.labels("tiny").set_function(lambda: 2)
    metrics.batch.labels("tiny").observe(3)
    lines = metrics.text().decode().splitlines()
    assert 'inceptorch_images_total{model="tiny",outcome="answered"} 3.0' in lines
    assert 'inceptorch_queue_images{model="tiny"} 2.0' in lines
    assert 'inceptorch_batch_images_bucket{le="2.0",model="tiny"} 0.0' in lines
    assert 'inceptorch_batch_images_bucket{le="4.0",model="tiny"} 1.0' in lines
    assert b"tiny" not in other.text()


def test_requests_and_unreadable_images_are_counted(server: Server) -> None:
    unreadable = 'inceptorch_images_total{model="tiny",outcome="unreadable"}'
    requests = 'inceptorch_requests_total{path="/predict",status="200"}'
    before = server.counter(unreadable), server.counter(requests)
    assert server.predict(("a", b"no image"), ("b", image())).status == 200
    assert (server.counter(unreadable), server.counter(requests)) == (before[0] + 1, before[1] + 1)
    server.request("/no/such/path/17")
    assert server.counter('inceptorch_requests_total{path="other",status="404"}') > 0
    assert b"/no/such/path" not in server.request("/metrics").body
