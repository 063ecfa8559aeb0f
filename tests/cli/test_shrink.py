"""`inceptorch shrink`."""

import json
from pathlib import Path

import pytest

from inceptorch.shrink import measure
from tests.helpers import invoke, sentence


def test_shrink_prints_the_curve_and_leaves_a_run(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "can_quantize", lambda: False)
    words = ["shrink", run, images, "--cost", 0.6, "--epochs", 1, "--images", 12, "--by", "l1"]
    result = invoke(*words, "--out", tmp_path / "small", "--json")
    assert result.exit_code == 0, result.output
    curve = json.loads(result.stdout)
    assert [step["step"] for step in curve] == ["original", "cut", "fine-tuned"]
    assert set(curve[0]) == {
        "step", "cost", "macs", "params", "top1", "ms_fp32", "engine_fp32", "mb_fp32", "ms_int8", "engine_int8",
        "mb_int8",
    }  # fmt: skip
    assert (tmp_path / "small" / "report.html").exists()
    assert invoke("predict", tmp_path / "small", images / "val" / "red" / "00.png").exit_code == 0
    again = invoke("shrink", "--resume", tmp_path / "small")  # it is finished, and measured again
    assert again.exit_code == 0, again.output
    assert again.stdout.splitlines()[0].split()[:3] == ["step", "cost", "multiply-adds"]
    assert "network.yaml" in again.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN"], "Cannot shrink without a run and data."),
        (["RUN", "DATA"], "Cannot shrink without one budget. Give --cost, --ms or --mb"),
        (["RUN", "DATA", "--cost", 2], "Cannot shrink to 2: --cost is a fraction above 0 and below 1."),
        (["RUN", "DATA", "--cost", 0.5, "--by", "magic"], "Cannot choose channels by 'magic'"),
        (["RUN", "DATA", "--cost", 0.5, "--set", "speed=3"], "A recipe has no value 'speed'"),
        (["RUN", "DATA", "--resume", "X"], "Cannot change X: --resume continues it as it began."),
        (["--resume", "X", "--by", "l1"], "Cannot change X: --resume continues it as it began."),
        (["--resume", "X", "--seed", 0], "Cannot change X: --resume continues it as it began."),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[object],
    said: str,
    run: Path,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [{"RUN": run, "DATA": images}.get(str(word), word) for word in words]
    assert said in sentence("shrink", *given, monkeypatch=monkeypatch, capsys=capsys)
