"""Every example of docs/extending.md runs as it is printed, one after the other in one folder."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
EXAMPLES = re.findall(r"^## (.+?)\n.*?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
WROTE = {
    "A data set of your own": "runs/circles/model.safetensors",
    "A loss of your own": "runs/focal/model.safetensors",
    "A network of timm": "runs/resnet/model.safetensors",
    "A callback that logs to a file": "log.jsonl",
}


def test_there_are_six_examples_of_at_most_25_lines() -> None:
    assert len(EXAMPLES) == 6
    for title, code in EXAMPLES:
        lines = [line for line in code.splitlines() if line.strip()]
        assert len(lines) <= 25, title


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extending")
    random = np.random.default_rng(0)
    for name, color in (("daisy", 220), ("tulip", 60)):
        (folder / "flowers" / name).mkdir(parents=True)
        for number in range(24):
            noise = np.clip(random.normal(color, 20, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(noise).save(folder / "flowers" / name / f"{number}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("title", "code"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_example(
    title: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    script = folder / "example.py"
    script.write_text(code, encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")
    if title in WROTE:
        assert (folder / WROTE[title]).stat().st_size > 0
    else:
        assert capsys.readouterr().out.strip()
