"""A first run on bundled data: scikit-learn's handwritten digits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

TEST_EVERY = 5  # every fifth digit of a class is a test image
VALUES = {
    "size": 24,  # digits of 8x8 pixels need no more
    "size_schedule": ((0.0, 1.0), (1.0, 1.0)),
    "channels": "gray",
    "hflip": 0.0,  # a mirrored digit is no digit
}


def demo(
    out: Annotated[Path | None, typer.Option(help="The folder to make; runs/demo by default.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Number of epochs; fewer are faster and less accurate.")] = 12,
) -> None:
    """Train, evaluate and use a classifier of scikit-learn's handwritten digits. Takes a minute or two."""
    from inceptorch import report
    from inceptorch.classifier.hub import load
    from inceptorch.evaluation import Evaluation
    from inceptorch.training import train
    from inceptorch.training.default_recipe import default_recipe
    from inceptorch.training.run import next_run_dir
    from inceptorch.utils.files import ensure_empty
    from inceptorch.utils.progress import Progress

    began = time.monotonic()
    out = out or next_run_dir(Path("demo"))
    ensure_empty(out)
    progress = Progress()
    progress.info("scikit-learn's 1797 handwritten digits become a folder of images, one folder for each class.")
    write_digits(out / "digits")
    recipe = default_recipe(out / "digits", False, {}).replace(**VALUES, epochs=epochs)
    result = train(out / "digits", out=out / "run", recipe=recipe, progress=progress)
    report.write_report(result)

    evaluation = result.evaluation
    assert isinstance(evaluation, Evaluation)
    print(
        f"\nTrained {recipe.model.net} for {result.epochs} epochs; of {evaluation.n} digits it had never seen, "
        f"{evaluation.top1:.2%} are right."
    )
    classifier = load(result.run)
    some = [evaluation.files[index] for index in range(0, evaluation.n, evaluation.n // 5)][:5]
    for file, answers in zip(some, classifier.predict(some, top=2), strict=True):
        found = ", ".join(f"{answer['label']} ({answer['probability']:.1%})" for answer in answers)
        print(f"  {file}: {found}")
    print(
        f"""
The images        {out / "digits"}
The classifier    {result.run} (config.json, model.safetensors, README.md)
Its report        {result.run / "report.html"} (curves, classes, mistakes)
All of it took    {time.monotonic() - began:.0f} s

For your own images, put each class into a folder of its own and type
  inceptorch train IMAGES --out runs/mine
  inceptorch predict runs/mine some-image.jpg"""
    )


def write_digits(folder: Path) -> None:
    """The digits as 8x8 grayscale PNG files: train/CLASS/NUMBER.png and test/CLASS/NUMBER.png."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    from inceptorch.utils.files import new_folder

    images, labels = load_digits(return_X_y=True)
    seen = [0] * 10
    with new_folder(folder) as new:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            split = "test" if seen[label] % TEST_EVERY == 0 else "train"
            seen[label] += 1
            path = new / split / str(label) / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.round(image.reshape(8, 8) * (255 / 16)).astype(np.uint8)).save(path)
