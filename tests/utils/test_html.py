"""Templates escape what they are given."""

from PIL import Image

from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.utils.html import data_uri, render


def test_values_are_escaped_in_markdown() -> None:
    card = render(
        "classifier/templates/bundle.md", front_matter="", name="tiny", net=None, head=None, classes=["a*b"],
        crops="<b>", preprocessing=default_preprocessing(32), metadata={"note": "[x](y)"},
    )  # fmt: skip
    assert r"\[x\](y)" in card
    assert r"\<b\>" in card


def test_an_image_is_a_data_uri() -> None:
    assert data_uri(Image.new("RGB", (2, 2)), "PNG").startswith("data:image/png;base64,iVBOR")
