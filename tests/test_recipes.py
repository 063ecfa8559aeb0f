"""Recipes as data: printed, read back, changed with checks."""

from pathlib import Path

import pytest

from inceptorch.errors import RecipeError
from inceptorch.recipes import RECIPES, SCRATCH, read_recipe, with_settings, with_values


@pytest.mark.parametrize("name", RECIPES)
def test_yaml_round_trip(name: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPES[name].to_yaml())
    assert read_recipe(tmp_path / "recipe.yaml") == RECIPES[name]


def test_settings_are_read_as_yaml_and_checked() -> None:
    changed = with_settings(
        SCRATCH, ["lr=0.1", "epochs=7", "flip=false", "crop_area=[0.5, 1]", "schedule=[[0,1],[1,0]]"]
    )
    assert (changed.lr, changed.epochs, changed.flip, changed.crop_area) == (0.1, 7, False, (0.5, 1.0))
    assert changed.schedule == ((0.0, 1.0), (1.0, 0.0))
    assert with_settings(SCRATCH, ["lr=1e-3"]).lr == 0.001
    assert [with_settings(SCRATCH, [f"freeze={rows}"]).freeze for rows in ("stem", 3)] == ["stem", 3]


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("lrr=1", "no value 'lrr': did you mean 'lr'"),
        ("lr", "write it as key=value"),
        ("lr=fast", "must be a number"),
        ("lr=.nan", "must be a number"),
        ("name=mine", "none of its values"),
        ("lr=-1", "lr is -1; it must be a number >= 0"),
        ("mixup=1e-300", "0, or from 0.001 to 1000"),
        ("jitter=1e9", "a number <= 1"),
        ("epochs=99999999999999999999", "a whole number <= 1000000"),
        ("schedule=[[0,-1],[1,1]]", "none of them below 0"),
        ("epochs=1.5", "must be a whole number"),
        ("epochs=true", "must be a whole number"),
        ("epochs=0", "at least 1"),
        ("flip=perhaps", "true or false"),
        ("compile=auto", "true or false"),
        ("channels=cmyk", "one of rgb, bgr, gray"),
        ("batch=1", "a whole number >= 2"),
        ("accumulate=0", "from 1 to half the batch"),
        ("freeze=-1", "a whole number, or stem"),
        ("freeze=head", "a whole number, or stem"),
        ("seed=5", "give it as --seed 5"),
        ("crop_area=[0, 1]", "two fractions"),
        ("crop_area=[0.1]", "two fractions"),
        ("schedule=[[0.5, 1], [1, 0]]", "rise from 0 to 1"),
        ("schedule=7", r"list of \[fraction, factor\]"),
        ("ema=1", "a number < 1"),
        ("lr=[", "cannot be read"),
        ("source=2020-13-45", "the value cannot be read"),
        ("lr=" + 5000 * "1", "the value cannot be read"),
        ("lr=" + 400 * "1", "must be a number"),
        ("epochs=" + 400 * "1", "must be a whole number"),
        ("crop_area=[0, " + 400 * "1" + "]", "two fractions"),
        ("schedule=" + 5000 * "[", "cannot be read"),
    ],
)
def test_wrong_settings_get_a_sentence(setting: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        with_settings(SCRATCH, [setting])


def test_recipe_files_that_cannot_be_read(tmp_path: Path) -> None:
    for content, sentence in [
        ("epochs: 3\nlr: [", "r.yaml is not YAML: line 2: "),
        (5000 * "[", "is not YAML"),
        ("source: 2020-13-45", "is not YAML: month must be in 1..12"),
        ("lr: " + 400 * "1", "must be a number"),
        ("- 1", "must hold values by name"),
        ("name: scrach", "r.yaml: .*did you mean 'scratch'"),
        ("lr: 1\nlr: 2", "'lr' is written twice, again in line 2"),
    ]:
        (tmp_path / "r.yaml").write_text(content)
        with pytest.raises(RecipeError, match=sentence):
            read_recipe(tmp_path / "r.yaml")
    with pytest.raises(RecipeError, match=r"none.yaml does not exist"):
        read_recipe(tmp_path / "none.yaml")
    assert with_values(SCRATCH, {}) == SCRATCH


def test_a_value_set_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match="--set lr is given twice"):
        with_settings(SCRATCH, ["lr=1", " lr=2"])
