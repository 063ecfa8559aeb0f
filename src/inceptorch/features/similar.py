"""The images most like given ones: exact neighbors by the cosine of their embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.hub import load
from inceptorch.classifier.published import published
from inceptorch.errors import BundleError, DataError, ImageError
from inceptorch.features.embed import Embeddings, extraction_of, read_embeddings
from inceptorch.features.extract import Extraction
from inceptorch.images.decode import ImageInput
from inceptorch.images.inputs import decode_input, is_one_image, load_image
from inceptorch.utils.html import data_uri, render
from inceptorch.utils.progress import Progress

BLOCK = 1 << 15  # embeddings in one product
THUMBNAIL = 150  # pixels of an image on the page, at most


@dataclass(frozen=True)
class Neighbor:
    """An image, its label where known, and the cosine of its embedding to the query's, at most 1."""

    file: str
    label: str | None
    similarity: float


class Index:
    """Exact search in embeddings. A query is one product with all of them, in blocks."""

    def __init__(self, vectors: NDArray[np.float32]):
        self.vectors = vectors
        norms = [np.linalg.norm(vectors[start : start + BLOCK], axis=1) for start in range(0, len(vectors), BLOCK)]
        self.norms = np.maximum(np.concatenate(norms), np.finfo(np.float32).tiny)
        if not np.isfinite(self.norms).all():
            raise DataError("Cannot compare embeddings: some are not finite. Embed the images anew.")

    def cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """[Q, N]: of each query [Q, dim] to each embedding."""
        unit = queries / np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        found = np.empty((len(unit), len(self.vectors)), np.float32)
        for start in range(0, len(self.vectors), BLOCK):
            rows = slice(start, start + BLOCK)
            found[:, rows] = unit @ self.vectors[rows].T / self.norms[rows]
        return found


def nearest(cosines: NDArray[np.float32], top: int) -> NDArray[np.int64]:
    """The positions of the `top` highest cosines [N], the highest first, and of equal ones the first."""
    top = min(top, len(cosines))
    lowest = np.partition(cosines, len(cosines) - top)[len(cosines) - top]
    candidates = np.flatnonzero(cosines >= lowest)
    order = candidates[np.argsort(-cosines[candidates], kind="stable")]
    return order[:top]


class Search:
    """Embeddings with the model that made them, loaded once for any number of queries.

    model  by default the one that the embeddings name

    Raises DataError for a file that cannot be read, and BundleError for another model.
    """

    def __init__(self, embeddings: str | Path | Embeddings, model: str | Path | Classifier | None = None):
        self.embeddings = embeddings if isinstance(embeddings, Embeddings) else read_embeddings(embeddings)
        self.extraction = _extraction(self.embeddings, model)
        self.index = Index(self.embeddings.vectors)

    def similar(self, image: ImageInput, top: int = 10) -> list[Neighbor]:
        """The `top` images most like this one, the nearest first. A file is never its own neighbor. Raises
        ImageError."""
        crop = self.extraction.prepare(decode_input(image).array)
        (cosines,) = self.index.cosines(self.extraction.extractor.run(crop[None]))
        files, labels = self.embeddings.files, self.embeddings.labels
        own = str(Path(image).absolute()) if isinstance(image, str | Path) else None
        others = [at for at in nearest(cosines, top + 1).tolist() if str(Path(files[at]).absolute()) != own]
        return [Neighbor(files[at], labels[at], float(cosines[at])) for at in others[:top]]


def similar(
    embeddings: str | Path | Embeddings,
    images: ImageInput | Iterable[ImageInput],
    *,
    top: int = 10,
    model: str | Path | Classifier | None = None,
    progress: Progress | None = None,
) -> list[list[Neighbor]]:
    """The `top` images most like each given one, by a file of `embed`, as `Search` finds them."""
    several: Sequence[ImageInput] = [images] if is_one_image(images) else list(images)  # type: ignore[list-item,arg-type]
    search = Search(embeddings, model)
    tracked = (progress or Progress(quiet=True)).track(several, len(several), "searching")
    return [search.similar(image, top) for image in tracked]


def _extraction(index: Embeddings, model: str | Path | Classifier | None) -> Extraction:
    """How queries are embedded: as the index was. Raises BundleError for another model."""
    named, layer = index.about.get("model"), index.about.get("layer")
    if model is None:
        # The file may come from a stranger: it may name a folder here or published weights, and no other address.
        if not isinstance(named, str) or not (Path(named).exists() or named in published()):
            raise BundleError(f"Cannot embed images: the model {named} of the embeddings is not here. Try --model.")
        model = named
    classifier = model if isinstance(model, Classifier) else load(model)
    extraction = extraction_of(classifier, layer, "torch", Progress(quiet=True))
    if extraction.key["weights"] != index.about.get("weights"):
        raise BundleError(
            f"Cannot compare images with these embeddings: {model} is not the model that made them. Try that model, or "
            "embed the images anew."
        )
    return extraction


def page(images: Sequence[str | Path], found: Sequence[Sequence[Neighbor]]) -> str:
    """A self-contained page with each image and its neighbors. Those whose files are gone are named alone."""
    rows = [
        {"file": str(image), "image": _thumbnail(image), "neighbors": [(each, _thumbnail(each.file)) for each in near]}
        for image, near in zip(images, found, strict=True)
    ]
    return render("features/templates/similar.html", title="Similar images", rows=rows)


def _thumbnail(file: str | Path) -> str | None:
    try:
        image = load_image(file)
    except ImageError:
        return None
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return data_uri(image)
