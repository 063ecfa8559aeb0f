import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inceptorch.cli.options import EngineOption, PrecisionOption, ProtocolOption
from inceptorch.cli.output import Json, print_json, print_table
from inceptorch.errors import ProtocolError
from inceptorch.utils.progress import printable

if TYPE_CHECKING:
    from inceptorch.evaluation import ComparisonRow, Evaluation
    from inceptorch.evaluation.boxes import BoxEvaluation
    from inceptorch.utils.progress import Progress

ModelsAndData = Annotated[
    list[str],
    typer.Argument(
        help="Runs, bundles, exported files, published weights or saved predictions; several are an ensemble. DATA as "
        "for train.",
        metavar="MODEL... [DATA]",
    ),
]
SplitOption = Annotated[
    str | None, typer.Option(help="train, val or test; by default the first of test, val and train that DATA has.")
]
WeightsOption = Annotated[
    str | None, typer.Option(help="Weights of the ensemble's members, as 2,1,1; by default equal.", metavar="W,W...")
]
SaveOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder for predictions; the same command resumes, and `eval` takes the files in place of models."
    ),
]
CalibrateOption = Annotated[
    str | None, typer.Option(help="Split of DATA to fit a temperature on; none by default.", metavar="SPLIT")
]
ExcludeOption = Annotated[
    Path | None, typer.Option(help="File of images to leave out: ILSVRC's blacklist, or one image file name per line.")
]
CompareOption = Annotated[
    bool, typer.Option("--compare", help="Table of 1, 10 and 144 crops, of the best model, and of all as an ensemble.")
]
ReportOption = Annotated[
    Path | None, typer.Option(help="File for a page with scores, classes and mistakes.", metavar="FILE.html")
]


def evaluate(
    models_and_data: ModelsAndData,
    protocol: ProtocolOption = "center",
    split: SplitOption = None,
    weights: WeightsOption = None,
    save_predictions: SaveOption = None,
    calibrate_on: CalibrateOption = None,
    exclude: ExcludeOption = None,
    compare: CompareOption = False,
    report: ReportOption = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    json: Json = False,
) -> None:
    """Evaluate classifiers on labeled images: top-1, top-5, loss, calibration and every class, with intervals.

    A detector is evaluated on images with boxes: mAP, and every class.

    inceptorch eval runs/flowers flowers/

    inceptorch eval runs/a runs/b flowers/ --protocol 144crop --save-predictions saved/
    """
    from inceptorch import evaluation
    from inceptorch.evaluation.predictions import SUFFIX
    from inceptorch.runtime.distributed import is_main_process
    from inceptorch.utils.files import require_writable
    from inceptorch.utils.progress import Progress

    saved = all(each.endswith(SUFFIX) for each in models_and_data)
    models, data = (models_and_data, None) if saved else (models_and_data[:-1], models_and_data[-1])
    if not models:
        raise ProtocolError(f"Cannot evaluate {data} alone. Try: inceptorch eval {data} DATA.")
    progress = Progress()
    if report:
        require_writable(report, [".html", ".htm"], option="--report")
    inputs: dict[str, Any] = {"split": split, "exclude": exclude}
    inputs |= {"engine": engine, "precision": precision, "progress": progress}
    if len(models) == 1 and data is not None and _is_detector(models[0]):
        others = {"--weights": weights, "--save-predictions": save_predictions, "--calibrate-on": calibrate_on}
        _evaluate_detector(
            models[0], data, {**inputs, "protocol": protocol}, {**others, "--compare": compare or None}, report, json
        )
        return
    inputs["save_predictions"] = save_predictions
    if compare:
        others = {"--weights": weights, "--calibrate-on": calibrate_on, "--report": report}
        others["--protocol"] = None if protocol == "center" else protocol
        _compare(models, data, inputs, others, json)
        return
    began = time.monotonic()
    found = evaluation.evaluate(
        models, data, protocol=protocol, weights=_numbers(weights), calibrate_on=calibrate_on, **inputs
    )
    seconds = time.monotonic() - began
    if not is_main_process():
        return
    _show(found, models, seconds, report, progress, json)


