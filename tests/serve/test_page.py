"""The page of the server, in a real browser, against a real server."""

import csv
import io
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("fastapi", reason="the page needs inceptorch[serve]")
pytest.importorskip("playwright", reason="the page is tested with playwright and a Chromium")

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    FilePayload,
    Locator,
    Page,
    Request,
    Route,
    expect,
    sync_playwright,
)

from inceptorch.classifier import Classifier, Metadata
from inceptorch.explanation.overlay import overlay
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import open_engine
from inceptorch.models.module import Model
from inceptorch.serve.admission import AdmissionControl, Limits
from inceptorch.serve.guard import Access
from inceptorch.serve.server import bind, create_server, url_of
from inceptorch.serve.service import Service
from tests.conftest import TINY
from tests.helpers import detector

CHROMIUM = Path("/usr/bin/chromium")
CLASSES = ["ant", 'bee, "honey"', "=1+1", "dove", "eel", "fox"]
NOT_AN_IMAGE = "is not an image in a format that is read here"
PIXELS = default_preprocessing(16)


@dataclass
class Server:
    address: str
    service: Service

    @property
    def admission(self) -> AdmissionControl:
        return self.service.models["tiny"].admission

    @contextmanager
    def full(self) -> Iterator[None]:
        """As when others fill its queue."""
        self.admission.images += self.service.limits.queue_size
        try:
            yield
        finally:
            self.admission.images -= self.service.limits.queue_size


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "tiny"
    torch.manual_seed(0)
    model = Model(TINY, len(CLASSES))
    with torch.no_grad():
        model.get_parameter("head.linear.weight").mul_(20)  # so that the answers differ
    Classifier.of(model, PIXELS, CLASSES).save(folder)
    return folder


