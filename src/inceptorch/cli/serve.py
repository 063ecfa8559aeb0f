import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.options import EngineOption, PrecisionOption, measure_engines

if TYPE_CHECKING:
    from inceptorch.inference.engines import Engine

ModelsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Exported files, runs, bundles, or published weights by name; NAME=MODEL to name one.",
        metavar="MODEL",
    ),
]
ThreadsOption = Annotated[int | None, typer.Option(help="Threads of the engine; by default one per processor.", min=1)]
ConcurrencyOption = Annotated[
    int | None, typer.Option(help="Batches that run at once; by default what the engine does best.", min=1)
]
BatchOption = Annotated[
    int | None,
    typer.Option(help="Images per batch, at most; by default what the engine does best.", min=1, max=4096),
]
MeasureOption = Annotated[
    bool,
    typer.Option(
        "--measure/--no-measure",
        help="Measurement of a model's engines at its first start, for a few seconds; only with --engine auto.",
    ),
]
DistanceOption = Annotated[
    bool,
    typer.Option(
        "--distance",
        help="Distance of each image from the training images in answers and /metrics, and whether it is out of "
        "distribution (OOD); for runs of recipe head, on torch.",
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        help="Token that requests must send, as Authorization: Bearer TOKEN; by default none.",
        envvar="INCEPTORCH_TOKEN",
    ),
]
UnixSocketOption = Annotated[
    Path | None, typer.Option(help="Unix socket to listen on, in place of --host and --port.", metavar="PATH")
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Host name of a server without a token, besides localhost; its pages may post images. Repeatable.",
        metavar="NAME",
    ),
]
SecondsOption = Annotated[
    float,
    typer.Option(
        help="Seconds for a request to arrive, and for its answer to be taken; work in between may take twice as long.",
        min=0.1,
        max=86_400,
    ),
]
QueueSizeOption = Annotated[
    int, typer.Option(help="Unanswered images per model, at most; not below --max-images.", min=1)
]
AccessLogOption = Annotated[
    bool, typer.Option("--access-log", help="Log of requests on standard error, one line each.")
]


def serve(
    models: ModelsArgument,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all interfaces.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any free one.", min=0, max=65535)] = 8000,
    unix_socket: UnixSocketOption = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    threads: ThreadsOption = None,
    concurrency: ConcurrencyOption = None,
    batch: BatchOption = None,
    measure: MeasureOption = True,
    distance: DistanceOption = False,
    token: TokenOption = None,
    allow_host: AllowHostOption = None,
    max_body: Annotated[float, typer.Option(help="Largest request, in MB.", min=0.001, max=1_000_000)] = 32,
    max_images: Annotated[int, typer.Option(help="Images of one request, at most.", min=1)] = 32,
    max_seconds: SecondsOption = 30,
    queue_size: QueueSizeOption = 64,
    access_log: AccessLogOption = False,
) -> None:
    """Serve classifiers over HTTP, with a page for browsers, until SIGTERM or Ctrl-C.

    inceptorch serve flowers.onnx

    curl -F file=@tulip.jpg http://127.0.0.1:8000/predict
    """
    from inceptorch.errors import ServeError
    from inceptorch.serve import server
    from inceptorch.serve.admission import Limits
    from inceptorch.serve.guard import Access
    from inceptorch.serve.priority import run_at_low_priority
    from inceptorch.serve.service import Service

    if token == "":
        raise ServeError("Cannot serve with an empty token. Set --token or INCEPTORCH_TOKEN, or neither for no token.")
    limits = Limits(round(max_body * 2**20), max_images, max_seconds, queue_size)
    paths = server.parse_model_args(models)
    if distance and engine == "auto":
        engine = "torch"  # which has the features
    options = {"threads": threads, "streams": concurrency, "batch_size": batch}
    with server.bind(host, port) if unix_socket is None else server.bind_unix(unix_socket) as listening:
        service = run_at_low_priority(
            lambda: Service(_open_engines(paths, engine, precision, measure, options), limits, distance)
        )
        for name, endpoint in service.models.items():
            config = endpoint.engine.config
            print(f"{name}: {config.network.name}, {len(config.classes)} classes, {endpoint.engine}")
        print(f"serving on {server.url_of(listening)}", flush=True)
        access = Access(token, server.is_loopback(listening), frozenset(map(str.lower, allow_host or ())))
        if token is None and not access.local and unix_socket is None:
            print("inceptorch: anyone who reaches this address can use it; require a --token", file=sys.stderr)
        if access_log:
            server.log_requests()
        server.run(server.create_server(service, access), listening)
    if unix_socket is not None:
        unix_socket.unlink(missing_ok=True)
    print("stopped", flush=True)
    server.end_after(1, 0)  # whoever waited for what still runs has gone


def _open_engines(
    paths: dict[str, str], engine: str, precision: str | None, measure: bool, options: dict[str, int | None]
) -> "dict[str, Engine]":
    """The engine of each model by name, of those that are measured before if `measure`."""
    from inceptorch.inference.engines import open_engine

    if measure:
        for path in paths.values():
            measure_engines(path, engine, precision)
    return {name: open_engine(path, engine, precision, **options) for name, path in paths.items()}
