"""Where a network looked.

import inceptorch
from inceptorch.explanation import draw, explain

(explanation,) = explain(inceptorch.load("runs/flowers"), ["tulip.jpg"])
explanation.map                                 # float32 [h, w], not scaled
draw(explanation, "tulip.png")                  # the crop, and the crop under the map
"""

from inceptorch.explanation.explain import METHODS, Explanation, explain
from inceptorch.explanation.gradcam import gradcam
from inceptorch.explanation.gradients import integrated_gradients
from inceptorch.explanation.occlusion import occlusion
from inceptorch.explanation.overlay import draw, overlay
from inceptorch.explanation.split_model import default_layer

__all__ = [
    "METHODS", "Explanation", "default_layer", "draw", "explain", "gradcam", "integrated_gradients",
    "occlusion", "overlay",
]  # fmt: skip
