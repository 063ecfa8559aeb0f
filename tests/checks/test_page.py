"""The findings as a page and for the terminal."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from inceptorch.checks import check, page
from tests.checks.helpers import QUIET, TIMES, Planted
from tests.helpers import ParsedPage


def test_classes_and_what_is_not_used_are_listed(clean: Path, home: Path) -> None:
    (clean / "train" / "oak" / "x.psd").touch()
    shutil.copy(clean / "train" / "oak" / "00.jpg", clean / "loose.jpg")
    findings = check(clean, progress=QUIET)
    shown = [
        "train: 'ash' 12, 'elm' 12, 'oak' 12",
        "val: 'ash' 2, 'elm' 2, 'oak' 2",
        "not used: 1 .psd (train/oak/x.psd), 1 outside the class folders (loose.jpg)",
    ]
    assert page.lines(findings)[-4:-1] == shown
    text = ParsedPage(page.html(findings)).text
    assert all(line in text for line in shown)
    assert [(one.kind, one.files) for one in findings.items] == [
        ("ignored", (str(clean / "loose.jpg"),)),
        ("no-image", (str(clean / "train" / "oak" / "x.psd"),)),
    ]


def test_the_page_holds_everything_and_asks_for_nothing(planted: Planted, home: Path) -> None:
    hostile = planted.root.parent / "hostile"
    shutil.copytree(planted.root / "train" / "big", hostile / "a" / "<b>&'\"")
    shutil.copytree(planted.root / "train" / "plain", hostile / "b")
    shutil.copy(hostile / "a" / "<b>&'\"" / "000.jpg", hostile / "b" / "same.jpg")
    findings = check(hostile, progress=QUIET)
    html = page.html(findings)
    assert '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:;' in html
    assert "<b>&'" not in html
    assert "<b>&'\"/000.jpg" in ParsedPage(html).text
    asked = re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", "", html)
    for word in ("<script", "http:", "https:", "@import", "url("):
        assert word not in asked
    assert html.count("data:image/jpeg;base64,") >= 2 * TIMES
    text = ParsedPage(html).text
    for one in findings.items:
        for file in one.files:
            assert Path(file).name in text
