"""What is measured of each step."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inceptorch.networks.complexity import count_complexity
from inceptorch.shrink.measure import Step, draw_curve, file_size, measure_step
from tests.helpers import classifier_of
from tests.shrink.helpers import MIXED, QUIET, images


def measured(tmp_path: Path) -> Step:
    classifier, data = classifier_of(MIXED), images(16)
    classifier.save(tmp_path / "bundle")
    crops = np.stack([data.crop(index, classifier.preprocessing) for index in range(16)])
    whole = 2 * count_complexity(MIXED, num_classes=7).macs
    return measure_step("cut", tmp_path / "bundle", classifier, whole, 0.75, crops, QUIET)


@pytest.mark.usefixtures("no_nncf")
def test_a_step_has_costs_and_times_and_without_nncf_nothing_of_int8(tmp_path: Path) -> None:
    found = measured(tmp_path)
    assert (found.step, found.cost, found.top1) == ("cut", 0.5, 0.75)
    assert found.params == count_complexity(MIXED, num_classes=7).params
    assert found.ms_fp32 > 0
    assert found.engine_fp32 in ("torch", "onnxruntime", "openvino")
    assert (found.ms_int8, found.engine_int8, found.mb_int8) == (None, None, None)
    size = (tmp_path / "bundle" / "model.safetensors").stat().st_size
    assert found.mb_fp32 == size / 1e6 == file_size(tmp_path / "bundle", images(2).images, QUIET)[0]  # type: ignore[attr-defined]
    draw_curve([found, found], "curve", tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as drawn:
        assert drawn.width > 600


@pytest.mark.slow
def test_a_step_in_int8(tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    found = measured(tmp_path)
    assert found.ms_int8
    assert found.mb_int8
    assert found.engine_int8 in ("onnxruntime", "openvino")
    draw_curve([found], "curve", tmp_path / "curve.png")
