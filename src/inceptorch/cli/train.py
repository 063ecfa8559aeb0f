from __future__ import annotations

import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inceptorch.cli.output import Json, print_json
from inceptorch.errors import RecipeError, RunError

if TYPE_CHECKING:
    from inceptorch.training import Extension, Recipe, Result


DataArgument = Annotated[
    str | None,
    typer.Argument(
        help="Folder or zip of class folders, or of train/ and val/; list as .csv, .tsv or .jsonl; "
        "folder or URL of shards; torchvision:NAME. With --resume only for what is fetched.",
        metavar="DATA",
    ),
]
OutOption = Annotated[Path | None, typer.Option(help="New run folder; runs/NAME by default.")]
ExtendOption = Annotated[
    str | None,
    typer.Option(
        help="Run of recipe head that gets the classes of DATA as well, in seconds and without its old images; one "
        "image of a class is enough.",
        metavar="RUN",
    ),
]
ResumeOption = Annotated[Path | None, typer.Option(help="Interrupted run to resume.", metavar="RUN")]
NetOption = Annotated[
    str | None,
    typer.Option(
        help="Network by name, see `inceptorch nets`, or your own table as YAML; default: that of the weights or "
        "of the recipe."
    ),
]
WeightsOption = Annotated[
    str | None, typer.Option(help="Bundle, run or published weights to begin from, see `inceptorch weights`.")
]
TeacherOption = Annotated[
    str | None,
    typer.Option(
        help="Bundle, run or published weights of the same classes, from whose probabilities the network learns, too; "
        "--set distillation_alpha and distillation_temperature say how much.",
        metavar="MODEL",
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        help="scratch, scratch-small, head, finetune; for images with boxes boxes-head, boxes; or a paper's: "
        "szegedy2014, bvlc, bvlc_quick, ioffe2015, szegedy2015, szegedy2016. Default: head or boxes-head with "
        "--weights, finetune or boxes with --weights and --epochs, else boxes, scratch-small for images of up to 64 "
        "pixels, or scratch."
    ),
]
ConfigOption = Annotated[Path | None, typer.Option("-c", "--config", help="Recipe as YAML.")]
EpochsOption = Annotated[int | None, typer.Option(help="Epochs of the whole network; default: the recipe's.")]
SizeOption = Annotated[int | None, typer.Option(help="Image size in pixels; default: the network's or the weights'.")]
BatchSizeOption = Annotated[int | None, typer.Option(help="Images in a step; default: the recipe's.")]
FoldsOption = Annotated[
    int | None,
    typer.Option(
        help="Folds of all images for an estimate of the accuracy: the classifier of recipe head is fitted anew "
        "without each. Default: none."
    ),
]
GroupByOption = Annotated[
    str | None,
    typer.Option(
        help="Images kept together in validation and folds, such as frames of one film: a column of the list, or a "
        "regular expression of the file name, whose first group is the image's group.",
        metavar="COLUMN|REGEX",
    ),
]
LROption = Annotated[float | None, typer.Option("--lr", help="Learning rate; default: the recipe's.")]
WorkersOption = Annotated[
    int | None, typer.Option(help="Processes that load images; -1, the default: chosen for the machine.")
]
CheckpointOption = Annotated[
    int | None,
    typer.Option(help="Steps between checkpoints within an epoch; 0, the default: every 10 minutes.", metavar="STEPS"),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="One value of the recipe, such as batch_size=64; may be repeated.", metavar="KEY=VALUE"),
]
SeedOption = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
DeterministicOption = Annotated[
    bool,
    typer.Option("--deterministic", help="Make training on a GPU reproducible bit for bit; on a CPU it always is."),
]
LRFindOption = Annotated[
    bool,
    typer.Option(
        "--lr-find",
        help="Search for a learning rate in a hundred steps, write lr_find.png to --out or here, and stop.",
    ),
]
FastDevRunOption = Annotated[
    bool,
    typer.Option(
        "--fast-dev-run", help="Dry run: five steps, checkpoint, validation and report; its files are temporary."
    ),
]
MeasureOption = Annotated[bool, typer.Option("--measure", hidden=True)]  # of version 0.1
PrintConfigOption = Annotated[bool, typer.Option("--print-config", help="Recipe printed as YAML; nothing is trained.")]


