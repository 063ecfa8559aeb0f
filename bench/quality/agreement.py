"""The same answer everywhere: engines, precisions and the server against torch in fp32.

BVLC's GoogLeNet on the 200 photographs: torch against ONNX Runtime and OpenVINO of the exported file, and against the
server's `/predict` and `/v2/models/NAME/infer`; then bf16, and 8 bits calibrated on other photographs, with what they
cost in top-1.
"""

import csv
import json
import tempfile
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.common import SHARED, Record, bvlc, command, need
from bench.serving.serve import serving
from inceptorch.deployment.export import export
from inceptorch.deployment.quantize import quantize_graph
from inceptorch.inference.engines import Engine, EngineOutput, open_engine
from inceptorch.inference.engines.factory import graph_of, open_graph
from inceptorch.tasks.metrics import paired_difference_interval, wilson_interval
from inceptorch.utils.progress import Progress

CALIBRATION = 300  # photographs of flowers, which the network was not trained to name


def answers(engine: Engine, crops: NDArray[np.uint8]) -> EngineOutput:
    """One image at a time, as most are asked about."""
    found = [engine.run(crop[None], maps=True) for crop in crops]
    probabilities = np.concatenate([each.probabilities for each in found])
    maps = np.concatenate([each.maps for each in found if each.maps is not None])
    return EngineOutput.of_probabilities(
        probabilities, maps, np.concatenate([each.map_classes for each in found if each.map_classes is not None])
    )


def compared(name: str, found: EngineOutput, expected: EngineOutput) -> dict[str, Any]:
    row: dict[str, Any] = {
        "what": name,
        "probability": float(np.abs(found.probabilities - expected.probabilities).max()),
        "same_top1": int((found.probabilities.argmax(1) == expected.probabilities.argmax(1)).sum()),
    }
    if found.maps is not None and expected.maps is not None:
        assert found.map_classes is not None
        assert expected.map_classes is not None
        same = found.map_classes == expected.map_classes
        row["map"] = float(np.abs(found.maps - expected.maps)[same].max() / np.abs(expected.maps).max())
    return row


def posted(url: str, kind: str, body: bytes) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def by_predict(port: int, file: Path, classes: int) -> NDArray[np.float32]:
    edge = uuid.uuid4().hex
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    body = head.encode() + file.read_bytes() + f"\r\n--{edge}--\r\n".encode()
    url = f"http://127.0.0.1:{port}/predict?top={classes}"
    (entry,) = posted(url, f"multipart/form-data; boundary={edge}", body)
    row = np.zeros(classes, np.float32)
    for one in entry["predictions"]:
        row[one["index"]] = one["probability"]
    return row


def by_tensors(port: int, model: str, crop: NDArray[np.uint8]) -> EngineOutput:
    images = crop.transpose(2, 0, 1)[None]
    tensor = {"name": "images", "datatype": "UINT8", "shape": images.shape, "data": images.ravel().tolist()}
    url = f"http://127.0.0.1:{port}/v2/models/{model}/infer"
    reply = posted(url, "application/json", json.dumps({"inputs": [tensor]}).encode())
    outputs = {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in reply["outputs"]}
    return EngineOutput.of_probabilities(outputs["probabilities"], outputs["maps"], outputs["map_classes"])


def top1(name: str, found: EngineOutput, full: EngineOutput, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Top-1 with its interval, and what is lost against fp32 in points, with its interval image by image."""
    right, before = (each.probabilities.argmax(1) == labels for each in (found, full))
    lost = before.astype(np.int64) - right
    low, high = paired_difference_interval(lost)
    return {
        "what": name,
        "top1": float(right.mean()),
        "interval": wilson_interval(int(right.sum()), len(right)),
        "lost_points": 100 * float(lost.mean()),
        "lost_interval": (100 * low, 100 * high),
    }


def run() -> Record:
    with open(need(SHARED / "photos" / "labels.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    files = [SHARED / "photos" / row["file"] for row in rows]
    labels = np.array([int(row["class_index"]) for row in rows])
    flowers = sorted((SHARED / "flowers12").rglob("*.jpg"))
    quiet = Progress(quiet=True)
    with tempfile.TemporaryDirectory() as temporary:
        bundle, exported = bvlc(temporary), Path(temporary) / "googlenet.onnx"
        export(bundle, exported, progress=quiet)
        torch = open_engine(bundle, "torch")
        crops = np.stack([torch.config.preprocessing.apply(path) for path in files])
        full = answers(torch, crops)
        ways = {"torch bf16": open_engine(bundle, "torch", "bf16")}
        for engine, precision in (("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "bf16")):
            ways[f"{engine} {precision}"] = open_engine(exported, engine, precision)
        other = [
            torch.config.preprocessing.apply(path) for path in flowers[:: len(flowers) // CALIBRATION][:CALIBRATION]
        ]
        eight = quantize_graph(graph_of(bundle), np.stack(other), quiet)
        for engine in ("onnxruntime", "openvino"):
            ways[f"{engine} int8"] = open_graph(eight, "8 bits", engine)
        found = {name: answers(engine, crops) for name, engine in ways.items()}
        with serving(exported) as (_, port):
            over_http = EngineOutput.of_probabilities(
                np.stack([by_predict(port, path, len(torch.config.classes)) for path in files])
            )
            tensors = [by_tensors(port, "googlenet", crop) for crop in crops[:20]]
    table = [compared(name, answer, full) for name, answer in found.items()]
    table.append(compared("HTTP /predict", over_http, full))
    first = EngineOutput(*(np.concatenate([getattr(each, part) for each in tensors]) for part in vars(tensors[0])))
    assert full.maps is not None
    assert full.map_classes is not None
    few = EngineOutput.of_probabilities(full.probabilities[:20], full.maps[:20], full.map_classes[:20])
    table.append(compared("HTTP /v2/models/googlenet/infer, 20 photographs", first, few))
    evaluated = [top1(name, answer, full, labels) for name, answer in {"torch fp32": full, **found}.items()]
    n = {"images": len(files)}
    return {"n": n, "images": len(files), "calibrated_on": len(other), "table": table, "top1": evaluated}


def render(record: Record) -> str:
    rows = []
    scores = {row["what"]: row for row in record["top1"]}
    for row in record["table"]:
        maps = f"{row['map']:.1e}" if "map" in row else ""
        score = lost = ""
        if one := scores.get(row["what"]):
            low, high = one["lost_interval"]
            score, lost = f"{one['top1']:.1%}", f"{one['lost_points']:+.1f} ({low:+.1f} to {high:+.1f})"
        rows.append(f"| {row['what']} | {row['probability']:.1e} | {maps} | {row['same_top1']} | {score} | {lost} |")
    columns = [
        "what",
        "largest difference of a probability",
        "of a map, relative to its maximum",
        "same top-1 class",
        "top-1",
        "points lost",
    ]
    table = "\n".join([f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns), *rows])
    return f"""
## Measured: agreement with torch

`{command(record)}`: BVLC's GoogLeNet on {record["images"]} photographs against torch in fp32. int8 was
calibrated on {record["calibrated_on"]} photographs of flowers. Points of top-1 lost have a 95 % interval from the
same images in pairs; on {record["images"]} images it is wide.

{table}
"""
