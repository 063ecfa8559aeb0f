"""Options that several verbs share, and what follows from them."""

from pathlib import Path
from typing import Annotated

import typer

EngineOption = Annotated[
    str,
    typer.Option(
        help="torch, onnxruntime or openvino; auto: the fastest that `inceptorch bench`, `serve` or `predict` measured "
        "here. If none did, auto is torch, and for exported files onnxruntime or openvino."
    ),
]
PrecisionOption = Annotated[
    str | None, typer.Option(help="fp32 or bf16; fp32 by default; with --engine auto, the fastest measured.")
]
ProtocolOption = Annotated[
    str,
    typer.Option(
        help="Crops to average: center, 6view, 10crop, 12crop, 144crop, low-resolution or FILE.yaml. Of a detector the "
        "rule: voc (the default), voc07, coco or ilsvrc."
    ),
]
# Of the verbs that optimize images: visualize, dream and style.
DefaultModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", help="A run, a bundle, or published weights by name; by default googlenet.bvlc.", metavar="MODEL"
    ),
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Seed of noise and random views; by default 0.", min=0)]
KeepColorsOption = Annotated[
    bool | None,
    typer.Option("--keep-colors/--no-keep-colors", help="Only brightness changes; by default colors, too."),
]
EveryOption = Annotated[
    int, typer.Option("--every", help="Interval in steps at which --out gets the image so far; 0: never.", min=0)
]
PngOption = Annotated[Path, typer.Option("--out", help="PNG file; an existing one is replaced.", metavar="FILE.png")]
RepeatOption = Annotated[
    Path | None,
    typer.Option(
        "--from", help="PNG of an earlier call, whose model, files and settings hold where none are given.",
        metavar="FILE.png",
    ),
]  # fmt: skip


def measure_engines(model: str, engine: str, precision: str | None) -> None:
    """Measure the engines of a model, once, where `auto` takes the fastest in fp32."""
    from inceptorch.deployment.benchmark import measure_once
    from inceptorch.utils.progress import Progress

    if engine == "auto" and precision in (None, "fp32"):
        measure_once(model, progress=Progress())
