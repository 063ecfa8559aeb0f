"""The average of the weights."""

import torch

from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.training.ema import WeightAverage


def test_average_follows_the_weights_with_a_growing_memory(tiny: NetworkSpec) -> None:
    model = Model(tiny, 2)
    average = WeightAverage(model, 0.99)
    weight = model.get_classifier().weight
    expected = 0.0
    for n in range(5):
        with torch.no_grad():
            weight.fill_(n)
        average.update()
        expected = float(n) if n == 0 else expected + (n - expected) * (1 - min(0.99, (1 + n) / (10 + n)))
    averaged = average.module.get_submodule("head.linear").weight
    assert isinstance(averaged, torch.Tensor)
    torch.testing.assert_close(averaged, torch.full_like(weight, expected))


def test_average_counts_the_batches_of_its_model(tiny: NetworkSpec) -> None:
    model = Model(tiny, 2)
    average = WeightAverage(model, 0.99)
    for _ in range(3):
        model(torch.randn(2, 3, 16, 16))
        average.update()
    counts = {name: int(value) for name, value in average.module.state_dict().items() if "num_batches" in name}
    assert counts
    assert set(counts.values()) == {3}
