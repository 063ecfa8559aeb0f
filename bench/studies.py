"""Studies of the papers' claims, most of five seeds, in about twenty minutes each on two cores: python -m bench.studies [NAME...]

Each leaves bench/results/study_NAME.json and docs/study_NAME.png; bench.tables writes docs/studies.md from them.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.common import SHARED, need, save
from inceptorch.study.plot import draw

DOCS = Path(__file__).parents[1] / "docs"
WORDS = {
    "label-smoothing": ["--limit", "300", "--epochs", "8"],
    "fc-or-pool": ["--limit", "300", "--epochs", "8"],
    "reduction": ["--limit", "300", "--epochs", "8"],
    "pieces": ["--limit", "400", "--epochs", "20", "--seeds", "2"],
    "batch-norm": ["--limit", "150", "--epochs", "8"],
}


def main() -> None:
    data = need(SHARED / "cifar10")
    for name in sys.argv[1:] or WORDS:
        with tempfile.TemporaryDirectory() as folder:
            words = ["study", name, "--data", str(data), *WORDS.get(name, [])]
            command = [sys.executable, "-m", "inceptorch", *words, "--out", f"{folder}/study", "--json"]
            results = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        shown = " ".join(["inceptorch study", name, "--data cifar10", *WORDS.get(name, [])])
        save(f"study_{name}", {"command": shown, **results})
        draw(results, DOCS / f"study_{name}.png")


if __name__ == "__main__":
    main()
