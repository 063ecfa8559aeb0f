"""The folder of one training: its config, metrics, checkpoint and classifier."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from inceptorch.classifier.config import CONFIG, WEIGHTS, Metadata, ValidationSplit, read_config
from inceptorch.classifier.hub import resolve_weights
from inceptorch.data import Skipped, Split
from inceptorch.data.locator import short_name
from inceptorch.data.split import DRAWN_VAL
from inceptorch.errors import BundleError, RecipeError, RunError, within
from inceptorch.networks import serialization
from inceptorch.networks.network import NetworkSpec
from inceptorch.training.compatibility import upgrade_run_config
from inceptorch.training.recipe import SCRATCH, Recipe, with_values
from inceptorch.utils.files import ensure_empty, load_yaml, locked, os_error_reason, reading, write_text

RUN_CONFIG = "run.yaml"
COLUMNS = [
    "phase",
    "epoch",
    "lr",
    "train_loss",
    "loss",
    "top1",
    "top5",
    "map50",
    "seconds",
    "images_per_second",
    "data_wait_fraction",
]


@dataclass(frozen=True)
class TeacherFolder:
    """The bundle of a teacher, and the hash by which a run that goes on knows it again."""

    folder: Path
    sha256: str

    @classmethod
    def of(cls, model: str | Path) -> TeacherFolder:
        """The bundle or run at a path, or published weights by name. Raises BundleError."""
        folder = resolve_weights(model)
        read_config(folder)  # whose sentences say what is wrong with it
        return cls(folder, _hash_bundle(folder))

    def to_dict(self) -> dict[str, str]:
        return {"folder": str(self.folder), "sha256": self.sha256}

    def check(self) -> None:
        """Raise RunError if the bundle is another one by now."""
        if _hash_bundle(self.folder) != self.sha256:
            raise RunError(
                f"Cannot resume: the teacher in {self.folder} has changed since the run began. Put it back, or start "
                "a new run."
            )


@dataclass(frozen=True)
class Run:
    """A run's folder and its config. Before `setup` a new run has no fingerprint and no skipped images."""

    folder: Path
    data: str  # absolute, as `locator.absolute` gives it
    weights: Path | None
    recipe: Recipe
    net: NetworkSpec | None  # None: as the recipe has it, or the caller's own module
    seed: int
    from_python: tuple[str, ...] = ()  # what the caller gave as objects, and must give again to resume
    threads: int | None = None  # of torch on a CPU, whose number decides on bits; None: on a GPU, or unknown
    fingerprint: str = ""  # of all images found, readable or not
    skipped: list[Skipped] | None = None
    teacher: TeacherFolder | None = None
    extends: bool = False  # the run in `weights`, in one step: there is nothing to resume

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "last.safetensors"

    @property
    def features(self) -> Path:
        return self.folder / "checkpoints" / "features.safetensors"

    @property
    def folds(self) -> Path:
        return self.folder / "folds.json"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def begin(self, train: Split, val: Split) -> None:
        """Make the folder and write run.yaml. Raises RunError if the folder is in use or cannot be made."""
        ensure_empty(self.folder, besides=self.weights)
        config = {
            "inceptorch": version("inceptorch"),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": _command(),
            "data": self.data,
            "weights": str(self.weights) if self.weights else None,
            **({"teacher": self.teacher.to_dict()} if self.teacher else {}),
            **({"extends": True} if self.extends else {}),
            "seed": self.seed,
            "recipe": self.recipe.to_dict(),
            "network": serialization.to_plain(self.net) if self.net else {"name": self.recipe.model.net},
            "classes": list(train.classes),
            "train": {"images": len(train), "split": train.name},
            "val": {"images": len(val), "split": val.name},
            "from_python": list(self.from_python),
            "threads": self.threads,
            "fingerprint": self.fingerprint,
            "skipped": [dict(one) for one in self.skipped or []],
            "machine": {"processor": platform.processor() or platform.machine(), "system": platform.platform()},
            "versions": {name: version(name) for name in ("torch", "torchvision", "numpy", "pillow")}
            | {"python": platform.python_version(), "git": _git_commit()},
        }
        config["sha256"] = _digest(config)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.folder / RUN_CONFIG, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
            if not self.extends:
                self.checkpoint.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"Cannot create {self.folder}: {os_error_reason(error)}.") from None

    def metadata(self, train: Split, val: Split, row: dict[str, Any]) -> Metadata:
        """The run's metadata for the classifier's config, with the weights of this row of metrics."""
        split = ValidationSplit(fraction=self.recipe.data.val_fraction, seed=self.seed, fingerprint=self.fingerprint)
        if self.recipe.data.group_by:
            split["group_by"] = self.recipe.data.group_by
        best = "mAP on these images is the highest" if "map50" in row else "loss on these images is the lowest"
        chosen = f"epoch {row['epoch']}, whose {best}"
        return Metadata(
            trained_on=f"{len(train)} images of {short_name(self.data)}",
            validated_on=f"{len(val)} images of {val.name}",
            recipe=self.recipe.name,
            **{name: round(row[name], 5) for name in ("top1", "top5", "map50") if name in row},
            split=split if val.name == DRAWN_VAL else None,
            other={"weights_of": chosen} if self.recipe.schedule.keeps_best else {},
        )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder against training by other processes. Raises RunError if one holds the lock."""
        try:
            self.checkpoint.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"Cannot write into {self.folder}: {os_error_reason(error)}.") from None
        busy = f"Another process is training in {self.folder}; wait for its end, or end it, before going on."
        with locked(self.checkpoint.parent / ".lock", busy, f"Cannot write into {self.folder}"):
            yield

    def clear_leftovers(self) -> None:
        """Delete half-written files of a killed process, and make the folder of checkpoints."""
        self.checkpoint.parent.mkdir(exist_ok=True)
        for folder in (self.folder, self.checkpoint.parent):
            for path in (*folder.glob(".*.tmp"), *folder.glob(".tmp*")):
                with suppress(OSError):
                    path.unlink()

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write metrics.csv, one row per epoch."""
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows({name: _short(value) for name, value in row.items()} for row in rows)
        write_text(self.folder / "metrics.csv", text.getvalue())


