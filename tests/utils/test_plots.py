"""Names in drawings."""

from matplotlib import rcParams

from inceptorch.utils.plots import shortened, unicode_fonts


def test_names_are_shortened_to_one_line() -> None:
    assert shortened("a\nb", 5) == "a?b"
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"


def test_fonts_are_set_for_a_while() -> None:
    before = list(rcParams["font.family"])
    with unicode_fonts():
        assert rcParams["font.family"][0] == "DejaVu Sans"
    assert list(rcParams["font.family"]) == before
