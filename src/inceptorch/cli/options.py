"""Options that several verbs share, and what follows from them."""

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
        help="Crops to average: center, 10crop, 12crop, 144crop, low-resolution or FILE.yaml. Of a detector the rule: "
        "voc (the default), voc07, coco or ilsvrc."
    ),
]


def measure_engines(model: str, engine: str, precision: str | None) -> None:
    """Measure the engines of a model, once, where `auto` takes the fastest in fp32."""
    from inceptorch.deployment.benchmark import measure_once
    from inceptorch.utils.progress import Progress

    if engine == "auto" and precision in (None, "fp32"):
        measure_once(model, progress=Progress())
