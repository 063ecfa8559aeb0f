"""The papers against the tables as text, as JSON and as a page."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from inceptorch.errors import TableError
from inceptorch.networks.layers import Pool
from inceptorch.networks.zoo import NETS
from inceptorch.papers.page import page, text, to_json
from inceptorch.papers.verdicts import VERDICTS
from tests.papers.helpers import GOOGLENET, PAPERS, with_row


@pytest.mark.parametrize("name", NETS)
def test_every_network_has_something_to_say(name: str) -> None:
    printed, plain = text(NETS[name]), to_json(NETS[name])
    assert json.loads(json.dumps(plain)) == plain
    assert bool(plain["see"]) == ("nearest is" in printed)
    assert plain["papers"] or plain["see"]
    assert max(map(len, printed.splitlines())) <= (145 if name == "googlenet_released" else 130)
    for paper in plain["papers"]:
        for table in (*paper["tables"], *paper["accuracy"]):
            assert all(row["name"] in printed and row["verdict"] in VERDICTS for row in table["rows"])


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("googlenet_bn", "googlenet"),
        ("googlenet_small", "googlenet"),
        ("nin_small", "googlenet"),
        ("vgg16_small", "vgg16"),
    ],
)
def test_a_network_without_a_table_names_the_nearest_with_one(name: str, nearest: str) -> None:
    assert f"inceptorch nets {nearest} --paper" in text(NETS[name])
    assert to_json(NETS[nearest])["see"] == ""


def test_a_table_of_ones_own_is_in_no_paper() -> None:
    with pytest.raises(TableError, match="None of the papers is about a network 'mine'"):
        text(replace(GOOGLENET, name="mine"))


def test_text_shows_printed_beside_computed_with_verdict_and_explanation() -> None:
    lines = text(GOOGLENET).splitlines()
    conv1 = next(line.split() for line in lines if line.startswith("conv1 "))
    assert conv1 == ["conv1", "7x7/2", "112x112x64", "1", "2.7", "9.25", "34", "118.0", "explained"]
    assert any(line.startswith("- conv1: params 2.71 in googlenet_separable") for line in lines)
    assert any("BVLC GoogLeNet" in line and "68.7" in line for line in lines)


def test_a_text_of_a_broken_table_says_so() -> None:
    broken = with_row(GOOGLENET, pool1=Pool("max", 2, 2, "valid"))
    line = next(line for line in text(broken).splitlines() if line.startswith("pool1 "))
    assert "3x3/2 (2x2/2)" in line
    assert line.endswith("unexplained")


def test_the_page_is_the_committed_one(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("inceptorch.papers", run_name="__main__")
    printed = capsys.readouterr().out
    assert printed == page()
    assert (Path(__file__).parents[2] / "docs" / "papers.md").read_text(encoding="utf-8") == printed


def test_every_link_of_the_page_has_its_heading() -> None:
    whole = page()
    for paper in PAPERS:
        assert f"\n## {paper.heading}\n" in whole
        assert f"(#{paper.heading.lower().replace(' ', '-').translate({ord(sign): None for sign in ':.,'})})" in whole


def test_a_question_stands_with_the_network_that_it_is_about() -> None:
    assert "What is a contextual model? Table 5 has a column of this name" in " ".join(text(GOOGLENET).split())
    assert "contextual model?" not in text(NETS["vgg16"])
    questions = [each["question"] for each in to_json(GOOGLENET)["papers"][0]["questions"]]
    assert questions[-1] == "What is a contextual model?"
    assert "\n### What is a contextual model?\n" in page()


def test_every_network_shows_its_layers_by_the_principles() -> None:
    lines = text(GOOGLENET).partition("== Its layers by the principles")[2].splitlines()
    pool3 = next(line.split() for line in lines if line.startswith("pool3 "))
    assert pool3 == ["pool3", "14x14x480", "94,080", "25", "107x107", "16"]
    layers = {each["name"]: each for each in to_json(NETS["inception_v3"])["layers"]}
    assert layers["7c"]["receptive_field"] == "1311x1311"
