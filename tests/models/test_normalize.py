"""Normalization in any memory layout."""

from typing import Literal

import pytest
import torch

from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.normalize import Normalize


@pytest.mark.parametrize("channels", ["rgb", "bgr", "gray"])
def test_scaling_is_the_contracts_arithmetic_in_any_layout_and_changes_nothing_given(
    channels: Literal["rgb", "bgr", "gray"],
) -> None:
    pixels = default_preprocessing(16, channels)
    crops = torch.randint(0, 256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    ordered = {"rgb": crops, "bgr": crops.flip(1), "gray": None}[channels]
    if ordered is None:
        ordered = (crops * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (pixels.mean, pixels.std))
    for given in (crops, crops.contiguous(memory_format=torch.channels_last), crops.float()):
        before = given.clone()
        torch.testing.assert_close(Normalize(pixels)(given), (ordered - mean) / std)
        assert torch.equal(given, before)
