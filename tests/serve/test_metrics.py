import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import inceptorch
from inceptorch.classifier.statistics import FeatureStatistics
from inceptorch.errors import BundleError
from inceptorch.inference.distance import distance_threshold
from inceptorch.inference.engines.timing import random_images
from inceptorch.inference.engines.torch import Torch
from inceptorch.serve.admission import Limits
from inceptorch.serve.metrics import Metrics, MovingMean
from inceptorch.serve.service import Service
from tests.serve.helpers import Server, image, running


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


def test_a_moving_mean_is_that_of_the_last_values() -> None:
    mean = MovingMean(10)
    for value in (1.0, 2.0, 6.0):
        mean.add(value)
    assert mean.value == 3.0
    for _ in range(200):
        mean.add(7.0)
    assert abs(mean.value - 7) < 1e-6


def test_distances_are_in_answers_and_metrics(bundle: Path) -> None:
    classifier = inceptorch.load(bundle)
    engine = Torch(classifier, batch_size=4, device="cpu")
    crops = random_images(16, 40)
    features = engine.run_with_features(crops).features
    assert features is not None
    classifier.statistics = FeatureStatistics.of(features, np.arange(40) % 3, 3)
    distance = distance_threshold(classifier.statistics, features)
    classifier.config = replace(classifier.config, metadata=replace(classifier.config.metadata, distance=distance))
    with running({"tiny": Torch(classifier, batch_size=4, device="cpu")}, distance=True) as server:
        answers = server.predict(("a", image()), ("b", image())).json
        far = answers[0]["distance"] > distance["threshold"]
        assert [answer["out_of_distribution"] for answer in answers] == [far, far]
        assert server.counter('inceptorch_distance{model="tiny"}') == pytest.approx(answers[0]["distance"])
        assert server.counter('inceptorch_out_of_distribution_images_total{model="tiny"}') == 2 * far
        body = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 3, 16, 16], "data": [9] * 768}]}
        reply = server.request("/v2/models/tiny/infer", json.dumps(body), {"Content-Type": "application/json"})
        assert reply.status == 200
    with pytest.raises(BundleError, match=r"it has no features|has no features\.safetensors"):
        Service({"tiny": Torch(inceptorch.load(bundle), device="cpu")}, Limits(), distance=True)
