"""Progress on standard error."""

import pytest

from inceptorch.utils import progress


def test_a_line_of_progress_asks_for_its_note_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL", 0.0)
    notes = iter(range(10))
    assert list(progress.Progress().track("abc", 3, "reading", lambda: f"note {next(notes)}")) == ["a", "b", "c"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(", ")[2] for line in lines] == ["note 0", "note 1"]
