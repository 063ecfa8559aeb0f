"""A gallery as an HTML page: dreams, channels and style transfers, made from photographs whose authors it names.

    python docs/gallery.py PHOTOS --out gallery [--model MODEL] [--size 640]

PHOTOS is a folder with the photographs named below and labels.csv, which has the columns file, name, license, author
and landing_url. What is made from them keeps their license: publish the page with its credits, or not at all.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import inceptorch
from inceptorch import Classifier, InceptorchError, Progress
from inceptorch.utils.files import new_folder, open_text, reading, write_text

VALLEY, LAKE, DAISY, DOG = "38deb4830d12358f", "7d4186ce0332245d", "d47c9aabecda0e12", "9d55997552acf0de"
VOLCANO, BEETLE, GRAFFITI = "6740e1e89b5bbab4", "0c7ac4a8c9dfa802", "54a6b2cd7f89220e"
# Title, photograph, guide, settings.
DREAMS: tuple[tuple[str, str, str | None, dict[str, Any]], ...] = (
    ("Layer 4c, as published", VALLEY, None, {}),
    ("Another photograph", LAKE, None, {}),
    ("Layer 3a: textures", VOLCANO, None, {"layer": "3a"}),
    ("Layer 4e: parts of objects", VALLEY, None, {"layer": "4e"}),
    ("Channel 100 of 4d only", VALLEY, None, {"layer": "4d", "channels": (100,)}),
    ("Toward a daisy", LAKE, DAISY, {}),
    ("Toward a dog, layer 4c", VALLEY, DOG, {"layer": "4c"}),
    ("Only brightness changes", BEETLE, None, {"keep_colors": True}),
)
CHANNELS = {"4c": (100, 118, 167, 201), "4d": (100, 139), "4e": (8, 150)}
CHANNEL_STEPS = 64
STYLES = (  # title, content, style
    ("A lake as graffiti", LAKE, GRAFFITI),
    ("A dog of glowing wood", DOG, VOLCANO),
    ("A beetle of a meadow", BEETLE, DAISY),
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What an Inception network sees</title>
<style>
:root { color-scheme: light dark }
body { margin: 0 auto; max-width: 1100px; padding: 16px; font: 15px/1.5 system-ui, sans-serif }
section > div { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 16px }
figure { margin: 0 }
figcaption { margin-top: 4px }
img { width: 100%; height: auto; display: block }
small { opacity: .75; overflow-wrap: anywhere }
</style>
</head>
<body>
<h1>What an Inception network sees</h1>
<p>Made by inceptorch {{ version }} with {{ model }}.</p>
{% for title, pictures in sections if pictures %}
<section>
<h2>{{ title }}</h2>
<div>
{% for picture in pictures %}
<figure>
<a href="{{ picture.file }}"><img src="{{ picture.file }}" alt="{{ picture.title }}" loading="lazy"></a>
<figcaption>{{ picture.title }}<br>
<small>{% for photo in picture.photos %}
{{ "Changed from" if loop.first else "and" }}
{% if photo.page %}<a href="{{ photo.page }}">{{ photo.name }}</a>{% else %}{{ photo.name }}{% endif %}
by {{ photo.author }}
{% if photo.license %}(<a href="{{ photo.license }}">license</a>){% endif %}
{% endfor %}</small></figcaption>
</figure>
{% endfor %}
</div>
</section>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class Photo:
    """A photograph, and to whom it belongs. Addresses are empty where they are none of the web."""

    path: Path
    name: str
    author: str
    license: str
    page: str


@dataclass(frozen=True)
class Picture:
    """An image of the gallery with the photographs it was made from."""

    file: str
    title: str
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class Gallery:
    """What all sections share: the network, the photographs by name, the size, and the folder to write into."""

    classifier: Classifier
    photos: dict[str, Photo]
    size: int
    out: Path
    progress: Progress

    def photo(self, name: str) -> Photo:
        if name not in self.photos:
            raise InceptorchError(f"Cannot find {name}.png in labels.csv. Name the folder of those photographs.")
        return self.photos[name]

    def save(self, file: str, image: NDArray[np.uint8], title: str, photos: tuple[Photo, ...] = ()) -> Picture:
        Image.fromarray(image).convert("RGB").save(self.out / file, quality=90)
        return Picture(file, title, photos)


def main() -> None:
    parser = argparse.ArgumentParser(description="A gallery of dreams, channels and styles as an HTML page.")
    parser.add_argument("photos", type=Path, help="folder of photographs with labels.csv")
    parser.add_argument("--out", type=Path, default=Path("gallery"), help="new folder for the page and its images")
    parser.add_argument("--model", default="googlenet.bvlc", help="a run, a bundle, or published weights by name")
    parser.add_argument("--size", type=int, default=640, help="longer side of the images in pixels")
    options = parser.parse_args()
    try:
        photos = read_photos(options.photos)
        with new_folder(options.out) as folder:
            classifier = inceptorch.load(options.model).to_best_device()
            make(Gallery(classifier, photos, options.size, folder, Progress()), options.model)
    except InceptorchError as error:
        sys.exit(str(error))
    print(options.out / "index.html")


def read_photos(folder: Path) -> dict[str, Photo]:
    """The photographs of labels.csv, by their names without suffix."""
    table = folder / "labels.csv"
    with reading(table, InceptorchError), open_text(table, newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return {
            Path(row["file"]).stem: Photo(
                folder / Path(row["file"]).name, row["name"], row["author"], _link(row["license"]),
                _link(row["landing_url"]),
            )
            for row in rows
        }  # fmt: skip
    except KeyError as error:
        raise InceptorchError(
            f"{table} has no column {error}. Write file, name, license, author, landing_url."
        ) from None


def _link(address: str) -> str:
    return address if address.startswith(("https://", "http://")) else ""


def make(gallery: Gallery, model: str) -> None:
    """Write the images and index.html."""
    sections = [("Dreams", dreams(gallery)), ("Channels", channels(gallery)), ("Styles", styles(gallery))]
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(PAGE)
    text = page.render(sections=sections, version=inceptorch.__version__, model=model)
    write_text(gallery.out / "index.html", text)


def dreams(gallery: Gallery) -> list[Picture]:
    pictures = []
    for number, (title, name, guide_name, values) in enumerate(DREAMS, 1):
        photo = gallery.photo(name)
        guide = None if guide_name is None else gallery.photo(guide_name)
        gallery.progress.info(f"dream {number} of {len(DREAMS)}: {title}")
        made = inceptorch.dream(
            photo.path, model=gallery.classifier, guide=guide.path if guide else None, size=gallery.size,
            progress=gallery.progress, **values,
        )  # fmt: skip
        photos = (photo, guide) if guide else (photo,)
        pictures.append(gallery.save(f"dream-{number}.jpg", made.image, title, photos))
    return pictures


def channels(gallery: Gallery) -> list[Picture]:
    """Images optimized for channels, which are made from no photograph."""
    pictures = []
    for layer, numbers in CHANNELS.items():
        found = inceptorch.visualize(
            gallery.classifier, layer, channels=numbers, steps=CHANNEL_STEPS, size=gallery.size // 2,
            progress=gallery.progress,
        )  # fmt: skip
        for number, each in zip(numbers, found, strict=True):
            title = f"Channel {number} of layer {layer}"
            pictures.append(gallery.save(f"channel-{layer}-{number}.jpg", each.images[0], title))
    return pictures


def styles(gallery: Gallery) -> list[Picture]:
    """Photographs in the style of others."""
    pictures = []
    for number, (title, *names) in enumerate(STYLES, 1):
        content, example = map(gallery.photo, names)
        gallery.progress.info(f"style {number} of {len(STYLES)}: {title}")
        made = inceptorch.style(
            content.path, example.path, model=gallery.classifier, size=gallery.size // 2, progress=gallery.progress
        )
        pictures.append(gallery.save(f"style-{number}.jpg", made.image, title, (content, example)))
    return pictures


if __name__ == "__main__":
    main()
