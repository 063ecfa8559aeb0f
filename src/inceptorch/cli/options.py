"""Options that several verbs share."""

from typing import Annotated

import typer

EngineOption = Annotated[
    str,
    typer.Option(
        help="torch, onnxruntime or openvino; auto: the fastest that `inceptorch bench` or `serve` measured here. If "
        "neither was run, auto is torch, and for exported files onnxruntime or openvino."
    ),
]
PrecisionOption = Annotated[
    str | None, typer.Option(help="fp32 or bf16; fp32 by default; with --engine auto, the fastest measured.")
]
ProtocolOption = Annotated[
    str, typer.Option(help="Crops to average: center, 10crop, 12crop, 144crop, low-resolution or FILE.yaml.")
]
