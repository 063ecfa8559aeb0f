import json as jsons
from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.output import Json, print_json
from inceptorch.errors import RunError
from inceptorch.utils.progress import printable


def check(
    data: Annotated[str, typer.Argument(help="Images, as for train; all splits are checked.", metavar="DATA")],
    model: Annotated[
        str | None,
        typer.Option(help="Model with which to look for doubtful labels, too: a run, a bundle, or published weights."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for all findings.", metavar="FILE.html|FILE.json")] = None,
    min_size: Annotated[int, typer.Option(help="Shorter side in pixels below which images are reported.", min=0)] = 32,
    max_megapixels: Annotated[float, typer.Option(help="Megapixels above which images are reported.", min=0)] = 30.0,
    near_duplicates: Annotated[
        bool, typer.Option(help="Search for nearly equal images; not useful where all are similar, such as digits.")
    ] = True,
    by_features: Annotated[
        str | None,
        typer.Option(
            help="Model whose features tell which images are nearly equal, instead of thumbnails: finds mirrored, "
            "turned and cropped copies, too. Not with --no-near-duplicates.",
            metavar="MODEL",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check images before training: damaged or misnamed files, duplicates across splits or labels, missing classes.
    Nothing in DATA is changed. Exit code 1 if there are errors; warnings alone give 0.

    inceptorch check flowers/ --out flowers.html
    """
    from inceptorch.checks import page
    from inceptorch.checks.check import check
    from inceptorch.data.locator import ensure_outside
    from inceptorch.utils.files import write_text

    if out is not None and out.suffix.lower() not in (".html", ".json"):
        raise RunError(f"Cannot write {out}: the name must end in .html or .json.")
    if out is not None:
        ensure_outside(out, data)
    if by_features is not None and not near_duplicates:
        raise RunError("Cannot combine --by-features and --no-near-duplicates. Leave out one of them.")
    findings = check(
        data,
        model=model,
        min_size=min_size,
        max_megapixels=max_megapixels,
        near_duplicates=near_duplicates,
        by_features=by_features,
    )
    if out is not None:
        as_json = out.suffix.lower() == ".json"
        text = jsons.dumps(findings.to_dict(), indent=1, ensure_ascii=False) if as_json else page.html(findings)
        write_text(out, text)
    if json:
        print_json(findings.to_dict())
    else:
        print("\n".join(map(printable, page.lines(findings))))
        if out is not None:
            print(printable(f"every finding is in {out}"))
    if not findings.safe:
        raise typer.Exit(1)
