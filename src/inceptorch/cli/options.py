"""Options that several verbs share."""

from typing import Annotated

import typer

EngineOption = Annotated[
    str,
    typer.Option(
        "--engine", help="torch, onnxruntime or openvino; auto takes what `inceptorch bench` found fastest here."
    ),
]
PrecisionOption = Annotated[
    str | None, typer.Option("--precision", help="fp32 or bf16; by default fp32, unless auto measured a faster one.")
]
