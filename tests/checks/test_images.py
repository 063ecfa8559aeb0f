"""Faults of single files."""

from __future__ import annotations

from inceptorch.checks import scan as scanning
from inceptorch.checks.images import SUFFIXES_OF
from inceptorch.images.decode import SUFFIXES


def test_every_suffix_that_is_read_belongs_to_a_kind_of_file() -> None:
    assert {suffix for suffixes in SUFFIXES_OF.values() for suffix in suffixes} == SUFFIXES
    assert set(SUFFIXES_OF) == set(scanning.FORMATS)
