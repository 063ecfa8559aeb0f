"""Local response normalization against torch's own operator."""

import pytest
import torch
from torch.nn import functional as F

from inceptorch.models.lrn import LocalResponseNorm
from inceptorch.networks.layers import LRN


@pytest.mark.parametrize("spec", [LRN(), LRN(5, 0.1, 0.75, 1.0), LRN(3, 0.2, 0.5, 2.0), LRN(11, 0.0011, 0.5, 2.0)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_local_response_norm_equals_torchs_own(spec: LRN, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = (torch.randn(2, 24, 5, 7) * 30).to(memory_format=layout).requires_grad_()
    mine = LocalResponseNorm(24, spec)(x)
    theirs = F.local_response_norm(x, spec.size, spec.alpha, spec.beta, spec.k)
    torch.testing.assert_close(mine, theirs)
    weights = torch.randn_like(mine)
    torch.testing.assert_close(
        torch.autograd.grad((mine * weights).sum(), x)[0], torch.autograd.grad((theirs * weights).sum(), x)[0]
    )


def test_local_response_norm_has_the_gradient_it_says() -> None:
    torch.manual_seed(0)
    norm = LocalResponseNorm(7, LRN(3, 0.5, 0.75, 1.0)).double()
    assert torch.autograd.gradcheck(norm, (torch.randn(2, 7, 3, 2, dtype=torch.double, requires_grad=True),))
