from collections.abc import Sequence

import numpy as np
import pytest

from inceptorch.features.frechet import Side
from inceptorch.features.remarks import remarks
from inceptorch.features.sides import Opened
from inceptorch.features.statistics import Statistics, statistics
from inceptorch.features.store import TURNED, Features, row_type

ABOUT = {"convention": "pytorch-fid", "network": "inception_v3_fid", "weights": "ab"}


def opened(
    name: str, n: int, size: Sequence[int] = (32, 32), format: bytes = b"PNG", flags: int = 0, dim: int = 4
) -> Opened:
    rows = np.zeros(n, row_type(dim))
    rows["width"], rows["height"] = size
    rows["format"] = format
    rows["flags"][:2] = flags
    features = Features([rows], np.stack([np.zeros(n, int), np.arange(n)], 1))
    return Opened(name, Side(statistics(features, np.float64, ABOUT), features))


def test_large_sets_alike_leave_nothing_to_say() -> None:
    assert remarks(opened("A", 10_000), opened("B", 10_000), ABOUT, 299) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n": 9_999}, "A has 9999 images: FID falls as n grows."),
        ({"n": 20, "dim": 30}, "A has 20 images, fewer than the 30 features"),
        ({"format": b"JPEG"}, "The formats of the files differ (JPEG, PNG)"),
        ({"size": (32, 41)}, "The sizes of the images differ (medians 32x41 and 32x32 pixels)"),
        ({"size": (299, 299)}, "All images of A have 299x299 pixels, as the network"),
        ({"flags": TURNED}, "2 of 10000 images of A are turned by EXIF, which is followed here and ignored there"),
    ],
)
def test_what_is_hard_to_compare_is_a_sentence(change: dict[str, object], sentence: str) -> None:
    values: dict[str, object] = {"n": 10_000, **change}
    found = remarks(opened("A", **values), opened("B", 10_000), ABOUT, 299)  # type: ignore[arg-type]
    assert any(each.startswith(sentence) for each in found), found
    assert len(found) == 1 + ("size" in change and change["size"] == (299, 299))


def test_sizes_a_little_apart_are_no_matter() -> None:
    assert remarks(opened("A", 10_000, (32, 39)), opened("B", 10_000), ABOUT, 299) == []


def test_one_side_may_have_been_resized_before() -> None:
    varied = opened("B", 10_000)
    rows = varied.features.files[0]
    rows["width"][:5] = 33
    (found,) = remarks(opened("A", 10_000), varied, ABOUT, 299)
    assert found.startswith("All images of A have one size, and those of B have not: if they were resized")


def test_statistics_that_do_not_say_what_they_are_of() -> None:
    side = Opened("b.npz", Side(Statistics(np.zeros(4), np.eye(4), None, {})))
    found = remarks(opened("A", 10_000), side, ABOUT, 299)
    assert found == [
        "b.npz does not say of how many images it is, on which FID depends.",
        "b.npz does not say by which convention it was made; taken as pytorch-fid.",
    ]
