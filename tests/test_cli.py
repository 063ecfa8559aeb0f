"""The command line as scripts rely on it: output, exit codes, and what it does not load."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from inceptorch.cli import app
from inceptorch.cli.evaluate import print_comparison
from inceptorch.cli.output import print_table
from inceptorch.errors import InceptorchError
from inceptorch.evaluation import Row
from inceptorch.training.recipe import Recipe
from inceptorch.utils import progress
from tests.conftest import COLORS, hear_ctrl_c, write_classes
from tests.helpers import invoke, png, sentence


def shell(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inceptorch", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture
def run(images: Path, recipe: Recipe, tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    result = invoke("train", images, "-c", tmp_path / "recipe.yaml", "--out", tmp_path / "run", "--epochs", 8, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert set(answer) == {"run", "epochs", "top1", "top5", "seconds"}
    assert (answer["run"], answer["epochs"]) == (str(tmp_path / "run"), 8)
    return tmp_path / "run"


def test_tables_and_help_never_load_torch() -> None:
    check = """
import sys
from typer.testing import CliRunner
from inceptorch.cli import app
for words in (["--help"], ["nets"], ["nets", "googlenet"], ["nets", "googlenet", "--json"], ["train", "--help"],
              ["train", "x", "--print-config"]):
    assert CliRunner().invoke(app, words).exit_code == 0, words
loaded = {"torch", "torchvision", "matplotlib", "sklearn"} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", [command.name for command in app.registered_commands])
def test_every_verb_has_help_and_a_place_in_the_readme(verb: str) -> None:
    result = invoke(verb, "--help")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()[2].strip()) > 20
    assert f"inceptorch {verb}" in (Path(__file__).parents[1] / "README.md").read_text()


def test_nets_json() -> None:
    nets = {one["name"]: one for one in json.loads(invoke("nets", "--json").stdout)}
    assert nets["googlenet"] == {
        "name": "googlenet", "source": "arXiv:1409.4842 Table 1", "size": 224, "params": 6998552, "macs": 1582671872
    }  # fmt: skip
    one = json.loads(invoke("nets", "googlenet", "--json").stdout)
    assert set(one) == {"name", "source", "size", "params", "macs", "params_with_aux", "rows"}
    assert one["params_with_aux"] == 13378280
    assert {"name": "4a", "output": [512, 14, 14], "params": 376176, "macs": 73608192} in one["rows"]


def test_nets_prints_a_table() -> None:
    lines = invoke("nets", "googlenet").stdout.splitlines()
    assert any(line.split() == ["4a", "14x14x512", "376,176", "73,608,192"] for line in lines)
    assert any(line.split() == ["total", "6,998,552", "1,582,671,872"] for line in lines)


def test_train_writes_its_report_and_its_metrics(run: Path) -> None:
    assert "<h2>Training</h2>" in (run / "report.html").read_text(encoding="utf-8")
    assert not list(run.glob("*.png"))
    assert (run / "metrics.csv").read_text().count("\n") == 9


