"""Initial weights."""

import pytest
import torch

from inceptorch.models.init import init_dirac, whiten
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


def test_whitened_patches_have_no_correlation_and_the_same_deviation() -> None:
    images = torch.randn(40, 3, 1, 1) + 0.5 * torch.randn(40, 3, 16, 16)  # neighbors are alike
    conv = torch.nn.Conv2d(3, 24, 2)
    whiten(conv, images)
    torch.nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        found = conv(images).permute(1, 0, 2, 3).flatten(1)
    assert torch.equal(conv.weight[12:], -conv.weight[:12])
    products = found[:12] @ found[:12].T / found.shape[1]
    torch.testing.assert_close(products, torch.eye(12), atol=0.05, rtol=0)


def test_whitening_gray_images_stays_finite() -> None:
    conv = torch.nn.Conv2d(3, 24, 2)
    whiten(conv, torch.randn(8, 1, 8, 8).expand(-1, 3, -1, -1))
    assert conv.weight.isfinite().all()
    whiten(conv, torch.zeros(8, 3, 8, 8))
    assert conv.weight.isfinite().all()


def test_dirac_filters_hand_on_their_input() -> None:
    wide, narrow = torch.nn.Conv2d(4, 6, 3, padding=1, bias=False), torch.nn.Conv2d(6, 4, 1, bias=False)
    init_dirac(torch.nn.Sequential(wide, narrow))
    x = torch.randn(2, 4, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(wide(x)[:, :4], x)
        torch.testing.assert_close(narrow(wide(x)), x)
