"""A benchmark of engines, precisions and batch sizes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.config import ClassifierConfig
from inceptorch.deployment.cold_start import ColdStart, cold_start
from inceptorch.deployment.compare_boxes import SAME_OBJECT, box_difference, detect
from inceptorch.deployment.peak import peak
from inceptorch.errors import EngineError, NonFiniteOutputError
from inceptorch.images.boxes import Boxes
from inceptorch.inference.engines import ENGINES, Engine, available, open_engine
from inceptorch.inference.engines.factory import find
from inceptorch.inference.engines.formats import missing
from inceptorch.inference.engines.selection import TOLERANCE, EngineChoice, is_measured, save_choices
from inceptorch.inference.engines.timing import latencies, random_images, throughput
from inceptorch.inference.inputs import load_inputs
from inceptorch.utils.cpu import processors
from inceptorch.utils.progress import Progress

ROUNDS = 3  # each measures every case in turn, so that other work on the machine affects all alike
MAX_IMAGES = 128  # of a folder, on which outputs are compared
RANDOM_IMAGES = 32
DETECTOR_IMAGES = 8  # instead of either, as they are larger
MIN_AGREEMENT = 0.95  # of a detector's boxes, for an engine to be taken for the fastest
MAX_BATCH_SIZE = 4096
QUICK_SECONDS, QUICK_BUDGET = 0.4, 10.0  # of `measure_once`: for one engine; after which none is begun
QUICK_IMAGES = 8
Answers = NDArray[np.float32] | list[Boxes]
CALLS = (4, 200)  # minimum and maximum number of timed calls in a round


@dataclass(frozen=True)
class BenchmarkResult:
    """One engine in one precision at one batch size. Medians over the rounds."""

    engine: str
    precision: str
    batch_size: int
    streams: int  # concurrent calls at the highest throughput
    images_per_second: float  # with that many concurrent calls
    p50_ms: float  # latency of a call with a single caller
    p99_ms: float
    memory_mib: float | None  # peak of a fresh process that opens the classifier and runs one batch
    cold_start_s: float  # from the start of that process to its output
    reference: str  # engine and precision with the correct outputs
    top1_agreement: float  # fraction of images with the same top-1 class; of a detector, that of boxes found by both
    max_difference: float  # of any probability; of a detector, of the scores of such boxes
    fraction_of_peak: float | None  # arithmetic done, relative to a matrix product here; None if unknown
    answers: str = "classes"  # or "boxes", of a detector

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Case:
    """One engine in one precision at one batch size, and its measurements so far."""

    engines: dict[int, Engine]  # by streams
    crops: NDArray[np.uint8]
    agreement: float
    difference: float
    rates: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))  # by streams
    seconds: list[float] = field(default_factory=list)
    cold: list[ColdStart] = field(default_factory=list)


def benchmark(
    model: str | Path,
    *,
    engine: str | None = None,
    batch_sizes: Sequence[int] = (1, 16),
    seconds: float = 3.0,
    data: str | Path | None = None,
    reference: str | Path | None = None,
    progress: Progress | None = None,
) -> list[BenchmarkResult]:
    """Measure every installed engine, or one, in every precision and batch size; the highest throughput first. If all
    engines are measured, `--engine auto` uses the fastest one whose outputs agree from then on.

    seconds     of each measurement: throughput and latency
    data        an image or a folder, on which outputs are compared; random images by default. A detector's are
                letterboxed before, so that speeds are without that
    reference   the classifier whose fp32 outputs are correct; this one by default

    Raises EngineError if no engine can run the classifier, ImageError if no image can be read.
    """
    progress, path = progress or Progress(), find(model)
    if not batch_sizes or min(batch_sizes) < 1 or max(batch_sizes) > MAX_BATCH_SIZE:
        raise EngineError(f"Batch sizes must be from 1 to {MAX_BATCH_SIZE}, as in --batch 1,16.")
    pairs = [pair for pair in available(path) if engine in (None, pair[0])]
    for sentence in missing() if engine is None else ():
        progress.info(sentence)
    if not pairs:
        open_engine(path, engine or ENGINES[0])  # raises EngineError
    expected = _reference(find(reference or path))
    config = expected.config
    if data is None:
        crops = random_images(config.input_size, RANDOM_IMAGES if config.detection is None else DETECTOR_IMAGES)
    else:
        count = MAX_IMAGES if config.detection is None else DETECTOR_IMAGES
        crops = load_inputs(Path(data), config, count, progress)
    correct = _answers(expected, crops)
    cases: list[_Case] = []
    for name, precision in pairs:
        # torch takes one call at a time, with all processors
        counts = dict.fromkeys((1,) if name == "torch" else (1, processors()))
        engines = {streams: open_engine(path, name, precision, streams=streams) for streams in counts}
        if _task(engines[1].config) != _task(config):
            raise EngineError(
                f"{reference} has other classes or preprocessing than {model}; name the run it was exported from."
            )
        agreement, difference = _compare(_answers(engines[1], crops), correct)
        cases += [_Case(engines, _tile(crops, size), agreement, difference) for size in batch_sizes]
    turns = [case for _ in range(ROUNDS) for case in cases]
    for case in progress.track(turns, len(turns), "measuring"):
        _measure(case, path, seconds / ROUNDS)
    peaks = {precision: peak(precision) for precision in dict.fromkeys(precision for _, precision in pairs)}
    results = [_result(case, peaks[case.engines[1].precision], str(expected)) for case in cases]
    results.sort(key=lambda each: -each.images_per_second)
    if engine is None:
        _save_fastest(path, results, config, progress)
    return results


def measure_once(model: str | Path, *, progress: Progress) -> None:
    """Measure the engines of a classifier for a few seconds, unless that was done before. `--engine auto` is then the
    fastest one here in fp32, or in int8 for a file in int8.

    An engine that fails, or does not agree with the first, is left out."""
    path = find(model)
    pairs = [pair for pair in available(path) if pair[1] != "bf16"]
    if len(pairs) < 2 or is_measured(path):
        return
    progress.info(f"measuring the engines for {model}, once and for a few seconds; --no-measure leaves it out")
    pairs.sort(key=lambda pair: pair[0] != "torch")  # it is the reference
    until, choices = time.monotonic() + QUICK_BUDGET, list[EngineChoice]()
    expected: Answers | None = None
    for name, precision in pairs:
        for streams in dict.fromkeys((1,) if name == "torch" else (1, processors())):
            if choices and time.monotonic() > until:
                break
            try:
                engine = open_engine(path, name, precision, streams=streams)
                crops = random_images(engine.config.input_size, QUICK_IMAGES)
                found = _answers(engine, crops)
                expected = found if expected is None else expected
                if _agrees(*_compare(found, expected), engine.config):
                    rate = throughput(engine, crops[: engine.batch_size], QUICK_SECONDS)
                    choices.append(EngineChoice(name, precision, streams, engine.batch_size, rate))
            except (EngineError, NonFiniteOutputError):
                continue
    save_choices(path, sorted(choices, key=lambda choice: -choice.per_second), progress)


def _measure(case: _Case, path: Path, seconds: float) -> None:
    for streams, engine in case.engines.items():
        case.rates[streams].append(throughput(engine, case.crops, seconds))
    single, batch_size = case.engines[1], len(case.crops)
    calls = round(seconds * case.rates[1][-1] / batch_size)
    case.seconds += latencies(single, case.crops, int(np.clip(calls, *CALLS)))
    case.cold.append(cold_start(path, single.name, single.precision, 1, batch_size))


def _result(case: _Case, peak: float | None, reference: str) -> BenchmarkResult:
    engine, config = case.engines[1], case.engines[1].config
    rates = {streams: median(values) for streams, values in case.rates.items()}
    streams = max(rates, key=lambda each: rates[each])
    p50, p99 = np.percentile(case.seconds, (50, 99)) * 1000
    memory = [each.memory_mib for each in case.cold if each.memory_mib is not None]
    return BenchmarkResult(
        engine=engine.name,
        precision=engine.precision,
        batch_size=len(case.crops),
        streams=streams,
        images_per_second=rates[streams],
        p50_ms=float(p50),
        p99_ms=float(p99),
        memory_mib=median(memory) if memory else None,
        cold_start_s=median(each.seconds for each in case.cold),
        reference=reference,
        top1_agreement=case.agreement,
        max_difference=case.difference,
        fraction_of_peak=None if peak is None else rates[streams] * 2 * config.macs / peak,
        answers="classes" if config.detection is None else "boxes",
    )


def _reference(path: Path) -> Engine:
    """The engine with the correct outputs: torch if possible, else another in fp32, or in the file's int8."""
    plainest = dict(reversed(available(path)))  # the first precision of each engine
    name = next((name for name in ("torch", "onnxruntime", "openvino") if name in plainest), ENGINES[0])
    return open_engine(path, name, plainest.get(name))


