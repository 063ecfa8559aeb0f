from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from inceptorch.classifier.classifier import Classifier
from inceptorch.errors import BundleError, EngineError
from inceptorch.features import extractors
from inceptorch.features.extractors import FeatureExtractor, TorchExtractor, open_extractor
from inceptorch.utils.progress import Progress

BATCH = np.random.default_rng(0).uniform(0, 255, (5, 3, 16, 16)).astype(np.float32)


def test_every_engine_gives_torchs_features(classifier: Classifier) -> None:
    expected = TorchExtractor(classifier).run(BATCH)
    assert expected.shape == (5, classifier.model.num_features)
    for engine in ("onnxruntime", "openvino"):
        pytest.importorskip(engine)
        found = open_extractor(classifier, engine)
        assert (found.name, found.dim) == (engine, classifier.model.num_features)
        np.testing.assert_allclose(found.run(BATCH), expected, atol=1e-4 * np.abs(expected).max())


def test_any_layer_gives_the_averages_of_its_maps(classifier: Classifier) -> None:
    found = TorchExtractor(classifier, layer="conv1")
    with torch.inference_mode():
        maps = classifier.model.body.get_submodule("conv1")(found.normalize(torch.from_numpy(BATCH)))
    np.testing.assert_allclose(found.run(BATCH), maps.mean((2, 3)), rtol=1e-4, atol=1e-5)
    assert found.dim == 8


def test_auto_is_an_engine_that_agrees(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_extractor(classifier).name in ("openvino", "onnxruntime")

    class Wrong(TorchExtractor):
        name = "onnxruntime"

        def run(self, images: extractors.Batch) -> np.ndarray:
            out: np.ndarray = super().run(images) * 1.001
            return out

    def exported(classifier: Classifier, engine: str, dim: int) -> FeatureExtractor:
        return Wrong(classifier)

    monkeypatch.setattr(extractors, "_exported", exported)
    lines: list[str] = []
    progress = Progress(quiet=True)
    monkeypatch.setattr(progress, "info", lines.append)
    assert open_extractor(classifier, progress=progress).name == "torch"
    assert "features of onnxruntime differ from torch's by 1.0e-03 of the largest" in lines[-1]
    with pytest.raises(EngineError, match="Cannot use onnxruntime: features of onnxruntime differ"):
        open_extractor(classifier, "onnxruntime")


def test_features_of_damaged_weights_are_left_to_torch(classifier: Classifier) -> None:
    next(classifier.model.parameters()).data.fill_(torch.nan)
    assert open_extractor(classifier).name == "torch"


def test_engines_that_cannot_be_used_are_sentences(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="There is no engine 'tensorrt'"):
        open_extractor(classifier, "tensorrt")
    monkeypatch.setattr(extractors, "find_spec", lambda name: None)
    assert open_extractor(classifier).name == "torch"
    with pytest.raises(EngineError, match="Cannot use openvino: it or onnx is not installed"):
        open_extractor(classifier, "openvino")


def test_a_custom_module_has_torch_alone(classifier: Classifier) -> None:
    custom = Classifier(classifier.model, replace(classifier.config, spec="some.Module"))
    assert isinstance(custom.model, nn.Module)
    assert open_extractor(custom).name == "torch"
    with pytest.raises(BundleError, match="Cannot compute features of a custom module with onnxruntime"):
        open_extractor(custom, "onnxruntime")
