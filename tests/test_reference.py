"""The reference pages are those that the code gives, and name every option that --help names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import inceptorch
from inceptorch.cli import app

DOCS = Path(__file__).parents[1] / "docs"


def test_the_reference_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_reference_has_every_public_name() -> None:
    page = (DOCS / "reference" / "api.md").read_text()
    assert set(re.findall(r"^## (.*)$", page, flags=re.MULTILINE)) == set(inceptorch.__all__)


@pytest.mark.parametrize("verb", [command.name for command in app.registered_commands])
def test_the_reference_names_the_options_that_help_names(verb: str) -> None:
    page = (DOCS / "reference" / "cli.md").read_text()
    (section,) = re.findall(rf"^## {verb}$(.*?)(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL)
    done = CliRunner().invoke(app, [verb, "--help"])
    assert done.exit_code == 0, done.output
    named = set(re.findall(r"^ +(?:-\w, )?(--[a-z0-9-]+)", done.stdout, flags=re.MULTILINE)) - {"--help"}
    assert named == set(re.findall(r"^\| `(?:-\w, )?(--[a-z0-9-]+)", section, flags=re.MULTILINE))


def test_the_command_line_has_the_exit_codes_of_the_readme() -> None:
    root = Path(__file__).parents[1]
    codes = []
    for page in ("README.md", "docs/reference/cli.md"):
        (sentence,) = re.findall(r"Exit codes[^.]*\.", (root / page).read_text(encoding="utf-8"))
        codes.append([int(code) for code in re.findall(r"(?<![\w.])\d+(?= |;)", sentence)])
    assert codes == [[0, 1, 2, 3, 130, 143]] * 2
