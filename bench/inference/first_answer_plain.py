"""Peer of `first_answer`, no measurement: one image classified as a plain torch script does it.

python bench/inference/first_answer_plain.py STATE_DICT IMAGE
"""

import sys

import torch
from PIL import Image
from torchvision.models import GoogLeNet_Weights, googlenet

model = googlenet(weights=None, init_weights=False)
model.load_state_dict(torch.load(sys.argv[1], weights_only=True))
model.eval()
transform = GoogLeNet_Weights.IMAGENET1K_V1.transforms()
image = transform(Image.open(sys.argv[2]).convert("RGB")).unsqueeze(0)
with torch.inference_mode():
    probabilities = model(image).softmax(1)[0]
for probability, index in zip(*probabilities.topk(5), strict=True):
    print(GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"][int(index)], f"{probability:.1%}")
