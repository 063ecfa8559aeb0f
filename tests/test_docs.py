"""Documents that are generated say what their sources say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_figures_in_the_documents_are_those_of_the_results() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_has_a_line_for_every_room() -> None:
    readme = (ROOT / "README.md").read_text()
    package = ROOT / "src" / "inceptorch"
    rooms = [path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    for room in rooms:
        name = f"{room.name}/" if room.is_dir() else room.name
        if not room.name.startswith("__"):
            assert f"{name:<15} " in readme, name
