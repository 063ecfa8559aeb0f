from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.output import Json, print_json, print_table
from inceptorch.cli.train import SettingsOption, WorkersOption
from inceptorch.errors import RunError

if TYPE_CHECKING:
    from inceptorch.shrink.measure import Step

IMAGES = 1000

RunArgument = Annotated[
    str | None, typer.Argument(help="A run, a bundle, or published weights by name.", metavar="RUN")
]
DataArgument = Annotated[
    str | None, typer.Argument(help="Images of the run's classes, as for training.", metavar="DATA")
]
CostOption = Annotated[
    float | None, typer.Option(help="Fraction of the multiply-adds that stays, such as 0.5.", metavar="FRACTION")
]
MsOption = Annotated[
    float | None,
    typer.Option(help="In place of --cost: milliseconds of one image in fp32 on the fastest engine.", metavar="MS"),
]
MbOption = Annotated[
    float | None,
    typer.Option(help="In place of --cost: megabytes of the int8 file; without NNCF of the bundle.", metavar="MB"),
]
ByOption = Annotated[
    str,
    typer.Option(
        help="What chooses the channels: correlation, how well others can stand in for them; or for comparison l1, "
        "taylor or random."
    ),
]
RefitOption = Annotated[
    bool | None,
    typer.Option(
        "--refit/--no-refit",
        help="Least squares for the weights of the layers behind; by default with correlation alone.",
    ),
]
ImagesOption = Annotated[int, typer.Option(help="Training images on which channels are compared.", min=2)]
EpochsOption = Annotated[int | None, typer.Option(help="Epochs of fine-tuning; by default those of recipe finetune.")]
TeacherOption = Annotated[
    str | None,
    typer.Option(
        help="Teacher of the fine-tuning: a run, a bundle, or published weights; default: RUN.", metavar="MODEL"
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(help="Seed of everything random; default: that by which RUN drew validation images, else 0.", min=0),
]
OutOption = Annotated[Path | None, typer.Option(help="New run folder; runs/NAME of DATA by default.")]
ResumeOption = Annotated[Path | None, typer.Option(help="Run whose fine-tuning was interrupted.", metavar="RUN")]


def shrink(
    run: RunArgument = None,
    data: DataArgument = None,
    cost: CostOption = None,
    ms: MsOption = None,
    mb: MbOption = None,
    by: ByOption = "correlation",
    refit: RefitOption = None,
    images: ImagesOption = IMAGES,
    epochs: EpochsOption = None,
    teacher: TeacherOption = None,
    settings: SettingsOption = None,
    workers: WorkersOption = None,
    seed: SeedOption = None,
    out: OutOption = None,
    resume: ResumeOption = None,
    json: Json = False,
) -> None:
    """Make a classifier's network smaller: fewer channels, fine-tuned, and measured before and after.

    inceptorch shrink runs/flowers flowers/ --cost 0.5 --out runs/small

    inceptorch shrink runs/flowers flowers/ --ms 5 --out runs/fast
    """
    from inceptorch.report import write_report
    from inceptorch.shrink.choose import Budget
    from inceptorch.shrink.shrink import ShrinkRequest, resume_shrink
    from inceptorch.shrink.shrink import shrink as shrunk
    from inceptorch.training.recipe import parse_settings

    if resume:
        given = (run, data, cost, ms, mb, refit, epochs, teacher, settings, workers, seed, out)
        if any(each is not None for each in given) or (by, images) != ("correlation", IMAGES):
            raise RunError(f"Cannot change {resume}: --resume continues it as it began. Leave out all other options.")
        found = resume_shrink(resume)
    else:
        if run is None or data is None:
            raise RunError("Cannot shrink without a run and data. Name both, or a run to resume: --resume RUN.")
        values = parse_settings(settings or []) | ({} if workers is None else {"num_workers": workers})
        budget = Budget(cost, ms, mb)
        request = ShrinkRequest(run, data, budget, out, by, refit, images, epochs, teacher, seed, values)
        found = shrunk(request)
    write_report(found.result)
    if json:
        print_json([step.to_dict() for step in found.steps])
    else:
        _print(found.steps, found.result.run)


def _print(steps: "list[Step]", run: Path) -> None:
    head = ["step", "cost", "multiply-adds", "parameters", "top-1", "ms fp32", "ms int8", "MB int8"]
    grid = [head]
    for each in steps:
        int8 = ["", ""] if each.ms_int8 is None else [f"{each.ms_int8:.2f}", f"{each.mb_int8:.2f}"]
        counts = [f"{each.cost:.1%}", f"{each.macs:,}", f"{each.params:,}"]
        grid.append([each.step, *counts, f"{each.top1:.2%}", f"{each.ms_fp32:.2f}", *int8])
    print_table(grid)
    engines = dict.fromkeys(each for step in steps for each in (step.engine_fp32, step.engine_int8) if each)
    print(f"ms of one image on {' and '.join(engines)}; the table is network.yaml, the plot shrink.png in {run}")
