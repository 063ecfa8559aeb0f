"""Class weights."""

from pathlib import Path

import pytest

from inceptorch.data import find_split
from inceptorch.tasks import Classification
from tests.conftest import COLORS


def test_rare_classes_weigh_more(images: Path) -> None:
    split = find_split(images, list(COLORS), "train")
    few = split.select([i for i in range(len(split)) if split.labels[i] != 2 or i % 4 == 0])
    assert few.counts() == {"blue": 12, "green": 12, "red": 3}
    weights = Classification(few.classes).class_weights(few, 1.0)
    assert weights.tolist() == pytest.approx([0.75, 0.75, 3.0])
    assert Classification(few.classes).class_weights(few, 0.0).tolist() == [1, 1, 1]
    halfway = Classification(few.classes).class_weights(few, 0.5)
    assert float(halfway[2] / halfway[0]) == pytest.approx(2.0)
