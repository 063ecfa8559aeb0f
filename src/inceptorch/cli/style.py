from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.options import (
    DefaultModelOption,
    EveryOption,
    KeepColorsOption,
    PngOption,
    RepeatOption,
    SeedOption,
)
from inceptorch.cli.output import Json, print_json
from inceptorch.utils.progress import printable


def style(
    content: Annotated[
        Path | None, typer.Argument(help="Image whose layout is kept.", metavar="CONTENT", show_default=False)
    ] = None,
    styles: Annotated[
        list[Path] | None,
        typer.Argument(help="Images whose textures and colors are taken.", metavar="STYLE", show_default=False),
    ] = None,
    model: DefaultModelOption = None,
    net: Annotated[
        str | None, typer.Option(help="Network whose layers are used, googlenet or vgg16; by default the model's.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="Weight of the style against the content; by default 1.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights of several styles, as 1,2; by default all alike.", metavar="W,W")
    ] = None,
    keep_colors: KeepColorsOption = None,
    size: Annotated[int | None, typer.Option(help="Longer side of the result in pixels; by default 512.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps at each scale; by default 150.")] = None,
    seed: SeedOption = None,
    repeat: RepeatOption = None,
    every: EveryOption = 0,
    out: PngOption = Path("style.png"),
    json: Json = False,
) -> None:
    """Transfer the style of images to another. Ctrl-C writes the image so far, with exit code 130.

    inceptorch style town.jpg graffiti.jpg --out painted.png

    inceptorch style town.jpg graffiti.jpg leaves.jpg --weights 1,2 --keep-colors --size 768

    inceptorch style --from painted.png --size 1024 --out larger.png
    """
    from inceptorch.visualization.write_style import write_style

    given = {
        "net": net, "strength": strength, "style_weights": weights and weights.split(","), "keep_colors": keep_colors,
        "size": size, "steps": steps, "seed": seed,
    }  # fmt: skip
    values = {name: value for name, value in given.items() if value is not None}
    made = write_style(out, content, styles or [], values, model=model, repeat=repeat, every=every)
    if json:
        print_json(made)
    else:
        ends = ", ".join(f"{name} {values[-1]:.2f}" for name, values in made["losses"].items())
        print(printable(f"{made['file']}: {made['width']}x{made['height']} pixels in {made['seconds']:.0f} s; {ends}"))
    if made["interrupted"]:
        raise typer.Exit(130)
