"""Data sets from Python."""

import pickle

import numpy as np
import pytest
from PIL import Image

from inceptorch.data.sources.pairs import dataset_name, open_pairs
from inceptorch.errors import DataError


def pairs(*labels: int) -> list[tuple[Image.Image, int]]:
    return [(Image.new("RGB", (4, 4), (number, 0, 0)), label) for number, label in enumerate(labels)]


def test_pairs_are_divided_or_given_as_two() -> None:
    train, val = open_pairs({"train": pairs(0, 1, 2), "val": pairs(2, 0)}, 0.5, 0)
    assert (train.classes, val.labels.tolist()) == (("0", "1", "2"), [2, 0])
    assert np.asarray(val.image(1))[0, 0].tolist() == [1, 0, 0]
    assert val.file(1) == "image 1 of list (val)"
    train, val = open_pairs(pairs(*[0, 1] * 4), 0.25, 0)
    assert (len(train), len(val)) == (6, 2)
    assert pickle.loads(pickle.dumps(train)).read(5) == train.read(5)
    assert dataset_name((pairs(0), pairs(1))) == "list"


def test_labels_are_whole_numbers_from_0() -> None:
    for wrong, sentence in (
        (pairs(0, 0), "labels are 0 to 0, of 1 classes"),
        (pairs(-1, 1), "labels are -1 to 1"),
        ([("a.png", "red")], "one whole number as the label"),
        (7, "no length or no items"),
    ):
        with pytest.raises(DataError, match=sentence):
            open_pairs(wrong, 0.5, 0)
