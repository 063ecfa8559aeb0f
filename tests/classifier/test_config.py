"""config.json is checked, in all its formats."""

import json
from pathlib import Path

import pytest

import inceptorch
from inceptorch.classifier import Classifier, ClassifierConfig
from inceptorch.errors import BundleError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import open_engine
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import to_plain
from inceptorch.networks.zoo import NETS
from tests.classifier.helpers import edit
from tests.conftest import TINY


def test_formats_of_before_are_read(bundle: Path) -> None:
    """A config as it was written in format 2."""
    before = json.loads((Path(__file__).parents[1] / "data" / "config_format_2.json").read_text())
    (bundle / "config.json").write_text(json.dumps(before))
    config = inceptorch.load(bundle).config
    assert config == ClassifierConfig.from_dict(json.loads(json.dumps(config.to_dict())), "again")
    assert config.to_dict()["format"] == 3
    assert (config.network, config.preprocessing.resize, config.classes) == (TINY, 16, ["ant", "bee", "cat"])
    metadata = config.metadata
    assert metadata.split == {"fraction": 0.2, "seed": 7, "fingerprint": "f" * 64}
    assert metadata.threshold is not None
    assert (metadata.threshold["threshold"], metadata.license, metadata.accuracy) == (0.36, "Apache-2.0", "top-1 80%")
    assert (metadata.trained_on, metadata.validated_on) == ("36 pictures of all", "6 pictures of held-out")
    assert metadata.other == {"mine": 1}
    del before["network"]
    (bundle / "config.json").write_text(json.dumps({**before, "format": 1}))
    assert inceptorch.load(bundle).config == config


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"format": 1, "architecture": "tinny", "pixels": default_preprocessing(16).to_dict()},
            "no network 'tinny': did you mean 'tiny'",
        ),
        ({"network": {"name": "tiny", "size": 16}}, "config.json: the network has no 'body'"),
        ({"network": "tiny"}, "config.json: a network is written as values by name"),
        ({"num_classes": 4}, "num_classes is 4, but label_names has 3"),
        ({"label_names": ["a", "b"], "num_classes": 2}, r"head.linear.weight is \[3, 16\], not \[2, 16\]"),
        ({"label_names": "abc"}, "list of class names"),
        ({"label_names": ["a", "b", "\ud800"]}, "list of class names"),
        ({"label_names": ["a", "b", "b"]}, "has a name twice"),
        ({"num_classes": "many"}, "num_classes is 'many'; it must be a whole number"),
        ({"preprocessing": None}, "preprocessing is None; it must be names and values"),
        ({"preprocessing": {"size": 16}}, "config.json: preprocessing has no 'resize'"),
        ({"network": to_plain(NETS["googlenet"])}, "too small for googlenet"),
        ({"network": to_plain(NETS["googlenet_small"])}, "does not fit its network"),
        (
            {"metadata": {"split": {"seed": 1}}},
            "split of the metadata must have the values fraction, seed, fingerprint",
        ),
        ({"metadata": None}, "config.json: metadata is None"),
        ({"pretrained_cfg": 5}, "config.json: pretrained_cfg must hold names and values"),
        (
            {"pretrained_cfg": {"mean": [0, 0, 0]}},
            r"mean of pretrained_cfg is \[0, 0, 0\], but preprocessing means \(0",
        ),
        ({"pretrained_cfg": {"crop_pct": "x"}}, "crop_pct of pretrained_cfg is 'x', but preprocessing means 1.0"),
        ({"pretrained_cfg": {"input_size": [3, 32, 32]}}, r"input_size of pretrained_cfg is \[3, 32, 32\]"),
        ({"format": 99}, "config.json: the format is 99"),
    ],
)
def test_a_config_that_lies_is_found_out(bundle: Path, changes: dict[str, object], sentence: str) -> None:
    edit(bundle, **changes)
    with pytest.raises(BundleError, match=sentence):
        inceptorch.load(bundle)


def test_auxiliary_heads_that_config_and_weights_disagree_about_are_named_with_both_files(
    tiny: NetworkSpec, tmp_path: Path
) -> None:
    for aux in (True, False):
        folder = tmp_path / str(aux)
        model = Model(tiny, 3, aux=aux).eval()
        Classifier.of(model, default_preprocessing(16), list("abc"), aux_heads=aux).save(folder)
        has = "holds" if aux else "lacks"
        edit(folder, aux_heads=not aux)
        for engine in ("torch", "onnxruntime"):
            with pytest.raises(
                BundleError,
                match=rf"model.safetensors {has} .* auxiliary heads, but aux_heads in config.json says otherwise",
            ):
                open_engine(folder, engine)


def test_a_split_that_was_drawn_without_groups_is_read(bundle: Path) -> None:
    split = {"fraction": 0.2, "seed": 0, "fingerprint": "x"}
    for more in ({}, {"group_by": "film"}):
        edit(bundle, metadata={"split": split | more})
        assert inceptorch.load(bundle).config.metadata.split == split | more
