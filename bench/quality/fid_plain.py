"""Peer of `fid` and `fid_speed`, no measurement: FID and its kin by the packages themselves, with weights of a file in
place of those that they would download.

In an environment with pytorch-fid, torch-fidelity, clean-fid and scipy < 1.18, which still has the argument that two of
them use:

    python bench/quality/fid_plain.py WEIGHTS.pth A B [pytorch-fid|clean-fid|torch-fidelity|loop ...]

prints JSON: by package the distance and what else it measures; "exact" is the distance of the package's own statistics
without the noise that its root of a singular product has. "loop" is pytorch-fid's way from the images of A to
their statistics: its seconds, without imports, and the peak of memory in bytes.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image


def network(weights: str, *, scale: bool) -> torch.nn.Module:
    """pytorch-fid's network; without `scale`, it takes what its convolutions take."""
    from pytorch_fid import inception

    inception.load_state_dict_from_url = lambda *args, **kwargs: torch.load(weights, weights_only=True)
    found: torch.nn.Module = inception.InceptionV3([3], resize_input=scale, normalize_input=scale)
    return found.eval()


def batch_size(folders: list[str], usual: int) -> int:
    """The packages stop where images of one batch differ in size."""
    sizes = {Image.open(path).size for folder in folders for path in Path(folder).iterdir()}
    return usual if len(sizes) == 1 else 1


def exact(one: tuple[Any, Any], two: tuple[Any, Any]) -> float:
    """The distance of two means and covariances, by the eigenvectors of the first covariance that are no noise."""
    (mu1, sigma1), (mu2, sigma2) = one, two
    values, vectors = np.linalg.eigh(sigma1)
    chosen = values > 1e-12 * values[-1]
    factor = vectors[:, chosen] * np.sqrt(values[chosen])
    root = np.sqrt(np.linalg.eigvalsh(factor.T @ sigma2 @ factor).clip(0)).sum()
    difference = mu1 - mu2
    return float(difference @ difference + np.trace(sigma1) + np.trace(sigma2) - 2 * root)


def tried(distance: Callable[..., Any], one: tuple[Any, Any], two: tuple[Any, Any]) -> float | None:
    """A package's distance; None where its root of a singular product has imaginary numbers, so that it stops."""
    try:
        return float(distance(*one, *two))
    except ValueError:
        return None


def pytorch_fid(weights: str, folders: list[str]) -> dict[str, float | None]:
    from pytorch_fid import fid_score

    model: Any = network(weights, scale=True)
    size = batch_size(folders, 50)
    found = [fid_score.compute_statistics_of_path(folder, model, size, 2048, "cpu", 1) for folder in folders]
    return {"fid": tried(fid_score.calculate_frechet_distance, *found), "exact": exact(*found)}


def loop(weights: str, folders: list[str]) -> dict[str, float]:
    from pytorch_fid import fid_score

    model, workers = network(weights, scale=True), min(8, os.cpu_count() or 1)
    began = time.monotonic()
    fid_score.compute_statistics_of_path(folders[0], model, 50, 2048, "cpu", workers)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": time.monotonic() - began, "memory": peak}


def clean_fid(weights: str, folders: list[str]) -> dict[str, float | None]:
    from cleanfid import fid

    model = network(weights, scale=False)

    def features(batch: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model((batch - 128) / 128)[0].flatten(1)
        return found

    rows = [
        fid.get_folder_features(folder, features, num_workers=1, device="cpu", mode="clean", verbose=False)
        for folder in folders
    ]
    found = [(np.mean(each, axis=0), np.cov(each, rowvar=False)) for each in rows]
    return {"fid": tried(fid.frechet_distance, *found), "exact": exact(*found)}


def torch_fidelity(weights: str, folders: list[str]) -> dict[str, float]:
    from torch_fidelity import calculate_metrics, metrics

    statistics: list[tuple[Any, Any]] = []
    distance = metrics.fid_statistics_to_metric

    def noted(one: dict[str, Any], two: dict[str, Any], verbose: bool) -> Any:
        statistics.extend((each["mu"], each["sigma"]) for each in (one, two))
        return distance(one, two, verbose)

    metrics.fid_statistics_to_metric = noted
    n = min(len(list(Path(folder).iterdir())) for folder in folders)
    found = calculate_metrics(
        input1=folders[0],
        input2=folders[1],
        cuda=False,
        batch_size=batch_size(folders, 64),
        fid=True,
        kid=n >= 1000,
        prc=True,
        isc=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=weights,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
    )
    names = {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "kid_std": "kernel_inception_distance_std",
        "precision": "precision",
        "recall": "recall",
        "inception_score": "inception_score_mean",
        "inception_score_std": "inception_score_std",
    }
    measured = {ours: found[theirs] for ours, theirs in names.items() if theirs in found}
    return {**measured, "exact": exact(*statistics)}


PACKAGES: dict[str, Callable[..., Any]] = {
    "pytorch-fid": pytorch_fid,
    "clean-fid": clean_fid,
    "torch-fidelity": torch_fidelity,
}
PARTS: dict[str, Callable[..., Any]] = {**PACKAGES, "loop": loop}

if __name__ == "__main__":
    weights, a, b, *chosen = sys.argv[1:]
    found = {name: PARTS[name](weights, [a, b]) for name in chosen or PACKAGES}
    print(json.dumps(found))
