import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from inceptorch.errors import RunError
from inceptorch.features.conventions import (
    CONVENTIONS,
    get_convention,
    resize_pillow,
    resize_tensorflow,
    resize_torch,
)

SIZES = [(32, 32), (299, 299), (500, 37), (1, 3)]


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_torch_resizes_as_pytorch_fid_does_from_0_to_1(size: tuple[int, int]) -> None:
    image = noise(*size)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].contiguous().float().div(255)
    expected = F.interpolate(batch, size=(299, 299), mode="bilinear", align_corners=False)[0].numpy()
    assert np.abs(resize_torch(image, 299) / 255 - expected).max() < 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_pillow_filters_in_floating_point_and_clips(size: tuple[int, int]) -> None:
    image = noise(*size)
    found = resize_pillow(image, 299)
    assert found.shape == (3, 299, 299)
    assert found.min() >= 0
    assert found.max() <= 255
    channel = Image.fromarray(image[..., 1].astype(np.float32)).resize((299, 299), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found[1], np.asarray(channel).clip(0, 255))
    if size != (299, 299):
        assert (found != np.round(found)).any()  # nothing is rounded


@pytest.mark.parametrize("size", [(5, 7), (40, 3), (11, 11)])
def test_tensorflow_samples_from_upper_left_corners(size: tuple[int, int]) -> None:
    image, (height, width), out = noise(*size), size, 11
    expected = np.zeros((3, out, out))
    for y in range(out):
        for x in range(out):
            down, right = y * height / out, x * width / out
            top, left = int(down), int(right)
            bottom, end = min(top + 1, height - 1), min(left + 1, width - 1)
            corners = image[[top, top, bottom, bottom], [left, end, left, end]].astype(float)
            upper = corners[0] + (corners[1] - corners[0]) * (right - left)
            lower = corners[2] + (corners[3] - corners[2]) * (right - left)
            expected[:, y, x] = upper + (lower - upper) * (down - top)
    np.testing.assert_allclose(resize_tensorflow(image, out), expected, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_tensorflow_is_torch_fidelitys_bit_for_bit(size: tuple[int, int]) -> None:
    theirs = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow", reason="torch-fidelity is missing")
    image = noise(*size)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    expected = theirs.interpolate_bilinear_2d_like_tensorflow1x(batch, (299, 299), align_corners=False)[0].numpy()
    np.testing.assert_array_equal(resize_tensorflow(image, 299), expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.filterwarnings("ignore:'mode' parameter")
def test_pillow_is_clean_fids_bit_for_bit(size: tuple[int, int]) -> None:
    theirs = pytest.importorskip("cleanfid.resize", reason="clean-fid is missing")
    image = noise(*size)
    expected = theirs.build_resizer("clean")(image).transpose(2, 0, 1)
    np.testing.assert_array_equal(resize_pillow(image, 299), expected)


def test_scaling_and_types_are_those_of_the_packages() -> None:
    table = {name: (each.mean, each.std, each.dtype, each.small_kid) for name, each in CONVENTIONS.items()}
    assert table == {
        "pytorch-fid": (127.5, 127.5, np.float64, False),
        "clean-fid": (128.0, 128.0, np.float32, True),
        "torch-fidelity": (128.0, 128.0, np.float32, False),
    }


def test_an_unknown_convention_is_a_sentence() -> None:
    with pytest.raises(RunError, match="Cannot compute FID by the convention 'clean': did you mean 'clean-fid'?"):
        get_convention("clean")
