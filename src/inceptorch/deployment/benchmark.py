"""Engines, precisions and numbers of images, measured side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.deployment.cold_start import Fresh, first_answer
from inceptorch.deployment.peak import peak
from inceptorch.errors import EngineError, NonFiniteOutputError
from inceptorch.inference.engines import ENGINES, Engine, available, open_engine
from inceptorch.inference.engines.factory import find
from inceptorch.inference.engines.formats import missing
from inceptorch.inference.engines.selection import TOLERANCE, EngineChoice, remember
from inceptorch.inference.engines.timing import latencies, random_images, throughput
from inceptorch.inference.inputs import load_crops
from inceptorch.networks.complexity import count_complexity
from inceptorch.utils.cpu import processors
from inceptorch.utils.progress import Progress

ROUNDS = 3  # in which everything is measured in turn, so that other work on the machine strikes all alike
MOST = 128  # images of a folder whose answers are compared
RANDOM = 32
MOST_TOGETHER = 4096  # images of a call
CALLS = (4, 200)  # timed one after the other in a round: at least, at most


@dataclass(frozen=True)
class Measured:
    """One engine in one precision with one number of images at a time. Medians over the rounds.

    streams             calls computed at once where that gave most images per second
    per_second          images per second, kept busy by as many callers as it takes at once
    p50_ms, p99_ms      milliseconds of a call, for a single caller
    memory_mib          the most memory of a fresh process that opened the classifier and answered one such call
    first_answer_s      seconds from the start of that process to its answer
    reference           what the answers are compared with
    top1_agreement      share of images with the same most probable class
    largest_difference  of any probability
    fraction_of_peak    arithmetic done, of what a matrix product reaches here; None where that is not known
    """

    engine: str
    precision: str
    batch: int
    streams: int
    per_second: float
    p50_ms: float
    p99_ms: float
    memory_mib: float | None
    first_answer_s: float
    reference: str
    top1_agreement: float
    largest_difference: float
    fraction_of_peak: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Case:
    """A row in the making: an engine opened for one call at a time, and for many, and what was measured so far."""

    engines: dict[int, Engine]  # by streams
    crops: NDArray[np.uint8]
    agreement: float
    difference: float
    rates: dict[int, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    fresh: list[Fresh] = field(default_factory=list)

    @property
    def engine(self) -> Engine:
        return self.engines[1]


def benchmark(
    model: str | Path,
    *,
    engine: str | None = None,
    batches: Sequence[int] = (1, 16),
    seconds: float = 3.0,
    data: str | Path | None = None,
    reference: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Measured]:
    """Measure every engine that is installed, or one, in every precision it has, with each number of images at a time;
    the most images per second first. Where all engines are measured, the fastest whose answers agree is remembered for
    `--engine auto`.

    seconds    of each measurement: throughput and latency of each row
    data       an image or a folder of them, on which the answers are compared; random images by default
    reference  the classifier whose answers in fp32 are the right ones; by default this one

    Raises EngineError if nothing can execute the classifier, ImageError if none of the images can be read.
    """
    progress, path = progress or Progress(), find(model)
    if not batches or min(batches) < 1 or max(batches) > MOST_TOGETHER:
        raise EngineError(f"The numbers of images at a time must be from 1 to {MOST_TOGETHER}, as in --batch 1,16.")
    ways = [way for way in available(path) if engine in (None, way[0])]
    if engine is None:
        for each in missing():
            progress.info(each)
    if not ways:
        open_engine(path, engine or ENGINES[0])  # says why not
    evaluate = _reference(find(reference or path))
    size = evaluate.config.preprocessing.size
    crops = (
        random_images(size, RANDOM)
        if data is None
        else load_crops(Path(data), evaluate.config.preprocessing, MOST, progress)
    )
    expected = _answers(evaluate, crops)

    cases: list[_Case] = []
    for name, precision in ways:
        many = () if name == "torch" else (processors(),)  # torch takes one call at a time, with all processors
        engines = {
            streams: open_engine(path, name, precision, streams=streams) for streams in dict.fromkeys((1, *many))
        }
        if (engines[1].config.preprocessing, engines[1].config.classes) != (
            evaluate.config.preprocessing,
            evaluate.config.classes,
        ):
            raise EngineError(
                f"{reference} has other classes or other pixels than {model}; name what {model} was made of."
            )
        found = _answers(engines[1], crops)
        agreement = float((found.argmax(1) == expected.argmax(1)).mean())
        difference = float(np.abs(found - expected).max())
        cases += [_Case(engines, _so_many(crops, batch), agreement, difference) for batch in batches]
    turns = [case for _ in range(ROUNDS) for case in cases]
    for case in progress.track(turns, len(turns), "measuring"):
        _measure(case, path, seconds / ROUNDS)

    peaks = {precision: peak(precision) for precision in dict.fromkeys(precision for _, precision in ways)}
    measured = [_result(case, peaks[case.engine.precision], str(evaluate)) for case in cases]
    measured.sort(key=lambda each: -each.per_second)
    ways_that_agree = [_way(each) for each in measured if _agrees(each)]
    if engine is None and ways_that_agree:
        remember(path, ways_that_agree, progress)
    return measured


def _measure(case: _Case, path: Path, seconds: float) -> None:
    for streams, engine in case.engines.items():
        rate = throughput(engine, case.crops, seconds)
        case.rates.setdefault(streams, []).append(rate)
    batch = len(case.crops)
    calls = round(seconds * case.rates[1][-1] / batch)
    case.seconds += latencies(case.engine, case.crops, int(np.clip(calls, *CALLS)))
    case.fresh.append(first_answer(path, case.engine.name, case.engine.precision, 1, batch))


def _result(case: _Case, at_best: float | None, reference: str) -> Measured:
    engine, config = case.engine, case.engine.config
    rates = {streams: median(found) for streams, found in case.rates.items()}
    streams = max(rates, key=lambda each: rates[each])
    macs = count_complexity(
        config.network, config.preprocessing.size, len(config.classes), config.preprocessing.in_chans
    ).macs
    p50, p99 = np.percentile(case.seconds, (50, 99)) * 1000
    memory = [fresh.memory_mib for fresh in case.fresh if fresh.memory_mib is not None]
    return Measured(
        engine=engine.name,
        precision=engine.precision,
        batch=len(case.crops),
        streams=streams,
        per_second=rates[streams],
        p50_ms=float(p50),
        p99_ms=float(p99),
        memory_mib=median(memory) if memory else None,
        first_answer_s=median(fresh.seconds for fresh in case.fresh),
        reference=reference,
        top1_agreement=case.agreement,
        largest_difference=case.difference,
        fraction_of_peak=None if at_best is None else rates[streams] * 2 * macs / at_best,
    )


def _reference(path: Path) -> Engine:
    """What computes the right answers: torch where it can, else another engine in fp32, or in the 8 bits of the file."""
    ways = dict(reversed(available(path)))  # of each engine its first precision, the plainest
    name = next((name for name in ("torch", "onnxruntime", "openvino") if name in ways), ENGINES[0])
    return open_engine(path, name, ways.get(name))


def _answers(engine: Engine, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities [N, classes], computed in parts of 16 images. Raises BundleError where they are no numbers."""
    parts = [engine.run(crops[start : start + 16]).probabilities for start in range(0, len(crops), 16)]
    found = np.concatenate(parts)
    if not np.isfinite(found).all():
        raise NonFiniteOutputError
    return found


def _so_many(crops: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """The first `count` images; where there are fewer, over again."""
    return np.resize(crops, (count, *crops.shape[1:]))


def _agrees(each: Measured) -> bool:
    """Whether `--engine auto` may take it. What a file of 8 bits loses was evaluated when it was made."""
    return each.precision == "int8" or each.largest_difference <= TOLERANCE


def _way(each: Measured) -> EngineChoice:
    return EngineChoice(each.engine, each.precision, each.streams, each.batch, each.per_second)
