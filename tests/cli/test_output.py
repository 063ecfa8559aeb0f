"""What commands print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from inceptorch.cli.output import print_table
from tests.helpers import invoke

LONG_NAME = "a_class_name_of_many_letters_with_no_place_to_break_it"
GRID = [["class", "images", "recall"], [LONG_NAME, "8", "100.00%"], ["猫 [b] :cat:", "1,024", "-"]]


def test_json_is_all_that_standard_output_holds(run: Path, images: Path) -> None:
    for words in (("eval", run, images, "--json"), ("predict", run, images / "val", "--json")):
        assert invoke(*words).stdout.count("\n") == 1


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
