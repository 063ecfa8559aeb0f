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

# The extra that installs each optional package, by its import name.
EXTRAS = {
    package: extra
    for extra, packages in {
        "train": "torch torchvision torchmetrics matplotlib",
        "demo": "sklearn",
        "caffe": "google",
        "imagenet": "scipy",
        "shards": "webdataset",
        "explain": "captum",
        "export": "onnx",
        "openvino": "openvino",
        "int8": "nncf",
        "serve": "fastapi uvicorn python_multipart prometheus_client",
        "parquet": "pyarrow",
        "ray": "ray",
        "remote": "fsspec aiohttp",
        "hub": "huggingface_hub",
    }.items()
    for package in packages.split()
}
# Options of each verb that have another name now.
OLD_OPTIONS = {
    "bench": {"--rows": "--per-layer"},
    "check": {
        "--tiny": "--min-size",
        "--large": "--max-megapixels",
        "--near": "--near-duplicates",
        "--no-near": "--no-near-duplicates",
    },
    "eval": {"--without": "--exclude", "--temperature": "--calibrate-on", "--table": "--compare"},
    "explain": {"--row": "--layer"},
    "predict": {"--unknown": "--reject", "--unknown-below": "--min-confidence"},
    "serve": {"--queue": "--queue-size", "--max-files": "--max-images", "--streams": "--concurrency"},
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


for command in (
    demo.demo, nets.nets, check.check, train.train, evaluate.evaluate, predict.predict, explain.explain, export.export,
    bench.bench, serve.serve, weights.weights, convert.convert, shards.shards, study.study,
):  # fmt: skip
    app.command("eval" if command is evaluate.evaluate else command.__name__)(command)


def refuse_old_options(verb: str, *args: str) -> None:
    """Raise InceptorchError for an option of `verb` that has another name now, naming it."""
    for arg in args[: args.index("--")] if "--" in args else args:
        old = arg.partition("=")[0]
        if new := OLD_OPTIONS.get(verb, {}).get(old):
            raise InceptorchError(f"Cannot use {old}: it was renamed. Try {new}.")


def main() -> None:
    """Run a command. A fault is one sentence on standard error and exit code 2; Ctrl-C is exit code 130."""
    # As Ctrl-C does, SIGTERM ends what is under way in good order. Training itself waits for the end of a step.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        refuse_old_options(*sys.argv[1:] or [""])
        app()
    except InceptorchError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        # The system says these of names, wherever they are used.
        if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            raise
        _fail(f"{error.filename}: {os_error_reason(error)}; name another.")
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _fail(f"this needs {error.name}, which is not installed; install it with: pip install 'inceptorch[{extra}]'")


def _fail(sentence: str) -> None:
    print(f"inceptorch: {sentence}", file=sys.stderr)
    sys.exit(2)
