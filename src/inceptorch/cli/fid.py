from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from inceptorch.features.fid import FIDResult

DATA = "Folder or zip of images, with or without classes; list, shards, torchvision:NAME, or .npz of statistics"
SPLIT = "train, val or test of {}, if it is divided; by default all of it."
MEASURES = {
    "fid": "FID",
    "fid_infinity": "FID, infinitely many images of A",
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "inception_score": "Inception Score of A",
}


SideA = Annotated[str, typer.Argument(help=f"{DATA}; the generated images.", metavar="A")]
SideB = Annotated[str, typer.Argument(help=f"{DATA}; the real images.", metavar="B")]
ConventionOption = Annotated[
    str,
    typer.Option(
        help="Package whose resizing, scaling and statistics to follow: pytorch-fid, clean-fid or torch-fidelity."
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        help="Weights of the network: pytorch-fid's .pth file, a bundle, or published weights; by default "
        "inception_v3_fid.pytorch_fid.",
        metavar="FILE",
    ),
]
SaveOption = Annotated[
    Path | None, typer.Option(help="File for the statistics of A, as A or B of a later call.", metavar="A.npz")
]
FidEngineOption = Annotated[
    str,
    typer.Option(
        help="torch, onnxruntime or openvino, in fp32; auto: torch on a GPU, else the fastest that is installed "
        "and agrees with torch."
    ),
]


def fid(
    a: SideA,
    b: SideB,
    convention: ConventionOption = "pytorch-fid",
    weights: WeightsOption = None,
    kid: Annotated[bool, typer.Option("--kid", help="Kernel Inception Distance, too.")] = False,
    precision_recall: Annotated[bool, typer.Option("--precision-recall", help="Precision and recall, too.")] = False,
    inception_score: Annotated[bool, typer.Option("--inception-score", help="Inception Score of A, too.")] = False,
    infinity: Annotated[bool, typer.Option("--infinity", help="FID of infinitely many images of A, too.")] = False,
    save: SaveOption = None,
    split_a: Annotated[str | None, typer.Option(help=SPLIT.format("A"), metavar="SPLIT")] = None,
    split_b: Annotated[str | None, typer.Option(help=SPLIT.format("B"), metavar="SPLIT")] = None,
    engine: FidEngineOption = "auto",
    json: Json = False,
) -> None:
    """Measure how far two sets of images lie apart: FID, with an interval and warnings, and its kin.

    inceptorch fid generated/ real/

    inceptorch fid generated/ real.npz --convention clean-fid --json
    """
    from inceptorch.data.verify import report_skipped
    from inceptorch.features.fid import fid as compute
    from inceptorch.utils.progress import Progress

    progress = Progress()
    found = compute(
        a,
        b,
        convention=convention,
        weights=weights,
        split_a=split_a,
        split_b=split_b,
        kid=kid,
        precision_recall=precision_recall,
        inception_score=inception_score,
        infinity=infinity,
        save=save,
        engine=engine,
        progress=progress,
    )
    report_skipped(found.skipped, progress.info)
    for sentence in found.warnings:
        progress.info(f"warning: {sentence}")
    print_json(found.to_dict()) if json else print_table(table(found))


def table(found: "FIDResult") -> list[list[str]]:
    """A row for each measure, with what must be known to compare it."""
    rows = [["measure", "value", "95 % interval", "convention", "features", "weights", "n", "formats"]]
    for name, title in MEASURES.items():
        value = getattr(found, name)
        if value is None:
            continue
        low, high = found.intervals.get(name, (None, None))
        interval = f"{low:.5g} to {high:.5g}" if low is not None else "not known"
        n, formats = (_pair(each) for each in (found.n, [" ".join(each) for each in found.formats]))
        rows.append([title, f"{value:.6g}", interval, found.convention, found.network, found.weights[:12], n, formats])
    return rows


def _pair(values: "tuple[int | None, ...] | list[str]") -> str:
    return ", ".join(str(value) if value else "not known" for value in values)
