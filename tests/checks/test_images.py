"""Faults of single files."""

from __future__ import annotations

from pathlib import Path

from inceptorch.checks import check
from inceptorch.checks import scan as scanning
from inceptorch.checks.images import SUFFIXES_OF
from inceptorch.images.decode import SUFFIXES
from tests.checks.helpers import QUIET


def test_every_suffix_that_is_read_belongs_to_a_kind_of_file() -> None:
    assert {suffix for suffixes in SUFFIXES_OF.values() for suffix in suffixes} == SUFFIXES
    assert set(SUFFIXES_OF) == set(scanning.FORMATS)


def test_an_image_of_just_the_size_is_neither_tiny_nor_large(images: Path, home: Path) -> None:
    """All have 24x20 pixels."""
    for min_size, max_megapixels, kinds in (
        (20, 0.00048, set()),
        (21, 0.00048, {"tiny"}),
        (20, 0.00047, {"large"}),
    ):
        findings = check(
            images, min_size=min_size, max_megapixels=max_megapixels, near_duplicates=False, progress=QUIET
        )
        assert {item.kind for item in findings.items} & {"tiny", "large"} == kinds
