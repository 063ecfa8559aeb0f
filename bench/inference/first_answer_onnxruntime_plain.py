"""Peer of `first_answer`, no measurement: one image classified by the shortest script that runs the exported file.

python bench/inference/first_answer_onnxruntime_plain.py FILE.onnx IMAGE
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
labels = json.loads(session.get_modelmeta().custom_metadata_map["label_names"])
image = Image.open(sys.argv[2]).convert("RGB")
side = min(image.size)
left, top = (image.width - side) // 2, (image.height - side) // 2
crop = image.crop((left, top, left + side, top + side)).resize((256, 256), Image.Resampling.BILINEAR)
pixels = np.asarray(crop.crop((16, 16, 240, 240))).transpose(2, 0, 1)[None]
(probabilities,) = session.run(["probabilities"], {session.get_inputs()[0].name: np.ascontiguousarray(pixels)})
for index in probabilities[0].argsort()[:-6:-1]:
    print(labels[index], f"{probabilities[0, index]:.1%}")
