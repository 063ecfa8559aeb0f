"""Groups of images, and folds that keep them together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.data import find_split, find_train_and_val
from inceptorch.data.groups import folds_of, groups_of
from inceptorch.errors import DataError


def films(root: Path, films: int = 10, frames: int = 4) -> Path:
    """Two classes of films with several frames each."""
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True)
        for film in range(films):
            for frame in range(frames):
                Image.new("RGB", (2, 2), (film, frame, len(name))).save(root / name / f"film{film}_{frame}.png")
    return root


def test_a_regular_expression_names_the_groups(tmp_path: Path) -> None:
    split = find_split(films(tmp_path, 3), ("ant", "bee"))
    whole, first = groups_of(split, "[^/]+/film[0-9]+"), groups_of(split, r"(film\d+)_")
    assert groups_of(split, "") is None
    assert whole is not None
    assert first is not None
    assert len(set(whole)) == 6
    assert sorted(set(first)) == ["film0", "film1", "film2"]


def test_a_column_of_the_list_names_the_groups(tmp_path: Path) -> None:
    films(tmp_path, 2, 2)
    rows = [
        f"{name}/film{film}_{frame}.png,{name},{7 * film}"
        for name in ("ant", "bee")
        for film in (0, 1)
        for frame in (0, 1)
    ]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,patient", *rows]))
    split = find_split(tmp_path / "list.csv", ("ant", "bee"))
    groups = groups_of(split, "patient")
    assert groups is not None
    assert [f"film{int(group) // 7}" in path for group, path in zip(groups, split.paths, strict=True)] == [True] * 8
    (tmp_path / "list.csv").write_text("\n".join(["path,label,patient", *rows[:-1], "bee/film1_1.png,bee,"]))
    with pytest.raises(DataError, match=r"list.csv, line 9: the group is empty"):
        groups_of(find_split(tmp_path / "list.csv", ("ant", "bee")), "patient")


@pytest.mark.parametrize("missing", [0, 5])
def test_a_line_without_the_column_is_named(tmp_path: Path, missing: int) -> None:
    """Its name is not taken for a regular expression, which file names may match."""
    films(tmp_path, 2, 2)
    rows: list[dict[str, object]] = [
        {"path": f"{name}/film{film}_{frame}.png", "label": name, "film": film}
        for name in ("ant", "bee")
        for film in (0, 1)
        for frame in (0, 1)
    ]
    del rows[missing]["film"]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match=rf"list.jsonl: line {missing + 1} has no 'film'. Add it."):
        groups_of(find_split(tmp_path / "list.jsonl", ("ant", "bee")), "film")


def test_names_that_do_not_match_and_bad_expressions_are_named(tmp_path: Path) -> None:
    split = find_split(films(tmp_path, 1), ("ant", "bee"))
    with pytest.raises(
        DataError, match=r"Cannot group .*ant/film0_0.png by 'bee/': its name 'ant/film0_0.png' does not"
    ):
        groups_of(split, "bee/")
    with pytest.raises(DataError, match=r"it is no column and no regular expression \(.*\)\. Try --group-by"):
        groups_of(split, "(film")


def test_validation_images_are_whole_groups(tmp_path: Path) -> None:
    train, val = find_train_and_val(films(tmp_path), 0.2, 0, group_by=r"\w+/film\d+")
    assert (len(train), len(val)) == (64, 16)
    assert set(val.counts().values()) == {8}  # of each class, as a fifth of all
    apart = [{path.rpartition("_")[0] for path in split.paths} for split in (train, val)]
    assert apart[0].isdisjoint(apart[1])
    again = find_train_and_val(tmp_path, 0.2, 0, group_by=r"\w+/film\d+")[1]
    other = find_train_and_val(tmp_path, 0.2, 1, group_by=r"\w+/film\d+")[1]
    assert again.paths == val.paths
    assert other.paths != val.paths


def test_a_class_of_one_group_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"each class is of one group\. Try another"):
        find_train_and_val(films(tmp_path), 0.2, 0, group_by="ant|bee")


def test_a_class_that_would_lack_training_images_is_named(tmp_path: Path) -> None:
    """One film of bees and many of ants."""
    films(tmp_path, 8)
    for path in (tmp_path / "bee").glob("film[1-7]_*.png"):
        path.unlink()

    def bees_to_train_on() -> Iterator[int]:
        """For one seed after another, until the only film of bees is drawn for validation."""
        for seed in range(20):
            yield find_train_and_val(tmp_path, 0.5, seed, group_by=r"\w+/film\d+")[0].counts()["bee"]

    with pytest.raises(DataError, match="all images of bee are of one group"):
        assert set(bees_to_train_on()) == {4}


@pytest.mark.parametrize("grouped", [False, True])
def test_folds_have_equal_parts_of_each_class(grouped: bool) -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [200, 100, 50]).astype(np.int32)
    groups = np.array([f"{label}/{random.integers(20)}" for label in labels]) if grouped else None
    fold = folds_of(labels, groups, 5, seed=1)
    for label, expected in enumerate((40, 20, 10)):
        counts = np.bincount(fold[labels == label], minlength=5)
        assert counts.sum() == 5 * expected
        assert np.abs(counts - expected).max() <= (max(5, expected // 5) if grouped else 1)
    if groups is not None:
        assert all(len(set(fold[groups == group])) == 1 for group in set(groups))
    assert (folds_of(labels, groups, 5, seed=1) == fold).all()
    assert (folds_of(labels, groups, 5, seed=2) != fold).any()


def test_groups_are_as_even_as_scikit_learns() -> None:
    """Groups of several classes and sizes: the spread of the fractions of each class over the folds."""
    from sklearn.model_selection import StratifiedGroupKFold

    random = np.random.default_rng(3)
    names = random.integers(60, size=600)
    labels = ((names + random.integers(4, size=600)) % 4).astype(np.int32)
    groups = names.astype(str)
    theirs = np.empty(600, np.int64)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(labels, labels, groups)
    for number, (_, left) in enumerate(folds):
        theirs[left] = number

    def unevenness(fold: np.ndarray) -> float:
        return float(np.std([[np.mean(fold[labels == label] == number) for number in range(5)] for label in range(4)]))

    assert unevenness(folds_of(labels, groups, 5, seed=0)) <= 1.5 * unevenness(theirs)
