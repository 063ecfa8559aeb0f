"""Where a network looked.

import inceptorch
from inceptorch.explain import draw, explain

(explanation,) = explain(inceptorch.load("runs/flowers"), ["tulip.jpg"])
explanation.map                                 # float32 [h, w], not scaled
draw(explanation, "tulip.png")                  # the square beside the same with the map over it
"""

from inceptorch.explain.classes import find_class
from inceptorch.explain.explanation import METHODS, Explanation, explain
from inceptorch.explain.gradcam import gradcam
from inceptorch.explain.gradients import integrated_gradients
from inceptorch.explain.occlusion import occlusion
from inceptorch.explain.overlay import draw, overlay
from inceptorch.explain.rows import default_row

__all__ = [
    "METHODS",
    "Explanation",
    "default_row",
    "draw",
    "explain",
    "find_class",
    "gradcam",
    "integrated_gradients",
    "occlusion",
    "overlay",
]
