import time
from pathlib import Path
from typing import Annotated, Any

import typer

from inceptorch.cli.options import EngineOption, PrecisionOption
from inceptorch.cli.output import Json, print_json, print_table, printable

WORDS = "A run, a bundle, an exported file, published weights or saved predictions; several are an ensemble. Behind them, DATA as for train."


def evaluate(
    words: Annotated[list[str], typer.Argument(help=WORDS, metavar="MODEL... [DATA]")],
    protocol: Annotated[
        str, typer.Option(help="center, 10crop, 12crop, 144crop, low-resolution, or a .yaml of your own.")
    ] = "center",
    split: Annotated[str | None, typer.Option(help="train, val or test; by default the test or val part.")] = None,
    weights: Annotated[str | None, typer.Option(help="Of an ensemble's members: 2,1,1.", metavar="W,W...")] = None,
    save_predictions: Annotated[
        Path | None, typer.Option(help="A folder that keeps predictions, for going on and for other ensembles.")
    ] = None,
    temperature: Annotated[
        str | None,
        typer.Option(help="Also find the temperature on this part of DATA, and evaluate with it.", metavar="SPLIT"),
    ] = None,
    without: Annotated[
        Path | None, typer.Option(help="A file of images to leave out: ILSVRC's blacklist, or names, a line each.")
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="1, 10 and 144 crops, of one model and of all: what each brings and costs.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(help="Also write it as one page: classes, mistakes, calibration.", metavar="FILE.html"),
    ] = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    json: Json = False,
) -> None:
    """Evaluate classifiers on labelled images: top-1, top-5, loss, calibration and every class, with intervals.

    inceptorch eval runs/flowers flowers/

    inceptorch eval runs/a runs/b flowers/ --protocol 144crop --save-predictions kept/
    """
    from inceptorch.data.verify import report_skipped
    from inceptorch.errors import ProtocolError
    from inceptorch.evaluation import compare_crops_and_ensembles
    from inceptorch.evaluation import evaluate as evaluate
    from inceptorch.evaluation.predictions import SUFFIX
    from inceptorch.runtime.distributed import speaks
    from inceptorch.utils.progress import Progress

    saved = all(word.endswith(SUFFIX) for word in words)
    models, data = (words, None) if saved else (words[:-1], words[-1])
    if not models:
        raise ProtocolError(f"Name the images to evaluate {data} with: inceptorch eval {data} DATA.")
    progress = Progress()
    if report:
        check_writable(report)
    if table:
        besides = {"--weights": weights, "--temperature": temperature, "--report": report}
        besides["--protocol"] = None if protocol == "center" else protocol
        flag = next((flag for flag, value in besides.items() if value is not None), None)
        if flag is not None:
            raise ProtocolError(
                f"{flag} does not go with --table, which evaluates each model and all by three protocols."
            )
        if data is None:
            raise ProtocolError("The table needs models and DATA; with --save-predictions nothing is computed twice.")
        rows = compare_crops_and_ensembles(
            models,
            data,
            split=split,
            save_predictions=save_predictions,
            exclude=without,
            engine=engine,
            precision=precision,
            progress=progress,
        )
        if json and speaks():
            print_json([vars(row) for row in rows])
        elif speaks():
            print_comparison(rows)
        return
    began = time.monotonic()
    evaluation = evaluate(
        models,
        data,
        split=split,
        protocol=protocol,
        weights=_numbers(weights),
        save_predictions=save_predictions,
        calibrate_on=temperature,
        exclude=without,
        engine=engine,
        precision=precision,
        progress=progress,
    )
    seconds = time.monotonic() - began
    if speaks():
        report_skipped(evaluation.skipped, progress.info)
    if json and speaks():
        print_json(evaluation.to_dict())
    elif speaks():
        print_evaluation(evaluation)
    if report and speaks():
        write_report(evaluation, models, seconds, report)
        progress.info(f"the page is in {report}")


def check_writable(out: Path) -> None:
    """Raise RunError before anything is evaluated where the page could not be written."""
    from inceptorch.errors import RunError

    if out.is_dir() or not out.absolute().parent.is_dir():
        what = "is a folder" if out.is_dir() else "lies in a folder that does not exist"
        raise RunError(f"{out} {what}; name a file for --report.")
    if out.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"{out} does not end in .html, and --report writes HTML; name it FILE.html.")


