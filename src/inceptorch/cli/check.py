import json as jsons
from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.output import Json, print_json, printable
from inceptorch.errors import RunError


def check(
    data: Annotated[str, typer.Argument(help="As for train; all of its splits.", metavar="DATA")],
    model: Annotated[
        str | None, typer.Option(help="A run, a bundle, or published weights: also lists labels that it doubts.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write every finding into this file.", metavar="FILE.html|FILE.json")
    ] = None,
    tiny: Annotated[int, typer.Option(help="Pixels of a shorter side that are too few.", min=0)] = 32,
    large: Annotated[float, typer.Option(help="Million pixels that are many.", min=0)] = 30.0,
    near: Annotated[
        bool, typer.Option(help="Look for nearly the same images too; not where all are alike, as digits are.")
    ] = True,
    json: Json = False,
) -> None:
    """Look images over before training: files that are damaged or misnamed, the same image in two splits or under two
    labels, classes that are missing. Nothing in DATA is changed. Exit code 1 if training is not safe.

    inceptorch check flowers/ --out flowers.html
    """
    from inceptorch.checks import check as look_over
    from inceptorch.checks import page
    from inceptorch.data.locator import lies_inside
    from inceptorch.utils.files import write_text

    if out is not None and out.suffix.lower() not in (".html", ".json"):
        raise RunError(f"{out} must end in .html or .json.")
    if out is not None and lies_inside(out, data):
        raise RunError(f"{out} lies inside the images in {data}, which are never written to; name another --out.")
    findings = look_over(data, model=model, tiny=tiny, large=large, near=near)
    if out is not None:
        as_json = out.suffix.lower() == ".json"
        write_text(
            out, jsons.dumps(findings.to_dict(), indent=1, ensure_ascii=False) if as_json else page.html(findings)
        )
    if json:
        print_json(findings.to_dict())
    else:
        print("\n".join(map(printable, page.lines(findings))))
        if out is not None:
            print(printable(f"every finding is in {out}"))
    if not findings.safe:
        raise typer.Exit(1)
