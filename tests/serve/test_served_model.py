"""A detector behind the server: the same boxes as `predict`."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inceptorch
from inceptorch.classifier.config import Metadata
from inceptorch.images.boxes import Boxes
from inceptorch.images.letterbox import letterbox
from inceptorch.inference.engines import open_engine
from tests.helpers import detector
from tests.serve.helpers import NOISE, READY, Server, image, running

WIDE = np.random.default_rng(1).integers(0, 256, (90, 200, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boxes") / "tiny"
    detector(metadata=Metadata(score_threshold=0.5)).save(folder)
    return folder


@pytest.fixture(scope="module")
def finding(cells: Path) -> Iterator[Server]:
    with running({"tiny": open_engine(cells, "torch", batch_size=4)}) as server:
        yield server


def test_boxes_are_those_of_predict(finding: Server, cells: Path, tmp_path: Path) -> None:
    files = {"a.png": image(), "wide.png": image("PNG", WIDE), "text.jpg": b"no image"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in files]
    for query, threshold in (("", None), ("?min_confidence=0.65", 0.65)):
        expected = list(inceptorch.predict(cells, paths, engine="torch", min_confidence=threshold))
        reply = finding.predict(*zip(paths, files.values(), strict=True), query=query)
        assert reply.status == 200
        assert [entry.keys() for entry in reply.json] == [entry.keys() for entry in expected]
        assert reply.json[2] == expected[2]
        for ours, theirs in zip(reply.json[:2], expected[:2], strict=True):
            assert len(ours["boxes"]) == len(theirs["boxes"]) > 3
            for mine, yours in zip(ours["boxes"], theirs["boxes"], strict=True):
                assert (mine["label"], mine["index"]) == (yours["label"], yours["index"])
                assert mine["score"] == pytest.approx(yours["score"], abs=1e-4)
                assert mine["box"] == pytest.approx(yours["box"], abs=0.1)


def test_the_page_gets_the_size_of_the_image(finding: Server) -> None:
    (entry,) = finding.predict(("a.png", image("PNG", WIDE)), query="?maps=1&min_confidence=0.6").json
    assert list(entry) == ["file", "boxes", "width", "height"]
    assert (entry["width"], entry["height"]) == (200, 90)
    assert min(box["score"] for box in entry["boxes"]) >= 0.6
    (model,) = finding.request("/about").json["models"]
    assert (model["task"], model["width"], model["height"]) == ("boxes", 96, 64)
    assert (model["threshold"], model["classes"], model["has_maps"]) == (0.5, 3, False)


def test_a_classifier_tells_unknown_images(server: Server) -> None:
    for value, unknown in ((0, False), (1, True)):
        (entry,) = server.predict(("a.png", image()), query=f"?min_confidence={value}").json
        assert (list(entry), entry["unknown"]) == (["file", "predictions", "unknown"], unknown)


def test_parameters_that_do_not_apply_are_refused(finding: Server) -> None:
    reply = finding.predict(("a.png", image()), query="?top=3")
    assert (reply.status, "Parameter top: it is for classifiers" in reply.json["error"]) == (422, True)
    assert finding.predict(("a.png", image()), query="?min_confidence=1.5").status == 422


def test_tensors_are_those_of_an_exported_file(finding: Server, cells: Path) -> None:
    engine = open_engine(cells, "torch", batch_size=4)
    images = np.stack([WIDE[:64, :96], NOISE[:1, :1].repeat(64, 0).repeat(96, 1)])
    expected = engine.detect(images)
    metadata = finding.request("/v2/models/tiny").json
    assert metadata["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 3, 64, 96]}]
    assert [(each["name"], each["datatype"], each["shape"]) for each in metadata["outputs"]] == [
        ("boxes", "FP32", [-1, 4]), ("scores", "FP32", [-1]), ("labels", "INT64", [-1]), ("image", "INT64", [-1]),
    ]  # fmt: skip
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    tensor = {"name": "images", "datatype": "UINT8", "shape": list(pixels.shape)}
    payload = json.dumps({"inputs": [{**tensor, "data": pixels.ravel().tolist()}]}).encode()
    outputs = finding.request("/v2/models/tiny/infer", payload).json["outputs"]
    found = {each["name"]: np.reshape(each["data"], each["shape"]) for each in outputs}
    assert found["image"].tolist() == [number for number, boxes in enumerate(expected) for _ in range(len(boxes))]
    assert found["labels"].tolist() == [label for boxes in expected for label in boxes.labels.tolist()]
    np.testing.assert_allclose(found["boxes"], np.concatenate([boxes.xyxy for boxes in expected]), atol=0.1)
    np.testing.assert_allclose(found["scores"], np.concatenate([boxes.scores for boxes in expected]), atol=1e-4)

    wanted = {**tensor, "parameters": {"binary_data_size": pixels.nbytes}}
    outputs = [{"name": "labels", "parameters": {"binary_data": True}}]
    text = json.dumps({"inputs": [wanted], "outputs": outputs}).encode()
    header = {"Inference-Header-Content-Length": str(len(text))}
    reply = finding.request("/v2/models/tiny/infer", text + pixels.tobytes(), header)
    length = int(reply.headers["Inference-Header-Content-Length"])
    assert np.frombuffer(reply.body[length:], "<i8").tolist() == found["labels"].tolist()


def test_a_detector_that_fails_is_not_ready_until_it_answers(cells: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = open_engine(cells, "torch", batch_size=4)
    with running({"tiny": engine}) as server:
        assert [server.request(path).status for path in READY] == [200] * 3
        detect = engine.detect
        nan = Boxes.of([[0, 0, np.nan, 1]], [0])
        engine.detect = lambda images: [nan] * len(images)  # type: ignore[method-assign]
        assert server.predict(("a", image())).status == 500
        assert [server.request(path).status for path in READY] == [503] * 3
        engine.detect = detect  # type: ignore[method-assign]
        assert [server.request(path).status for path in READY] == [200] * 3


def test_images_of_several_requests_share_a_batch_of_letterboxes(cells: Path) -> None:
    engine = open_engine(cells, "torch", batch_size=4)
    with running({"tiny": engine}) as server:
        before = server.counter('inceptorch_batch_images_sum{model="tiny"}')
        entries = server.predict(*[("a", image("PNG", WIDE[:, : 40 + 10 * number])) for number in range(6)]).json
        assert server.counter('inceptorch_batch_images_sum{model="tiny"}') == before + 6
    pixels = engine.config.preprocessing
    for number, entry in enumerate(entries):
        one = letterbox(Image.fromarray(WIDE[:, : 40 + 10 * number]), 96, 64, pixels)
        (boxes,) = engine.detect(one.image[None])
        best = one.to_original(boxes).to_json(["ant", "bee", "cat"])[0]
        assert entry["boxes"][0]["box"] == pytest.approx(best["box"], abs=0.1)