def train(
    data: DataArgument = None,
    out: OutOption = None,
    resume: ResumeOption = None,
    extend: ExtendOption = None,
    net: NetOption = None,
    weights: WeightsOption = None,
    teacher: TeacherOption = None,
    recipe: RecipeOption = None,
    config: ConfigOption = None,
    epochs: EpochsOption = None,
    size: SizeOption = None,
    batch_size: BatchSizeOption = None,
    lr: LROption = None,
    workers: WorkersOption = None,
    checkpoint_every: CheckpointOption = None,
    settings: SettingsOption = None,
    folds: FoldsOption = None,
    group_by: GroupByOption = None,
    seed: SeedOption = 0,
    deterministic: DeterministicOption = False,
    lr_find: LRFindOption = False,
    fast_dev_run: FastDevRunOption = False,
    measure: MeasureOption = False,
    print_config: PrintConfigOption = False,
    json: Json = False,
) -> None:
    """Train a classifier on a folder of images.

    inceptorch train flowers/ --weights googlenet/ --out runs/flowers

    inceptorch train tulips/ --extend runs/flowers --out runs/flowers-and-tulips
    """
    values: dict[str, Any] = {"net": net, "epochs": epochs, "size": size, "batch_size": batch_size, "lr": lr}
    values |= {"folds": folds, "group_by": group_by, "num_workers": workers, "checkpoint_every": checkpoint_every}
    values["deterministic"] = deterministic or None
    overrides = {name: value for name, value in values.items() if value is not None}
    if measure:
        raise RunError("Cannot measure: --measure was removed. Try --set precision=fp32 or --set compile=true.")
    others = (weights, teacher, recipe, config, settings, lr_find, fast_dev_run, print_config)
    if resume:
        _resume(resume, data, workers, any((*others, out, extend, overrides.keys() - {"num_workers"}, seed)), json)
        return
    if extend:
        _extend(extend, data, out, seed, any((*others, overrides)), json)
        return

    chosen = _recipe(data, recipe, config, bool(weights), settings or [], overrides)
    if print_config:
        _print_config(chosen, net, weights)
        return
    arguments: dict[str, Any] = {"net": net, "weights": weights, "recipe": chosen, "seed": seed, "teacher": teacher}
    _train(data, out, arguments, lr_find, fast_dev_run, json)


def _train(
    data: str | None, out: Path | None, arguments: dict[str, Any], lr_find: bool, fast_dev_run: bool, json: bool
) -> None:
    """Train, or try what training would be like."""
    if data is None:
        raise RunError("Cannot train without data. Name the DATA to train on, or a run to resume: --resume RUN.")
    if lr_find and fast_dev_run:
        raise RunError("Cannot combine --lr-find and --fast-dev-run: each is a trial of its own. Try one of them.")
    if lr_find:
        _find_lr(data, out or Path(), arguments, json)
    elif fast_dev_run:
        _dry_run(data, out, arguments, json)
    else:
        _print_result(_training().train(data, out=out, **arguments), json)


def _print_config(recipe: Recipe, net: str | None, weights: str | None) -> None:
    """Print a recipe as YAML. Raises RecipeError for a network that does not fit it, as training would."""
    from inceptorch.training.network import check_request

    check_request(recipe, net, weights)
    print(recipe.to_yaml(), end="")


def _resume(run: Path, data: str | None, workers: int | None, changes: bool, json: bool) -> None:
    if changes:
        raise RunError(
            f"Cannot change {run}: --resume continues it as it began. Leave out all other options but --workers."
        )
    _print_result(_training().resume(run, data=data, num_workers=workers), json)


def _extend(run: str, data: str | None, out: Path | None, seed: int, changes: bool, json: bool) -> None:
    if changes:
        raise RunError(
            f"Cannot train {run} otherwise: --extend keeps its network and its classifier. Leave out all other options "
            "but --out and --seed."
        )
    if data is None:
        raise RunError("Cannot extend without data. Name the DATA with the new classes.")
    _print_result(_training().extend(data, run, out=out, seed=seed), json)


def _recipe(
    data: str | None,
    name: str | None,
    config: Path | None,
    weights: bool,
    settings: list[str],
    overrides: dict[str, Any],
) -> Recipe:
    """The recipe of that name or file, or the default for data and weights, with the values of --set and of the
    options. Raises RecipeError, and NetworkError for a network that is unknown."""
    from inceptorch.networks.zoo import get_network
    from inceptorch.training.default_recipe import default_recipe
    from inceptorch.training.recipe import get_recipe, parse_settings, read_recipe

    if config and name:
        raise RecipeError("Give --recipe or -c, not both: a recipe file names the recipe it begins from.")
    values = parse_settings(settings)
    for key in overrides:
        if key in values:
            flag = "workers" if key == "num_workers" else key.replace("_", "-")
            raise RecipeError(f"Give --{flag} or --set {key}=..., not both.")
    values |= overrides
    if config:
        recipe = read_recipe(config)
    elif name:
        recipe = get_recipe(name)
    else:
        recipe = default_recipe(data, weights, values)
    recipe = recipe.replace(**values)
    get_network(recipe.model.net)
    return recipe