def _show(
    found: "Evaluation | BoxEvaluation",
    models: list[str],
    seconds: float,
    report: Path | None,
    progress: "Progress",
    json: bool,
) -> None:
    """Print an evaluation, and write its page."""
    from inceptorch.data.verify import report_skipped
    from inceptorch.evaluation import Evaluation

    report_skipped(found.skipped, progress.info)
    if json:
        print_json(found.to_dict())
    elif isinstance(found, Evaluation):
        print_evaluation(found)
    else:
        print_box_evaluation(found)
    if report:
        _write_report(found, models, seconds, report)
        progress.info(f"the page is in {report}")


def _evaluate_detector(
    model: str, data: str, inputs: dict[str, Any], others: dict[str, Any], report: Path | None, json: bool
) -> None:
    """Print the scores of a detector, and write its page. Raises ProtocolError for `others`, options that it does not
    take, if given."""
    from inceptorch import evaluation

    for flag, value in others.items():
        if value is not None:
            raise ProtocolError(f"Cannot combine {flag} with a detector. Leave it out.")
    began = time.monotonic()
    found = evaluation.evaluate_on_boxes(model, data, **inputs)
    _show(found, [model], time.monotonic() - began, report, inputs["progress"], json)


def _is_detector(model: str) -> bool:
    """Whether a model finds boxes."""
    from inceptorch.classifier.config import read_config
    from inceptorch.errors import BundleError
    from inceptorch.evaluation.predictions import SUFFIX
    from inceptorch.inference.engines.factory import exported_metadata, find
    from inceptorch.inference.engines.formats import is_exported

    if model.endswith(SUFFIX):
        return False
    try:
        path = find(model)
        if is_exported(path):
            return exported_metadata(path).get("detection") is not None
        return read_config(path, custom=True).detection is not None
    except BundleError:
        return False  # whose own sentence comes where it is opened


def print_box_evaluation(found: "BoxEvaluation") -> None:
    """Print mAP with its interval, and every class."""
    scores = found.scores
    print(f"mAP {_percent(scores.map50)}{_interval(scores.intervals['map50'])} on {found.n} images; {scores.protocol}")
    if scores.map is not None:
        print(f"mAP over all thresholds {_percent(scores.map)}{_interval(scores.intervals['map'])}")
    if scores.threshold is not None:
        at = f"precision {_percent(scores.precision)}, recall {_percent(scores.recall)}"
        print(f"at a score of {scores.threshold:.2f}: {at}")
    rows = [["class", "objects", "AP", "recall", "precision"]]
    for name, score in scores.per_class.items():
        parts = (score["ap50"], score["recall"], score["precision"])
        rows.append([name, str(score["n"]), *map(_percent, parts)])
    print_table(rows)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.1%} to {interval[1]:.1%})"


def _compare(models: list[str], data: str | None, inputs: dict[str, Any], others: dict[str, Any], json: bool) -> None:
    """Print the table of --compare. Raises ProtocolError for `others`, options that it does not take, if given."""
    from inceptorch import evaluation
    from inceptorch.runtime.distributed import is_main_process

    for flag, value in others.items():
        if value is not None:
            raise ProtocolError(f"Cannot combine {flag} with --compare, which has its own protocols. Give one.")
    if data is None:
        raise ProtocolError("Cannot compare saved predictions. Name models and DATA.")
    rows = evaluation.compare_crops_and_ensembles(models, data, **inputs)
    if is_main_process():
        print_json([vars(row) for row in rows]) if json else print_comparison(rows)


