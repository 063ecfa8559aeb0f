"""Studies of the papers' claims, most of five seeds, in about twenty minutes each on two cores.

    python -m bench studies [STUDY...]

Each is a row of bench/results/studies.json and a drawing docs/study_STUDY.png.
"""

import json
import subprocess
import sys
import tempfile

from bench.common import DOCS, SHARED, Record, need, result, save
from inceptorch.papers.studies.page import page
from inceptorch.papers.studies.plot import draw

WORDS = {
    "label-smoothing": ["--limit", "300", "--epochs", "8"],
    "fc-or-pool": ["--limit", "300", "--epochs", "8"],
    "reduction": ["--limit", "300", "--epochs", "8"],
    "pieces": ["--limit", "400", "--epochs", "20", "--seeds", "2"],
    "batch-norm": ["--limit", "150", "--epochs", "8"],
}


def run(*names: str) -> Record:
    data = need(SHARED / "cifar10")
    rows = {row["study"]: row for row in (result("studies") or {"rows": []})["rows"]}
    for name in names or WORDS:
        with tempfile.TemporaryDirectory() as folder:
            words = ["study", name, "--data", str(data), *WORDS.get(name, [])]
            command = [sys.executable, "-m", "inceptorch", *words, "--out", f"{folder}/study", "--json"]
            rows[name] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        shown = " ".join(["inceptorch study", name, "--data cifar10", *WORDS.get(name, [])])
        draw(rows[name], DOCS / f"study_{name}.png")
        rows[name] |= {"command": shown, "n": {"seeds": rows[name]["seeds"]}}
        rows = {row["study"]: row for row in save("studies", {"rows": list(rows.values())})["rows"]}
    return {"rows": list(rows.values())}


def render(record: Record) -> str:
    return f"{page(record['rows'])}\n## Where and when\n"
