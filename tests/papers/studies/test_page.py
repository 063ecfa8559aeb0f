"""Outcomes as text and as a page."""

from typing import Any

from inceptorch.papers.studies import STUDIES, page


def outcome(low: float, high: float, said: str) -> dict[str, Any]:
    """The results of `label-smoothing` with that interval."""
    arm = {
        "size": 32, "lr": 0.03, "params": 871_058, "params_with_aux": 900_000, "macs": 17_897_984, "top1": [0.5, 0.6],
        "mean": 0.55, "low": 0.5, "high": 0.6, "seconds": [60.0, 62.0], "curves": [[0.5], [0.6]],
    }  # fmt: skip
    study = STUDIES["label-smoothing"]
    found = {"differences": [low, high], "mean": (low + high) / 2, "low": low, "high": high, "verdict": said}
    return {
        "study": study.name, "data": "cifar10", "classes": 10, "epochs": 5, "size": 32, "limit": 400, "seeds": 2,
        "arms": [{"name": one.name, "what": one.what, **arm} for one in study.arms],
        "claims": [{**vars(study.claims[0]), **found}],
    }  # fmt: skip


def test_the_text_says_what_the_interval_says() -> None:
    untold = page.text(outcome(-0.01, 0.0262, "cannot be told"))
    words = " ".join(untold.split())
    assert "cannot be told with 2 seeds: the difference lies between -1.00 and +2.62 points" in words
    assert "agrees" not in words
    assert "printed: +0.2 points" in words
    assert "871,058 (+28,942 to train)" in words
    assert "cifar10, 10 classes, at most 400 images of a class; 32 pixels, 5 epochs, 2 seeds; 4.1 minutes" in words
    told = " ".join(page.text(outcome(0.001, 0.003, "agrees")).split())
    assert "“0.1” better than “none”: +0.20 points, +0.10 to +0.30; agrees." in told


def test_the_page_has_every_study_with_or_without_a_result() -> None:
    shown = page.page([outcome(0.001, 0.003, "agrees")])
    for study in STUDIES.values():
        assert f"## {study.name}\n\n{study.question}" in shown
        for claim in study.claims:
            assert claim.says in shown
    assert shown.count("There is no result of this study yet.") == len(STUDIES) - 1
    assert "(study_label-smoothing.png)" in shown
    assert "+0.20 (+0.10 to +0.30) | **agrees** |" in shown


def test_a_data_set_may_be_called_anything() -> None:
    shown = page.page([{**outcome(0.001, 0.003, "agrees"), "data": "<script>|a`{{ 7*7 }}"}])
    assert "\\<script\\>\\|a\\`{{ 7\\*7 }}, 10 classes" in shown
    assert "<script>" not in shown


def test_the_page_says_how_little_was_trained_and_why_there_is_no_verdict() -> None:
    results = outcome(0.001, 0.003, "cannot be told")
    results["claims"][0]["why"] = "“none” is not clearly above chance, 10.0%"
    for shown in (page.page([results]), page.text(results)):
        words = " ".join(shown.split())
        assert "trained for 5 epochs of at most 4,000 images. They end with 55% to 55% right; guessing would" in words
        assert "have 10%. The verdicts are about networks trained so little." in words
        assert "cannot be told: “none” is not clearly above chance, 10.0%" in words
