"""Runs of version 0.1, whose run.yaml and checkpoints have other keys. Read for one release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {
    "held_out_share": "val_fraction",
    "limit": "max_images_per_class",
    "head_steps": "linear_probe_steps",
    "head_decay": "linear_probe_l2",
    "batch": "batch_size",
    "accumulate": "grad_accum_steps",
    "schedule": "lr_schedule",
    "decay_factor": "lr_gamma",
    "decay_epochs": "lr_step_epochs",
    "decay_power": "lr_poly_power",
    "balance": "class_weight_power",
    "aux_weight": "aux_loss_weight",
    "clip": "clip_grad_norm",
    "ema": "ema_decay",
    "polyak": "average_last_fraction",
    "growth": "size_schedule",
    "crop_area": "crop_scale",
    "crop_aspect": "crop_ratio",
    "flip": "hflip",
    "jitter": "color_jitter",
    "policy": "auto_augment",
    "erasing": "random_erasing_prob",
    "mixup": "mixup_alpha",
    "cutmix": "cutmix_alpha",
    "workers": "num_workers",
}
CHANGED_VALUES: dict[str, dict[str | bool, Any]] = {
    "flip": {True: 0.5, False: 0.0},
    "interpolation": {"contract": "default"},
    "compile": {"never": False, "always": True},
}
COLUMNS = {"pictures_per_second": "images_per_second", "waiting": "data_wait_fraction"}  # of metrics.csv


def renamed_key(key: str) -> str | None:
    """The sentence for a recipe's key of version 0.1; None for others."""
    if key not in RENAMED:
        return None
    values = ", the probability of a flip: 0.5 for true, 0 for false" if key == "flip" else ""
    return f"The recipe value {key} is now called {RENAMED[key]}{values}."


def upgrade_run_config(config: dict[str, Any]) -> dict[str, Any]:
    """run.yaml with today's keys."""
    if "held_out" not in config:
        return config
    recipe = {RENAMED.get(key, key): _value(key, value) for key, value in config["recipe"].items()}
    recipe["data"] = {"val_fraction": recipe.pop("val_fraction")}  # which reports look up; others may stay flat
    config = {**config, "recipe": {"keep": "last", **recipe}}
    config["val"] = config.pop("held_out")
    for split in ("train", "val"):
        config[split] = {"images": config[split]["pictures"], "split": config[split]["split"]}
    return config


def upgrade_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of metrics.csv with today's columns."""
    return {COLUMNS.get(name, name): value for name, value in row.items()}


def _value(key: str, value: Any) -> Any:
    changed = CHANGED_VALUES.get(key, {})
    return changed.get(value, value) if isinstance(value, str | bool) else value