def _task(config: ClassifierConfig) -> tuple[Any, ...]:
    return config.preprocessing, config.classes, config.detection


def _compare(found: Answers, correct: Answers) -> tuple[float, float]:
    """The agreement and the largest difference, as in results."""
    if isinstance(found, list) and isinstance(correct, list):
        boxes = box_difference("", found, correct, SAME_OBJECT)
        return 1 - boxes.unequal, boxes.score
    found, correct = np.asarray(found), np.asarray(correct)
    return float((found.argmax(1) == correct.argmax(1)).mean()), float(np.abs(found - correct).max())


def _agrees(agreement: float, difference: float, config: ClassifierConfig) -> bool:
    """Whether an engine may be taken for another."""
    return difference <= TOLERANCE and (config.detection is None or agreement >= MIN_AGREEMENT)


def _answers(engine: Engine, crops: NDArray[np.uint8]) -> Answers:
    """Probabilities [N, classes], or the boxes of N images, computed in batches of 16. Raises NonFiniteOutputError."""
    if engine.config.detection is not None:
        return detect(engine, crops)
    chunks = [engine.run(crops[start : start + 16]).probabilities for start in range(0, len(crops), 16)]
    found = np.concatenate(chunks)
    if not np.isfinite(found).all():
        raise NonFiniteOutputError
    return found


def _tile(crops: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """The first `count` crops, repeated if there are fewer."""
    return np.resize(crops, (count, *crops.shape[1:]))


def _save_fastest(path: Path, results: list[BenchmarkResult], config: ClassifierConfig, progress: Progress) -> None:
    """Save the results whose outputs agree for `--engine auto`. The loss of int8 was evaluated at export."""
    choices = [
        EngineChoice(each.engine, each.precision, each.streams, each.batch_size, each.images_per_second)
        for each in results
        if each.precision == "int8" or _agrees(each.top1_agreement, each.max_difference, config)
    ]
    if choices:
        save_choices(path, choices, progress)
