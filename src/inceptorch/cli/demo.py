from pathlib import Path
from typing import Annotated

import typer


def demo(out: Annotated[Path | None, typer.Option(help="The folder to make; runs/demo by default.")] = None) -> None:
    """Train, judge and use a classifier of handwritten digits, which come with scikit-learn. Takes a minute or two."""
    from inceptorch.demo import demo as run_demo

    run_demo(out)
