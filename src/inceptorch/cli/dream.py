from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.options import DefaultModelOption, KeepColorsOption, RepeatOption, SeedOption
from inceptorch.cli.output import Json, print_json
from inceptorch.utils.progress import printable

ImageArgument = Annotated[Path | None, typer.Argument(help="An image file of any size.", metavar="IMAGE")]
LayerOption = Annotated[
    str | None,
    typer.Option(
        help="Layer whose answer grows; by default one at 70 % of the body's multiply-adds (4c of GoogLeNet), with "
        "a guide at 50 % (3b)."
    ),
]
ChannelsOption = Annotated[
    str | None, typer.Option(help="Channels of the layer that grow, such as 0-15,40; by default all.")
]
GuideOption = Annotated[Path | None, typer.Option(help="An image whose parts appear in the other one.", metavar="FILE")]
OctavesOption = Annotated[int | None, typer.Option(help="Sizes of the image, from small to large; by default 4.")]
OctaveScaleOption = Annotated[
    float | None, typer.Option(help="Ratio of one octave's size to the one before; by default 1.4.")
]
StepsOption = Annotated[int | None, typer.Option(help="Steps in each octave; by default 10.")]
StepSizeOption = Annotated[
    float | None, typer.Option(help="Mean change of a step, in levels of 0 to 255; by default 1.5.")
]
JitterOption = Annotated[
    int | None, typer.Option(help="Random movement before each step, in pixels; by default at most 32.")
]
StrengthOption = Annotated[
    float | None, typer.Option(help="Factor of the whole change; by default 1, and 0.5 leaves half of it.")
]
SizeOption = Annotated[
    int | None,
    typer.Option(help="Longer side of the result in pixels; by default the image's own, at most 1024."),
]
ZoomOption = Annotated[
    int | None, typer.Option(help="Frames of a film that dives into the dream, 12 a second.", metavar="FRAMES")
]
OutOption = Annotated[
    Path,
    typer.Option(
        help="PNG file, or FILE.webp or FILE.mp4 of a film (MP4 by ffmpeg); an existing one is replaced.",
        metavar="FILE",
    ),
]


def dream(
    image: ImageArgument = None,
    model: DefaultModelOption = None,
    layer: LayerOption = None,
    channels: ChannelsOption = None,
    guide: GuideOption = None,
    octaves: OctavesOption = None,
    octave_scale: OctaveScaleOption = None,
    steps: StepsOption = None,
    step_size: StepSizeOption = None,
    jitter: JitterOption = None,
    strength: StrengthOption = None,
    keep_colors: KeepColorsOption = None,
    size: SizeOption = None,
    zoom: ZoomOption = None,
    seed: SeedOption = None,
    repeat: RepeatOption = None,
    out: OutOption = Path("dream.png"),
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
