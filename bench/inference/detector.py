"""A detector of blood cells on every engine: images per second, mAP in fp32 and int8, time to the first answer.

    python -m bench detector [RUN]

RUN is a detector trained on BCCD; without one, `inceptorch train` makes it by its default recipe, in some minutes. The
speed is that of the network on its own images, without decoding and resizing, as `inceptorch bench` measures it. The
first answer is that of a process of its own, from the shell to the boxes of one photograph.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.common import SHARED, Record, bvlc, command, need

ROUNDS = 5  # of the first answer


def run(trained: str = "") -> Record:
    data = need(SHARED / "bccd")
    with tempfile.TemporaryDirectory() as folder:
        if not trained:
            trained = f"{folder}/run"
            _inceptorch("train", data, "--weights", bvlc(folder), "--out", trained)
        head = json.loads((Path(trained) / "config.json").read_text())["detection"]
        rows = []
        for precision, options in (("fp32", []), ("int8", ["--int8", data, "--max-drop", 100])):
            for form, name in (("onnx", f"{folder}/{precision}.onnx"), ("openvino", f"{folder}/{precision}")):
                _inceptorch("export", trained, "--format", form, "--out", name, *options)
                rows += _rows(name, precision, data, form)
        rows += _rows(trained, "fp32", data, "run", "torch")
        image = next(iter(sorted(data.rglob("*.jpg"))))
        answers = [_seconds("predict", f"{folder}/fp32.onnx", image) for _ in range(ROUNDS)]
    return {
        "n": {"images": rows[0]["images"], "first answers": ROUNDS},
        "width": head["width"],
        "height": head["height"],
        "first_answer_seconds": median(answers),
        "rows": rows,
    }


def _rows(model: str, precision: str, data: Path, form: str, engine: str = "") -> list[Record]:
    """A row for each engine that executes this form of the detector."""
    words = ["--engine", engine] if engine else []
    measured = json.loads(_inceptorch("bench", model, "--batch", 1, *words, "--json"))
    fastest = {each["engine"]: each for each in measured if each["precision"] == precision}
    rows = []
    for name, each in fastest.items():
        scored = json.loads(_inceptorch("eval", model, data, "--split", "test", "--engine", name, "--json"))
        rows.append(
            {
                "engine": name,
                "form": form,
                "precision": precision,
                "images_per_second": each["images_per_second"],
                "p50_ms": each["p50_ms"],
                "map50": scored["map50"],
                "interval": scored["intervals"]["map50"],
                "images": scored["n"],
            }
        )
    return rows


def _inceptorch(*words: object) -> str:
    line = [sys.executable, "-m", "inceptorch", *map(str, words)]
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout


def _seconds(*words: object) -> float:
    began = time.perf_counter()
    _inceptorch(*words)
    return time.perf_counter() - began


def render(record: Record) -> str:
    size = f"{record['width']}x{record['height']}"
    parts = [f"## A detector on every engine\n\n`{command(record)}`\n"]
    parts.append(f"Blood cells, images of {size}; mAP at IoU 0.5 on {record['n']['images']} test images.\n")
    parts.append(
        "| engine | file | precision | images/s | ms an image | mAP |\n| --- | --- | --- | ---: | ---: | --- |"
    )
    for row in record["rows"]:
        low, high = row["interval"]
        speed = f"{row['images_per_second']:.1f} | {row['p50_ms']:.1f}"
        what = f"{row['engine']} | {row['form']} | {row['precision']}"
        parts.append(f"| {what} | {speed} | {row['map50']:.3f} ({low:.3f} to {high:.3f}) |")
    parts.append(f"\nFirst answer from the shell, ONNX Runtime in fp32: {record['first_answer_seconds']:.2f} s.")
    return "\n".join(parts)