@contextmanager
def running(
    bundle: Path, limits: Limits | None = None, token: str | None = None, names: Iterable[str] = ("tiny",)
) -> Iterator[Server]:
    service = Service({name: open_engine(bundle, "torch", threads=1) for name in names}, limits or Limits())
    with bind("127.0.0.1", 0) as listening:
        server = create_server(service, Access(token, local=True))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield Server(url_of(listening), service)
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Server]:
    with running(bundle) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"the page is tested with Debian's Chromium, and there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, server: Server, tolerated: str = "", **options: Any) -> Iterator[Page]:
    """The page, which may not write to the console (but what is `tolerated`), nor ask elsewhere."""
    context = browser.new_context(**options)
    context.set_default_timeout(10_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    faults: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if not (tolerated and tolerated in message.text):
            faults.append(message.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith((server.address, "blob:", "data:")):
            faults.append(request.url)

    def on_dialog(dialog: Dialog) -> None:
        faults.append(dialog.message)
        dialog.dismiss()

    page.on("console", on_console)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", on_dialog)
    context.on("request", on_request)
    page.goto(server.address)
    yield page
    context.close()
    assert faults == []


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with opened(browser, server, viewport={"width": 1280, "height": 800}) as page:
        expect(page.get_by_text("6 classes")).to_be_visible()
        yield page


def image(seed: int = 0, size: tuple[int, int] = (48, 32), kind: str = "PNG", **options: Any) -> bytes:
    """A noisy image of some color."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, 3) + random.normal(0, 60, (size[1], size[0], 3))
    with io.BytesIO() as file:
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, kind, **options)
        return file.getvalue()


def upload(name: str, content: bytes, kind: str = "image/png") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": content}


def many(count: int) -> list[FilePayload]:
    return [upload(f"{number}.png", image(number)) for number in range(count)]


def choose(page: Page, *files: FilePayload) -> None:
    page.set_input_files("#files", list(files))


def finished(page: Page) -> None:
    """Wait for the answers of all images."""
    expect(page.get_by_label("Progress", exact=True)).to_be_hidden(timeout=60_000)


def expected(bundle: Path, content: bytes) -> list[tuple[str, str]]:
    """The answers as the page writes them."""
    import inceptorch

    predictions = inceptorch.load(bundle).predict([io_image(content)], top=5)[0]
    return [(one["label"], f"{one['probability']:.1%}") for one in predictions]


def io_image(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def answers(page: Page) -> list[tuple[str, str]]:
    rows = page.locator("#classes .class")
    return [(row.locator("span").nth(0).inner_text(), row.locator(".percent").inner_text()) for row in rows.all()]


def column(page: Page, number: int) -> list[str]:
    return page.locator(f"tbody td:nth-child({number})").all_inner_texts()


def place(locator: Locator) -> tuple[float, float, float, float]:
    box = locator.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


def test_one_image_has_its_answer_its_bars_and_its_frame(page: Page, bundle: Path) -> None:
    content = image(1)
    choose(page, upload("a <b>bold</b> name.png", content))
    finished(page)
    assert answers(page) == expected(bundle, content)
    expect(page.get_by_role("heading", name="a <b>bold</b> name.png")).to_be_visible()
    label, probability = answers(page)[0]
    expect(page.get_by_role("status")).to_have_text(f"a <b>bold</b> name.png: {label}, {probability}")
    bar = page.locator(".bar").first
    filled, whole = place(bar.locator("i")), place(bar)
    assert (filled[2] - filled[0]) / (whole[2] - whole[0]) == pytest.approx(float(probability[:-1]) / 100, abs=0.01)
    # The frame: the middle 32 of the 48 pixels.
    left, top, right, bottom = place(page.locator("#image"))
    assert (right - left) / (bottom - top) == pytest.approx(1.5, abs=0.01)
    shown = tuple(left + fraction * (right - left) for fraction in (8 / 48, 40 / 48))
    assert place(page.locator("#box")) == pytest.approx((shown[0], top, shown[1], bottom), abs=1)
    expect(page.locator("#caption")).to_have_text(
        "The network saw the framed 32 × 32 of 48 × 32 pixels, resized to 16 × 16."
    )


def test_the_map_has_the_colors_of_explain(page: Page) -> None:
    with page.expect_response("**/predict?*") as reply:
        choose(page, upload("a.png", image(1)))
    finished(page)
    entry = reply.value.json()[0]
    page.get_by_role("slider").fill("75")
    for number in (0, 1):
        page.get_by_role("radio").nth(number).check()
        label = answers(page)[number][0]
        expect(page.locator("#map")).to_have_attribute("aria-label", f"Activation map for {label}")
        drawn = page.evaluate(
            """() => {
                const context = new OffscreenCanvas(256, 256).getContext("2d");
                context.drawImage(document.getElementById("map"), 0, 0);
                const {data} = context.getImageData(0, 0, 256, 256);
                return Array.from({length: 65536 / 37}, (_, at) => [...data.slice(4 * 37 * at, 4 * 37 * at + 4)]);
            }"""
        )
        colors = np.array(drawn, np.float64)  # of every 37th pixel
        over_black = 0.75 * colors[..., :3] * colors[..., 3:] / 255
        at = entry["map_classes"].index(entry["predictions"][number]["index"])
        ours = overlay(np.zeros((256, 256, 3), np.uint8), np.array(entry["maps"][at]))
        assert np.abs(over_black - np.asarray(ours, np.float64).reshape(-1, 3)[::37][: len(drawn)]).max() < 4
        assert colors.std(axis=0).max() > 10  # it is not one color
    assert place(page.locator("#map")) == pytest.approx(place(page.locator("#box")), abs=0.5)


def test_the_slider_fades_the_map(page: Page) -> None:
    choose(page, upload("a.png", image(1)))
    finished(page)
    slider = page.get_by_role("slider", name="Map opacity")
    slider.focus()
    for key, opacity in (("Home", "0"), ("ArrowRight", "0.01"), ("End", "1")):
        page.keyboard.press(key)
        expect(page.locator("#map")).to_have_css("opacity", opacity)
    expect(slider).to_have_attribute("aria-valuetext", "100.0%")


@pytest.mark.parametrize("maps", [[], None, "negative"])
def test_without_a_map_there_is_none(page: Page, maps: Any) -> None:
    """Of heads that have no maps, and where nothing is_main_process for a class."""

    def changed(route: Route) -> None:
        reply = route.fetch()
        [entry] = reply.json()
        if maps == "negative":
            entry["maps"] = [[[-1.0] * 4] * 4 for _ in entry["maps"]]
        else:
            entry |= {"maps": maps, "map_classes": maps}
        route.fulfill(response=reply, json=[entry])

    page.route("**/predict?*", changed)
    choose(page, upload("a.png", image(1)))
    finished(page)
    assert len(answers(page)) == 5
    expect(page.locator("#box")).to_be_visible()
    expect(page.locator("#map")).to_be_hidden()
    expect(page.get_by_text("Nothing in the image supports this class.")).to_be_visible(visible=maps == "negative")
    expect(page.get_by_role("radio")).to_have_count(5 if maps == "negative" else 0)


@pytest.mark.parametrize("way", ["choose", "folder", "camera", "drop", "paste"])
def test_every_way_to_add_an_image(page: Page, bundle: Path, tmp_path: Path, way: str) -> None:
    content = image(2)
    give = """([way, bytes]) => {
        const transfer = new DataTransfer();
        const name = way === "paste" ? "image.png" : "a.png";
        transfer.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
        const event = way === "paste" ? new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true})
            : new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true});
        document.getElementById("upload").dispatchEvent(event);
    }"""
    if way in ("drop", "paste"):
        page.evaluate(give, [way, list(content)])
    elif way == "folder":
        (tmp_path / "some" / "deep").mkdir(parents=True)
        (tmp_path / "some" / "deep" / "a.png").write_bytes(content)
        (tmp_path / "some" / ".hidden").write_bytes(b"of the system")
        page.set_input_files("#folder", tmp_path / "some")
    else:
        page.set_input_files("#files" if way == "choose" else "#camera", [upload("a.png", content)])
    expect(page.get_by_role("heading", level=2)).to_have_text(
        {"folder": "some/deep/a.png", "paste": "pasted 1"}.get(way, "a.png")
    )
    finished(page)
    assert answers(page) == expected(bundle, content)


def test_an_image_copied_is_pasted_with_the_keyboard(page: Page, bundle: Path) -> None:
    content = image(2)
    page.evaluate(
        """bytes => {
            const blob = new Blob([new Uint8Array(bytes)], {type: "image/png"});
            return navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
        }""",
        list(content),
    )
    page.keyboard.press("Control+v")
    finished(page)
    expect(page.get_by_role("heading", level=2)).to_have_text("pasted 1")
    assert answers(page) == expected(bundle, content)


def test_a_phone_takes_photos(browser: Browser, server: Server) -> None:
    with opened(browser, server, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as page:
        camera = page.get_by_label("Take a photo")
        expect(camera).to_be_visible()
        expect(camera).to_have_attribute("capture", "environment")
        expect(page.get_by_label("Choose a folder")).to_be_hidden()


def test_the_table_is_sorted_by_every_column(page: Page) -> None:
    files = [
        *many(12),
        upload("notes.txt", b"no image", "text/plain"),
        upload("<img src=x onerror=alert(1)>.png", image(12)),
    ]
    choose(page, *files)
    finished(page)
    given = column(page, 2)
    assert given == [file["name"] for file in files]
    labels = column(page, 3)
    assert len(set(labels)) > 3
    assert labels[12] == NOT_AN_IMAGE
    heads = {
        name: page.get_by_role("columnheader", name=name) for name in ("Image", "File", "Prediction", "Probability")
    }

    def turned(name: str, direction: str) -> None:
        heads[name].get_by_role("button").focus()
        page.keyboard.press("Enter")
        expect(heads[name]).to_have_attribute("aria-sort", direction)
        assert page.locator("th[aria-sort]").count() == 1

    turned("File", "ascending")
    assert column(page, 2) == [
        "<img src=x onerror=alert(1)>.png",
        *(f"{number}.png" for number in range(12)),
        "notes.txt",
    ]
    turned("File", "descending")
    assert column(page, 2)[0] == "notes.txt"
    for direction in ("ascending", "descending"):
        turned("Prediction", direction)
        *sorted_labels, last = column(page, 3)
        assert last == NOT_AN_IMAGE
        assert sorted(set(sorted_labels), key=sorted_labels.index) == sorted(
            set(sorted_labels), key=lambda label: label.strip("="), reverse=direction == "descending"
        )
    for direction in ("descending", "ascending"):
        turned("Probability", direction)
        figures = [float(text[:-1]) for text in column(page, 4) if text]
        assert figures == sorted(figures, reverse=direction == "descending")
        assert column(page, 2)[-1] == "notes.txt"
    turned("Image", "ascending")
    assert column(page, 2) == given


def test_a_row_shows_its_image(page: Page, bundle: Path) -> None:
    choose(page, *many(5))
    finished(page)
    page.locator("tbody tr").nth(3).locator("td").last.click()
    expect(page.get_by_role("heading", name="3.png")).to_be_visible()
    assert answers(page) == expected(bundle, image(3))
    expect(page.get_by_role("row", name="3.png")).to_be_focused()
    for key, name in (
        ("ArrowDown", "4.png"),
        ("ArrowDown", "4.png"),
        ("Home", "0.png"),
        ("ArrowUp", "0.png"),
        ("End", "4.png"),
    ):
        page.keyboard.press(key)
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        expect(page.get_by_role("row", name=name)).to_be_focused()
        expect(page.get_by_role("row", selected=True)).to_contain_text(name)
    page.get_by_role("button", name="Next image").click()
    expect(page.get_by_role("heading", name="0.png")).to_be_visible()


def test_a_file_that_is_not_an_image_shows_the_error(page: Page) -> None:
    choose(page, upload("notes.txt", b"no image", "text/plain"))
    finished(page)
    expect(page.get_by_text(f"notes.txt {NOT_AN_IMAGE}", exact=True)).to_be_visible()
    expect(page.locator("#figure")).to_be_hidden()
    choose(page, upload("a.png", image()))
    finished(page)
    expect(page.get_by_role("heading", name="2 images, 1 failed")).to_be_visible()
    expect(page.locator("#figure")).to_be_visible()


def test_the_csv_is_quoted_and_has_no_formulas(page: Page) -> None:
    names = ["plain.png", 'comma, "quote".png', "=1+1.png", "@sum.png", "-2.png", "+3.png", "ü.png"]
    choose(page, *(upload(name, image(seed)) for seed, name in enumerate(names)), upload("notes.txt", b"no image"))
    finished(page)
    page.get_by_role("columnheader", name="Probability").get_by_role("button").click()
    shown = list(zip(column(page, 2), column(page, 3), column(page, 4), strict=True))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == "predictions.csv"
    content = Path(download.value.path()).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    head, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    assert head == ["file", "label", "index", "probability", "error"]
    assert not any(cell.startswith(tuple("=+-@")) for row in rows for cell in row)
    for row, (name, label, probability) in zip(rows, shown, strict=True):
        assert row[0] == (f"'{name}" if name[0] in "=+-@" else name)
        if name == "notes.txt":
            assert row[1:] == ["", "", "", NOT_AN_IMAGE]
        else:
            assert row[1] == CLASSES[int(row[2])].replace("=1", "'=1") == label.replace("=1", "'=1")
            assert f"{float(row[3]):.1%}" == probability
    assert {row[1] for row in rows} & {'bee, "honey"', "'=1+1"}


def test_the_keyboard_is_enough(page: Page) -> None:
    def tab_to(locator: Locator) -> None:
        for _ in range(12):
            page.keyboard.press("Tab")
            if locator.evaluate("element => element === document.activeElement"):
                return
        pytest.fail(f"Tab does not reach {locator}")

    # Listened for from the start: choosers are caught only a while after that.
    page.on("filechooser", lambda chooser: chooser.set_files(many(9)))
    tab_to(page.get_by_label("Choose images"))
    with page.expect_request("**/predict?*"):
        page.keyboard.press("Enter")
    finished(page)
    tab_to(page.get_by_role("button", name="Next image"))
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", name="1.png")).to_be_visible()
    tab_to(page.get_by_role("radio").first)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio").nth(1)).to_be_checked()
    tab_to(page.get_by_role("slider"))
    tab_to(page.get_by_role("button", name="Download CSV"))
    with page.expect_download():
        page.keyboard.press("Enter")
    tab_to(page.get_by_role("columnheader", name="File").get_by_role("button"))
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert column(page, 2)[0] == "8.png"
    tab_to(page.get_by_role("row", name="1.png"))  # the one row among nine that Tab stops at
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("heading", name="2.png")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('tbody')") is None
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("row", name="2.png")).to_be_focused()


def test_everything_has_a_name_for_screen_readers(page: Page) -> None:
    choose(page, *many(2))
    finished(page)
    controls = page.locator("button:visible, input:visible, select:visible, canvas[role=img]:visible")
    assert controls.count() > 12
    for control in controls.all():
        [line] = control.aria_snapshot().splitlines()[:1]
        assert re.search(r'"[^"]+"', line), line
    for role, name in (
        ("region", "Add images"),
        ("region", "0.png"),
        ("region", "2 images"),
        ("group", "Predictions"),
        ("grid", "2 images"),
    ):
        expect(page.get_by_role(role, name=name)).to_be_visible()  # type: ignore[arg-type]


def test_an_image_of_forty_megapixels(page: Page) -> None:
    content = image(5, (80, 50))
    with io.BytesIO() as file:
        io_image(content).resize((8000, 5000)).save(file, "JPEG")
        huge = file.getvalue()
    choose(page, upload("huge.jpg", huge, "image/jpeg"), upload("small.png", content))
    finished(page)
    expect(page.locator("#caption")).to_contain_text("5,000 of 8,000 × 5,000 pixels")
    page.wait_for_function("document.getElementById('image').naturalWidth === 8000")
    expect(page.locator("tbody canvas").first).to_have_attribute("width", "112")
    expect(page.locator("tbody canvas").first).to_have_attribute("height", "70")


def test_a_turned_photograph_stands_upright(page: Page, bundle: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = image(3, (120, 60), "JPEG", exif=exif)
    choose(page, upload("turned.jpg", content, "image/jpeg"), upload("a.png", image()))
    finished(page)
    assert answers(page) == expected(bundle, content)
    expect(page.locator("#caption")).to_contain_text("60 × 60 of 60 × 120 pixels")
    left, top, right, bottom = place(page.locator("#image"))
    assert (bottom - top) / (right - left) == pytest.approx(2, abs=0.02)
    expect(page.locator("tbody canvas").first).to_have_attribute("height", "84")
    expect(page.locator("tbody canvas").first).to_have_attribute("width", "42")


def test_a_file_type_that_the_browser_cannot_show_is_classified(page: Page, bundle: Path) -> None:
    content = image(3, kind="TIFF")
    choose(page, upload("a.tif", content, "image/tiff"))
    finished(page)
    assert answers(page) == expected(bundle, content)
    expect(page.locator("#caption")).to_contain_text("This browser cannot show this file type.")
    expect(page.locator("#image")).to_be_hidden()


def test_only_visible_rows_are_in_the_document(page: Page, tmp_path: Path) -> None:
    content = image()
    for number in range(1000):
        (tmp_path / f"{number:03}.png").write_bytes(content)
    page.set_input_files("#folder", tmp_path)
    finished(page)
    rows = page.locator("tbody tr")
    expect(page.get_by_role("heading", name="1,000 images")).to_be_visible()
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "1001")
    expect(rows.first.locator("canvas")).to_have_attribute("width", "48")
    assert rows.count() < 40
    rows.first.click()
    page.keyboard.press("End")
    last = page.get_by_role("row", name="999.png")
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    expect(last).to_have_attribute("aria-rowindex", "1001")
    expect(last.locator("canvas")).to_have_attribute("width", "48")
    expect(page.get_by_role("row", name="990.png")).to_be_in_viewport()
    assert rows.count() < 40
    names = column(page, 2)
    assert names == sorted(names)
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(last).to_be_focused()


@pytest.mark.parametrize("limits", [Limits(max_body=60_000, max_images=3), Limits(max_body=25_000)])
def test_requests_stay_within_the_servers_limits(browser: Browser, bundle: Path, limits: Limits) -> None:
    with running(bundle, limits) as server, opened(browser, server) as page:
        page.evaluate(
            """() => {
                window.counts = [];
                const plain = window.fetch;
                window.fetch = (address, options) => {
                    window.counts.push(options.body.getAll("file").length);
                    return plain(address, options);
                };
            }"""
        )
        choose(page, *many(10), upload("large.png", image(0, (200, 200))))
        finished(page)
        counts = page.evaluate("window.counts")
        assert sum(counts) == 10
        assert max(counts) == 3  # of 8 that it sends at most, and of 5 kB
        label = page.locator("tbody tr").last.locator("td").nth(2)
        expect(label).to_have_text(re.compile(r"exceeds this server's limit of 0\.0\d+ MB"))
        expect(page.get_by_role("heading", name="11 images, 1 failed")).to_be_visible()


def test_a_busy_server_is_retried_and_canceling_loses_nothing(browser: Browser, server: Server) -> None:
    with opened(browser, server, tolerated="status of 503") as page:
        with server.full():
            choose(page, *many(5))
            expect(page.get_by_role("status")).to_contain_text("The server is busy. Retrying in")
            expect(page.get_by_label("Progress", exact=True)).to_contain_text("0 of 5 images; the server is busy")
            page.get_by_role("button", name="Cancel").click()
            expect(page.get_by_role("button", name="Continue")).to_be_visible()
            page.get_by_role("button", name="Continue").click()
            expect(page.get_by_role("button", name="Cancel")).to_be_visible()
        finished(page)
        assert all(column(page, 4))


def test_a_deleted_file_does_not_affect_others(browser: Browser, server: Server, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path in paths:
        path.write_bytes(image())
    options = {"width": 1280, "height": 800}
    with opened(browser, server, tolerated="Failed to load resource", viewport=options) as page:
        with server.full():
            page.set_input_files("#files", paths)
            expect(page.get_by_role("status")).to_contain_text("The server is busy")
            paths[1].unlink()
        expect(page.get_by_label("Progress", exact=True)).to_be_hidden(timeout=10_000)
        assert [bool(text) for text in column(page, 4)] == [True, False, True]
        expect(page.locator("tbody td.error")).to_have_text("can no longer be read; add it again")


def test_a_lost_server_is_reported_and_retried(browser: Browser, server: Server) -> None:
    with opened(browser, server, tolerated="net::ERR_FAILED", viewport={"width": 1280, "height": 800}) as page:
        expect(page.get_by_text("6 classes")).to_be_visible()
        page.clock.install()
        page.route("**/predict?*", lambda route: route.abort())
        choose(page, *many(2))
        while not page.get_by_role("alert").is_visible():
            page.clock.run_for(1000)
        expect(page.get_by_role("alert")).to_have_text("The server cannot be reached.")
        page.unroute("**/predict?*")
        page.get_by_role("button", name="Continue").click()
        finished(page)
        expect(page.get_by_role("alert")).to_be_hidden()
        assert all(column(page, 4))


def test_a_token_is_required_once(browser: Browser, bundle: Path) -> None:
    with running(bundle, token="secret") as server, opened(browser, server, tolerated="status of 401") as page:
        token = page.get_by_label("This server requires a token")
        expect(token).to_be_focused()
        expect(page.get_by_label("Choose images")).to_be_hidden()
        token.fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("Wrong token.")
        token.fill("secret")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Choose images")).to_be_visible()
        expect(page.get_by_role("alert")).to_be_hidden()
        choose(page, upload("a.png", image()))
        finished(page)
        assert answers(page)
        page.reload()
        expect(page.get_by_text("6 classes")).to_be_visible()
        assert "secret" not in page.content() + page.url


def test_another_model_classifies_again(browser: Browser, bundle: Path) -> None:
    with running(bundle, names=("tiny", "other")) as server, opened(browser, server) as page:
        choose(page, *many(3))
        finished(page)
        with page.expect_request("**/predict?*model=other*"):
            page.get_by_label("Model").select_option("other")
        finished(page)
        assert all(column(page, 4))


def test_clear_resets_the_page(page: Page) -> None:
    choose(page, *many(3))
    finished(page)
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_label("Choose images")).to_be_focused()
    for region in ("#view", "#results", "#work"):
        expect(page.locator(region)).to_be_hidden()
    choose(page, upload("a.png", image()))
    finished(page)
    assert answers(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(browser: Browser, server: Server, scheme: Any) -> None:
    with opened(browser, server, viewport={"width": 360, "height": 740}, color_scheme=scheme) as page:
        choose(page, *many(3), upload(f"{'long' * 50}.png", image()), upload(f"{'x' * 90}.txt", b"no image"))
        finished(page)
        page.locator("tbody tr").last.click()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        view = place(page.locator("#view"))
        assert 0 <= view[1] < 740  # the row was below it
        paper, ink = (
            page.locator("body").evaluate(f"body => getComputedStyle(body).{name}")
            for name in ("backgroundColor", "color")
        )
        lightness = [sum(map(int, re.findall(r"\d+", color)[:3])) / 765 for color in (paper, ink)]
        assert (
            (lightness[0] > 0.9 and lightness[1] < 0.3)
            if scheme == "light"
            else (lightness[0] < 0.2 and lightness[1] > 0.8)
        )


def test_nothing_from_elsewhere_could_be_loaded(browser: Browser, server: Server) -> None:
    """The policy holds: injected scripts do not run, and no other host is contacted."""
    with opened(browser, server, tolerated="Content Security Policy") as page:
        refused = page.evaluate(
            """() => new Promise((resolve) => {
            const found = [];
            document.addEventListener("securitypolicyviolation", (event) => {
                found.push(event.effectiveDirective);
                if (found.length === 3) resolve(found.sort());
            });
            document.body.append(Object.assign(document.createElement("script"), {textContent: "alert(1)"}));
            document.body.append(Object.assign(document.createElement("style"), {textContent: "* { color: red }"}));
            fetch("https://example.org/").catch(() => {});
        })"""
        )
        assert refused == ["connect-src", "script-src-elem", "style-src-elem"]


def test_a_page_of_another_site_gets_nothing(browser: Browser, server: Server) -> None:
    """Whatever a page can send without asking: forms, text, an image, a script."""
    attack = """async (address) => {
        const image = new Blob([new Uint8Array(100)], { type: "image/png" });
        const form = new FormData();
        form.append("file", image, "a.png");
        const send = async (path, options) => {
            try {
                const reply = await fetch(address + path, options);
                return reply.type === "opaque" ? "sent" : `status ${reply.status}`;
            } catch { return "refused"; }
        };
        return [
            await send("/predict", { method: "POST", mode: "no-cors", body: form }),
            await send("/v2/models/tiny/infer", { method: "POST", mode: "no-cors", body: "{}" }),
            await send("/predict", { method: "POST", body: form }),
            await send("/predict", { method: "POST", body: image }),
            await send("/about", {}),
            await send("/page.js", { mode: "no-cors" }),
        ];
    }"""

    def refused() -> float:
        return sum(
            sample.value
            for metric in server.service.metrics.requests.collect()
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.labels["status"] == "403"
        )

    def answered() -> float:
        return float(server.service.models["tiny"].answered._value.get())

    before = refused(), answered()
    with elsewhere() as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        answers = page.evaluate(attack, server.address)
        context.close()
    assert answers[2:] == ["refused"] * 4
    assert (refused() - before[0] >= 3, answered() - before[1]) == (True, 0)


@contextmanager
def elsewhere() -> Iterator[str]:
    """The address of a page that another program of this machine serves."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<p>elsewhere")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        yield f"http://localhost:{other.server_port}/"
        other.shutdown()
        thread.join(20)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that finds some boxes anywhere."""
    folder = tmp_path_factory.mktemp("page") / "cells"
    detector(["ant", "bee", "=1+1"], Metadata(score_threshold=0.6)).save(folder)
    return folder


def test_boxes_lie_where_they_were_found_and_follow_the_threshold(browser: Browser, cells: Path) -> None:
    import inceptorch

    content = image(1, (96, 64))
    few, many = (
        next(inceptorch.predict(cells, content, engine="torch", min_confidence=value))["boxes"] for value in (0.6, 0.4)
    )
    with running(cells) as server, opened(browser, server, viewport={"width": 1280, "height": 800}) as page:
        expect(page.get_by_text("96 × 64 pixels")).to_be_visible()
        choose(page, upload("a.png", content))
        finished(page)
        frames = page.locator(".found")
        expect(frames).to_have_count(len(few))
        left, top, right, _ = place(page.locator("#stage"))
        scale = (right - left) / 96
        for frame, box in zip(frames.all(), reversed(few), strict=True):
            x, y, wide, tall = box["box"]
            expected = (left + scale * x, top + scale * y, left + scale * (x + wide), top + scale * (y + tall))
            assert place(frame) == pytest.approx(expected, abs=0.6)
            assert frame.inner_text() == f"{box['label']} {round(100 * box['score'])}%"
        assert page.locator("#question").inner_text() == f"{len(few)} boxes"
        assert page.locator("#classes .class").count() == len({box["label"] for box in few})
        page.locator("#threshold").fill("40")
        expect(frames).to_have_count(len(many))
        assert "40.0%" in page.get_by_text("Boxes with a score of at least").inner_text()
        page.locator("#threshold").fill("100")
        expect(page.locator("#question")).to_have_text("0 boxes")


def test_the_table_counts_boxes_and_the_csv_has_one_a_line(browser: Browser, cells: Path) -> None:
    import inceptorch

    files = {"a.png": image(1, (96, 64)), "b.png": image(2, (60, 64)), "c.png": b"no image"}
    with running(cells) as server, opened(browser, server) as page:
        choose(page, *(upload(name, content) for name, content in files.items()))
        finished(page)
        page.locator("#threshold").fill("65")
        good = [files["a.png"], files["b.png"]]
        boxes = [entry["boxes"] for entry in inceptorch.predict(cells, good, engine="torch", min_confidence=0.65)]
        for text, score, each in zip(column(page, 3), column(page, 4), boxes, strict=False):
            assert sum(int(part.split()[0]) for part in text.split(", ")) == len(each)
            assert score == f"{each[0]['score']:.1%}"
        assert "is not an image" in column(page, 3)[2]
        with page.expect_download() as download:
            page.get_by_text("Download CSV").click()
        content = Path(download.value.path()).read_bytes().decode("utf-8-sig")
        head, *rows = csv.reader(io.StringIO(content, newline=""), strict=True)
        assert head == ["file", "label", "score", "left", "top", "width", "height", "error"]
        assert [row[0] for row in rows] == ["a.png"] * len(boxes[0]) + ["b.png"] * len(boxes[1]) + ["c.png"]
        for row, box in zip(rows, boxes[0] + boxes[1], strict=False):
            assert row[1] == ("'=1+1" if box["label"] == "=1+1" else box["label"])
            assert [float(value) for value in row[3:7]] == pytest.approx(box["box"], abs=0.1)
