"""Options that several verbs share."""

from typing import Annotated

import typer

EngineOption = Annotated[
    str, typer.Option(help="torch, onnxruntime or openvino; auto is the fastest in `inceptorch bench`.")
]
PrecisionOption = Annotated[str | None, typer.Option(help="fp32 or bf16; by default fp32, or the fastest of auto.")]
