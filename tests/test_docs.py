"""Documents that are generated say what their sources say."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "inceptorch"


def test_figures_in_the_documents_are_those_of_the_results() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def tree() -> Iterator[Path]:
    """The paths of the README's tree; two more spaces are one folder deeper."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = readme[readme.index("    src/inceptorch/\n") :].partition("\n\n")[0].splitlines()
    folders: list[Path] = []
    for line in lines:
        depth = (len(line) - len(line.lstrip())) // 2 - 2
        folders[depth:] = [folders[depth - 1] / line.split()[0] if depth else ROOT / line.split()[0]]
        yield folders[-1]


def test_the_tree_in_the_readme_is_that_of_the_source() -> None:
    named = set(tree())
    assert {path for path in named if not path.exists()} == set()
    packages = {path for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {path for path in packages if not path.name.startswith("__")} - named == set()
