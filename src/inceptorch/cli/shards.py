from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.output import Json, print_json


def shards(
    data: Annotated[
        str, typer.Argument(help="As for train: a folder, a zip file, a list of images, torchvision:NAME.")
    ],
    out: Annotated[Path, typer.Argument(help="New folder for the shards.")],
    shard_size: Annotated[float, typer.Option(help="Maximum size of a shard in MB.", metavar="MB")] = 256.0,
    val_fraction: Annotated[
        float, typer.Option(help="Fraction of every class for val, if DATA has no val or test.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed for the order of the images and the choice of val.", min=0)] = 0,
    json: Json = False,
) -> None:
    """Pack images into tar files in the layout of WebDataset.

    inceptorch shards flowers/ flowers_shards/

    inceptorch train "https://host/flowers_shards/train-{000000..000099}.tar"
    """
    from inceptorch.data.verify import report_skipped
    from inceptorch.data.write_shards import write_shards
    from inceptorch.utils.progress import Progress

    progress = Progress()
    index, skipped = write_shards(
        data, out, megabytes=shard_size, val_fraction=val_fraction, seed=seed, progress=progress
    )
    report_skipped(skipped, progress.info)
    count, size = len(index.shards), sum(entry.bytes for entry in index.shards)
    images = sum(len(entry.labels) for entry in index.shards)
    if json:
        numbers = {"shards": count, "images": images, "bytes": size}
        print_json({"out": str(out), **numbers, "classes": index.classes, "skipped": skipped})
        return
    print(f"{images} images of {len(index.classes)} classes in {count} shards, {size / 1e6:.1f} MB: {out}")
