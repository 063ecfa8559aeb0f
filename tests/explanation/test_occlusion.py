"""Occlusion."""

from __future__ import annotations

import torch

from inceptorch.classifier import Classifier
from inceptorch.explanation import occlusion
from tests.explanation.helpers import noise


def test_occlusion_is_the_average_fall_of_the_windows_over_a_place(every: Classifier) -> None:
    (crop,) = noise(1, 16)
    found = occlusion(every, crop, 2)
    x = every.prepare([crop])
    falls, counts = torch.zeros(16, 16), torch.zeros(16, 16)
    with torch.inference_mode():
        whole = every.model(x)[0, 2]
        for top in range(15):
            for left in range(15):
                covered = x.clone()
                covered[..., top : top + 2, left : left + 2] = 0
                falls[top : top + 2, left : left + 2] += whole - every.model(covered)[0, 2]
                counts[top : top + 2, left : left + 2] += 1
    torch.testing.assert_close(torch.from_numpy(found), falls / counts, rtol=1e-3, atol=1e-5)
