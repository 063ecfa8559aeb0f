"""The command line: one thin file per verb. Each imports what it needs when it runs, so that --help answers at once."""

import errno
import io
import os
import re
import signal
import sys
import traceback
from contextlib import suppress
from typing import Annotated

import typer

from inceptorch import __version__
from inceptorch.cli import (
    bench,
    check,
    convert,
    demo,
    dream,
    embed,
    evaluate,
    explain,
    export,
    fid,
    nets,
    predict,
    serve,
    shards,
    shrink,
    similar,
    study,
    style,
    train,
    units,
    visualize,
    weights,
)
from inceptorch.cli.usage import USAGE_ERROR, describe_usage_error
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
        "proposals": "cv2",
    }.items()
    for package in packages.split()
}
OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory")  # as torch says it
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
    demo.demo, nets.nets, check.check, train.train, evaluate.evaluate, predict.predict, explain.explain,
    visualize.visualize, dream.dream, style.style, embed.embed, similar.similar, fid.fid, units.units, shrink.shrink,
    export.export, bench.bench, serve.serve, weights.weights, convert.convert, shards.shards, study.study,
):  # fmt: skip
    app.command("eval" if command is evaluate.evaluate else command.__name__)(command)


def refuse_old_options(verb: str, *args: str) -> None:
    """Raise InceptorchError for an option of `verb` that has another name now, naming it."""
    for arg in args[: args.index("--")] if "--" in args else args:
        old = arg.partition("=")[0]
        if new := OLD_OPTIONS.get(verb, {}).get(old):
            raise InceptorchError(f"Cannot use {old}: it was renamed. Try {new}.")


def main() -> None:
    """Run a command. An error is one sentence on standard error and exit code 2, an unexpected one exit code 3; Ctrl-C
    is exit code 130."""
    # As Ctrl-C does, SIGTERM ends what is under way in good order. Training itself waits for the end of a step.
    stopped: list[int] = []

    def stop(number: int, frame: object) -> None:
        stopped.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell ignores it for what runs behind
        signal.signal(signal.SIGINT, stop)
    if sys.stdout is None:  # closed, so that the next file would take its place
        print("inceptorch: Cannot write the output: standard output is closed. Try > /dev/null.", file=sys.stderr)
        sys.exit(2)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal's encoding may lack letters
        sys.stdout.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] or ["--help"]
    try:
        refuse_old_options(*words)
        try:
            code = app(words, "inceptorch", standalone_mode=False) or 0  # else the parser prints its errors itself
        finally:
            print(end="", flush=True)  # a full disk is noticed here, and not while Python ends
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if isinstance(error, OSError):
            _drop_output()
        if isinstance(error, BrokenPipeError):  # the reader has seen enough, as `head`; click exits so, too
            sys.exit(1)
        sentence = _known(error)
        if stopped and not sentence:  # some libraries raise an error of their own in place of the signal's
            print(f"inceptorch: stopped, with {type(error).__name__}: {error}", file=sys.stderr)
            sys.exit(128 + stopped[-1])
        print(f"inceptorch: {sentence or _unexpected(error)}", file=sys.stderr)
        sys.exit(2 if sentence else 3)
    sys.exit(code)


def _known(error: Exception) -> str | None:
    """The sentence about an error; None for an unexpected one."""
    match error:
        case InceptorchError():
            return str(error)
        case USAGE_ERROR():
            return describe_usage_error(error)
        # The system says these of names, wherever they are used.
        case OSError(errno=errno.ENAMETOOLONG | errno.ELOOP):
            return f"Cannot use {error.filename}: {os_error_reason(error)}. Name another."
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EIO, filename=None):
            return f"Cannot write the output: {os_error_reason(error)}."
        case MemoryError() | RuntimeError() if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
            return "Cannot go on: there is not enough memory. Try fewer images at once, or a smaller model."
        case ModuleNotFoundError(name=str(name)) if extra := EXTRAS.get(name.partition(".")[0]):
            return f"Cannot do this without {name}, which is not installed. Try: pip install 'inceptorch[{extra}]'"
    return None


def _unexpected(error: Exception) -> str:
    """The sentence about an unexpected error, whose traceback is kept in a file."""
    import tempfile

    lines = traceback.format_exception(error)
    try:
        with tempfile.NamedTemporaryFile("w", prefix="inceptorch-", suffix=".txt", delete=False) as file:
            file.write(f"inceptorch {__version__}, Python {sys.version}\n{sys.argv}\n\n{''.join(lines)}")
        where = f"is in {file.name}"
    except OSError:
        sys.stderr.writelines(lines)
        where = "is above"
    name = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return f"Unexpected error: {name}. Please report it with the traceback, which {where}."


def _drop_output() -> None:
    """Drop what standard output does not take, which would be tried once more while Python ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
