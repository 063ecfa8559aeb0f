"""What `pip install .` without extras takes, and what it can do.

In a new environment: the installed size, and an image predicted by an exported file with no torch in the process.
"""

import json
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Any

from PIL import Image

from bench.common import ROOT, Record, bvlc, command
from inceptorch.deployment.export import export
from inceptorch.inference.engines.timing import random_images
from inceptorch.utils.progress import Progress

PREDICT = (
    "import sys; from inceptorch.cli import main\n"
    "try: main()\n"
    "finally: print([name for name in ('torch', 'torchvision', 'onnx', 'openvino') if name in sys.modules], "
    "file=sys.stderr)"
)


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink()) / 1e6


def sizes(packages: Path) -> dict[str, float]:
    """The largest things installed, in megabytes."""
    found = {each.name: megabytes(each) for each in packages.iterdir() if each.is_dir() and each.suffix != ".dist-info"}
    largest = sorted(found.items(), key=lambda one: -one[1])[:8]
    return {name: round(size, 1) for name, size in largest}


def run() -> Record:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        export(bvlc(temporary), folder / "googlenet.onnx", progress=Progress(quiet=True))
        Image.fromarray(random_images(300, 1)[0]).save(folder / "image.png")
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        packages = next((folder / "env" / "lib").glob("python*")) / "site-packages"
        before = megabytes(packages)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT)], check=True
        )
        words = [str(folder / "googlenet.onnx"), str(folder / "image.png"), "--json"]
        done = subprocess.run(
            [python, "-c", PREDICT, "predict", *words], check=True, capture_output=True, text=True, cwd=folder
        )
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        record = {
            "megabytes": round(megabytes(packages) - before, 1),
            "largest": sizes(packages),
            "loaded": json.loads(done.stderr.strip().splitlines()[-1].replace("'", '"')),
            "answered": answers[0]["predictions"][0]["label"],
        }
    return {"n": {"installation": 1}, **record}


def render(record: Record) -> str:
    largest = ", ".join(f"{name} {size:.0f}" for name, size in list(record["largest"].items())[:5])
    loaded = " and ".join(record["loaded"]) or "neither torch nor onnx nor OpenVINO"
    return f"""
`{command(record)}`: without extras, `pip install` takes {record["megabytes"]:.0f} MB (in MB: {largest}).
Prediction with an exported file loads {loaded}.
"""
