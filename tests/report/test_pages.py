"""The HTML reports in a browser: no console messages, no requests, nothing wider than the window."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inceptorch.cli import app
from inceptorch.evaluation.boxes import evaluation_of
from inceptorch.images.boxes import Boxes
from inceptorch.report import evaluation_page
from inceptorch.training.recipe import Recipe
from tests.report.helpers import box_split

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LONG = "a_class_name_of_many_letters_with_no_place_to_break_it_at_all"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not in {CHROMIUM}; install it with: apt-get install chromium")
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def pages(images: Path, recipe: Recipe, tmp_path: Path) -> dict[str, Path]:
    """The reports of a run with mistakes, of its evaluation, and of a check of its images; one class name is long."""
    for split in ("train", "val"):
        (images / split / "red").rename(images / split / LONG)
    (images / "train" / "blue" / "00.png").write_bytes(b"")
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    run, evaluated, checked = tmp_path / "run", tmp_path / "evaluated.html", tmp_path / "checked.html"
    for args, code in (
        (["train", images, "-c", tmp_path / "recipe.yaml", "--out", run, "--set", "lr=1e-9", "--epochs", 1], 0),
        (["eval", run, images, "--report", evaluated], 0),
        (["check", images, "--out", checked], 1),
    ):
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        assert result.exit_code == code, result.output
    boxes = box_split(tmp_path / "boxes", [Boxes.of([[0, 0, 40, 40]], [0])] * 3, (LONG, "b"))
    found = [Boxes.of([[0, 0, 40, 40], [200, 200, 300, 300]], [0, 1]), Boxes(), Boxes()]
    detected = tmp_path / "detected.html"
    detected.write_text(evaluation_page("t", evaluation_of(found, boxes, []).at(None), None, 1.0, "x"))
    return {"run": run / "report.html", "evaluation": evaluated, "check": checked, "detector": detected}


def watch(tab: Page) -> tuple[list[str], list[str]]:
    """The console messages and requested URLs of a tab from now on."""
    messages: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    return messages, requests


def test_reports_are_self_contained_and_fit(browser: Browser, pages: dict[str, Path]) -> None:
    backgrounds = set()
    for width in (1280, 360):
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            tab = context.new_page()
            messages, requests = watch(tab)
            for name, path in pages.items():
                messages.clear()
                requests.clear()
                tab.goto(path.as_uri(), wait_until="load")
                assert not messages, (name, width, scheme)
                assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()], (
                    name,
                    width,
                    scheme,
                )
                wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, (name, width, scheme)
                tables = tab.locator(".wide").evaluate_all(
                    "all => all.map(each => each.scrollWidth - each.clientWidth)"
                )
                assert not any(tables), (name, width, scheme)
                assert tab.evaluate("[...document.images].every(image => image.naturalWidth > 0)"), name
                backgrounds.add((scheme, tab.evaluate("getComputedStyle(document.body).backgroundColor")))
            context.close()
    assert len(backgrounds) == len({color for _, color in backgrounds}) == 2
