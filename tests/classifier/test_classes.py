"""Classes by name and number."""

from __future__ import annotations

import pytest

from inceptorch.classifier.classes import find_class
from inceptorch.errors import BundleError


def test_classes_by_name_by_part_of_a_name_and_by_number() -> None:
    classes = ["tench, Tinca tinca", "crane", "crane, lifting", "7", "bee"]
    assert find_class(classes, "tench, Tinca tinca") == 0
    assert find_class(classes, "Tinca tinca") == 0
    assert find_class(classes, "crane") == 1  # a whole name comes first
    assert find_class(classes, "lifting") == 2
    assert find_class(classes, "4") == 4
    assert find_class(classes, "7") == 3
    assert find_class(classes, 2) == 2
    with pytest.raises(BundleError, match=r"no class 'tenchh': did you mean 'tench'\?"):
        find_class(classes, "tenchh")
    with pytest.raises(BundleError, match="no class 9: they are numbered from 0 to 4"):
        find_class(classes, 9)
    with pytest.raises(
        BundleError, match=r"Several classes are called maillot; .*: 0 \(maillot, one\), 1 \(maillot, two\)"
    ):
        find_class(["maillot, one", "maillot, two"], "maillot")
    with pytest.raises(BundleError, match=r"no class 'zzz': known are: name 0, .*, name 19 and 20 more\.$"):
        find_class([f"name {number}" for number in range(40)], "zzz")
    with pytest.raises(BundleError, match="no class 'zzz': label_names in the config.json .* lists all 41.$"):
        find_class([f"name {number}" for number in range(41)], "zzz")
