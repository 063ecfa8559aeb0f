"""The kinds of findings, and their JSON form."""

from __future__ import annotations

from pathlib import Path

from inceptorch.checks.check import check
from inceptorch.checks.findings import KINDS, SEVERITIES
from tests.checks.helpers import QUIET


def test_kinds_are_listed_from_errors_to_remarks_and_have_a_remedy() -> None:
    ranks = [SEVERITIES.index(kind.severity) for kind in KINDS.values()]
    assert ranks == sorted(ranks)
    for kind in KINDS.values():
        assert not kind.what.endswith(".")
        assert kind.remedy.endswith(".")


def test_warnings_are_safe_and_errors_are_not(clean: Path, home: Path) -> None:
    (clean / "train" / "ash" / "notes.txt").write_text("no image")
    findings = check(clean, min_size=97, progress=QUIET)
    assert findings.safe
    assert findings.counts() == {"error": 0, "warning": 42, "remark": 1}
    assert list(findings.by_kind) == ["tiny", "no-image"]
    (clean / "train" / "ash" / "broken.jpg").write_bytes(b"no image")
    found = check(clean, progress=QUIET).to_dict()
    assert not found["safe"]
    assert found["counts"] == {"unreadable": 1, "no-image": 1}
    assert found["images"] == {"train": 37, "val": 6}
    assert found["findings"][0]["files"] == [str(clean / "train" / "ash" / "broken.jpg")]