def read_run(folder: Path) -> Run:
    """The run in a folder, from its run.yaml. Raises RunError."""
    config = read_run_config(folder)
    if config.get("extends"):
        raise RunError(f"Cannot resume {folder}: it was made with --extend, in one step. Make it again with --extend.")
    try:
        values = dict(config["recipe"])
        name = str(values.pop("name"))
        from_python = tuple(config.get("from_python", []))
        threads = None if config.get("threads") is None else int(config["threads"])
        if config["weights"] and not Path(config["weights"]).is_absolute():
            raise RunError(  # a name could be fetched
                f"Cannot resume {folder}: {RUN_CONFIG} has weights {config['weights']!r}, not their folder. "
                "Start a new run with --weights."
            )
        teacher = config.get("teacher")
        if teacher and not Path(teacher["folder"]).is_absolute():
            raise ValueError
        if not config["fingerprint"] or not (threads is None or 1 <= threads <= 1024):
            raise ValueError
        net = (
            serialization.from_plain(config["network"]) if "network" in config and "model" not in from_python else None
        )
        run = Run(
            folder=folder,
            data=str(config["data"]),
            weights=Path(config["weights"]) if config["weights"] else None,
            recipe=replace(with_values(SCRATCH, values), name=name),  # every value is there, so the base is any
            net=net,
            seed=int(config["seed"]),
            from_python=from_python,
            threads=threads,
            fingerprint=str(config["fingerprint"]),
            skipped=[Skipped(file=str(one["file"]), error=str(one["error"])) for one in config["skipped"]],
            teacher=TeacherFolder(Path(teacher["folder"]), str(teacher["sha256"])) if teacher else None,
        )
        digest = _digest(config)
        if config.get("sha256", digest) != digest:  # runs of versions before 0.3 have none
            raise RunError(
                f"Cannot resume {folder}: the seed, recipe or network in {RUN_CONFIG} was changed. Undo that, or start "
                "a new run."
            )
        return run
    except RecipeError as error:
        raise RunError(within(folder / RUN_CONFIG, error)) from None
    except (KeyError, TypeError, ValueError):
        raise RunError(
            f"Cannot resume {folder}: {RUN_CONFIG} lacks values. Start a new run with inceptorch train."
        ) from None


def _digest(config: dict[str, Any]) -> str:
    """The hash of what decides on the weights of a run; what only decides how it is computed may change meanwhile."""
    recipe = {group: values for group, values in config["recipe"].items() if group != "runtime"}
    decisive = [config["seed"], recipe, config.get("network")]
    if teacher := config.get("teacher"):
        decisive.append(teacher["sha256"])
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _hash_bundle(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        with reading(folder / name, BundleError), open(folder / name, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def read_run_config(folder: Path) -> dict[str, Any]:
    """The content of run.yaml. Raises RunError."""
    if not (folder / RUN_CONFIG).exists():
        raise RunError(f"{folder} is not a run that can be resumed: it has no {RUN_CONFIG}.")
    config = load_yaml(folder / RUN_CONFIG, RunError, f"{folder} is not a run that can be resumed")
    return upgrade_run_config(config)


def format_metrics(row: dict[str, Any]) -> str:
    """One row of metrics as a line of the log."""
    unit = "step" if row["phase"] == "head" else "epoch"
    line = f"{row['phase']} {unit} {row['epoch']}: train loss {row['train_loss']:.4f}"
    if "loss" in row:
        line += f", validation loss {row['loss']:.4f}"
    line += f", {describe_score(row)}, {row['seconds']:.0f} s"
    if "data_wait_fraction" in row:
        line += f", {row['images_per_second']:.3g} images/s, waiting {row['data_wait_fraction']:.0%}"
    return line


def describe_score(row: dict[str, Any]) -> str:
    """The main score of a row of metrics."""
    return f"mAP {row['map50']:.2%} at IoU 0.5" if "map50" in row else f"top-1 {row['top1']:.2%}"


def next_run_dir(data: str | Path) -> Path:
    """runs/NAME for data called NAME, or NAME-2, NAME-3, ... if that is taken."""
    name = short_name(data)
    taken = (Path("runs") / (name if n == 1 else f"{name}-{n}") for n in range(1, 1_000_000))
    return next(path for path in taken if not path.exists())


def _command() -> str | None:
    """The command line, if the run was started by the command."""
    ours = Path(sys.argv[0]).name in ("inceptorch", "__main__.py")
    return shlex.join(["inceptorch", *sys.argv[1:]]) if ours else None


def _git_commit() -> str | None:
    """The commit of the source tree that runs, if it is one: not that of a repository it is merely installed in."""
    here = Path(__file__)
    output = ""
    for words in (["ls-files", "--error-unmatch", here.name], ["rev-parse", "HEAD"]):
        command = ["git", "-C", str(here.parent), *words]
        try:
            output = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return None
    return output


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