def test_eval_of_several_models_by_a_protocol(run: Path, images: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    words = ("eval", run, run, images, "--protocol", "10crop", "--save-predictions", kept, "--json")
    found = json.loads(invoke(*words).stdout)
    assert "10crop" in found["protocol"]
    assert "2 models averaged: 1 x run (tiny), 1 x run (tiny)" in found["protocol"]
    low, high = found["intervals"]["top1"]
    assert low <= found["top1"] <= high
    (file,) = kept.iterdir()  # of one classifier, which was given twice
    again = json.loads(invoke("eval", file, "--json").stdout)
    assert again["top1"] == found["top1"]
    page = tmp_path / "report.html"
    reported = invoke("eval", run, images, "--report", page)
    assert "top-1" in reported.stdout
    assert f"the page is in {page}" in reported.stderr
    assert "run, evaluated" in page.read_text()
    table = invoke("eval", run, images, "--compare", "--save-predictions", kept).stdout
    assert [line.split()[:2] for line in table.splitlines()[1:4]] == [["1", "1"], ["1", "10"], ["1", "144"]]
    assert "top-5" not in table  # of three classes
    assert "-0.00%" not in table
    assert "models: run (tiny)" in table
    result = invoke("eval", run, images, "--split", "val", "--calibrate-on", "train")
    assert "with logits divided by" in result.stdout or "no temperature is best" in result.stderr
    for wrong, said in (
        (("eval", run, images, "--protocol", "11crop"), "did you mean"),
        (("eval", run), "Cannot evaluate"),
        (("eval", run, images, "--weights", "a,b"), "--weights takes numbers"),
        (("eval", file, "--compare"), "Name models and DATA"),
        (("eval", run, images, "--compare", "--weights", "1"), "Cannot combine --weights with --compare"),
        (("eval", run, images, "--report", tmp_path), "is a folder; name a file for --report"),
        (("eval", run, images, "--report", tmp_path / "r.pdf"), "r.pdf does not end in .html"),
        (("eval", run, images, "--report", tmp_path / "no" / "r.html"), "lies in a folder that does not exist"),
        (("predict", run, images, "--reject", "--protocol", "10crop"), "which is one for center crops"),
    ):
        result = invoke(*wrong)
        assert result.exit_code != 0
        assert said in str(result.exception)


def test_predict_by_a_protocol_and_unknown_images(run: Path, images: Path, tmp_path: Path) -> None:
    image = images / "val" / "red" / "00.png"
    center, ten = (
        json.loads(invoke("predict", run, image, "--protocol", name, "--json").stdout)[0]["predictions"][0]
        for name in ("center", "10crop")
    )
    assert center["probability"] != ten["probability"]
    for below, unknown in ((0.0, False), (1.0, True)):
        (entry,) = json.loads(invoke("predict", run, image, "--min-confidence", below, "--json").stdout)
        assert entry["unknown"] is unknown
    assert invoke("predict", run, image, "--min-confidence", 1).stdout.endswith("; unknown\n")
    known = json.loads((run / "config.json").read_text())["metadata"]["threshold"]["threshold"]
    (entry,) = json.loads(invoke("predict", run, image, "--reject", "--json").stdout)
    assert entry["unknown"] is (entry["predictions"][0]["probability"] < known)


def test_eval_json(run: Path, images: Path) -> None:
    (images / "val" / "red" / "zz.jpg").write_text("text")
    result = invoke("eval", run, images, "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert {"n", "top1", "top5", "loss", "protocol", "intervals", "calibration", "per_class", "skipped"} <= set(answer)
    assert answer["n"] == 12
    assert list(answer["per_class"]) == list(COLORS)
    assert answer["top1"] == pytest.approx(sum(one["top1"] for one in answer["per_class"].values()) / 3)
    assert answer["top5"] == 1.0
    assert [Path(one["file"]).name for one in answer["skipped"]] == ["zz.jpg"]
    assert "left out 1 unreadable image:" in result.stderr
    assert "center crop 16" in answer["protocol"]
    assert "all" in invoke("eval", run, images).stdout


def test_predict_json_answers_good_files_among_bad_ones_in_order(run: Path, images: Path) -> None:
    val = images / "val"
    (val / "green" / "bad.jpg").write_bytes(b"")
    (val / "bomb.png").write_bytes(png(30_000, 30_000, b"\0"))
    result = invoke(
        "predict", run, val / "red" / "00.png", val / "none.jpg", val / "green", val / "bomb.png", "--top", 2, "--json"
    )
    assert result.exit_code == 1
    entries = json.loads(result.stdout)
    assert [Path(entry["file"]).name for entry in entries] == [
        "00.png", "none.jpg", "00.png", "01.png", "02.png", "03.png", "bad.jpg", "bomb.png"
    ]  # fmt: skip
    assert [Path(entry["file"]).name for entry in entries if "error" in entry] == ["none.jpg", "bad.jpg", "bomb.png"]
    assert entries[-2]["error"] == "is empty"
    for entry in entries:
        assert set(entry) in ({"file", "error"}, {"file", "predictions"})
    first = entries[0]["predictions"]
    assert [set(one) for one in first] == [{"label", "index", "probability"}] * 2
    assert first[0]["label"] == "red"
    assert first[0]["probability"] >= first[1]["probability"]
    assert invoke("predict", run, val / "red" / "00.png", "--json").exit_code == 0


def test_predict_prints_lines(run: Path, images: Path) -> None:
    result = invoke("predict", run, images / "val" / "blue", "--top", 1)
    assert result.exit_code == 0
    assert [line.split(": ")[1].split()[0] for line in result.stdout.splitlines()] == ["blue"] * 4


def test_control_characters_in_names_do_not_reach_the_terminal(run: Path, images: Path) -> None:
    shutil.copy(images / "val" / "red" / "00.png", images / "new\nline\x1b.png")
    result = invoke("predict", run, images / "new\nline\x1b.png", "--top", 1)
    assert result.stdout.count("\n") == 1
    assert "new\\nline\\x1b.png: red" in result.stdout


def test_json_is_all_that_standard_output_holds(run: Path, images: Path) -> None:
    for words in (("eval", run, images, "--json"), ("predict", run, images / "val", "--json")):
        assert invoke(*words).stdout.count("\n") == 1


def test_mistakes_are_one_sentence_and_exit_code_2(
    run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: object) -> str:
        return sentence(*words, monkeypatch=monkeypatch, capsys=capsys)

    assert "does not exist; name a run or a bundle" in said("predict", tmp_path / "none", "a.jpg")
    assert "is a file, not a folder" in said("predict", run / "config.json", "a.jpg")
    assert "no network 'googlnet': did you mean 'googlenet'" in said("nets", "googlnet")
    assert "does not exist" in said("train", tmp_path / "none")
    assert "already holds files" in said("train", images, "--out", run)
    assert "not both" in said("train", images, "-c", "a.yaml", "--recipe", "head")
    assert "leave out everything else" in said("train", images, "--resume", run)
    assert "leave out everything else" in said("train", "--epochs", 9, "--resume", run)
    assert "not both" in said("train", images, "--epochs", 3, "--set", "epochs=4")
    assert "did you mean 'googlenet'" in said("train", images, "--net", "goglenet", "--print-config")
    assert "Name the DATA" in said("train")
    assert "did you mean 'epochs'" in said("train", images, "--set", "epoch=3")
    assert "give it as --seed 5" in said("train", images, "--set", "seed=5")
    assert "too small for tiny" in said("train", images, "--net", "tiny", "--size", 4, "--out", tmp_path / "x")
    write_classes(tmp_path / "other", 1)
    shutil.move(tmp_path / "other" / "red", tmp_path / "other" / "crimson")
    assert "class folder 'crimson' that training did not have" in said("eval", run, tmp_path / "other")
    assert "model.pth does not exist" in said("convert", tmp_path / "model.pth", "--out", tmp_path / "y")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "num_classes": 4}))
    assert "num_classes is 4, but label_names has 3" in said("predict", run, "a.jpg")
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "y").exists()


