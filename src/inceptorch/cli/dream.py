from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.options import DefaultModelOption, KeepColorsOption, RepeatOption, SeedOption
from inceptorch.cli.output import Json, print_json
from inceptorch.utils.progress import printable


def dream(
    image: Annotated[Path | None, typer.Argument(help="An image file of any size.", metavar="IMAGE")] = None,
    model: DefaultModelOption = None,
    layer: Annotated[
        str | None,
        typer.Option(
            help="Layer whose answer grows; by default one at 70 % of the body's multiply-adds (4c of GoogLeNet), with "
            "a guide at 50 % (3b)."
        ),
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Channels of the layer that grow, such as 0-15,40; by default all.")
    ] = None,
    guide: Annotated[
        Path | None, typer.Option(help="An image whose parts appear in the other one.", metavar="FILE")
    ] = None,
    octaves: Annotated[int | None, typer.Option(help="Sizes of the image, from small to large; by default 4.")] = None,
    octave_scale: Annotated[
        float | None, typer.Option(help="Ratio of one octave's size to the one before; by default 1.4.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in each octave; by default 10.")] = None,
    step_size: Annotated[
        float | None, typer.Option(help="Mean change of a step, in levels of 0 to 255; by default 1.5.")
    ] = None,
    jitter: Annotated[
        int | None, typer.Option(help="Random movement before each step, in pixels; by default at most 32.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="Factor of the whole change; by default 1, and 0.5 leaves half of it.")
    ] = None,
    keep_colors: KeepColorsOption = None,
    size: Annotated[
        int | None,
        typer.Option(help="Longer side of the result in pixels; by default the image's own, at most 1024."),
    ] = None,
    zoom: Annotated[
        int | None, typer.Option(help="Frames of a film that dives into the dream, 12 a second.", metavar="FRAMES")
    ] = None,
    seed: SeedOption = None,
    repeat: RepeatOption = None,
    out: Annotated[
        Path,
        typer.Option(
            help="PNG file, or FILE.webp or FILE.mp4 of a film (MP4 by ffmpeg); an existing one is replaced.",
            metavar="FILE",
        ),
    ] = Path("dream.png"),
    json: Json = False,
) -> None:
    """Change an image so that a layer's answer to it grows, in octaves from small to large. Ctrl-C writes the image so
    far, with exit code 130.

    inceptorch dream holiday.jpg --out dream.png

    inceptorch dream holiday.jpg --guide flowers.jpg --out flowery.png

    inceptorch dream holiday.jpg --layer 4d --channels 100 --zoom 60 --size 512 --out film.webp

    inceptorch dream --from dream.png --out again.png
    """
    from inceptorch.visualization.subjects import parse_channels
    from inceptorch.visualization.write_dream import write_dream

    given = {
        "layer": layer, "channels": None if channels is None else parse_channels(channels), "octaves": octaves,
        "octave_scale": octave_scale, "steps": steps, "step_size": step_size, "jitter": jitter, "strength": strength,
        "size": size, "keep_colors": keep_colors, "zoom": zoom, "seed": seed,
    }  # fmt: skip
    values = {name: value for name, value in given.items() if value is not None}
    made = write_dream(out, image, values, guide=guide, model=model, repeat=repeat)
    if json:
        print_json(made)
    else:
        energy = [value for octave in made["octaves"] for value in octave["energy"]]
        grown = f", energy {energy[0]:.3g} to {energy[-1]:.3g}" if energy else ""
        film = f"film of {made['frames']} frames, " if made["frames"] > 1 else ""
        size_and_layer = f"{made['width']}x{made['height']}, layer {made['settings']['layer']}"
        print(printable(f"{out}: {film}{size_and_layer}{grown}"))
    if made["interrupted"]:
        raise typer.Exit(130)
