"""Peer of `folder`, no measurement: the quick script for the same engine, on the exported file.

    python -m bench.inference.folder_openvino_plain FILE.onnx FOLDER PRECISION BATCH STREAMS OUT.csv

OpenVINO's asynchronous queue computes batches, while as many threads as there are cores decode with simplejpeg and
resize with Pillow.
"""

import csv
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import openvino
import simplejpeg
from numpy.typing import NDArray
from PIL import Image


def center_crop(file: Path) -> NDArray[np.uint8]:
    image = Image.fromarray(simplejpeg.decode_jpeg(file.read_bytes()))
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    return np.asarray(image.crop((left, top, left + 224, top + 224)))


def main(model: str, folder: str, precision: str, batch: str, streams: str, out: str) -> None:
    core = openvino.Core()
    steps = openvino.preprocess.PrePostProcessor(core.read_model(model))
    steps.input().tensor().set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    settings = {
        "INFERENCE_PRECISION_HINT": precision.replace("fp", "f"),
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": streams,
    }
    requests = openvino.AsyncInferQueue(core.compile_model(steps.build(), "CPU", settings))
    probabilities: dict[int, NDArray[np.float32]] = {}
    requests.set_callback(lambda request, at: probabilities.update({at: request.get_output_tensor(0).data.copy()}))

    files, size = sorted(Path(folder).rglob("*.jpg")), int(batch)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        crops = pool.map(center_crop, files)
        for at in range(0, len(files), size):
            requests.start_async([np.stack(list(islice(crops, size)))], at)
    requests.wait_all()
    with open(out, "w", newline="") as target:
        writer = csv.writer(target)
        for at in range(0, len(files), size):
            for file, row in zip(files[at : at + size], probabilities[at], strict=True):
                top = np.argsort(-row, kind="stable")[:5]
                writer.writerow([file, *(cell for index in top for cell in (index, row[index]))])


if __name__ == "__main__":
    main(*sys.argv[1:])
