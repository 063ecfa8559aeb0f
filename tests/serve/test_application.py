import json
import threading
from pathlib import Path
from typing import Any

import pytest

from inceptorch.classifier import Classifier
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import Engine, open_engine
from inceptorch.models.module import Model
from inceptorch.serve import application, open_inference
from inceptorch.serve.guard import Access
from tests.conftest import TINY
from tests.serve.helpers import Server, image, running


def test_several_models_by_name(bundle: Path, tmp_path: Path) -> None:
    Classifier.of(Model(TINY, 2), default_preprocessing(16), ["x", "y"]).save(tmp_path / "other")
    engines = {"first": open_engine(bundle, "onnxruntime"), "second": open_engine(tmp_path / "other", "onnxruntime")}
    with running(engines) as server:
        entries = [
            server.predict(("a", image()), query=query).json[0] for query in ("", "?model=first", "?model=second")
        ]
        assert entries[0] == entries[1]
        assert {one["label"] for one in entries[2]["predictions"]} == {"x", "y"}
        about = server.request("/about").json
        assert [(model["name"], model["classes"], model["has_maps"]) for model in about["models"]] == [
            ("first", 3, True),
            ("second", 2, True),
        ]
        unknown = server.predict(("a", image()), query="?model=secnd")
        assert (unknown.status, unknown.json) == (404, {"error": "There is no model 'secnd': did you mean 'second'?"})


@pytest.mark.parametrize("query", ["?top=0", "?top=x", "?maps=2", "?maps=true"])
def test_impossible_parameters_are_refused(server: Server, query: str) -> None:
    reply = server.predict(("a", image()), query=query)
    assert reply.status == 422
    assert reply.json["error"].startswith(f"Parameter {query[1:].partition('=')[0]}: ")


def test_parameters_that_do_not_exist_are_refused(server: Server) -> None:
    reply = server.predict(("a", image()), query="?tpo=1")
    assert (reply.status, reply.json) == (422, {"error": "There is no parameter 'tpo': did you mean 'top'?"})


def test_the_page_may_load_nothing_from_elsewhere(server: Server) -> None:
    for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
        reply = server.request(path)
        assert reply.status == 200
        assert reply.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert server.request("/../application.py").status == 404


def test_unknown_paths_and_methods(server: Server) -> None:
    assert server.request("/nothing").status == 404
    reply = server.request("/predict")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")


def test_private_routes_require_the_token(engine: Engine) -> None:
    with running({"tiny": engine}, access=Access("open sesame ü")) as server:
        for path in ("/about", "/metrics", "/v2", "/v2/models/tiny"):
            assert server.request(path).status == 401, path
        for words in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic b3Blbg=="}):
            reply = server.predict(("a", image()), headers=words)
            assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
        right = {"Authorization": "Bearer open sesame ü".encode().decode("latin-1")}
        assert server.predict(("a", image()), headers=right).status == 200
        assert server.request("/about", headers=right).status == 200
        for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/openapi.json"):
            assert server.request(path).status == 200, path


def test_openapi_names_the_token_where_there_is_one(server: Server, engine: Engine) -> None:
    described = server.request("/openapi.json").json
    assert "securitySchemes" not in described["components"]
    assert "401" not in described["paths"]["/predict"]["post"]["responses"]
    with running({"tiny": engine}, access=Access("sesame")) as closed:
        described = closed.request("/openapi.json").json
    (scheme,) = described["components"]["securitySchemes"].items()
    assert (scheme[1]["type"], scheme[1]["scheme"]) == ("http", "bearer")
    for path in ("/predict", "/v2/models/{name}/infer"):
        operation = described["paths"][path]["post"]
        assert operation["security"] == [{scheme[0]: []}]
        assert "401" in operation["responses"]
    assert "security" not in described["paths"]["/readyz"]["get"]


def test_a_long_name_is_not_repeated(server: Server) -> None:
    reply = server.request(f"/v2/models/{'x' * 60_000}")
    assert (reply.status, len(reply.body) < 300) == (404, True)


def test_json_of_more_than_a_limit_is_parsed_one_at_a_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 3, 16, 16], "data": [0] * 768}
    payload, pools, parse = json.dumps({"inputs": [tensor]}).encode(), list[str](), open_inference.parse

    def noting(*arguments: Any) -> Any:
        pools.append(threading.current_thread().name.rpartition("_")[0])
        return parse(*arguments)

    monkeypatch.setattr(open_inference, "parse", noting)
    monkeypatch.setattr(application, "LONG_JSON", len(payload) + 1)
    for more in (0, 1, 2):
        assert server.request("/v2/models/tiny/infer", payload + b" " * more).status == 200
    assert pools[0] == pools[1] != pools[2]
