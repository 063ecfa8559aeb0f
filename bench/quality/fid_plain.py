"""FID and its kin by the packages themselves, with weights of a file in place of those that they would download.

In an environment with pytorch-fid, torch-fidelity, clean-fid and scipy < 1.18, which still has the argument that two of
them use:

    python bench/quality/fid_plain.py WEIGHTS.pth A B [pytorch-fid|clean-fid|torch-fidelity|sqrtm]

prints JSON: by package the distance and what else it measures; with "sqrtm" also the seconds of that root alone.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch


def network(weights: str, *, scale: bool) -> torch.nn.Module:
    """pytorch-fid's network; without `scale`, it takes what its convolutions take."""
    from pytorch_fid import inception

    inception.load_state_dict_from_url = lambda *args, **kwargs: torch.load(weights, weights_only=True)
    found: torch.nn.Module = inception.InceptionV3([3], resize_input=scale, normalize_input=scale)
    return found.eval()


def pytorch_fid(weights: str, folders: list[str]) -> dict[str, float]:
    from pytorch_fid import fid_score

    model: Any = network(weights, scale=True)
    found = [fid_score.compute_statistics_of_path(folder, model, 50, 2048, "cpu", 1) for folder in folders]
    began = time.monotonic()
    value = fid_score.calculate_frechet_distance(*found[0], *found[1])
    return {"fid": float(value), "sqrtm": time.monotonic() - began}


def clean_fid(weights: str, folders: list[str]) -> dict[str, float]:
    from cleanfid import fid

    model = network(weights, scale=False)

    def features(batch: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model((batch - 128) / 128)[0].flatten(1)
        return found

    rows = [
        fid.get_folder_features(folder, features, num_workers=1, device="cpu", mode="clean", verbose=False)
        for folder in folders
    ]
    (mu1, sigma1), (mu2, sigma2) = ((np.mean(each, axis=0), np.cov(each, rowvar=False)) for each in rows)
    return {"fid": float(fid.frechet_distance(mu1, sigma1, mu2, sigma2))}


def torch_fidelity(weights: str, folders: list[str]) -> dict[str, float]:
    from torch_fidelity import calculate_metrics

    n = min(len(list(Path(folder).iterdir())) for folder in folders)
    found = calculate_metrics(
        input1=folders[0],
        input2=folders[1],
        cuda=False,
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
    return {ours: found[theirs] for ours, theirs in names.items() if theirs in found}


PACKAGES = {"pytorch-fid": pytorch_fid, "clean-fid": clean_fid, "torch-fidelity": torch_fidelity}

if __name__ == "__main__":
    weights, a, b, *chosen = sys.argv[1:]
    found = {name: PACKAGES[name](weights, [a, b]) for name in chosen or PACKAGES}
    print(json.dumps(found))
