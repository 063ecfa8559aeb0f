"""Tables, and words from elsewhere."""

import re

import pytest

from inceptorch.utils.markdown import aligned, in_markdown, markdown

GRID = [["class", "n", "note"], ["cat", "12", "a"], ["lynx", "7", ""]]


def test_figures_stand_to_the_right() -> None:
    assert markdown(GRID).splitlines()[1] == "| --- | ---: | --- |"
    assert aligned(GRID).splitlines() == ["class   n  note", "cat    12  a", "lynx    7"]


def test_words_are_escaped_and_addresses_are_not() -> None:
    assert in_markdown("a *b*\n<c> | d_e") == r"a \*b\* \<c\> \| d\_e"
    assert in_markdown("https://example.org/a_b") == "https://example.org/a_b"


@pytest.mark.parametrize(
    "words",
    [
        "https://x <img src=x onerror=alert(1)>",
        "https://x](javascript:alert(1)) **b**",
        "https://x|y",
        "https://x<b>",
        "https://x`y`",
        "https://x\n<script>",
        "javascript:alert(1)//https://x [a](b)",
    ],
)
def test_words_that_only_begin_as_an_address_are_escaped(words: str) -> None:
    assert not re.search(r"(?<!\\)[<>\[\]`*|]", in_markdown(words))
