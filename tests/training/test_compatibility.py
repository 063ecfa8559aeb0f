"""Runs of version 0.1: their run.yaml and the rows in their checkpoints."""

import shutil
from pathlib import Path

import pytest

from inceptorch.training.compatibility import RENAMED, renamed_key, upgrade_row, upgrade_run_config
from inceptorch.training.recipe import SCRATCH
from inceptorch.training.run import read_run, read_run_config

OLD = Path(__file__).parents[1] / "data" / "run-0.1.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(OLD, tmp_path / "run.yaml")
    return tmp_path


def test_a_run_of_before_is_read_with_every_value_it_has(folder: Path) -> None:
    run = read_run(folder)
    assert (run.data, run.seed, run.weights, run.from_python) == ("images", 3, None, ())
    assert run.net is not None
    assert run.net.name == "tiny"
    expected = SCRATCH.replace(
        net="tiny", batch_size=8, lr=0.05, hflip=0.5, color_jitter=0.2, mixup_alpha=0.2, crop_scale=(0.5, 1.0),
        epochs=6, precision="fp32", compile=False, checkpoint_every=1, keep="last",
    )  # fmt: skip
    assert (run.recipe.name, run.recipe.values()) == ("scratch", expected.values())


@pytest.mark.parametrize(
    ("old", "group", "key", "value"),
    [
        ("flip: true", "augmentation", "hflip", 0.0),
        ("compile: never", "runtime", "compile", True),
        ("limit: 0", "data", "max_images_per_class", 9),
    ],
)
def test_values_that_are_written_in_another_way(folder: Path, old: str, group: str, key: str, value: object) -> None:
    text = (folder / "run.yaml").read_text()
    other = {"flip: true": "flip: false", "compile: never": "compile: always", "limit: 0": "limit: 9"}[old]
    assert old in text
    (folder / "run.yaml").write_text(text.replace(old, other))
    assert getattr(getattr(read_run(folder).recipe, group), key) == value


def test_a_report_finds_the_splits_of_a_run_of_before(folder: Path) -> None:
    config = read_run_config(folder)
    assert config["train"] == {"images": 48, "split": "train"}
    assert config["val"] == {"images": 12, "split": "val"}
    assert config["recipe"]["data"]["val_fraction"] == 0.2
    assert upgrade_run_config(config) == config


def test_rows_of_before_have_todays_columns() -> None:
    row = {"phase": "train", "pictures_per_second": 5.0, "waiting": 0.25}
    assert upgrade_row(row) == {"phase": "train", "images_per_second": 5.0, "data_wait_fraction": 0.25}


def test_only_keys_of_before_are_renamed() -> None:
    assert renamed_key("batch") == "The recipe value batch is now called batch_size."
    assert renamed_key("batch_size") is None
    assert not set(RENAMED) & set(SCRATCH.values())
