import sys
from typing import Annotated

import typer

from inceptorch.cli.options import EngineOption, PrecisionOption

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
TokenOption = Annotated[
    str | None,
    typer.Option(
        help="Token that requests must send, as Authorization: Bearer TOKEN; by default none.",
        envvar="INCEPTORCH_TOKEN",
    ),
]


def serve(
    models: ModelsArgument,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all interfaces.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any free one.", min=0, max=65535)] = 8000,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    threads: ThreadsOption = None,
    concurrency: ConcurrencyOption = None,
    batch: BatchOption = None,
    token: TokenOption = None,
    max_body: Annotated[float, typer.Option(help="Largest request, in MB.", min=0.001, max=1_000_000)] = 32,
    max_images: Annotated[int, typer.Option(help="Images of one request, at most.", min=1)] = 32,
    max_seconds: Annotated[float, typer.Option(help="Seconds a request may take to arrive.", min=0.1, max=86_400)] = 30,
    queue_size: Annotated[
        int, typer.Option(help="Unanswered images per model, at most; not below --max-images.", min=1)
    ] = 64,
) -> None:
    """Serve classifiers over HTTP, with a page for browsers, until SIGTERM or Ctrl-C.

    inceptorch serve flowers.onnx

    curl -F file=@tulip.jpg http://127.0.0.1:8000/predict
    """
    from inceptorch.errors import ServeError
    from inceptorch.inference.engines import open_engine
    from inceptorch.serve import server
    from inceptorch.serve.admission import Limits
    from inceptorch.serve.priority import run_at_low_priority
    from inceptorch.serve.service import Service

    if token == "":
        raise ServeError("The token is empty. Set --token or INCEPTORCH_TOKEN, or neither for no token.")
    limits = Limits(round(max_body * 2**20), max_images, max_seconds, queue_size)
    paths = server.parse_model_args(models)
    with server.bind(host, port) as listening:
        service = run_at_low_priority(
            lambda: Service(
                {
                    name: open_engine(path, engine, precision, threads=threads, streams=concurrency, batch_size=batch)
                    for name, path in paths.items()
                },
                limits,
            )
        )
        for name, endpoint in service.models.items():
            config = endpoint.engine.config
            print(f"{name}: {config.network.name}, {len(config.classes)} classes, {endpoint.engine}")
        print(f"serving on {server.url_of(listening)}", flush=True)
        if token is None and not server.is_loopback(listening):
            print("inceptorch: anyone who reaches this address can use it; require a --token", file=sys.stderr)
        server.run(server.create_server(service, token), listening)
    print("stopped")
