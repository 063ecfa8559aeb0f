"""Initial weights."""

import pytest
import torch

from inceptorch.models.module import Model
from inceptorch.networks.zoo import NETS


def test_initial_weights_do_not_depend_on_the_number_of_threads() -> None:
    threads = torch.get_num_threads()
    states = []
    for count in (1, 2):
        torch.set_num_threads(count)
        torch.manual_seed(5)
        states.append(Model(NETS["googlenet_small"], 10).state_dict())
    torch.set_num_threads(threads)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    weight = states[0]["body.5b.1.1.conv.weight"]
    assert weight.std().item() == pytest.approx((2 / weight[0].numel()) ** 0.5, rel=0.02)
