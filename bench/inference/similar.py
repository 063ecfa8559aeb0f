"""Exact search in the embeddings of CIFAR-10's 50,000 training images: time, memory, and recall by brute force.

    python -m bench similar [FRACTION]

GoogLeNet for images of 32 pixels, with random weights, makes the embeddings of 1,024 numbers: the search does not
depend on what they mean. An answer is one image of the test part from its file to its ten neighbors, after the
embeddings were read. Brute force is all cosines in float64, sorted. FRACTION of the images is for trials.
"""

import resource
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch

from bench.common import SHARED, Record, command, need, on_machine
from inceptorch.classifier import Classifier
from inceptorch.features.embed import embed
from inceptorch.features.similar import Neighbor, Search
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.zoo import get_network
from inceptorch.utils.progress import Progress

QUERIES, TOP = 50, 10


def run(fraction: str = "1") -> Record:
    folder = need(SHARED / "cifar10")
    torch.manual_seed(0)
    model = Model(get_network("googlenet_small"), 10)
    classifier = Classifier.of(model, default_preprocessing(32), [str(number) for number in range(10)])
    with tempfile.TemporaryDirectory() as name:
        data, out = Path(name) / "train.zip", Path(name) / "embeddings.npy"
        with zipfile.ZipFile(folder / "train.zip") as every, zipfile.ZipFile(data, "w") as some:
            names = every.namelist()
            for each in names[:: round(1 / float(fraction))]:
                some.writestr(each, every.read(each))
        began = time.monotonic()
        embed(classifier, data, out=out, progress=Progress())
        embedding = time.monotonic() - began
        began = time.monotonic()
        search = Search(out, classifier)
        loading = time.monotonic() - began
        with zipfile.ZipFile(folder / "test.zip") as test:
            files = [test.read(each) for each in sorted(test.namelist()) if each.endswith(".jpg")][:: 10_000 // QUERIES]
        seconds = []
        answers = []
        for file in files:
            began = time.monotonic()
            answers.append(search.similar(file, TOP))
            seconds.append(time.monotonic() - began)
        n, recall = len(search.embeddings), recall_of(search, files, answers)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    times = {"embedding": embedding, "loading": loading, "answer": statistics.median(seconds), "slowest": max(seconds)}
    return {"n": {"images": n, "queries": len(files)}, **times, "recall": recall, "memory": memory}


def recall_of(search: Search, files: list[bytes], answers: list[list[Neighbor]]) -> float:
    """The fraction of the ten nearest by brute force that were found."""
    vectors = search.embeddings.vectors.astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = []
    for file, answer in zip(files, answers, strict=True):
        (query,) = search.extraction.extractor.run(search.extraction.prepare(decode(file).array)[None])
        cosines = vectors @ (query / np.linalg.norm(query.astype(np.float64)))
        expected = {search.embeddings.files[at] for at in np.argsort(-cosines, kind="stable")[:TOP]}
        found.append(len(expected & {each.file for each in answer}) / TOP)
    return float(np.mean(found))


def render(record: Record) -> str:
    n = record["n"]
    return (
        f"## Measured: search\n\n`{command(record)}`, {on_machine(record)}\n\n"
        f"Among {n['images']:,} embeddings of 1,024 numbers, an image has its {TOP} neighbors {record['answer']:.3f} s "
        f"after it was named (median of {n['queries']}; the slowest {record['slowest']:.3f} s). Reading the embeddings "
        f"took {record['loading']:.1f} s before, making them {record['embedding']:.0f} s. Of the neighbors by brute "
        f"force in float64, {record['recall']:.1%} were found."
    )
