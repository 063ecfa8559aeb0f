"""How long the shell waits for a first answer, against a plain torch script.

Fresh processes, in alternating rounds: `inceptorch predict` of an exported BVLC GoogLeNet with each engine, and two
scripts: first_answer_plain.py with torchvision's GoogLeNet, and first_answer_onnxruntime_plain.py, the shortest that
runs the exported file. Medians; the ratios are of the medians.
"""

import os
import subprocess
import sys
import tempfile
import time
from math import nan
from pathlib import Path
from statistics import median

import torch
import torchvision

from bench.common import SHARED, Record, bvlc, need

ROUNDS = 9
ENGINES = ("auto", "onnxruntime", "openvino")
PLAIN, SHORTEST = (Path(__file__).with_name(f"first_answer_{name}.py") for name in ("plain", "onnxruntime_plain"))


def run() -> Record:
    image = sorted(need(SHARED / "photos").glob("*.png"))[0]
    with tempfile.TemporaryDirectory() as folder:
        file, state = f"{folder}/googlenet.onnx", f"{folder}/googlenet.pt"
        inceptorch = [sys.executable, "-m", "inceptorch"]
        subprocess.run([*inceptorch, "export", bvlc(folder), "--out", file], check=True)
        torch.save(torchvision.models.googlenet(weights=None, init_weights=False).state_dict(), state)
        commands: dict[str, list[str | Path]] = {
            f"inceptorch predict, {engine}": [*inceptorch, "predict", file, image, "--engine", engine]
            for engine in ENGINES
        }
        commands["torch script"] = [sys.executable, PLAIN, state, image]
        commands["onnxruntime script"] = [sys.executable, SHORTEST, file, image]
        # An installed package has its bytecode beside it; a checkout has where Python may write it.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(ROUNDS + 1):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True, env=environment)
                if number:  # in the first, files are read from the disk
                    seconds[name].append(time.perf_counter() - began)
    plain, shortest = (median(seconds[f"{name} script"]) for name in ("torch", "onnxruntime"))
    rows = [
        {"what": name, "seconds": median(found), "fastest": min(found), "ratio": plain / median(found)}
        | {"shortest_ratio": shortest / median(found)}
        for name, found in seconds.items()
    ]
    return {"n": {"rounds": ROUNDS}, "rows": rows}


def render(record: Record) -> str:
    lines = [
        "| first prediction of a fresh process | s, median | s, fastest | times as fast as the torch script | as the "
        "onnxruntime script |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['what']} | {row['seconds']:.2f} | {row['fastest']:.2f} | {row['ratio']:.1f} times | "
        f"{row.get('shortest_ratio', nan):.2f} times |"
        for row in record["rows"]
    ]
    return "\n".join(lines)
