"""The images of the networks: everything of the table is there, and nothing lies on anything else."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import ImageFont

from inceptorch.errors import TableError
from inceptorch.networks.detection import DetectionHead, default_levels
from inceptorch.networks.draw import compared_svg, detector_svg, svg
from inceptorch.networks.layers import (
    LRN,
    AdaptiveAverage,
    BatchNorm,
    Conv,
    Dropout,
    Fork,
    GlobalAverage,
    GlobalMax,
    Layer,
    Linear,
    Pool,
    Residual,
    SeparableConv,
    Whitening,
)
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS
from inceptorch.networks.zoo.googlenet import GOOGLENET

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>\"'&]]>\x00\x1b\ud800\uffff"
NESTED = Fork(
    (),
    Residual((Conv(8), Fork((Conv(4, (1, 7)), Residual((), 0.5, relu=False)), Conv(4, groups=2)))),
    (Fork(Pool("max"), (Fork(Conv(3), Conv(5)), Residual(Conv(8, norm=False, relu=False), 0.125))), LRN()),
)
ODD = NetworkSpec(
    "odd",
    title="all that a table may hold: deep nesting, rows without layers, auxiliary heads row upon row",
    source="a table of one's own",
    size=64,
    body={
        "first": SeparableConv(8, (3, 5), 2, multiplier=4),
        "nested": NESTED,
        "again": (Conv(8), NESTED),
        "nothing": (),
        "nothing at all": ((), ()),
        "crowd": Fork(*(Conv(12345, kernel) for kernel in (1, (1, 3), (3, 1)) * 3)),
        "1": Conv(8),
        "2": Conv(8),
        "3": Conv(8),
        "4": Conv(8),
        "5": Pool("avg", 3, 2, "ceil", count_pad=True),
    },
    head={"parts": AdaptiveAverage(2), "drop": Dropout(0.125), "fc": Linear(77)},
    aux=("nothing", "nothing at all", "3", "5"),
    aux_head={"a": (Conv(8), NESTED), "b": (Conv(8), NESTED), "mean": GlobalAverage()},
    norm=BatchNorm(),
)
NAMELESS = replace(
    GOOGLENET,
    name=HOSTILE,
    title=f"{HOSTILE} " + "網路" * 300 + "W" * 300,
    source=HOSTILE,
    body={
        {"conv1": HOSTILE, "norm1": "m" * 5000, "4a": "網" * 40, "3a": "\n\t "}.get(name, name): row
        for name, row in GOOGLENET.body.items()
    },
    aux=("網" * 40, "4d"),
)
ALL = {**NETS, "odd": ODD, "nameless": NAMELESS, "tiny": NetworkSpec("tiny", "", "", 1, {"row": ()}, {})}
Drawn = NetworkSpec | tuple[NetworkSpec, DetectionHead]
DETECTORS: dict[str, Drawn] = {
    f"detector {name}": (net, DetectionHead(default_levels(net), 512, 384, depth=depth))
    for name, depth in (("googlenet", 2), ("inception_v3", 0), ("googlenet_small", 1), ("vgg16", 8))
    for net in (NETS[name],)
}
each_drawing = pytest.mark.parametrize("net", [*ALL.values(), *DETECTORS.values()], ids=[*ALL, *DETECTORS])
each_net = pytest.mark.parametrize("net", ALL.values(), ids=ALL)

Area = tuple[float, float, float, float]  # left, top, right, bottom


@each_drawing
def test_image_is_one_file_without_scripts_and_references(net: Drawn) -> None:
    root = drawing(net)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "desc", "g", "rect", "text", "polyline", "polygon", "circle",
    }  # fmt: skip
    assert not [name for element in root.iter() for name in element.attrib if "href" in name or name.startswith("on")]
    assert root.findtext(f"{SVG}title")
    assert root.findtext(f"{SVG}desc")


@each_net
def test_every_layer_is_a_box(net: NetworkSpec) -> None:
    """A run of equal rows is drawn once and names them all."""
    rows = [*net.body.values(), *net.head.values(), Linear(1000, relu=False)]
    heads = [layer for _ in net.aux for layer in (*(net.aux_head or {}).values(), Linear(1000, relu=False))]
    expected = Counter(kind for row in (*rows, *heads) for kind in kinds(row))
    expected += Counter({"input": 1, "head": 1 + len(net.aux)})  # the image, and every softmax

    drawn: Counter[str] = Counter()
    for row in drawing(net).iter(f"{SVG}g"):
        names = (row.findtext(f"{SVG}title") or "").rsplit(": ", 1)[0].split(", ")
        for kind, _, _ in boxes(row):
            drawn[kind] += len(names)
    assert drawn == expected


@each_net
def test_every_row_and_width_can_be_read(net: NetworkSpec) -> None:
    root = drawing(net)
    titles = " ".join(row.findtext(f"{SVG}title") or "" for row in root.iter(f"{SVG}g"))
    words = Counter(word for text in root.iter(f"{SVG}text") for word in (text.text or "").replace(",", "").split())
    if net is not NAMELESS:
        for name in (*net.body, *net.head, *(net.aux_head or {} if net.aux else ())):
            assert name in titles
    for row in (*net.body.values(), *net.head.values()):
        for layer in leaves(row):
            if isinstance(layer, Conv | SeparableConv | Linear):
                assert words[str(layer.out)]


@each_drawing
def test_nothing_lies_on_anything_else(net: Drawn) -> None:
    root = drawing(net)
    all_boxes = [area for _, area, _ in boxes(root)]
    texts = [(text.text, text_area(text)) for text in root.iter(f"{SVG}text")]
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for area in (*all_boxes, *(area for _, area in texts)):
        assert min(area) >= 0
        assert area[2] <= width
        assert area[3] <= height
    for one, other in combinations(all_boxes, 2):
        assert not overlap(one, other)
    for (one_text, one), (other_text, other) in combinations(texts, 2):
        assert not overlap(one, other), (one_text, other_text)
    for line in lines(root):
        assert line[0] == line[2] or line[1] == line[3], "a line is neither level nor upright"
        assert not [area for area in all_boxes if overlap(line, area)]
        assert not [text for text, area in texts if overlap(line, area)]


@each_drawing
def test_the_legend_has_its_colors_beside_their_words(net: Drawn) -> None:
    inside = list(drawing(net).iter())
    keys = [(key, text) for key, text in pairwise(inside) if key.get("class") == "key"]
    assert len(keys) == len({kind for kind, _, _ in boxes(drawing(net))} - {"input"})
    for key, text in keys:
        left, _, right, _ = text_area(text)
        x, y, width, height = (float(key.attrib[name]) for name in ("x", "y", "width", "height"))
        assert y + height / 2 == pytest.approx(float(text.attrib["y"]) - 0.35 * 12, abs=0.01)
        assert x + width < left < right


@each_drawing
def test_lines_end_on_boxes_or_on_other_lines(net: Drawn) -> None:
    root = drawing(net)
    drawn = [line for line in root.iter(f"{SVG}polyline") if len(set(line.attrib["points"].split())) > 1]
    areas = [*(area for _, area, _ in boxes(root)), *(each for line in drawn for each in lines(line))]
    for line in drawn:
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        for x, y in (points[0], points[-1]):
            around = (x - 0.02, y - 0.02, x + 0.02, y + 0.02)
            assert sum(overlap(around, area) for area in areas) > 1, f"only this line is at {x}, {y}"


@each_drawing
def test_text_fits_its_box(net: Drawn) -> None:
    root = drawing(net)
    for _, (left, top, right, bottom), texts in boxes(root):
        assert texts
        for text in texts:
            area = text_area(text)
            assert left + 2 <= area[0] <= area[2] <= right - 2, text.text
            assert top <= area[1] <= area[3] <= bottom, text.text
    assert all(float(text.attrib["font-size"]) >= 11 for text in root.iter(f"{SVG}text"))


def test_kinds_paddings_and_groups_are_said() -> None:
    said = texts_of(ODD)
    assert {"conv 1x7", "separable 3x5/2 x4", "avg pool 3x3/2 ceil", "4, groups 2", "8, linear, bias"} <= said
    assert {"+", "+ x0.5", "+ x0.125", "ReLU", "to 2x2", "77, ReLU", "0.125", "over 5 channels"} <= said
    assert {"conv 3x3/2 V", "max pool 3x3/2 V", "concat, 384 channels", "+ x0.17"} <= texts_of(
        NETS["inception_resnet_v2"]
    )
    assert {"conv 7x7/2", "concat, 256 channels", "28x28x256", "128 M", "softmax"} <= texts_of(GOOGLENET)
    assert any("6,998,552" in text and "13,378,280" in text and "1,582,671,872" in text for text in texts_of(GOOGLENET))


def test_equal_rows_are_drawn_once_unless_an_auxiliary_head_stands_on_them() -> None:
    assert {"A1 to A5", "B1 to B10", "C1 to C5", "x 5", "x 10"} <= texts_of(NETS["inception_resnet_v2"])
    assert {"5b to 5e", "6b to 6h"} <= texts_of(NETS["inception_v4"])
    assert {"5c", "5d"} <= texts_of(NETS["inception_v3"])  # equal rows on different widths
    assert {"1", "2", "3", "4"} <= texts_of(ODD)  # 1 comes from another width, 3 carries a head
    assert "1 to 4" in texts_of(replace(ODD, body={"0": Conv(8), **{name: Conv(8) for name in "1234"}}, aux=()))


def test_a_net_that_does_not_fit_its_own_size_is_refused() -> None:
    with pytest.raises(TableError, match="layer conv1: a 7x7 window does not fit into a 2x2 map"):
        svg(replace(GOOGLENET, size=2, body={"conv1": Conv(64, 7, 2, "valid")}, aux=()))


def test_a_detectors_pyramid_and_head_are_drawn_with_their_costs() -> None:
    net = NETS["googlenet"]
    said = texts_of((net, DetectionHead(default_levels(net), 512, 512)))
    for level in ("3b", "4e", "5b"):
        assert {f"feature pyramid on {level}", f"lateral {level}", f"pyramid {level}"} <= said
    assert {"head, shared by the levels", "1x5376x12", "64x64x128", "252 M", "7, linear", "12 for every place"} <= said
    assert "softmax" not in said
    assert any("As a detector on 512x512 pixels, 7 classes" in text for text in said)


def drawing(net: Drawn) -> ElementTree.Element:
    return ElementTree.fromstring((svg(net) if isinstance(net, NetworkSpec) else detector_svg(*net, 7)).encode())


def texts_of(net: Drawn) -> set[str]:
    return {text.text or "" for text in drawing(net).iter(f"{SVG}text")}


def kinds(layer: Layer) -> Iterator[str]:
    """The boxes that a layer needs."""
    match layer:
        case tuple():
            for part in layer:
                yield from kinds(part)
        case Fork(branches):
            yield "concat"
            yield from kinds(branches)
        case Residual(inner, _, relu):
            yield from ["sum"] * (1 + relu)
            yield from kinds(inner)
        case Conv() | SeparableConv() | Whitening():
            yield "conv"
        case Pool() | GlobalMax():
            yield "pool"
        case LRN():
            yield "norm"
        case GlobalAverage() | AdaptiveAverage():
            yield "average"
        case Dropout() | Linear():
            yield "head"


def leaves(layer: Layer) -> Iterator[Layer]:
    match layer:
        case tuple() | Fork():
            for part in layer if isinstance(layer, tuple) else layer.branches:
                yield from leaves(part)
        case Residual(inner):
            yield from leaves(inner)
        case _:
            yield layer


def boxes(element: ElementTree.Element) -> Iterator[tuple[str, Area, list[ElementTree.Element]]]:
    """The layers' boxes: kind, area and the texts in them."""
    inside = list(element.iter())
    for number, rect in enumerate(inside):
        name = rect.get("class", "")
        if not name.startswith("box "):
            continue
        x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        texts = []
        for follower in inside[number + 1 :]:
            if follower.tag != f"{SVG}text" or follower.get("text-anchor") != "middle":
                break
            texts.append(follower)
        yield name.removeprefix("box "), (x, y, x + width, y + height), texts