def _training() -> ModuleType:
    """The training package. Raises ModuleNotFoundError now if matplotlib, which the report needs, is missing."""
    if find_spec("matplotlib") is None:
        raise ModuleNotFoundError("matplotlib", name="matplotlib")
    from inceptorch import training

    return training


def _find_lr(data: str, folder: Path, arguments: dict[str, Any], json: bool) -> None:
    """Search for a learning rate, draw the search as lr_find.png in the folder and print its suggestion."""
    from inceptorch import report
    from inceptorch.data.locator import absolute, ensure_outside
    from inceptorch.utils.files import make_folder

    ensure_outside(folder, absolute(data))
    make_folder(folder)
    image = folder / "lr_find.png"
    curve = _training().find_lr(data, **arguments)
    report.draw_lr_curve(curve, image)
    if json:
        print_json({"suggested": curve.suggested, "rates": curve.rates, "losses": curve.losses, "image": str(image)})
        return
    print(f"suggested: --set lr={curve.suggested:g}; the losses are drawn in {image}")


def _dry_run(data: str, out: Path | None, arguments: dict[str, Any], json: bool) -> None:
    """Go through all parts of a run, and print that they pass and how long the whole run would take."""
    from inceptorch import report
    from inceptorch.utils.progress import format_duration

    if out:
        raise RunError(f"Cannot leave a dry run in {out}: its files are temporary. Try --fast-dev-run without --out.")
    done = _training().dry_run(data, look=report.write_report, **arguments)
    if json:
        print_json(vars(done))
        return
    print("Dry run passed: loading, training, checkpointing, evaluation and report all work. Nothing was saved.")
    if done.epoch_seconds is not None and done.run_seconds is not None:
        one, whole = done.epoch_seconds, done.run_seconds
        print(
            f"an epoch has {done.steps} step{'' if done.steps == 1 else 's'}, about {format_duration(one)}; "
            f"all {done.epochs} about {format_duration(whole)}, without validation"
        )


def _print_result(result: Result, json: bool) -> None:
    """Write the report and print the result."""
    if not result.is_main_process:
        return
    if result.evaluation is not None:
        _write_report(result)
    if json:
        print_json(
            {
                "run": str(result.run),
                "epochs": result.epochs,
                **result.scores,
                **({"folds": asdict(result.cross_validation)} if result.cross_validation else {}),
                **({"extension": asdict(result.extension)} if result.extension else {}),
                "seconds": round(result.seconds, 2),
            }
        )
        return
    if result.extension:
        print(_describe_extension(result.extension))
    if result.evaluation is None:
        print(f"classifier in {result.run}, without a report, as no class has an image for validation")
        return
    names = {"top1": "top-1", "top5": "top-5", "map50": "mAP at IoU 0.5"}
    scores = ", ".join(f"{names[name]} {value:.2%}" for name, value in result.scores.items())
    print(f"{scores} of {result.evaluation.n} validation images, {result.seconds:.0f} s")
    if found := result.cross_validation:
        low, high = found.top1_interval
        kept = f", with {found.groups} groups kept together" if found.groups else ""
        print(f"{found.folds} folds: top-1 {found.top1:.2%} ({low:.1%} to {high:.1%}) of all {found.n} images{kept}")
    kind = "detector" if "map50" in result.scores else "classifier"
    print(f"{kind} and report.html in {result.run}; use it: inceptorch predict {quote(str(result.run))} IMAGE")


def _write_report(result: Result) -> None:
    from inceptorch import report
    from inceptorch.utils.progress import Progress

    Progress().info("writing report.html")
    try:
        report.write_report(result)
    except (KeyboardInterrupt, SystemExit):
        again = f"inceptorch train --resume {quote(str(result.run))}"
        if result.extension:
            print("the classifier is there, but its report is not", file=sys.stderr)
        else:
            print(f"the run is finished, but its report is not; write it with: {again}", file=sys.stderr)
        raise


def _describe_extension(extension: Extension) -> str:
    """What was added, and what that did to the old classes."""
    from inceptorch.data.split import abbreviated

    parts = [
        f"{len(names)} class{'es' * (len(names) > 1)} {verb} ({abbreviated(names)})"
        for verb, names in (("added", extension.added), ("updated", extension.updated))
        if names
    ]
    line = f"{' and '.join(parts)} by {extension.images} image{'s' * (extension.images > 1)}"
    if extension.old_top1 is None or extension.new_old_top1 is None:
        return f"{line}; what that did to the old classes is not known, as their accuracy is not"
    return (
        f"{line}; old classes: top-1 {extension.old_top1:.2%} before, an estimated {extension.new_old_top1:.2%} now "
        "(from statistics, without their images)"
    )
