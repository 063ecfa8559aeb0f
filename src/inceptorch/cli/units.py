from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inceptorch.cli.output import Json, print_json, print_table
from inceptorch.utils.progress import printable

if TYPE_CHECKING:
    from inceptorch.units.measure import LayerUnits, MeasuredUnits

HEAD = ["layer", "channels", "cost", "r at 0", "at 1", "at 2", "clusters .9", ".7", ".5", "effective rank",
        "participation", "90 %", "95 %", "99 %", "dead", "rare", "zeros"]  # fmt: skip
SHOWN = 3  # top images and nearest units of a unit, without --json and --out

ModelArgument = Annotated[str, typer.Argument(help="A run, a bundle, or published weights by name.", metavar="MODEL")]
DataArgument = Annotated[
    str,
    typer.Argument(help="Images, as for train; or a folder, zip or list of images without classes.", metavar="DATA"),
]
LayerOption = Annotated[
    str | None,
    typer.Option(
        help="One layer (4c), or a unit of it (4c:12) with its top images and nearest units; by default all layers "
        "with weights.",
        metavar="LAYER[:UNIT]",
    ),
]
AgainstOption = Annotated[
    str | None,
    typer.Option(
        help="Another model, as before fine-tuning or of another seed, with whose layers the layers are compared.",
        metavar="MODEL",
    ),
]


def units(
    model: ModelArgument,
    data: DataArgument,
    layer: LayerOption = None,
    against: AgainstOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Page with the correlation matrix of each layer.", metavar="FILE.html")
    ] = None,
    json: Json = False,
) -> None:
    """Measure which units of each layer fire together, how many there really are, which are dead, and what the layer
    costs. Exit code 1 if some images could not be read; the others are measured.

    inceptorch units googlenet.bvlc photos/ --out units.html

    inceptorch units googlenet.bvlc photos/ --layer 4c:12

    inceptorch units runs/tuned photos/ --against googlenet.bvlc --json
    """
    from inceptorch.data.locator import ensure_outside
    from inceptorch.data.verify import report_skipped
    from inceptorch.units.measure import find_unit, measure_units, open_network
    from inceptorch.units.page import page
    from inceptorch.utils.files import require_writable, write_text
    from inceptorch.utils.progress import Progress

    if out is not None:
        require_writable(out, [".html"])
        ensure_outside(out, data)
    progress = Progress()
    classifier = open_network(model)
    other = None if against is None else open_network(against)
    name, unit = (None, None) if layer is None else find_unit(classifier, layer)
    found = measure_units(classifier, data, layer=name, against=other, progress=progress)
    report_skipped(found.skipped, progress.info)
    if few := found.few():
        progress.info(
            f"few images for the number of units in {', '.join(few)}: ranks are limited and correlations high by "
            "chance. Try more images"
        )
    if out is not None:
        write_text(out, page(found, model, data, against, unit))
    if json:
        objects = found.to_list()
        if unit is not None:
            objects[0]["unit"] = found.unit_to_dict(found.layers[0], unit)
        print_json(objects)
    else:
        print_table([HEAD, *map(_row, found.layers)])
        if unit is not None:
            _print_unit(name or "", found.unit_to_dict(found.layers[0], unit))
        _print_similarity(found, model, against)
        if out is not None:
            print(printable(f"the page is {out}"))
    if found.skipped:
        raise typer.Exit(1)


def _row(each: LayerUnits) -> list[str]:
    found = each.statistics
    return [
        each.layer,
        str(each.channels),
        f"{each.cost:.1%}",
        *("-" if value is None else f"{value:.3f}" for value in found.mean_correlation.values()),
        *(str(value) for name, value in each.to_dict().items() if name.startswith("clusters_")),
        f"{found.effective_rank:.1f}",
        f"{found.participation_ratio:.1f}",
        *(str(value) for value in found.dimensions.values()),
        str(len(found.dead)),
        str(len(found.rare)),
        f"{found.zeros:.1%}",
    ]


def _print_unit(layer: str, found: dict[str, Any]) -> None:
    print()
    print(printable(f"{layer}:{found['unit']} is active at {found['active']:.2%} of the places"))
    for each in found["top_images"][:SHOWN]:
        x, y = each["place"]
        print(printable(f"  {each['value']:.4g}  {each['file']} at x {x:.0f}, y {y:.0f}"))
    for each in found["nearest"][:SHOWN]:
        print(printable(f"  r {each['correlation']:.3f} with {layer}:{each['unit']}"))


def _print_similarity(found: MeasuredUnits, model: str, against: str | None) -> None:
    """The layers as a matrix, of one model, or with those of another."""
    shown = found.within if found.against is None else found.against
    if shown.values is None or (len(shown.rows) < 2 and found.against is None):
        return
    print()
    print(printable(f"linear CKA of the layers of {model}{f' (down) and of {against} (across)' if against else ''}"))
    rows = [
        [layer, *("-" if value is None else f"{value:.2f}" for value in shown.row(layer).values())]
        for layer in shown.rows
    ]
    print_table([["", *shown.columns], *rows])