def lines(root: ElementTree.Element) -> Iterator[Area]:
    for line in root.iter(f"{SVG}polyline"):
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        for (x, y), (to_x, to_y) in pairwise(points):
            yield min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y)


@cache
def font(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, than which few fonts are wider."""
    file = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", file)
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def text_area(text: ElementTree.Element) -> Area:
    x, y, size = (float(text.attrib[key]) for key in ("x", "y", "font-size"))
    width = font(size, text.get("font-weight") == "bold").getlength(" ".join((text.text or "").split()))
    left = x - width * {"start": 0, "middle": 0.5, "end": 1}[text.attrib["text-anchor"]]
    return left, y - 0.75 * size, left + width, y + 0.2 * size


def overlap(one: Area, other: Area) -> bool:
    """Whether they share more than an edge."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_areas_are_compared_rightly() -> None:
    assert overlap((0, 0, 2, 2), (1, 1, 3, 3))
    assert not overlap((0, 0, 2, 2), (2, 0, 3, 2))
    assert overlap((1, 0, 1, 9), (0, 0, 2, 2))


def test_layers_side_by_side_have_captions_shapes_and_costs() -> None:
    drawn = compared_svg("Windows", {"one": (Conv(64, 5), (64, 35, 35)), "two": ((Conv(64, 3),) * 2, (64, 35, 35))})
    root = ElementTree.fromstring(drawn)
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text in ("one", "two")] == ["one", "two"]
    assert "125 M multiply-adds" in texts  # 25 * 64 * 64 * 35 * 35
    assert texts.count("conv 3x3") == 2
    assert float(root.get("width", 0)) > 200
