from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inceptorch.cli.output import Json, print_json, print_table, printable

if TYPE_CHECKING:
    from inceptorch.deployment.benchmark import Measured
    from inceptorch.deployment.per_layer import RowTime


def bench(
    model: Annotated[str, typer.Argument(help="A run, a bundle, an exported file, or published weights by name.")],
    engine: Annotated[
        str | None, typer.Option(help="Only torch, onnxruntime or openvino; by default all that are installed.")
    ] = None,
    batch: Annotated[str, typer.Option(help="How many images at a time; several, parted by commas.")] = "1,16",
    seconds: Annotated[float, typer.Option(help="Of each measurement.", min=0.01, max=3600)] = 3.0,
    data: Annotated[
        Path | None, typer.Option(help="Images, or a folder of them, to compare answers on; else random ones.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="The classifier in fp32 to compare answers with, such as the run that a file was made of."),
    ] = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="What each row of the network takes, on one engine (the fastest by default).")
    ] = False,
    precision: Annotated[str | None, typer.Option(help="With --rows: fp32 or bf16.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for the image of it, bench.png or rows.png.")] = None,
    json: Json = False,
) -> None:
    """Measure how fast each engine executes a classifier here, and what that takes; --engine auto then takes the fastest.

    inceptorch bench runs/flowers --data flowers/val

    inceptorch bench runs/flowers --rows
    """
    from inceptorch.deployment.benchmark import benchmark
    from inceptorch.deployment.per_layer import row_times
    from inceptorch.errors import EngineError
    from inceptorch.inference.engines import open_engine
    from inceptorch.utils.files import make_folder
    from inceptorch.utils.progress import Progress

    if precision is not None and not rows:
        raise EngineError("--precision goes with --rows; without it, every precision is measured.")
    if rows and (data is not None or reference is not None):
        raise EngineError("--rows compares no answers; leave out --data and --reference.")
    batches = _numbers(batch)
    if out is not None:
        make_folder(out)
    name = Path(model).name
    if rows:
        opened = open_engine(model, engine or "auto", precision)
        times = row_times(opened, batches[0])
        if json:
            print_json([each.to_dict() for each in times])
        else:
            print(printable(f"{name} on {opened}, {batches[0]} at a time"))
            _print_rows(times)
        if out is not None:
            from inceptorch.deployment.plot import draw_rows

            draw_rows(times, f"{name} on {opened}, {batches[0]} at a time", out / "rows.png")
        return
    measured = benchmark(
        model,
        engine=engine,
        batches=batches,
        seconds=seconds,
        data=data,
        reference=reference,
        progress=Progress(),
    )
    if json:
        print_json([each.to_dict() for each in measured])
    else:
        _print_engines(measured)
    if out is not None:
        from inceptorch.deployment.plot import draw_engines

        draw_engines(measured, name, out / "bench.png")


def _numbers(text: str) -> list[int]:
    from inceptorch.errors import EngineError

    try:
        return [int(each) for each in text.split(",")]
    except ValueError:
        raise EngineError(f"--batch {text!r} is no list of whole numbers such as 1,16.") from None


def _print_engines(measured: "list[Measured]") -> None:
    head = "engine|precision|batch|images/s|p50 ms|p99 ms|MiB|first s|agree|apart|of peak"
    grid = [head.split("|")]
    for each in measured:
        timed = [f"{each.per_second:.1f}", f"{each.p50_ms:.1f}", f"{each.p99_ms:.1f}"]
        memory = "" if each.memory_mib is None else f"{each.memory_mib:.0f}"
        compared = [f"{each.top1_agreement:.1%}", f"{each.largest_difference:.1g}"]
        peak = "" if each.fraction_of_peak is None else f"{each.fraction_of_peak:.0%}"
        first = f"{each.first_answer_s:.2f}"
        grid.append([each.engine, each.precision, str(each.batch), *timed, memory, first, *compared, peak])
    print_table(grid)
    print(f"agree and apart: top-1 and probabilities against {measured[0].reference}")


def _print_rows(times: "list[RowTime]") -> None:
    rows = [
        [each.row, f"{each.ms:.3f}", f"{each.share:.1%}", f"{each.macs:,}", f"{each.macs_share:.1%}"] for each in times
    ]
    total = ["total", f"{sum(each.ms for each in times):.3f}", "", f"{sum(each.macs for each in times):,}", ""]
    print_table([["layer", "ms", "time", "multiply-adds", "fraction"], *rows, total])
