"""The command line: one thin file per verb. Each imports what it needs when it runs, so that --help answers at once."""

import errno
import signal
import sys
from typing import Annotated

import typer

from inceptorch import __version__
from inceptorch.cli import (
    bench,
    check,
    convert,
    demo,
    evaluate,
    explain,
    export,
    nets,
    predict,
    serve,
    shards,
    study,
    train,
    weights,
)
from inceptorch.errors import InceptorchError
from inceptorch.utils.files import os_error_reason

EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "torchmetrics": "train",
    "matplotlib": "train",
    "sklearn": "demo",
    "google": "caffe",
    "scipy": "imagenet",
    "webdataset": "shards",
    "captum": "explain",
    "onnx": "export",
    "openvino": "openvino",
    "nncf": "int8",
    "fastapi": "serve",
    "uvicorn": "serve",
    "python_multipart": "serve",
    "prometheus_client": "serve",
    "pyarrow": "parquet",
    "ray": "ray",
    "fsspec": "remote",
    "aiohttp": "remote",
    "huggingface_hub": "hub",
}

app = typer.Typer(
    help="The Inception line of image classifiers: train, evaluate, predict.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"inceptorch {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before the verb."""


app.command("demo")(demo.demo)
app.command("nets")(nets.nets)
app.command("check")(check.check)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("explain")(explain.explain)
app.command("export")(export.export)
app.command("bench")(bench.bench)
app.command("serve")(serve.serve)
app.command("weights")(weights.weights)
app.command("convert")(convert.convert)
app.command("shards")(shards.shards)
app.command("study")(study.study)


def main() -> None:
    """Run a command; a fault is one sentence on standard error and exit code 2, Ctrl-C is exit code 130."""
    # As Ctrl-C does, SIGTERM ends what is under way in good order. Training itself waits for the end of a step.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except InceptorchError as error:
        print(f"inceptorch: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        # The system says these of names, wherever they are used.
        if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            raise
        print(f"inceptorch: {error.filename}: {os_error_reason(error)}; name another.", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        remedy = f"pip install 'inceptorch[{extra}]'"
        print(
            f"inceptorch: this needs {error.name}, which is not installed; install it with: {remedy}", file=sys.stderr
        )
        sys.exit(2)