def _write_report(evaluation: "Evaluation | BoxEvaluation", models: list[str], seconds: float, out: Path) -> None:
    """The page of an evaluation; for a single classifier also with activation maps of its mistakes."""
    from inceptorch import report
    from inceptorch.classifier.hub import load
    from inceptorch.evaluation import Evaluation
    from inceptorch.evaluation.predictions import SUFFIX
    from inceptorch.inference.engines import is_exported
    from inceptorch.utils.files import write_text

    alone = (
        isinstance(evaluation, Evaluation)
        and len(models) == 1
        and not models[0].endswith(SUFFIX)
        and not is_exported(models[0])
    )
    command = shlex.join(["inceptorch", *sys.argv[1:]])
    title = f"{' and '.join(dict.fromkeys(Path(model).name for model in models))}, evaluated"
    write_text(out, report.evaluation_page(title, evaluation, load(models[0]) if alone else None, seconds, command))


def print_evaluation(evaluation: "Evaluation") -> None:
    """Every class, all together with intervals, calibration, the protocol."""
    values = evaluation.to_dict()
    metrics = {"top1": "top-1"}
    if len(evaluation.classes) > 5:  # with fewer, top-5 is always 100 %
        metrics["top5"] = "top-5"

    def row(name: str, scores: dict[str, Any], precision: str) -> list[str]:
        return [name, str(scores["n"]), *(f"{scores[each]:.2%}" for each in metrics), precision]

    grid = [["class", "images", *metrics.values(), "precision"]]
    for name, one in values["per_class"].items():
        grid.append(row(name, one, "-" if one["precision"] is None else f"{one['precision']:.2%}"))
    print_table([*grid, row("all", values, "")])
    print(f"loss {evaluation.loss:.4f}")
    ranges = ("{} {:.2%} to {:.2%}".format(name, *values["intervals"][each]) for each, name in metrics.items())
    print(f"95% intervals: {', '.join(ranges)}")
    error, (low, high) = evaluation.calibration
    print(f"calibration error {error:.2%}; its interval, corrected for chance, {low:.2%} to {high:.2%}")
    if scaled := evaluation.temperature_scaling:
        print(
            f"with logits divided by {scaled['temperature']:.3f}: calibration error {scaled['error']:.2%}, "
            f"loss {scaled['loss']:.4f}"
        )
    rejection = evaluation.threshold
    print(
        f"predict --min-confidence {rejection['threshold']:.3f} would keep {rejection['coverage']:.1%} of these "
        f"images, at an accuracy of {rejection['selective_accuracy']:.2%}"
    )
    print(f"protocol: {printable(evaluation.protocol)}")


def print_comparison(rows: "list[ComparisonRow]") -> None:
    """The columns of arXiv:1409.4842 Table 3, with top-1 and intervals. With fewer than six classes, top-1 is compared,
    as top-5 is always right."""
    five = rows[0].classes > 5
    errors = ["top-1 error", "top-5 error"] if five else ["top-1 error"]
    grid = [["models", "crops", "cost", "G mult-adds", *errors, f"{errors[-1][:5]} compared to base"]]
    for row in rows:
        errors = [_error(row.top1, row.top1_interval)] + ([_error(row.top5, row.top5_interval)] if five else [])
        gained, (low, high) = (row.gained5, row.gained5_interval) if five else (row.gained1, row.gained1_interval)
        compared = "base" if row is rows[0] else f"{-gained:+z.2%} ({-high:+z.2%} to {-low:+z.2%})"
        counts = [str(len(row.models)), str(row.cost // len(row.models)), str(row.cost)]
        grid.append([*counts, f"{row.multiply_adds / 1e9:.1f}", *errors, compared])
    print_table(grid)
    names = dict.fromkeys(f"{name} ({net})" for row in rows for name, net in zip(row.models, row.networks, strict=True))
    print(printable(f"models: {', '.join(names)}; 95% intervals in brackets, of the last column image by image"))


def _error(accuracy: float, interval: tuple[float, float]) -> str:
    """An accuracy and its interval, as an error."""
    low, high = interval
    return f"{1 - accuracy:.2%} ({1 - high:.1%}-{1 - low:.1%})"


def _numbers(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(number) for number in text.split(",")]
    except ValueError:
        raise ProtocolError(f"--weights takes numbers with commas between, such as 2,1,1, not {text!r}.") from None
