"""What pages made here share: one file that fetches nothing and runs nothing."""

from __future__ import annotations

import base64
import io
from html import escape

from PIL import Image

QUALITY = 80  # of JPEG
STYLE = """
:root { color-scheme: light dark; --ink: #22262b; --soft: #5d6670; --paper: #fff; --line: #d8dce0; --blue: #2a6fbb; --orange: #d9730d }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #a3abb3; --paper: #16191d; --line: #353b42; --blue: #6aa9ea; --orange: #f0954a }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 960px; margin: 0 auto; padding: 16px }
h1 { font-size: 1.6em; margin: .4em 0 0; overflow-wrap: anywhere }
h2 { font-size: 1.2em; margin: 2em 0 .5em; border-bottom: 1px solid var(--line) }
h3 { font-size: 1em; margin: 1.2em 0 .3em }
small, figcaption { color: var(--soft) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
figure { margin: 0 }
"""


def document(title: str, style: str, body: str, head: str = "") -> str:
    """A whole page, light or dark. `title` may be any words; `style` is CSS for more than what all pages have, `body` HTML,
    and `head` more HTML for the head."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{head}<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def address(image: Image.Image, kind: str = "JPEG") -> str:
    """A picture as an address that holds it."""
    with io.BytesIO() as file:
        image.save(file, kind, quality=QUALITY)
        return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
