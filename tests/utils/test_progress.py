"""Progress on standard error."""

import re
import time
from collections.abc import Iterator

import pytest

from inceptorch.utils import progress


def test_a_line_of_progress_asks_for_its_note_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL", 0.0)
    notes = iter(range(10))
    assert list(progress.Progress().track("abcd", 4, "reading", lambda: f"note {next(notes)}")) == list("abcd")
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(", ")[2] for line in lines] == ["note 0", "note 1"]


def test_lines_and_bars_count_what_items_hold_and_go_on_where_they_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL", 0.0)
    batches = [[1], [2, 3, 4], [5, 6], [7]]
    assert list(progress.Progress().track(batches, 20, "images", done=13, size=len)) == batches
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["images: 17/20", "images: 19/20"]
    assert all(re.search(r" per second, \d+ s left$", line) for line in lines)


def test_the_start_before_the_first_item_says_nothing_about_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def items() -> Iterator[int]:
        clock[0] += 100  # a model's start
        for number in range(50):
            clock[0] += 1
            yield number

    assert list(progress.Progress().track(items(), 50, "predicting")) == list(range(50))
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == "predicting: 11/50, 1 per second, 39 s left"
