from pathlib import Path
from typing import Annotated, Any

import typer

from inceptorch.cli.output import Json, print_json
from inceptorch.errors import InceptorchError

ImageArgument = Annotated[Path | None, typer.Argument(help="An image file of any size.", metavar="IMAGE")]
OutOption = Annotated[
    Path, typer.Option(help="PNG file to write; for a film, FILE.webp, or FILE.mp4 by ffmpeg.", metavar="FILE")
]
ModelOption = Annotated[
    str | None,
    typer.Option(help="A run, a bundle, or published weights by name; by default googlenet.bvlc.", metavar="MODEL"),
]
LayerOption = Annotated[
    str | None,
    typer.Option(
        help="Layer whose answer grows; by default one at 70 % of the body's multiply-adds (4c of GoogLeNet), with "
        "a guide at 50 % (3b)."
    ),
]
ChannelOption = Annotated[
    str | None, typer.Option(help="Only these channels of the layer, by number.", metavar="N[,N...]")
]
GuideOption = Annotated[Path | None, typer.Option(help="An image whose parts appear in the other one.", metavar="FILE")]
OctavesOption = Annotated[int | None, typer.Option(help="Sizes of the image, from small to large; 4 by default.")]
OctaveScaleOption = Annotated[
    float | None, typer.Option(help="Ratio of one octave's size to the one before; 1.4 by default.")
]
StepsOption = Annotated[int | None, typer.Option(help="Steps in each octave; 10 by default.")]
StepSizeOption = Annotated[
    float | None, typer.Option(help="Mean change of a step, in levels of 0 to 255; 1.5 by default.")
]
JitterOption = Annotated[
    int | None, typer.Option(help="Random movement before each step, in pixels; at most 32 by default.")
]
StrengthOption = Annotated[
    float | None, typer.Option(help="Factor of the whole change; 1 by default, 0.5 leaves half of it.")
]
SizeOption = Annotated[
    int | None,
    typer.Option(help="Longer side of the result in pixels; by default the image's own, at most 1024."),
]
KeepColorsOption = Annotated[bool, typer.Option("--keep-colors", help="Change of brightness only.")]
ZoomOption = Annotated[
    int | None, typer.Option(help="Frames of a film that dives into the dream, 12 a second.", metavar="FRAMES")
]
SeedOption = Annotated[int | None, typer.Option(help="Seed of the random movements; 0 by default.")]
SourceOption = Annotated[
    Path | None,
    typer.Option(
        "--from", help="A PNG of this command, to be made again from the same files and weights.", metavar="FILE"
    ),
]


def dream(
    image: ImageArgument = None,
    out: OutOption = Path("dream.png"),
    model: ModelOption = None,
    layer: LayerOption = None,
    channel: ChannelOption = None,
    guide: GuideOption = None,
    octaves: OctavesOption = None,
    octave_scale: OctaveScaleOption = None,
    steps: StepsOption = None,
    step_size: StepSizeOption = None,
    jitter: JitterOption = None,
    strength: StrengthOption = None,
    size: SizeOption = None,
    keep_colors: KeepColorsOption = False,
    zoom: ZoomOption = None,
    seed: SeedOption = None,
    source: SourceOption = None,
    json: Json = False,
) -> None:
    """Change an image so that a layer's answer to it grows, in octaves from small to large. Ctrl-C writes the image so
    far.

    inceptorch dream holiday.jpg --out dream.png

    inceptorch dream holiday.jpg --guide flowers.jpg --out flowery.png

    inceptorch dream holiday.jpg --layer 4d --channel 100 --zoom 60 --size 512 --out film.webp

    inceptorch dream --from dream.png --out again.png
    """
    from inceptorch.visualization.write_dream import write_dream

    values: dict[str, Any] = {
        "layer": layer, "channels": None if channel is None else _channels(channel), "octaves": octaves,
        "octave_scale": octave_scale, "steps": steps, "step_size": step_size, "jitter": jitter, "strength": strength,
        "size": size, "keep_colors": keep_colors or None, "zoom": zoom, "seed": seed,
    }  # fmt: skip
    given = {name: value for name, value in values.items() if value is not None}
    made = write_dream(image, out, model, given, guide, source)
    if json:
        print_json(made)
    else:
        energy = [value for octave in made["octaves"] for value in octave["energy"]]
        grown = f", energy {energy[0]:.3g} to {energy[-1]:.3g}" if energy else ""
        what = "film of {frames} frames, ".format(**made) if made["frames"] > 1 else ""
        print("{file}: {0}{width}x{height}, layer {1}{2}".format(what, made["settings"]["layer"], grown, **made))
    if made["interrupted"]:
        raise typer.Exit(130)


def _channels(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise InceptorchError(f"Cannot read --channel {text}: it must be numbers. Try --channel 12,40.") from None
