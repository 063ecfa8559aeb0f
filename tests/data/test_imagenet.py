"""ImageNet's conventions."""

from pathlib import Path

import numpy as np
import pytest

from inceptorch.data import find_split
from inceptorch.data.imagenet import map_synsets_to_names, read_image_list, synsets
from inceptorch.data.sources.folder import Folder
from inceptorch.data.split import Split
from inceptorch.data.string_array import Files, StringArray
from inceptorch.errors import DataError
from tests.conftest import COLORS

CLASSES = tuple(COLORS)


def test_images_are_listed_by_name_folder_and_number(images: Path, tmp_path: Path) -> None:
    (images / "val" / "red" / "00.png").rename(images / "val" / "red" / "ILSVRC2012_val_00000007.JPEG")
    split = find_split(images, CLASSES, "val")
    path = tmp_path / "list.txt"
    path.write_text("7\nval/blue/01.png\n\n/data/val/green/02.png\n")
    assert read_image_list(split, path) == {
        "val/red/ILSVRC2012_val_00000007.JPEG", "val/blue/01.png", "val/green/02.png",
    }  # fmt: skip
    for line, sentence in (("01.png", "01.png is 3 images of"), ("8", "8 is not an image of")):
        path.write_text(line)
        with pytest.raises(DataError, match=sentence):
            read_image_list(split, path)


def test_synsets_are_sorted_and_named() -> None:
    assert (len(synsets()), synsets()[0], list(synsets())) == (1000, "n01440764", sorted(synsets()))
    names = ["tench", *(f"name of {synset}" for synset in synsets()[1:])]
    split = Split("", "here", Folder(Path()), synsets()[2:4], Files.of_names(StringArray()), np.zeros(0, np.int32))
    assert map_synsets_to_names(split, names).classes == tuple(names[2:4])
    assert map_synsets_to_names(split, names[:10]) is split
