import sys
from typing import Annotated

import typer

from inceptorch.cli.options import EngineOption, PrecisionOption


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Exported files, runs, bundles, or published weights by name; NAME=MODEL to name one.",
            metavar="MODEL...",
        ),
    ],
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0: for everyone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any that is free.", min=0, max=65535)] = 8000,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    threads: Annotated[int | None, typer.Option(help="Of the engine.", min=1)] = None,
    streams: Annotated[int | None, typer.Option(help="Batches that are computed at once.", min=1)] = None,
    batch: Annotated[
        int | None, typer.Option(help="Images that go through the network together.", min=1, max=4096)
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="What requests must bring: Authorization: Bearer TOKEN.", envvar="INCEPTORCH_TOKEN"),
    ] = None,
    max_body: Annotated[float, typer.Option(help="Of one request, in MB.", min=0.001, max=1_000_000)] = 32,
    max_files: Annotated[int, typer.Option(help="Of one request.", min=1)] = 32,
    max_seconds: Annotated[float, typer.Option(help="In which a request must arrive.", min=0.1, max=86_400)] = 30,
    queue: Annotated[int, typer.Option(help="Images of a model that may wait; more are refused.", min=1)] = 64,
) -> None:
    """Answer requests over HTTP, and show a page for browsers. Ends well on SIGTERM and Ctrl-C.

    inceptorch serve flowers.onnx

    curl -F file=@tulip.jpg http://127.0.0.1:8000/predict
    """
    from inceptorch.errors import ServeError
    from inceptorch.inference.engines import open_engine
    from inceptorch.serve import Limits, address, bind, computing, is_loopback, named, run, server_of, serving_of

    if token == "":
        raise ServeError("The token is empty; give one with --token or INCEPTORCH_TOKEN, or none at all.")
    limits = Limits(round(max_body * 2**20), max_files, max_seconds, queue)
    paths = named(models)
    with bind(host, port) as listening:
        serving = computing(
            lambda: serving_of(
                {
                    name: open_engine(path, engine, precision, threads=threads, streams=streams, batch_size=batch)
                    for name, path in paths.items()
                },
                limits,
            )
        )
        for name, served in serving.models.items():
            print(
                f"{name}: {served.engine.config.network.name}, {len(served.engine.config.classes)} classes, {served.engine}"
            )
        print(f"serving on {address(listening)}", flush=True)
        if token is None and not is_loopback(listening):
            print("inceptorch: whoever can reach this address may use it; --token asks for a token", file=sys.stderr)
        run(server_of(serving, token), listening)
    print("stopped")
