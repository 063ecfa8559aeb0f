"""The pages as a browser shows them: nothing said on the console, nothing asked for, nothing wider than the window."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inceptorch.cli import app
from inceptorch.training.recipe import Recipe

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
    """The page of a run that has mistakes, of its evaluation, and of a check of its images; a class has a long name."""
    for part in ("train", "val"):
        (images / part / "red").rename(images / part / LONG)
    (images / "train" / "blue" / "00.png").write_bytes(b"")
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    run, evaluated, checked = tmp_path / "run", tmp_path / "evaluated.html", tmp_path / "checked.html"
    for words, code in (
        (["train", images, "-c", tmp_path / "recipe.yaml", "--out", run, "--set", "lr=1e-9", "--epochs", 1], 0),
        (["eval", run, images, "--report", evaluated], 0),
        (["check", images, "--out", checked], 1),
    ):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, result.output
    return {"run": run / "report.html", "evaluation": evaluated, "check": checked}


def listened_to(tab: Page) -> tuple[list[str], list[str]]:
    """What a tab says on its console, and the addresses that it asks for, from now on."""
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    return said, asked


def test_pages_are_quiet_ask_for_nothing_and_fit(browser: Browser, pages: dict[str, Path]) -> None:
    papers = set()
    for width in (1280, 390):
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            tab = context.new_page()
            said, asked = listened_to(tab)
            for name, path in pages.items():
                said.clear()
                asked.clear()
                tab.goto(path.as_uri(), wait_until="load")
                assert not said, (name, width, scheme)
                assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()], (name, width, scheme)
                wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, (name, width, scheme)
                assert tab.evaluate("[...document.images].every(image => image.naturalWidth > 0)"), name
                papers.add((scheme, tab.evaluate("getComputedStyle(document.body).backgroundColor")))
            context.close()
    assert len(papers) == len({paper for _, paper in papers}) == 2
