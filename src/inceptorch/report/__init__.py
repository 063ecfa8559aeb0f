"""What people would rather look at than read: a run's curves and mistakes as pictures, and `report.html`, one page of all."""

import platform
from importlib.metadata import version
from pathlib import Path

from inceptorch import bundle
from inceptorch.bundle import Classifier
from inceptorch.evaluation import Evaluation
from inceptorch.files import write_text
from inceptorch.report.drawings import draw_curves, draw_mistakes, draw_rates
from inceptorch.report.page import page, read_rows
from inceptorch.training import Result, read_asked

__all__ = ["draw", "draw_curves", "draw_mistakes", "draw_rates", "of_evaluation", "page"]


def draw(result: Result) -> None:
    """Write curves.png, mistakes.png and report.html into the run folder."""
    draw_curves(result.run / "metrics.csv", result.run / "curves.png")
    draw_mistakes(result.evaluation, result.run / "mistakes.png")
    write_text(result.run / "report.html", _page_of_run(result))


def of_evaluation(
    title: str, evaluation: Evaluation, classifier: Classifier | None, seconds: float, command: str
) -> str:
    """The page of an evaluation. `classifier` is None where several were averaged or predictions were judged."""
    facts = {"time": f"{seconds:.1f} s, {1000 * seconds / evaluation.n:.0f} ms a picture"}
    facts |= {"versions": ", ".join(f"{name} {version(name)}" for name in ("inceptorch", "torch", "numpy", "pillow"))}
    facts |= {"machine": f"{platform.processor() or platform.machine()}, {platform.platform()}"}
    return page(title, evaluation, classifier, command, facts)


def _page_of_run(result: Result) -> str:
    asked = read_asked(result.run)
    again = asked["command"] or f"inceptorch.train({asked['data']!r}, ...), see run.yaml"
    facts = {
        "network": asked["network"]["name"],
        "recipe": f"{asked['recipe']['name']}, seed {asked['seed']}; every value is in run.yaml",
        "pictures": f"{asked['train']['pictures']} to train on, {result.evaluation.n} of {asked['held_out']['split']} to judge with",
        "time": f"{result.seconds:.0f} s for {result.epochs} epochs or steps of the fit",
        "machine": f"{asked['machine']['processor']}, {asked['machine']['system']}",
        "versions": ", ".join(f"{name} {number}" for name, number in asked["versions"].items()),
        "begun": str(asked["started"]),
    }
    rows = read_rows(result.run / "metrics.csv")
    title = f"{asked['network']['name']} on {Path(asked['data']).name}"
    return page(title, result.evaluation, bundle.load(result.run), again, facts, rows)
