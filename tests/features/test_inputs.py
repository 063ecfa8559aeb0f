import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from inceptorch.data.write_shards import write_shards
from inceptorch.errors import DataError, ImageInputError
from inceptorch.features.inputs import iter_images, open_images


def names(found: list) -> list[str]:  # type: ignore[type-arg]
    return [path for split in found for path in split.paths]


def test_a_folder_gives_all_images_at_any_depth(generated: Path) -> None:
    (generated / "inner").mkdir()
    shutil.move(generated / "000.png", generated / "inner" / "a.png")
    (generated / "notes.txt").touch()
    found = names(open_images(generated))
    assert len(found) == 30
    assert found == sorted(found)
    assert found[-1] == "inner/a.png"


def test_a_zip_gives_the_same(generated: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "images"), "zip", generated)
    assert names(open_images(tmp_path / "images.zip")) == names(open_images(generated))


def test_a_list_needs_no_labels(generated: Path) -> None:
    file = generated / "list.csv"
    file.write_text("path\n003.png\n001.png\n")
    assert names(open_images(file)) == ["001.png", "003.png"]
    file.write_text("path,label,split\n003.png,x,val\n001.png,y,train\n")
    assert set(names(open_images(file))) == {"001.png", "003.png"}
    assert names(open_images(file, "val")) == ["003.png"]


def test_data_with_classes_gives_one_split_or_all(images: Path) -> None:
    assert len(names(open_images(images))) == 48
    assert len(names(open_images(images, "val"))) == 12
    with pytest.raises(DataError, match="Cannot find the split 'test' of .*: known are: train, val"):
        open_images(images, "test")
    with pytest.raises(DataError, match="Cannot find the split 'val' of .*: it is not divided"):
        open_images(images / "train", "val")


def test_shards_give_all_images(images: Path, tmp_path: Path) -> None:
    write_shards(images, tmp_path / "shards")
    assert len(names(open_images(tmp_path / "shards"))) == 48


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none", "none: it does not exist"),
        ("empty", "Cannot use .*empty: it holds no images. Name a folder, a zip or a list of images"),
        ("text", "Cannot use .*text: it holds no images"),
        ("generated/001.png", "Cannot use .*001.png: it is one image. Name a folder"),
    ],
)
def test_what_holds_no_images_is_a_sentence(generated: Path, name: str, sentence: str) -> None:
    root = generated.parent
    (root / "empty").mkdir()
    (root / "text").mkdir()
    (root / "text" / "notes.txt").touch()
    with pytest.raises(DataError, match=sentence):
        open_images(root / name)


def test_batches_and_iterables_of_both_kinds_are_images() -> None:
    batch = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), np.uint8)
    tensor = torch.from_numpy(batch).permute(0, 3, 1, 2)
    for given in (batch, tensor, list(batch), iter([batch[:2], batch[2:]]), (each for each in (tensor,))):
        found = [each.array for each in iter_images(given)]
        np.testing.assert_array_equal(np.stack(found), batch)


def test_other_values_are_sentences() -> None:
    with pytest.raises(DataError, match="Cannot compare one image. Try a batch"):
        list(iter_images(np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(ImageInputError, match="must be uint8"):
        list(iter_images(torch.zeros(2, 3, 8, 8)))
    with pytest.raises(ImageInputError, match="Cannot use an int as an image"):
        list(iter_images(3))
