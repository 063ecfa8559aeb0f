"""What pages made here share: one file that fetches nothing and runs nothing."""

from __future__ import annotations

import base64
import io
from html import escape

from PIL import Image

QUALITY = 80  # of JPEG


def document(title: str, style: str, body: str, head: str = "") -> str:
    """A whole page. `title` may be any words; `style` is CSS, `body` HTML, and `head` more HTML for the head."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{head}<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def address(image: Image.Image, kind: str = "JPEG") -> str:
    """A picture as an address that holds it."""
    with io.BytesIO() as file:
        image.save(file, kind, quality=QUALITY)
        return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
