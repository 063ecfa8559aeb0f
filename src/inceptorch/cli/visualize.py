from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.options import EveryOption, PngOption, RepeatOption, SeedOption
from inceptorch.cli.output import Json, print_json
from inceptorch.utils.progress import printable

ModelArgument = Annotated[
    str | None, typer.Argument(help="A run, a bundle, or published weights by name.", metavar="MODEL")
]
LayerArgument = Annotated[
    str | None,
    typer.Argument(
        help="A layer (4c), a channel of it (4c:12), one place (4c:12@COLUMN,LINE), or a sum of such terms "
        "('4c:12 + 0.5*4d:40 - 4c:7').",
        metavar="LAYER[:CHANNEL]",
    ),
]
TargetOption = Annotated[
    str | None, typer.Option("--class", help="Class, by name or number, instead of a layer.", metavar="CLASS")
]
ChannelsOption = Annotated[
    str | None, typer.Option(help="Channels of a layer, such as 0-15,40; by default the first 16.")
]
DirectionOption = Annotated[
    Path | None, typer.Option(help="File of numpy with a number for each channel of the layer.", metavar="FILE.npy")
]
DataOption = Annotated[
    str | None,
    typer.Option(help="Photographs, as for training or a folder of images: the best 9 beside each.", metavar="DATA"),
]
ImageOption = Annotated[
    Path | None,
    typer.Option(help="Image whose maps are shown, those with the highest values first.", metavar="FILE"),
]
DiversityOption = Annotated[
    int | None, typer.Option(help="Number of images of each, unlike one another; by default 1.", min=1, max=16)
]
NegativeOption = Annotated[
    bool | None, typer.Option("--negative/--no-negative", help="Also what lowers the value; by default not.")
]
StepsOption = Annotated[
    int | None, typer.Option(help="Optimization steps; by default 256 for one image, 128 for several.", min=1)
]
SizeOption = Annotated[
    int | None,
    typer.Option(help="Pixels; by default the network's, for several images at most 128.", min=1, max=4096),
]
LROption = Annotated[float | None, typer.Option(help="Learning rate; by default 0.05.")]


def visualize(
    model: ModelArgument = None,
    layer: LayerArgument = None,
    target: TargetOption = None,
    channels: ChannelsOption = None,
    direction: DirectionOption = None,
    data: DataOption = None,
    image: ImageOption = None,
    diversity: DiversityOption = None,
    negative: NegativeOption = None,
    steps: StepsOption = None,
    size: SizeOption = None,
    lr: LROption = None,
    seed: SeedOption = None,
    repeat: RepeatOption = None,
    every: EveryOption = 0,
    out: PngOption = Path("visualized.png"),
    json: Json = False,
) -> None:
    """Show what a layer, a channel or a class answers to, by images that are optimized from noise. Ctrl-C writes the
    images so far, with exit code 130.

    inceptorch visualize googlenet.bvlc 4c:12 --out channel.png

    inceptorch visualize googlenet.bvlc 4c --data holiday/

    inceptorch visualize runs/flowers --class tulip

    inceptorch visualize --from channel.png --seed 1 --out other.png
    """
    from inceptorch.visualization.subjects import parse_channels
    from inceptorch.visualization.write_visualization import write_visualization

    given = {
        "layer": layer, "target": target, "channels": None if channels is None else parse_channels(channels),
        "diversity": diversity, "negative": negative, "steps": steps, "size": size, "lr": lr, "seed": seed,
    }  # fmt: skip
    made = write_visualization(
        out, {name: value for name, value in given.items() if value is not None}, direction=direction, data=data,
        image=image, model=model, repeat=repeat, every=every,
    )  # fmt: skip
    if json:
        print_json(made)
    else:
        for each in made.get("visualizations", []):
            photographs = f"; photographs up to {each['patches'][0]['value']:.4g}" if each["patches"] else ""
            values = ", ".join(f"{value:.4g}" for value in each["values"])
            print(printable(f"{each['label']}: {values}, from {each['started'][0]:.4g}{photographs}"))
        print(printable(str(out)))
    if made["interrupted"]:
        raise typer.Exit(130)
