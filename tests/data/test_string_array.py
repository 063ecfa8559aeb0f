"""Names in two pieces of memory."""

import gc
import pickle

import numpy as np
import pytest

from inceptorch.data.string_array import StringArray


def test_names_are_a_tuple_of_strings_in_two_pieces_of_memory() -> None:
    strings = ("", "a", "ä/b.jpg", b"\xff.png".decode("utf-8", "surrogateescape"), "日本")
    names = StringArray(strings)
    assert tuple(names) == strings
    assert [names[index] for index in range(-5, 5)] == [*strings, *strings]
    assert tuple(names[1:4]) == strings[1:4]
    assert tuple(names[::-2]) == strings[::-2]
    assert tuple(names.take([4, 0, 4])) == (strings[4], strings[0], strings[4])
    assert StringArray.joined([names, StringArray(), names]) == StringArray(strings * 2) != names
    assert pickle.loads(pickle.dumps(names)) == names
    with pytest.raises(IndexError):
        names[5]
    with pytest.raises(ValueError, match="lengths do not fit"):
        StringArray.from_arrays(*StringArray(["abc"]).arrays()[:1], np.array([2]))


@pytest.mark.slow
def test_a_million_names_are_few_objects() -> None:
    names = StringArray(f"class/{number}.jpg" for number in range(1_000_000))
    assert names[777_777] == "class/777777.jpg"
    assert names.take(np.arange(999_999, -1, -1))[0] == "class/999999.jpg"
    assert len(gc.get_referents(names)) <= 3  # its class, the bytes and the offsets
    assert len(pickle.dumps(names)) < 25_000_000
