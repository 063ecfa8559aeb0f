"""The search for near duplicates."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inceptorch.checks import near_duplicates as near
from inceptorch.checks import scan as scanning
from synthetic import compressed, cut, resized
from tests.checks.helpers import QUIET, Scenes


def test_pairs_within_equal_brute_force() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 3000, np.uint64, endpoint=False)
    for number in range(300):  # neighbors at every distance up to 15
        flips = random.choice(64, number % 16, replace=False).tolist()
        hashes[2000 + number] = hashes[number] ^ np.uint64(sum(1 << flip for flip in flips))
    hashes[2500:2540] = hashes[2500]  # a bucket with many in it
    apart = np.bitwise_count(hashes[:, None] ^ hashes)
    for radius in (0, 3, 8, 11, 15):
        found = list(near.pairs_within(hashes, radius))
        pairs = [(min(pair), max(pair)) for a, b in found for pair in zip(a.tolist(), b.tolist(), strict=True)]
        assert len(set(pairs)) == len(pairs)  # each once
        assert set(pairs) == set(zip(*(at.tolist() for at in np.nonzero(np.triu(apart <= radius, 1))), strict=True))
        assert len(pairs) >= 780 + sum(number % 16 <= radius for number in range(300))


def test_gradients_are_vertical_then_horizontal_and_without_their_mean() -> None:
    down = np.tile((np.arange(16.0, dtype=np.float32) ** 2)[:, None], (1, 16))  # steps of 1, 3, ..., 29
    steps = np.repeat(np.arange(-14.0, 15, 2), 16)
    for grays, expected in ((down, [steps, np.zeros(240)]), (down.T, [np.zeros(240), np.sort(steps)])):
        (found,) = near.gradients(grays[None]).reshape(1, 2, 240)
        np.testing.assert_allclose(np.sort(found, axis=1), np.array(expected) / np.linalg.norm(steps), atol=1e-6)


def test_pairs_come_in_pieces_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "MAX_CANDIDATES", 100)
    hashes = np.zeros(70, np.uint64)
    found = list(near.pairs_within(hashes, near.RADIUS))
    assert sum(len(a) for a, _ in found) == 70 * 69 // 2
    assert max(len(a) for a, _ in found) <= 100


def test_groups_are_joined_whatever_the_order() -> None:
    groups = np.arange(10)
    groups = near._joined(groups, np.array([8, 2, 5]), np.array([9, 1, 2]))
    assert groups.tolist() == [0, 1, 1, 3, 4, 1, 6, 7, 8, 8]
    groups = near._joined(groups, np.array([9, 0]), np.array([5, 3]))
    assert groups.tolist() == [0, 1, 1, 0, 4, 1, 6, 7, 1, 1]


def thumbnails(images: Iterable[Image.Image]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    found = [scanning.thumbnails(np.asarray(image)) for image in images]
    return np.stack([gray for _, gray, _ in found]), np.stack([tint for _, _, tint in found])


def test_flat_images_and_plain_gradients_are_not_all_alike() -> None:
    random = np.random.default_rng(1)
    flat = [np.full((90, 90, 3), level, np.uint8) for level in (0, 3, 128, 252, 255)]
    noisy = [random.normal(128, 6, (90, 90, 3)).astype(np.uint8) for _ in range(5)]
    rise = [
        np.repeat(np.linspace(low, high, 90)[:, None, None], 90, 1).repeat(3, 2).astype(np.uint8)
        for low, high in ((0, 255), (30, 220), (90, 160), (200, 40))
    ]
    dots = []
    for at in (10, 40, 70):  # a small thing on white
        dot = np.full((90, 90, 3), 255, np.uint8)
        dot[at : at + 8, at : at + 12] = 30
        dots.append(dot)
    grain = random.integers(0, 2, (16, 16, 1)).repeat(6, 0).repeat(6, 1).repeat(3, 2)
    grainy = [(level + grain).astype(np.uint8) for level in (60, 120, 200)]  # of one sensor
    grays, tints = thumbnails(map(Image.fromarray, [*flat, *noisy, *rise, *dots, *grainy]))
    assert near.find_groups(grays, tints, QUIET) == []
    skies = np.linspace(0, 240, 16)[:, None] + random.normal(0, 3, (2, 16, 16))
    one, other = near.gradients(skies.astype(np.float32))
    assert one @ other < 0.5


def test_a_cut_image_is_found_as_a_part_of_the_whole() -> None:
    coming = Scenes(seed=5, count=40)
    whole = [coming.next() for _ in range(40)]
    grays, tints = thumbnails([*whole, *(cut(image, 0.06, 0.06, 0.06, 0.06) for image in whole)])
    numbers = np.arange(40)
    found = near.similarity(grays, tints, numbers, numbers + 40) >= near.SIMILAR
    unmoved = (near.gradients(grays[:40].astype(np.float32)) * near.gradients(grays[40:].astype(np.float32))).sum(1)
    assert found.mean() >= 0.95
    assert (unmoved >= near.SIMILAR).mean() < 0.7


def test_the_same_scene_in_other_colors_is_another_image() -> None:
    scene = Scenes(seed=3, count=1).next()
    red, green, blue = scene.split()
    other = Image.merge("RGB", (blue.point(lambda v: 255 - v), green, red))
    copy = compressed(scene, 40)
    grays, tints = thumbnails([scene, other, copy])
    assert [group.members.tolist() for group in near.find_groups(grays, tints, QUIET)] == [[0, 2]]
    assert near.similarity(grays[[0, 0]], tints, np.array([0]), np.array([1]))[0] == -1


def test_many_copies_of_one_image_are_one_group() -> None:
    scene = Scenes(seed=4, count=1).next()
    copies = [compressed(scene, quality) for quality in range(30, 90)]
    grays, tints = thumbnails(copies)
    (group,) = near.find_groups(grays, tints, QUIET)
    assert group.members.tolist() == list(range(60))
    assert group.similarity > 0.95


def test_images_each_like_the_next_are_not_one_image() -> None:
    scenes = Scenes(seed=6, count=2)
    first, last = (np.asarray(scenes.next(), np.float32) for _ in range(2))
    blends = [Image.fromarray((first + (last - first) * step / 12).astype(np.uint8)) for step in range(13)]
    grays, tints = thumbnails(blends)
    found = near.find_groups(grays, tints, QUIET)
    assert {int(member) for group in found for member in group.members} == set(range(13))
    assert len(found) > 1
    for group in found:
        others = group.members[1:]
        scores = near.similarity(grays, tints, np.full(len(others), group.members[0]), others)
        assert scores.min() == pytest.approx(group.similarity)
        assert group.similarity >= near.SIMILAR


def test_an_image_between_two_others_is_found_with_both() -> None:
    scenes = Scenes(seed=6, count=2)
    first, last = (np.asarray(scenes.next(), np.float32) for _ in range(2))
    blends = [Image.fromarray((first + (last - first) * step / 24).astype(np.uint8)) for step in (0, 8, 13)]
    grays, tints = thumbnails(blends)
    a, b = np.array([0, 1, 0]), np.array([1, 2, 2])
    assert (near.similarity(grays, tints, a, b) >= near.SIMILAR).tolist() == [True, True, False]
    assert [group.members.tolist() for group in near.find_groups(grays, tints, QUIET)] == [[0, 1], [2, 1]]


def object_on_paper(width: int, height: int, shade: int) -> Image.Image:
    """A bottle of this shape and color on white paper, which is darker towards one corner."""
    paper = np.linspace(250, 235, 90)[:, None] + np.linspace(0, -10, 90)
    image = Image.fromarray(np.repeat(paper[..., None], 3, 2).astype(np.uint8))
    left, top = 45 - width // 2, 80 - height
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((left, top, left + width, 80), 6, fill=(shade, shade, shade))
    draw.rectangle((45 - width // 6, top - 14, 45 + width // 6, top), fill=(shade, shade, shade))
    return image


def test_objects_of_one_outline_on_plain_paper_are_not_one_image() -> None:
    bottles = [object_on_paper(24, 50, 90), object_on_paper(24, 54, 120), object_on_paper(28, 52, 100)]
    grays, tints = thumbnails([*bottles, compressed(bottles[0], 60), resized(bottles[1], 0.7)])
    a, b = np.array([0, 0, 1]), np.array([1, 2, 2])
    assert (near.similarity(grays, tints, a, b) >= near.SIMILAR).all()  # enough for photographs
    found = [group.members.tolist() for group in near.find_groups(grays, tints, QUIET)]
    assert found == [[0, 3], [1, 4]]
