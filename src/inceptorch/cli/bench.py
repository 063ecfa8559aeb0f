from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.output import Json, print_json, print_table
from inceptorch.errors import EngineError
from inceptorch.utils.progress import printable

if TYPE_CHECKING:
    from inceptorch.deployment.benchmark import BenchmarkResult
    from inceptorch.deployment.per_layer import LayerTime
    from inceptorch.inference.engines import Engine


def bench(
    model: Annotated[
        str, typer.Argument(help="A run, a bundle, an exported file, or published weights by name.", metavar="MODEL")
    ],
    engine: Annotated[
        str | None, typer.Option(help="torch, onnxruntime or openvino; by default all installed engines.")
    ] = None,
    batch: Annotated[str, typer.Option(help="Batch sizes, separated by commas.")] = "1,16",
    seconds: Annotated[float, typer.Option(help="Seconds of each measurement.", min=0.01, max=3600)] = 3.0,
    data: Annotated[
        Path | None, typer.Option(help="Images, or a folder, to compare outputs on; random images by default.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Classifier with the correct fp32 outputs; by default MODEL.")
    ] = None,
    per_layer: Annotated[
        bool, typer.Option("--per-layer", help="Time of each layer on one engine, by default the fastest.")
    ] = False,
    precision: Annotated[str | None, typer.Option(help="Precision with --per-layer: fp32 or bf16.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the plot, bench.png or layers.png.")] = None,
    json: Json = False,
) -> None:
    """Measure how fast each engine runs a classifier here. --engine auto then uses the fastest.

    inceptorch bench runs/flowers --data flowers/val

    inceptorch bench runs/flowers --per-layer
    """
    from inceptorch.deployment.benchmark import benchmark
    from inceptorch.inference.engines import open_engine
    from inceptorch.utils.files import make_folder

    if precision is not None and not per_layer:
        raise EngineError(
            "Cannot use --precision without --per-layer: every precision is measured. Try --per-layer, too."
        )
    if per_layer and (data is not None or reference is not None):
        raise EngineError(
            "Cannot use --data or --reference with --per-layer: it compares no outputs. Try without them."
        )
    try:
        batch_sizes = [int(each) for each in batch.split(",")]
    except ValueError:
        raise EngineError(f"--batch {batch!r} is not a list of whole numbers such as 1,16.") from None
    if out is not None:
        make_folder(out)
    if per_layer:
        _bench_layers(model, open_engine(model, engine or "auto", precision), batch_sizes[0], out, json)
        return
    results = benchmark(model, engine=engine, batch_sizes=batch_sizes, seconds=seconds, data=data, reference=reference)
    if json:
        print_json([each.to_dict() for each in results])
    else:
        _print_engines(results)
    if out is not None:
        from inceptorch.deployment.plot import draw_engines

        draw_engines(results, Path(model).name, out / "bench.png")


def _bench_layers(model: str, engine: "Engine", batch_size: int, out: Path | None, json: bool) -> None:
    from inceptorch.deployment.per_layer import layer_times

    title = f"{Path(model).name} on {engine}, batch {batch_size}"
    times = layer_times(engine, batch_size)
    if json:
        print_json([each.to_dict() for each in times])
    else:
        print(printable(title))
        _print_layers(times)
    if out is not None:
        from inceptorch.deployment.plot import draw_layers

        draw_layers(times, title, out / "layers.png")


def _print_engines(results: "list[BenchmarkResult]") -> None:
    compared, of = ("top-1 agrees", "probability") if results[0].answers == "classes" else ("boxes agree", "score")
    head = f"engine|precision|batch|images/s|p50 ms|p99 ms|MiB|cold start s|{compared}|max diff|of peak"
    grid = [head.split("|")]
    for each in results:
        timed = [f"{each.images_per_second:.1f}", f"{each.p50_ms:.1f}", f"{each.p99_ms:.1f}"]
        memory = "" if each.memory_mib is None else f"{each.memory_mib:.0f}"
        agreement = [f"{each.top1_agreement:.1%}", f"{each.max_difference:.1g}"]
        peak = "" if each.fraction_of_peak is None else f"{each.fraction_of_peak:.0%}"
        setup = [each.engine, each.precision, str(each.batch_size)]
        grid.append([*setup, *timed, memory, f"{each.cold_start_s:.2f}", *agreement, peak])
    print_table(grid)
    print(f"{compared.split()[0]} and max diff (of a {of}) against {results[0].reference}")


def _print_layers(times: "list[LayerTime]") -> None:
    cells = [
        [each.layer, f"{each.ms:.3f}", f"{each.fraction:.1%}", f"{each.macs:,}", f"{each.macs_fraction:.1%}"]
        for each in times
    ]
    total = ["total", f"{sum(each.ms for each in times):.3f}", "", f"{sum(each.macs for each in times):,}", ""]
    print_table([["layer", "ms", "time", "multiply-adds", "fraction"], *cells, total])
