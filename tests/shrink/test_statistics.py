"""Sums over images."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from inceptorch.shrink.statistics import draw_images, measure_moments, renew_norm_statistics, taylor_importance
from tests.helpers import classifier_of
from tests.shrink.helpers import CONNECTED, MIXED, QUIET, graph_of, images


def test_moments_are_those_of_a_map() -> None:
    """The average's map has 3x3 places, of which all are taken."""
    classifier, data = classifier_of(MIXED), images(10)
    graph = graph_of(classifier)
    found = measure_moments(classifier, graph, data, list(range(10)), 0, QUIET)["head.avgpool"]
    crops = [data.crop(index, classifier.preprocessing) for index in range(10)]
    with torch.no_grad():
        maps = classifier.model.forward_features(classifier.prepare(crops))
    rows = maps.permute(0, 2, 3, 1).reshape(-1, 20).double().numpy()
    assert found.count == len(rows) == 10 * 4
    np.testing.assert_allclose(found.gram(centered=True), np.cov(rows.T, bias=True), atol=1e-6)
    np.testing.assert_allclose(found.gram(centered=False), rows.T @ rows / len(rows), atol=1e-6)


def test_what_only_reads_the_image_is_not_measured() -> None:
    classifier = classifier_of(MIXED)
    assert "body.conv1" not in measure_moments(classifier, graph_of(classifier), images(4), [0, 1], 0, QUIET)


def test_taylor_is_the_change_of_the_loss_to_first_order() -> None:
    """For the last hidden layer, whose channel enters the logits linearly, it is a product."""
    classifier, data = classifier_of(CONNECTED), images(6)
    found = taylor_importance(classifier, graph_of(classifier), data, list(range(6)), QUIET)["head.fc2"]
    crops = [data.crop(index, classifier.preprocessing) for index in range(6)]
    with torch.no_grad():
        x = classifier.model.forward_head(classifier.model.forward_features(classifier.prepare(crops)), pre_logits=True)
        linear = classifier.model.get_classifier()
        error = linear(x).softmax(1) - F.one_hot(torch.from_numpy(data.labels).long(), 7)
        expected = (x * (error @ linear.weight)).abs().mean(0)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-7)


def test_statistics_of_normalization_are_those_of_the_images() -> None:
    classifier, data = classifier_of(MIXED), images(20)
    norm = classifier.model.get_submodule("body.conv1.bn")
    assert isinstance(norm, nn.BatchNorm2d)
    renew_norm_statistics(classifier, data, list(range(20)), QUIET)
    crops = [data.crop(index, classifier.preprocessing) for index in range(20)]
    with torch.no_grad():
        out = classifier.model.get_submodule("body.conv1.conv")(classifier.prepare(crops))
    assert norm.running_mean is not None
    torch.testing.assert_close(norm.running_mean, out.mean((0, 2, 3)), rtol=1e-4, atol=1e-4)
    assert norm.momentum == 0.1
    assert not norm.training


def test_a_last_batch_of_one_image_is_left_out() -> None:
    """On a map of one place it would have no variance."""
    one, whole = (classifier_of(MIXED) for _ in range(2))
    data = images(33)
    renew_norm_statistics(one, data, list(range(33)), QUIET)
    renew_norm_statistics(whole, data, list(range(32)), QUIET)
    for ours, theirs in zip(one.model.buffers(), whole.model.buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_images_are_drawn_by_the_seed() -> None:
    data = images(30)
    assert draw_images(data, 10, 1) == draw_images(data, 10, 1) != draw_images(data, 10, 2)
    assert draw_images(data, 100, 1) == list(range(30))