def write_report(evaluation: Any, models: list[str], seconds: float, out: Path) -> None:
    """The page of an evaluation, with where a single model looked at its mistakes."""
    import shlex
    import sys

    from inceptorch import report
    from inceptorch.classifier.hub import load
    from inceptorch.evaluation.predictions import SUFFIX
    from inceptorch.inference.engines import is_exported
    from inceptorch.utils.files import write_text

    alone = len(models) == 1 and not models[0].endswith(SUFFIX) and not is_exported(models[0])
    command = shlex.join(["inceptorch", *sys.argv[1:]])
    title = f"{' and '.join(dict.fromkeys(Path(model).name for model in models))}, evaluated"
    write_text(out, report.of_evaluation(title, evaluation, load(models[0]) if alone else None, seconds, command))


def print_evaluation(evaluation: Any) -> None:
    """Every class, all together with intervals, calibration, the protocol."""
    found = evaluation.to_dict()
    shown = {"top1": "top-1"}
    if len(evaluation.classes) > 5:  # of fewer, five answers are always right
        shown["top5"] = "top-5"

    def row(name: str, scores: dict[str, Any], precision: str) -> list[str]:
        return [name, str(scores["n"]), *(f"{scores[each]:.2%}" for each in shown), precision]

    grid = [["class", "images", *shown.values(), "precision"]]
    for name, one in evaluation.per_class.items():
        grid.append(row(name, one, "-" if one["precision"] is None else f"{one['precision']:.2%}"))
    print_table([*grid, row("all", found, "")])
    print(f"loss {evaluation.loss:.4f}")
    ranges = []
    for each, name in shown.items():
        low, high = evaluation.intervals[each]
        ranges.append(f"{name} {low:.2%} to {high:.2%}")
    print(f"95% intervals: {', '.join(ranges)}")
    error, (low, high) = found["calibration"]["error"], found["calibration"]["interval"]
    print(f"confidence is off by {error:.2%}; without what chance adds to that, by {low:.2%} to {high:.2%}")
    if evaluation.temperature_scaling is not None:
        after = evaluation.temperature_scaling
        print(
            f"with logits divided by {after['temperature']:.3f}: off by {after['error']:.2%}, loss {after['loss']:.4f}"
        )
    unknown = found["unknown"]
    print(
        f"predict --unknown-below {unknown['below']:.3f} would answer {unknown['answered']:.1%} of these images, "
        f"{unknown['right_of_answered']:.2%} of them rightly"
    )
    print(f"protocol: {printable(evaluation.protocol)}")


def print_comparison(rows: list[Any]) -> None:
    """The columns of arXiv:1409.4842 Table 3, top-1 too, and what is sure of them. Of fewer than six classes five answers
    say nothing, so that top-1 is compared."""
    five = rows[0].classes > 5
    errors = ["top-1 error", "top-5 error"] if five else ["top-1 error"]
    grid = [["models", "crops", "cost", "G mult-adds", *errors, f"{errors[-1][:5]} compared to base"]]
    for row in rows:
        errors = [_error(row.top1, row.top1_interval)] + ([_error(row.top5, row.top5_interval)] if five else [])
        gained, (low, high) = (row.gained5, row.gained5_interval) if five else (row.gained1, row.gained1_interval)
        compared = "base" if row is rows[0] else f"{-gained:+z.2%} ({-high:+z.2%} to {-low:+z.2%})"
        crops = row.cost // len(row.models)
        counts = [str(len(row.models)), str(crops), str(row.cost), f"{row.multiply_adds / 1e9:.1f}"]
        grid.append([*counts, *errors, compared])
    print_table(grid)
    every = dict.fromkeys(f"{name} ({net})" for row in rows for name, net in zip(row.models, row.networks, strict=True))
    print(printable(f"models: {', '.join(every)}; 95% intervals in brackets, of the last column image by image"))


def _error(right: float, interval: tuple[float, float]) -> str:
    """A column of errors: that of a share that is right, with its interval."""
    low, high = interval
    return f"{1 - right:.2%} ({1 - high:.1%}-{1 - low:.1%})"


def _numbers(text: str | None) -> list[float] | None:
    from inceptorch.errors import ProtocolError

    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ProtocolError(f"--weights takes numbers with commas between, such as 2,1,1, not {text!r}.") from None
