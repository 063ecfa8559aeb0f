"""Templates escape what they are given."""

from PIL import Image

from inceptorch.utils.html import data_uri, render


def test_values_are_escaped_in_markdown() -> None:
    values = {"net": None, "classes": ["a*b"], "crops": "<b>", "preprocessing": None, "metadata": {"note": "[x](y)"}}
    card = render("utils/templates/bundle.md", front_matter="", name="tiny", **values)
    assert r"\[x\](y)" in card
    assert r"\<b\>" in card


def test_an_image_is_a_data_uri() -> None:
    assert data_uri(Image.new("RGB", (2, 2)), "PNG").startswith("data:image/png;base64,iVBOR")
