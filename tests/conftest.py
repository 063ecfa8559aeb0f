"""Fixtures: a three-row network, small folders of images, and the real data where it is present."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from inceptorch.cli import app
from inceptorch.networks.layers import BatchNorm, Conv, Dropout, Fork, GlobalAverage, Linear, Pool
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS
from inceptorch.training.recipe import SCRATCH, Recipe, with_values

# Bit for bit is promised on a CPU; the tests evaluate that also where there is a GPU.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

SHARED = Path(os.environ.get("INCEPTORCH_SHARED", Path(__file__).parents[2] / "shared" / "data"))

TINY = NetworkSpec(
    "tiny",
    title="three rows",
    source="these tests",
    size=16,
    body={
        "conv1": Conv(8, 3, 2),
        "mix": Fork(Conv(4), (Conv(4), Conv(8, 3)), (Pool("max"), Conv(4))),
        "pool": Pool("max", 3, 2, "ceil"),
    },
    head={"avgpool": GlobalAverage(), "dropout": Dropout(0.2)},
    aux=("mix",),
    aux_head={"avgpool": Pool("avg", 4, 2, "valid"), "fc": Linear(8)},
    norm=BatchNorm(),
)

COLORS = {"blue": (40, 60, 200), "green": (40, 170, 60), "red": (200, 50, 40)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of pages need Chromium, and those with real weights or images take long: their fixtures tell."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "browser" in fixtures:
            item.add_marker("browser")
        if fixtures & {"npz", "converted", "shared", "planted"}:
            item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def _cache_folder_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between runs is kept between tests, and not beyond them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INCEPTORCH_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def npz() -> Path:
    """BVLC's weights; the test is skipped where they are not."""
    path = SHARED / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz"
    if not path.exists():
        pytest.skip(f"BVLC's weights are not in {path}; set INCEPTORCH_SHARED to the folder of real data")
    return path


@pytest.fixture(scope="session")
def converted(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle made of them."""
    out = tmp_path_factory.mktemp("converted") / "googlenet"
    result = CliRunner().invoke(app, ["convert", str(npz), "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> NetworkSpec:
    """The three-row network, known by its name while a test runs."""
    monkeypatch.setitem(NETS, TINY.name, TINY)
    return TINY


@pytest.fixture
def recipe(tiny: NetworkSpec) -> Recipe:
    """A recipe that trains the three-row network in a second."""
    return with_values(
        SCRATCH, {"net": "tiny", "epochs": 3, "batch_size": 8, "lr": 0.05, "ema_decay": 0.5, "crop_scale": (0.5, 1.0)}
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """train/ with 12 and val/ with 4 images for each of three classes, told apart by color."""
    root = tmp_path / "images"
    for split, count in (("train", 12), ("val", 4)):
        write_classes(root / split, count, seed=len(split))
    return root


def write_classes(root: Path, count: int, seed: int = 0) -> None:
    """`count` noisy images of every color, in class folders."""
    random = np.random.default_rng(seed)
    for name, color in COLORS.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            noise = random.normal(0, 40, (20, 24, 3))
            pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")


def hear_ctrl_c() -> None:
    """For `preexec_fn`: tests that themselves run in the background ignore Ctrl-C, and their children would too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.fixture
def shared() -> Path:
    """The folder of real images and weights; the test is skipped where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"real images and weights are not in {SHARED}; set INCEPTORCH_SHARED to where they are")
    return SHARED


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """INCEPTORCH_HOME of one test."""
    monkeypatch.setenv("INCEPTORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
