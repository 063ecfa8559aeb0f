"""The package as it is installed: its version, and the names that tab completion offers."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import inceptorch
from inceptorch.cli import app

ROOT = Path(__file__).parents[1]


def test_the_command_prints_the_version() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout == f"inceptorch {inceptorch.__version__}\n"


def test_tab_completion_offers_every_public_name_without_loading_torch() -> None:
    code = (
        "import sys, inceptorch;"
        "assert set(inceptorch.__all__) <= set(dir(inceptorch)), dir(inceptorch);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


SURFACE = """
    BenchmarkResult BundleError Callback Classifier ClassifierConfig Complexity CropProtocol DamagedImage DataError
    DiskError Dream Embeddings Engine EngineError EngineOutput Evaluation Explanation ExportError
    ExportResult FIDResult Finding Findings HugeImage ImageError ImageInputError InceptorchError LayerCost Metadata
    Neighbor NetworkSpec NonFiniteOutputError Prediction Predictor Preprocessing Progress ProtocolError Recipe
    RecipeError Result RunError ServeError StyledImage TableError Task TopClass Visualization
    benchmark check complexity convert cost create_model dream embed evaluate explain export fid get_network
    list_models load open_engine predict resume similar style train visualize
"""


def test_the_public_names_are_these() -> None:
    assert sorted(inceptorch.__all__) == sorted(SURFACE.split())


@pytest.mark.parametrize("name", inceptorch.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(inceptorch, name).__module__.startswith("inceptorch.")


def test_verbs_are_functions_whatever_has_been_imported() -> None:
    code = (
        "import inceptorch, inceptorch.cli, inceptorch.checks.check, inceptorch.deployment.export;"
        "import inceptorch.explanation.explain, inceptorch.features.fid;"
        "import inceptorch.deployment.benchmark, inceptorch.classifier.convert;"
        "import inceptorch.visualization.visualize, inceptorch.visualization.dream, inceptorch.visualization.style;"
        "verbs = 'train resume evaluate predict check explain fid visualize dream style'.split();"
        "verbs += 'export convert benchmark load complexity'.split();"
        "assert all(type(getattr(inceptorch, verb)).__name__ == 'function' for verb in verbs)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_citation_and_changelog_know_this_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == inceptorch.__version__
    assert f"\n## {inceptorch.__version__}" in (ROOT / "CHANGELOG.md").read_text()
