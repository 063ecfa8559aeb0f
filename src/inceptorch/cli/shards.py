from pathlib import Path
from typing import Annotated

import typer

from inceptorch.cli.output import Json, print_json


def shards(
    data: Annotated[str, typer.Argument(help="As for train: a folder, a zip, a list of images, torchvision:NAME.")],
    out: Annotated[Path, typer.Argument(help="The folder of shards to make.")],
    shard_size: Annotated[float, typer.Option(help="Size of a shard, at most.", metavar="MB")] = 256.0,
    val_fraction: Annotated[float, typer.Option(help="Of every class, where DATA has no val or test.")] = 0.2,
    seed: Annotated[int, typer.Option(help="The order of the images depends on it.", min=0)] = 0,
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
    written = write_shards(data, out, megabytes=shard_size, val_fraction=val_fraction, seed=seed, progress=progress)
    report_skipped(written.skipped, progress.info)
    files = written.index.shards
    images, size = sum(len(one.labels) for one in files), sum(one.bytes for one in files)
    if json:
        print_json(
            {
                "out": str(out),
                "shards": len(files),
                "images": images,
                "bytes": size,
                "classes": list(written.index.classes),
                "skipped": written.skipped,
            }
        )
        return
    print(f"{images} images of {len(written.index.classes)} classes in {len(files)} shards, {size / 1e6:.1f} MB: {out}")