def test_unknown_options_are_a_usage_error() -> None:
    assert invoke("train", "--learning-rate", "3").exit_code == 2
    assert invoke("predict", "model").exit_code == 2


def test_errors_are_exceptions_in_python() -> None:
    import inceptorch

    with pytest.raises(InceptorchError):
        inceptorch.load("nowhere")
    with pytest.raises(AttributeError):
        inceptorch.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_public_names_are_all_there() -> None:
    import inceptorch

    for name in inceptorch.__all__:
        assert getattr(inceptorch, name).__name__
    assert inceptorch.cost("googlenet", size=299).size == 299
    assert inceptorch.get_network("googlenet").aux == ("4a", "4d")


# What follows needs real processes: it kills them, fills their disk and takes their permissions away.

SMALL = ("--net", "googlenet_small", "--size", 28, "--epochs", 3, "--set", "batch_size=6")


@pytest.fixture
def few(tmp_path: Path) -> Path:
    write_classes(tmp_path / "few" / "train", 6)
    write_classes(tmp_path / "few" / "val", 1, seed=1)
    return tmp_path / "few"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(few: Path, tmp_path: Path, how: signal.Signals) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    with open(log, "w") as file:
        command = [sys.executable, "-m", "inceptorch", "train", few, "--out", run, *SMALL]
        words = [str(word) for word in command]
        process = subprocess.Popen(words, stderr=file, stdout=file, preexec_fn=hear_ctrl_c)
    deadline = time.monotonic() + 200
    while "epoch 1:" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    assert process.wait(60) == (130 if how == signal.SIGINT else -how)
    if how == signal.SIGINT:
        assert f"inceptorch train --resume {run}" in log.read_text()
        assert "Traceback" not in log.read_text()

    done = shell("train", "--resume", run, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 3
    assert not list(run.rglob(".*"))

    whole = shell("train", few, "--out", tmp_path / "whole", *SMALL)
    assert whole.returncode == 0, whole.stderr
    assert (run / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("how", "code", "workers"), [(signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 0), (signal.SIGTERM, 143, 2)]
)
def test_a_run_that_is_asked_to_stop_keeps_its_place_within_the_epoch(
    few: Path, tmp_path: Path, how: signal.Signals, code: int, workers: int
) -> None:
    """Asked after the first step of an epoch that would take a while; no checkpoint was due. The wish reaches all
    processes, as from torchrun and from schedulers."""
    run, log = tmp_path / "run", tmp_path / "log"
    script = (
        "import multiprocessing, os, sys, torch\n"
        "step = torch.optim.SGD.step\n"
        "def asking(self, *args):\n"
        f"    for worker in multiprocessing.active_children(): os.kill(worker.pid, {int(how)})\n"
        f"    os.killpg(0, {int(how)})\n"
        "    return step(self, *args)\n"
        "torch.optim.SGD.step = asking\n"
        "from inceptorch.cli import main\n"
        "main()\n"
    )
    words = [str(word) for word in ("-c", script, "train", few, "--out", run, *SMALL, "--workers", workers)]
    with open(log, "w") as file:
        alone = {"preexec_fn": hear_ctrl_c, "start_new_session": True}
        done = subprocess.run([sys.executable, *words], stderr=file, stdout=file, **alone)  # type: ignore[call-overload]
    assert done.returncode == code, log.read_text()
    assert f"inceptorch train --resume {run}" in log.read_text()
    assert "Traceback" not in log.read_text()
    with safe_open(run / "checkpoints" / "last.safetensors", "np") as file:
        progressed = json.loads(file.metadata()["progressed"])
    assert (progressed["epoch"], progressed["step"]) == (0, 1)

    assert shell("train", "--resume", run).returncode == 0
    assert shell("train", few, "--out", tmp_path / "whole", *SMALL).returncode == 0
    assert (run / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()


def test_a_full_disk_is_a_sentence_and_the_run_can_go_on(few: Path, tmp_path: Path) -> None:
    import resource

    limit = 40 * 2**20  # room for the weights, not for a checkpoint

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    run = tmp_path / "run"
    done = shell("train", few, "--out", run, *SMALL, preexec_fn=limited)
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "last.safetensors could not be written: file too large" in last
    assert "Traceback" not in done.stderr
    assert not list(run.rglob(".*"))
    again = shell("train", "--resume", run)
    assert again.returncode == 0, again.stderr


def test_no_permission_is_a_sentence(few: Path, tmp_path: Path) -> None:
    prefix: list[str] = []
    if os.geteuid() == 0:  # root reads everything unless it gives that power away
        if shutil.which("setpriv") is None:
            pytest.skip("running as root without setpriv")
        prefix = [
            "setpriv",
            "--bounding-set=-dac_override,-dac_read_search",
            "--inh-caps=-dac_override,-dac_read_search",
        ]

    def subsample_per_class(*words: object) -> subprocess.CompletedProcess[str]:
        command = [*prefix, sys.executable, "-m", "inceptorch", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    closed = few / "train" / "red"
    closed.chmod(0)
    try:
        done = subsample_per_class("train", few, "--out", tmp_path / "run")
        assert done.returncode == 2
        assert f"{closed} could not be read: permission denied" in done.stderr
    finally:
        closed.chmod(0o755)
    sealed = tmp_path / "sealed"
    sealed.mkdir(mode=0o555)
    done = subsample_per_class("train", few, "--out", sealed / "run", "--net", "googlenet_small", "--epochs", 1)
    assert done.returncode == 2
    assert "could not be created: permission denied" in done.stderr
    assert not (sealed / "run").exists()


def test_a_table_says_no_more_than_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    sure = (0.4, 0.6)
    row = Row(["a"], ["tiny"], 10, "center", 1, 10**9, 0.5, sure, 0.75, sure, 0.0, (-0.1, 0.1), 0.0, (0.0, 0.00001))
    print_comparison([row, replace(row, models=["a", "b"], networks=["tiny", "tiny"])])
    head, base, both, models = capsys.readouterr().out.splitlines()
    assert head.endswith("top-5 compared to base")
    assert base.split()[4:] == ["50.00%", "(40.0%-60.0%)", "25.00%", "(40.0%-60.0%)", "base"]
    assert both.endswith("  +0.00% (+0.00% to +0.00%)")
    assert models.startswith("models: a (tiny), b (tiny);")
    print_comparison([replace(row, classes=5), replace(row, classes=5)])
    head, base, both, _ = capsys.readouterr().out.splitlines()
    assert "top-5" not in head
    assert both.split()[4:] == ["50.00%", "(40.0%-60.0%)", "+0.00%", "(-10.00%", "to", "+10.00%)"]


def test_a_line_of_progress_asks_for_its_note_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    notes = iter(range(10))
    assert list(progress.Progress().track("abc", 3, "reading", lambda: f"note {next(notes)}")) == ["a", "b", "c"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(", ")[2] for line in lines] == ["note 0", "note 1"]


LONG_NAME = "a_class_name_of_many_letters_with_no_place_to_break_it"
GRID = [["class", "images", "recall"], [LONG_NAME, "8", "100.00%"], ["猫 [b] :cat:", "1,024", "-"]]


def test_a_table_in_a_pipe_is_whole_aligned_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(GRID)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head == f"class{' ' * (len(LONG_NAME) - 5)}  images   recall"
    assert first == f"{LONG_NAME}       8  100.00%"
    assert second == f"猫 [b] :cat:{' ' * (len(LONG_NAME) - 12)}   1,024        -"  # the first letter is two wide


def test_a_table_on_a_narrow_terminal_is_folded_and_not_cut() -> None:
    import pty

    ours, theirs = pty.openpty()
    code = f"from inceptorch.cli.output import print_table; print_table({GRID})"
    environment = {**os.environ, "COLUMNS": "40", "TERM": "xterm"}
    subprocess.run([sys.executable, "-c", code], stdout=theirs, env=environment, check=True)
    os.close(theirs)
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in os.read(ours, 10_000).decode().splitlines()]
    os.close(ours)
    assert max(map(len, lines)) <= 40
    assert LONG_NAME in "".join(line.split("  ")[0].strip() for line in lines)
    assert "100.00%" in "".join(lines)


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (("predict", "run", "a.jpg", "--unknown"), "--unknown is now called --reject."),
        (("predict", "run", "a.jpg", "--unknown-below=0.5"), "--unknown-below is now called --min-confidence."),
        (("eval", "run", "data", "--table"), "--table is now called --compare."),
        (("check", "data", "--no-near"), "--no-near is now called --no-near-duplicates."),
    ],
)
def test_an_option_of_before_names_the_new_one(
    words: tuple[str, ...], new: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence(*words, monkeypatch=monkeypatch, capsys=capsys) == f"inceptorch: {new}"
