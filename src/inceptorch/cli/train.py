from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.output import Json, print_json
from inceptorch.errors import RecipeError, RunError

if TYPE_CHECKING:
    from inceptorch.training import DryRunReport, LRCurve, Result


def train(
    data: Annotated[
        str | None,
        typer.Argument(
            help="A folder or zip of class folders, or of train/ and val/; a list as .csv or .jsonl; a folder of shards "
            "or their URL; torchvision:NAME.",
            metavar="DATA",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder to make; runs/NAME by default.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with an interrupted run.", metavar="RUN")] = None,
    net: Annotated[
        str | None, typer.Option(help="A network's name, see `inceptorch nets`, or a table of your own as YAML.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="A bundle or run to begin from, or published weights, see `inceptorch weights`.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="scratch, head, finetune, or a paper's: szegedy2014, bvlc, bvlc_quick, ioffe2015, szegedy2015, szegedy2016. head where weights are given, else scratch."
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option("-c", "--config", help="A recipe as YAML.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the whole network.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images in pixels.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="DistributedContext that load images; -1: by the machine.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints within an epoch.", metavar="STEPS")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change one value of the recipe.", metavar="KEY=VALUE")
    ] = None,
    seed: Annotated[int, typer.Option(help="Everything random depends on it.", min=0)] = 0,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="On a GPU too, the same bits again. A CPU always gives them.")
    ] = False,
    lr_find: Annotated[
        bool, typer.Option("--lr-find", help="Try rates for a hundred steps, draw the losses, suggest one, and stop.")
    ] = False,
    fast_dev_run: Annotated[
        bool, typer.Option("--fast-dev-run", help="Go the whole way in five steps, keep nothing, and stop.")
    ] = False,
    measure: Annotated[bool, typer.Option("--measure", hidden=True)] = False,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the recipe as YAML and stop.")] = False,
    json: Json = False,
) -> None:
    """Train a classifier on a folder of images.

    inceptorch train flowers/ --weights googlenet/ --out runs/flowers
    """
    from inceptorch.networks.zoo import get_network
    from inceptorch.training.recipe import get_recipe, parse_settings, read_recipe

    flags = {
        "net": net,
        "epochs": epochs,
        "size": size,
        "num_workers": workers,
        "checkpoint_every": checkpoint_every,
        "deterministic": deterministic or None,
    }
    given = {name: value for name, value in flags.items() if value is not None}
    if measure:
        raise RunError("Cannot measure: --measure was removed. Try --set precision=fp32 or --set compile=true.")
    trials = [flag for flag, asked in (("--lr-find", lr_find), ("--fast-dev-run", fast_dev_run)) if asked]
    if resume:
        if any((data, out, weights, recipe, config, settings, given, seed, trials, print_config)):
            raise RunError(f"--resume goes on with what {resume} was begun with; leave out everything else.")
        training = _training()
        _finished(training.resume(resume), json)
        return

    if config and recipe:
        raise RecipeError("Give --recipe or -c, not both: a recipe file names the recipe it begins from.")
    values = parse_settings(settings or [])
    for key in given:
        if key in values:
            flag = "workers" if key == "num_workers" else key.replace("_", "-")
            raise RecipeError(f"Give --{flag} or --set {key}=..., not both.")
    chosen = read_recipe(config) if config else get_recipe(recipe or ("head" if weights else "scratch"))
    chosen = chosen.replace(**values, **given)
    get_network(chosen.model.net)
    if print_config:
        print(chosen.to_yaml(), end="")
        return
    if data is None:
        raise RunError("Name the DATA to train on, or a run to go on with: --resume RUN.")

    training = _training()
    if len(trials) > 1 or (trials and out and not lr_find):
        raise RunError(f"Give {' or '.join(trials)} alone{', without --out' if out else ''}: it keeps no run.")
    if lr_find:
        image = _image_in(out or Path(), data)
        _found(training.find_lr(data, net=net, weights=weights, recipe=chosen, seed=seed), image, json)
    elif fast_dev_run:
        from inceptorch import report

        _dry_run_done(
            training.dry_run(data, net=net, weights=weights, recipe=chosen, seed=seed, look=report.write_report), json
        )
    else:
        _finished(training.train(data, out=out, net=net, weights=weights, recipe=chosen, seed=seed), json)


def _training() -> ModuleType:
    """The training room. Raises ModuleNotFoundError first where what draws a run at its end is not installed."""
    if find_spec("matplotlib") is None:
        raise ModuleNotFoundError("matplotlib", name="matplotlib")
    from inceptorch import training

    return training


def _image_in(folder: Path, data: str) -> Path:
    """Where a search for a rate is drawn, with its folder. Raises RunError before anything is searched."""
    from inceptorch.data.locator import absolute, lies_inside
    from inceptorch.utils.files import make_folder

    if lies_inside(folder, absolute(data)):
        raise RunError(f"{folder} lies inside the images in {data}, which are never written to; name another --out.")
    make_folder(folder)
    return folder / "lr_find.png"


def _found(found: LRCurve, image: Path, json: bool) -> None:
    """Draw the search for a rate and say what came of it."""
    from inceptorch import report

    report.draw_lr_curve(found, image)
    if json:
        print_json({"suggested": found.suggested, "rates": found.rates, "losses": found.losses, "image": str(image)})
        return
    print(f"take --set lr={found.suggested:g}; the losses are drawn in {image}")


def _dry_run_done(found: DryRunReport, json: bool) -> None:
    """Say that all of it works, and how long it would take."""
    if json:
        print_json(vars(found))
        return
    from inceptorch.training.eta import format_duration

    print("Dry run passed: loading, training, checkpointing, evaluation and report all work. Nothing was saved.")
    if found.epoch_seconds is not None and found.run_seconds is not None:
        one, whole = found.epoch_seconds, found.run_seconds
        print(
            f"an epoch has {found.steps} steps, about {format_duration(one)}; "
            f"all {found.epochs} about {format_duration(whole)}, without validation"
        )


def _finished(result: Result, json: bool) -> None:
    """Draw the run's images and say what came of it."""
    if not result.is_main_process:
        return
    from inceptorch import report

    try:
        report.write_report(result)
    except KeyboardInterrupt:
        again = f"inceptorch train --resume {quote(str(result.run))}"
        print(f"the run is finished, but not all is drawn, as {again} does", file=sys.stderr)
        raise
    if json:
        print_json(
            {
                "run": str(result.run),
                "epochs": result.epochs,
                "top1": result.top1,
                "top5": result.top5,
                "seconds": round(result.seconds, 2),
            }
        )
        return
    print(
        f"top-1 {result.top1:.2%}, top-5 {result.top5:.2%} of {result.evaluation.n} validation images, {result.seconds:.0f} s"
    )
    print(f"classifier and report.html in {result.run}; use it: inceptorch predict {quote(str(result.run))} IMAGE")
