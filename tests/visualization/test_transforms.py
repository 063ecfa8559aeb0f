"""Random views of an image."""

from __future__ import annotations

import torch

from inceptorch.visualization.transforms import _turned, random_view


def test_views_scale_with_the_image_and_follow_the_seed() -> None:
    for size, expected in ((128, 140), (32, 35), (224, 245)):
        views = [random_view(torch.rand(1, 3, size, size), torch.Generator().manual_seed(1)) for _ in range(2)]
        assert [list(view.shape) for view in views] == [[1, 3, expected, expected]] * 2
    image = torch.rand(1, 3, 32, 48)
    first, again = (random_view(image, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again)
    generator = torch.Generator().manual_seed(1)
    assert len({round(float(random_view(image, generator).sum()), 3) for _ in range(8)}) > 4


def test_turning_by_a_right_angle_keeps_the_pixels() -> None:
    image = torch.rand(2, 3, 6, 6)
    torch.testing.assert_close(_turned(image, 1.0, torch.pi / 2), image.rot90(1, (2, 3)), rtol=0, atol=1e-4)


def test_a_larger_scale_enlarges() -> None:
    image = torch.zeros(1, 3, 9, 9)
    image[:, :, 3:6, 3:6] = 1
    assert _turned(image, 2.0, 0.0).sum() > 3 * image.sum()


def test_gradients_go_through_to_every_pixel_that_is_seen() -> None:
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    random_view(image, torch.Generator().manual_seed(0)).sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    assert (image.grad[0, :, 8:24, 8:24] > 0).all()
