"""The images in which units are most active."""

import torch

from inceptorch.units.top_images import COUNT, TopImage, TopImages


def test_the_best_images_of_all_batches_with_their_places() -> None:
    maps = torch.zeros(20, 2, 4, 5)
    for number in range(20):
        maps[number, 0, number % 4, number % 5] = number % 7 + 1
    whole, parts = TopImages(2), TopImages(2)
    whole.add(maps, range(20))
    for start in (0, 3, 11):
        end = {0: 3, 3: 11, 11: 20}[start]
        parts.add(maps[start:end], range(start, end))
    found = whole.of(0)
    assert found == parts.of(0)
    assert [each.index for each in found] == [6, 13, 5, 12, 19, 4, 11, 18]
    assert found[0] == TopImage(6, 7.0, (6 % 5, 6 % 4))
    assert len(found) == COUNT
    assert whole.of(1) == []


def test_a_box_lies_around_its_place_and_within_the_image() -> None:
    top = TopImages(1)
    top.add(torch.zeros(1, 1, 14, 14), [0])
    middle = TopImage(0, 1.0, (7, 6))
    assert top.center(middle, 224, 224) == (120, 104)
    assert top.box(middle, 224, 224) == (56, 40, 184, 168)
    assert top.box(TopImage(0, 1.0, (0, 13)), 224, 224) == (0, 96, 128, 224)
    assert top.box(TopImage(0, 1.0, (0, 0)), 20, 24) == (0, 0, 20, 20)


def test_vectors_have_one_place() -> None:
    top = TopImages(3)
    top.add(torch.tensor([[1.0, 0, 2], [3.0, 0, 1]]), [4, 9])
    assert [each.index for each in top.of(0)] == [9, 4]
    assert top.of(1) == []
    assert top.box(top.of(2)[0], 64, 64) == (0, 0, 64, 64)
