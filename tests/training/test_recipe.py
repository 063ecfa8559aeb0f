"""Recipes as data: printed, read back, changed with checks."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from inceptorch.errors import RecipeError
from inceptorch.training.compatibility import RENAMED
from inceptorch.training.recipe import RECIPES, SCRATCH, Recipe, parse_settings, read_recipe, with_values


def with_settings(settings: list[str]) -> Recipe:
    return with_values(SCRATCH, parse_settings(settings))


@pytest.mark.parametrize("name", RECIPES)
def test_yaml_round_trip(name: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPES[name].to_yaml())
    assert read_recipe(tmp_path / "recipe.yaml") == RECIPES[name]


def test_settings_are_read_as_yaml_and_checked() -> None:
    changed = with_settings(
        ["lr=0.1", "schedule.epochs=7", "hflip=0", "crop_scale=[0.5, 1]", "lr_schedule=[[0,1],[1,0]]"]
    )
    assert (changed.optimization.lr, changed.schedule.epochs) == (0.1, 7)
    assert changed.augmentation == replace(SCRATCH.augmentation, hflip=0.0, crop_scale=(0.5, 1.0))
    assert changed.schedule.lr_schedule == ((0.0, 1.0), (1.0, 0.0))
    assert with_settings(["lr=1e-3"]).optimization.lr == 0.001
    assert [with_settings([f"freeze={layers}"]).optimization.freeze for layers in ("stem", 3)] == ["stem", 3]


def test_a_recipe_file_may_be_grouped_or_flat(tmp_path: Path) -> None:
    (tmp_path / "flat.yaml").write_text("name: finetune\nlr: 0.1\nhflip: 0\nsource: mine\n")
    grouped = "name: finetune\nsource: mine\noptimization: {lr: 0.1}\naugmentation:\n  hflip: 0\n"
    (tmp_path / "grouped.yaml").write_text(grouped)
    flat = read_recipe(tmp_path / "flat.yaml")
    assert flat == read_recipe(tmp_path / "grouped.yaml")
    assert flat == replace(RECIPES["finetune"].replace(lr=0.1, hflip=0.0), source="mine")


def test_no_two_groups_share_a_key() -> None:
    groups = yaml.safe_load(SCRATCH.to_yaml())
    keys = [key for group in groups.values() if isinstance(group, dict) for key in group]
    assert len(keys) == len(set(keys)) == len(SCRATCH.values()) > 40


@pytest.mark.parametrize("old", sorted(RENAMED))
def test_keys_of_before_are_answered_with_their_new_name(old: str) -> None:
    assert RENAMED[old] in SCRATCH.values()
    with pytest.raises(RecipeError, match=f"^The recipe value {old} is now called {RENAMED[old]}[.,]"):
        with_settings([f"{old}=1"])


def test_a_recipe_file_of_before_is_answered_with_the_new_name_of_its_first_key(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe-0.1.yaml: the recipe value \w+ is now called \w+"):
        read_recipe(Path(__file__).parents[1] / "data" / "recipe-0.1.yaml")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("lrr=1", "no value 'lrr': did you mean 'lr'"),
        ("learning_rate=1", "no value 'learning_rate': did you mean 'lr'\\?$"),
        ("optim=adamw", "no value 'optim': did you mean 'optimizer'\\?$"),
        ("crop=1", "did you mean 'crop_"),
        ("qqq=1", "no value 'qqq': `inceptorch train --print-config` prints all values.$"),
        ("lr", "it has no `=`. Try --set KEY=VALUE"),
        ("lr=fast", "must be a number"),
        ("lr=.nan", "must be a number"),
        ("name=mine", "none of its values"),
        ("lr=-1", "lr is -1; it must be a number >= 0"),
        ("mixup_alpha=1e-300", "0, or from 0.001 to 1000"),
        ("color_jitter=1e9", "a number <= 1"),
        ("epochs=99999999999999999999", "a whole number <= 1000000"),
        ("lr_schedule=[[0,-1],[1,1]]", "none of them below 0"),
        ("epochs=1.5", "must be a whole number"),
        ("epochs=true", "must be a whole number"),
        ("epochs=0", "at least 1"),
        ("hflip=perhaps", "a number"),
        ("compile=auto", "true or false"),
        ("channels=cmyk", "one of rgb, bgr, gray"),
        ("batch_size=1", "a whole number >= 2"),
        ("grad_accum_steps=0", "from 1 to half the batch"),
        ("optimization.size=3", "no value 'optimization.size': it is in model"),
        ("data={size: 3}", "no value 'size': it is in model"),
        ("freeze=-1", "a whole number, stem, or body"),
        ("freeze=head", "a whole number, stem, or body"),
        ("seed=5", "give it as --seed 5"),
        ("crop_scale=[0, 1]", "two fractions"),
        ("crop_scale=[0.1]", "two fractions"),
        ("lr_schedule=[[0.5, 1], [1, 0]]", "rise from 0 to 1"),
        ("lr_schedule=7", r"list of \[fraction, factor\]"),
        ("ema_decay=1", "a number < 1"),
        ("lr=[", "cannot be read"),
        ("source=2020-13-45", "the value cannot be read"),
        ("lr=" + 5000 * "1", "the value cannot be read"),
        ("lr=" + 400 * "1", "must be a number"),
        ("epochs=" + 400 * "1", "must be a whole number"),
        ("crop_scale=[0, " + 400 * "1" + "]", "two fractions"),
        ("lr_schedule=" + 5000 * "[", "cannot be read"),
    ],
)
def test_wrong_settings_get_a_sentence(setting: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        with_settings([setting])


def test_recipe_files_that_cannot_be_read(tmp_path: Path) -> None:
    for content, sentence in [
        ("epochs: 3\nlr: [", "r.yaml is not YAML: line 2: "),
        (5000 * "[", "is not YAML"),
        ("source: 2020-13-45", "is not YAML: month must be in 1..12"),
        ("lr: " + 400 * "1", "must be a number"),
        ("- 1", "must hold values by name"),
        ("name: scrach", "r.yaml: .*did you mean 'scratch'"),
        ("lr: 1\nlr: 2", "r.yaml cannot be used: 'lr' is set twice, the second time in line 2"),
    ]:
        (tmp_path / "r.yaml").write_text(content)
        with pytest.raises(RecipeError, match=sentence):
            read_recipe(tmp_path / "r.yaml")
    with pytest.raises(RecipeError, match=r"none.yaml does not exist"):
        read_recipe(tmp_path / "none.yaml")
    assert with_values(SCRATCH, {}) == SCRATCH


def test_a_value_set_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match="Cannot take lr twice"):
        with_settings(["lr=1", " optimization.lr=2"])
