from pathlib import Path
from typing import Annotated

import typer

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
    model: Annotated[
        str | None,
        typer.Option(help="A run, a bundle, or published weights by name; by default googlenet.bvlc."),
    ] = None,
    net: Annotated[
        str | None, typer.Option(help="Network whose layers are used, googlenet or vgg16; by default the model's.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="Weight of the style against the content; 1 by default.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights of several styles, as 1,2; by default all alike.", metavar="W,W")
    ] = None,
    keep_colors: Annotated[
        bool | None, typer.Option("--keep-colors/--style-colors", help="Colors of the content; by default the style's.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Longer side of the result in pixels; 512 by default.")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of steps at each scale; 150 by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random views; 0 by default.")] = None,
    every: Annotated[
        int, typer.Option(help="Number of steps after which --out is written with the image so far; 0: never.", min=0)
    ] = 0,
    out: Annotated[Path, typer.Option(help="PNG file of the result; an existing one is replaced.")] = Path("style.png"),
    repeat: Annotated[
        Path | None,
        typer.Option(
            "--from", help="PNG made by this command, to make again; other options change it.", metavar="FILE"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Transfer the style of images to another. Ctrl-C ends it with the image so far, and exit code 130.

    inceptorch style town.jpg graffiti.jpg --out painted.png

    inceptorch style town.jpg graffiti.jpg leaves.jpg --weights 1,2 --keep-colors --size 768
    """
    from inceptorch.utils.progress import Progress
    from inceptorch.visualization.write_style import write_style

    given = {
        "strength": strength, "style_weights": weights and weights.split(","), "keep_colors": keep_colors, "size": size,
        "steps": steps, "seed": seed,
    }  # fmt: skip
    values = {name: value for name, value in given.items() if value is not None}
    inputs = ([content] if content else []) + (styles or [])
    made = write_style(out, inputs, values, model=model, net=net, repeat=repeat, every=every, progress=Progress())
    if json:
        print_json(made)
    else:
        ends = ", ".join(f"{name} {values[-1]:.2f}" for name, values in made["losses"].items())
        print(printable(f"{made['file']}: {made['width']}x{made['height']} pixels in {made['seconds']:.0f} s; {ends}"))
    if made["interrupted"]:
        raise typer.Exit(130)
