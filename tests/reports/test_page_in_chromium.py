"""The page in Chromium: everything on it is clicked, typed into and looked at.

Skipped where there is no Chromium or no Playwright. What a browser says on its console, a request to
anywhere, and an error of the script fail every test.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import analyzer
from analyzer.matching.load import load_rules, rules_folder
from analyzer.model.report import Report
from analyzer.pipeline.pictures import pictures
from analyzer.reports.groups import groups, worth_a_picture
from analyzer.reports.html import write as write_page
from tests import crowd
from tests.captures import SAMPLES, sample
from tests.crowd import ACK, BEGIN, PSH, RST, Ends, Talk
from tests.reports.test_html import HOSTILE, poisoned

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

SCREENS = Path(__file__).with_name("screens")
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
]
Page = Any


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with playwright.sync_playwright() as started:
        line = [*QUIET, *(["--no-sandbox"] if root else [])]
        found = started.chromium.launch(executable_path=CHROMIUM, headless=True, args=line)
        yield found
        found.close()


@pytest.fixture
def shown(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens a report as a page."""
    complaints: list[str] = []
    contexts = []

    def show(report: Report, fragment: str = "", *, dark: bool = False, **options: Any) -> Page:
        path = tmp_path / "page.html"
        with path.open("w", encoding="utf-8") as out:
            drawn = pictures(report, worth_a_picture(report)) if is_file(report) else {}
            write_page(report, out, drawn, load_rules(rules_folder()))
        context = browser.new_context(
            viewport={"width": 1200, "height": 900}, color_scheme="dark" if dark else "light", **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append("a dialog"))
        page.on("request", lambda request: asked(request.url))
        page.goto(f"{path.as_uri()}{fragment}")
        return page

    def asked(url: str) -> None:
        if not url.startswith(("file:", "data:")):
            complaints.append(f"asks for {url}")

    yield show
    for context in contexts:
        context.close()
    assert complaints == []


def is_file(report: Report) -> bool:
    return all(Path(capture.path).is_file() for capture in report.captures)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return analyzer.analyze(crowd.write(tmp_path_factory.mktemp("many") / "many.pcap", crowd.crowd(3000)))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A connection of 900 packets, and a reset at its end."""
    talk = Talk(Ends("10.0.0.1", 4000, "10.0.0.2", 80), BEGIN).open()
    for _ in range(448):
        talk.send(0, PSH | ACK, 100).send(1, ACK)
    frames = talk.send(1, RST | ACK).frames
    return analyzer.analyze(crowd.write(tmp_path_factory.mktemp("long") / "long.pcap", [frames]))


COLOURS = """it => {
  const { width, height } = it, found = new Set();
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(it, 0, 0);
  const { data } = copy.getImageData(0, 0, width, height);
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 255) found.add(data.slice(at, at + 3).join(" "));
  }
  return [...found];
}"""
"""The colours on a canvas."""


def test_each_filter_narrows_the_list_and_can_be_taken_back(shown: Any, many: Report) -> None:
    page = shown(many)
    status = page.locator(".tools output")
    whole = status.inner_text()
    found = groups(many)
    assert page.locator(".group").count() == len(found)
    for facet, value in (
        ("errno", "ECONNRESET"),
        ("service", "10.0.8.15:9092"),
        ("rule", "connection-refused"),
    ):
        button = page.locator(f'[data-key="{facet} {value}"]')
        count = button.locator("span").inner_text()
        button.click()
        assert page.locator(f'[data-key="{facet} {value}"]').get_attribute("aria-pressed") == "true"
        assert status.inner_text().startswith(f"{count} of ")
        page.get_by_role("button", name="Show all").click()
        assert status.inner_text() == whole


def test_a_range_of_time_is_a_filter(shown: Any, many: Report) -> None:
    page = shown(many)
    status = page.locator(".tools output")
    whole = status.inner_text()
    chart = page.get_by_role("application", name=re.compile("Failures over time"))
    told = page.locator(".facet.wide output")
    area, accent, mark = chart.locator(".u-over").bounding_box(), "31 95 191", "255 243 214"
    drawn = chart.locator("canvas").evaluate(COLOURS)
    assert accent in drawn
    assert mark not in drawn
    page.mouse.move(area["x"] + area["width"] * 0.25, area["y"] + 20)
    bar = re.fullmatch(r"[\d:.]+ to [\d:.]+: ([\d,]+)", told.inner_text())
    assert bar
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.75, area["y"] + 20, steps=4)
    page.mouse.up()
    half = int(status.inner_text().split()[0].replace(",", ""))
    assert 0 < half < len(many.flows)
    assert chart.locator(".u-select").bounding_box()["width"] == 0
    assert {accent, mark} <= set(chart.locator("canvas").evaluate(COLOURS))
    page.get_by_role("button", name="Show all").click()
    assert status.inner_text() == whole
    page.mouse.click(area["x"] + area["width"] * 0.25, area["y"] + 20)
    assert status.inner_text().startswith(f"{bar[1]} of ")
    page.mouse.click(area["x"] + area["width"] * 0.25, area["y"] + 20)
    assert status.inner_text() == whole
    chart.focus()
    page.keyboard.press("ArrowLeft")
    assert told.inner_text() != bar[0]
    page.keyboard.press("Enter")
    one = status.inner_text()
    assert one.startswith(f"{told.inner_text().split(': ')[1]} of ")
    page.keyboard.press("Shift+ArrowLeft")
    assert status.inner_text() not in (one, whole)
    assert chart.evaluate("it => it === document.activeElement")
    page.keyboard.press("Escape")
    assert status.inner_text() == whole


def test_search_and_order(shown: Any, many: Report) -> None:
    page = shown(many)
    page.get_by_role("searchbox").fill("10.0.8.15 econnreset")
    playwright.expect(page.locator(".group")).to_have_count(1)
    assert "ECONNRESET" in page.locator(".group").inner_text()
    page.get_by_role("searchbox").fill("nothing like this")
    page.get_by_text("No connection fits these filters.").wait_for()
    page.get_by_role("button", name="Show all").click()
    titles = page.locator(".group strong")
    before = titles.all_inner_texts()
    page.get_by_label("Order").select_option("client")
    assert sorted(titles.all_inner_texts()) == sorted(before)
    page.locator(".group h2 button").first.click()
    clients = page.locator(".group").first.locator(".flow .mono").all_inner_texts()
    assert clients == sorted(clients, key=lambda text: [int(n) for n in re.findall(r"\d+", text)])


def test_details_are_built_when_they_are_opened(shown: Any, many: Report) -> None:
    page = shown(many)
    assert page.locator(".flow, svg, .plot").count() == 0
    page.locator(".group h2 button").first.click()
    assert page.locator(".flow").count() == 50
    assert page.locator("svg").count() == 0
    page.get_by_role("button", name=re.compile("Show more")).first.click()
    assert page.locator(".flow").count() > 50
    page.locator(".flow h3 button").first.click()
    assert page.locator("svg.ladder").count() == 1
    page.locator(".flow h3 button").first.click()
    assert page.locator("svg.ladder").count() == 0


def test_a_link_opens_its_flow(shown: Any, many: Report) -> None:
    index = many.flows.index(groups(many)[0].members[57])
    page = shown(many, f"#flow-{index}")
    row = page.locator(f"#flow-{index}")
    assert row.locator("svg.ladder").count() == 1
    assert page.locator(".flow.open").count() == 1
    assert row.locator("button").first.evaluate("it => it === document.activeElement")
    row.get_by_text("Link to this connection").click()
    assert page.url.endswith(f"#flow-{index}")


def test_everything_of_a_flow(shown: Any) -> None:
    page = shown(
        analyzer.analyze(sample("rst-after-fin-send-first")),
        permissions=["clipboard-write", "clipboard-read"],
    )
    detail = page.locator(".detail")
    assert detail.locator(".said p").first.inner_text() == (
        'The client\'s send() failed with EPIPE (32, "Broken pipe") and the signal SIGPIPE.'
    )
    ladder = detail.locator("svg.ladder")
    assert ladder.locator(".arrow").count() == 15
    assert ladder.locator(".band").count() == 2
    assert ladder.locator(".reset .arrow").count() == 1
    states = ladder.locator(".state text").all_text_contents()
    assert states[-5:] == ["CLOSE_WAIT", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSED", "CLOSED"]
    assert ladder.get_by_text("PSH data 49:65, 16 bytes, ack 50").count() == 1
    assert ladder.get_by_text("client's send(): EPIPE with SIGPIPE").count() == 1
    detail.get_by_text("Frames as a table").click()
    table = detail.get_by_role("region", name="Frames")
    table.locator("tbody tr").first.wait_for()  # it is built once it is opened
    assert table.locator("tbody tr").count() == 15
    cells = table.locator("tr.decides td").all_inner_texts()
    assert cells[:4] == ["16", "0.442693", "client", "PSH data 49:65, 16 bytes, ack 50"]
    assert cells[4:9] == ["49", "50", "16", "64512", "CLOSE_WAIT"]
    detail.get_by_text("The rule rst-after-fin").click()
    assert "What the program gets" in detail.locator("pre.rule").inner_text()
    detail.get_by_role("button", name="Copy the display filter").click()
    detail.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "ip.addr==10.9.0.1 && ip.addr==10.9.1.2 && tcp.port==50835 && tcp.port==8036"


def test_icmp_comes_from_a_third_line(shown: Any) -> None:
    page = shown(analyzer.analyze(sample("icmp-host-unreachable-connect")))
    assert page.locator("svg.ladder .third").count() == 1
    assert page.locator("svg.ladder .icmp").text_content().endswith("ICMP 3/1 from 10.9.0.254")
    assert page.locator("canvas").count() == 0  # nothing was sent


@pytest.mark.parametrize(
    ("capture", "from_where"),
    [
        (sample("udp-connection-refused"), "ICMP 3/3 from 10.9.1.2"),
        (SAMPLES / "next-hop-dead-any" / "client.pcapng", "ICMP 3/1 to itself"),
    ],
)
def test_icmp_of_an_end_does_not_come_from_between(shown: Any, capture: Path, from_where: str) -> None:
    page = shown(analyzer.analyze(capture))
    assert page.locator("svg.ladder .third").count() == 0
    assert page.locator("svg.ladder .icmp").first.text_content().endswith(from_where)


def test_the_last_label_of_an_axis_has_room(shown: Any, many: Report) -> None:
    page = shown(many)
    drawn = "document.querySelector('.chart .u-over').getBoundingClientRect().right"
    whole = "document.querySelector('.chart canvas').getBoundingClientRect().right"
    assert page.evaluate(f"{whole} - {drawn}") >= 45


def test_long_runs_are_folded_and_unfold(shown: Any, long: Report) -> None:
    page = shown(long)
    arrows = page.locator("svg.ladder .arrow")
    few = arrows.count()
    assert few < 24
    fold = page.locator("svg.ladder .fold").first
    fold.focus()
    page.keyboard.press("Enter")
    assert arrows.count() == few + 200
    page.get_by_role("button", name=re.compile(r"Show all \d+ segments")).click()
    assert arrows.count() > 700
    assert page.get_by_text("packets are not in this page").count() > 50
    page.get_by_role("button", name="Fold what is everyday").click()
    assert arrows.count() == few


DRAWN = "it => it.toDataURL()"
"""What stands on a canvas."""


def plot_of(page: Page) -> Any:
    return page.get_by_role("application", name=re.compile("Time-sequence plot"))


def test_the_plot_zooms_and_tells(shown: Any, long: Report) -> None:
    page = shown(long)
    plot = plot_of(page)
    plot.scroll_into_view_if_needed()
    told, seen, canvas = page.locator(".plots output"), page.locator(".plots .range"), plot.locator("canvas")
    assert re.search(
        r"what the client sent: sent \d{3}, SYN or FIN 1, RST 1\.", plot.get_attribute("aria-label")
    )
    playwright.expect(seen).to_have_text(re.compile(r"-0\.0\d\d s to 0\.9\d\d s"))
    whole, everything = canvas.evaluate(DRAWN), seen.inner_text()
    area = plot.locator(".u-over").bounding_box()

    def move(right: float, down: float) -> None:
        page.mouse.move(area["x"] + area["width"] * right, area["y"] + area["height"] * down, steps=4)

    move(0.3, 0.2)
    page.mouse.down()
    move(0.6, 0.7)
    assert plot.locator(".u-select").bounding_box()["width"] > 100
    page.mouse.up()
    low, high = map(float, re.findall(r"-?[\d.]+", seen.inner_text()))
    assert 0.2 < low < 0.35
    assert 0.5 < high < 0.6
    assert canvas.evaluate(DRAWN) != whole
    page.mouse.dblclick(area["x"] + 5, area["y"] + 5)
    assert seen.inner_text() == everything
    plot.focus()
    page.keyboard.press("ArrowRight")
    frame = told.inner_text()
    assert re.match(r"\d+ +0\.\d{6} s +(client|server): ", frame)
    page.keyboard.press("ArrowLeft")
    assert told.inner_text() != frame
    page.keyboard.press("ArrowRight")
    assert told.inner_text() == frame
    page.keyboard.press("+")
    assert seen.inner_text() != everything
    page.keyboard.press("0")
    assert seen.inner_text() == everything
    page.get_by_role("button", name="Zoom in").click()
    assert seen.inner_text() != everything
    page.get_by_role("button", name="Everything").click()
    assert seen.inner_text() == everything
    move(0.95, 0.08)
    assert re.match(r"\d+ +0\.8\d+ s", told.inner_text())
    page.get_by_role("button", name="Data of the server").click()
    assert page.get_by_role("button", name="Data of the server").get_attribute("aria-pressed") == "true"
    assert "what the server sent: SYN or FIN 1, RST 1." in plot_of(page).get_attribute("aria-label")
    assert canvas.count() == 1


def test_zero_windows_probes_and_retransmissions_have_their_signs(shown: Any) -> None:
    page = shown(analyzer.analyze(sample("zero-window-timeout")))
    label = plot_of(page).get_attribute("aria-label")
    for told in ("window 0 2", "probe, keepalive 4", "sent again 1"):
        assert told in label
    keys = page.locator(".keys").inner_text()
    for kind in ("acknowledged", "edge of the window", "window 0", "probe, keepalive", "sent again"):
        assert kind in keys


def test_the_plot_has_the_colours_of_the_page(shown: Any) -> None:
    page = shown(analyzer.analyze(sample("zero-window-timeout")))
    canvas = plot_of(page).locator("canvas")
    playwright.expect(page.locator(".plots .range")).not_to_be_empty()
    light, dark = {"31 95 191", "138 90 0"}, {"127 176 255", "242 192 99"}
    assert light <= set(canvas.evaluate(COLOURS))
    page.get_by_role("button", name="Light or dark").click()
    assert dark <= set(canvas.evaluate(COLOURS))
    page.emulate_media(media="print")
    assert light <= set(canvas.evaluate(COLOURS))


def test_light_dark_and_print(shown: Any, many: Report) -> None:
    page = shown(many, dark=True)
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(background) != dark
    light = page.evaluate(background)
    page.get_by_role("button", name="Light or dark").click()
    ink = "getComputedStyle(document.body).color"
    assert page.evaluate(ink) == "rgb(230, 233, 236)"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(ink) == "rgb(28, 32, 36)"  # paper is white
    assert light != dark
    assert not page.locator(".facets").is_visible()
    assert page.locator(".group").first.is_visible()


def test_a_narrow_screen_scrolls_pictures_and_not_the_page(shown: Any) -> None:
    page = shown(analyzer.analyze(sample("zero-window-timeout")))
    page.set_viewport_size({"width": 400, "height": 800})
    page.get_by_text("Frames as a table").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_without_a_script_the_kinds_of_failure_are_there(shown: Any, many: Report) -> None:
    page = shown(many, java_script_enabled=False)
    assert page.locator("noscript tbody tr").count() == len(groups(many))


def test_hostile_text_is_shown_and_runs_nothing(shown: Any) -> None:
    page = shown(poisoned(analyzer.analyze(sample("rst-after-fin-send-first"))), "#flow-0")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert "<img src=x onerror=alert(2)>" in page.locator("main").inner_text()
    assert HOSTILE[:20] in page.locator("header").inner_text()


def test_the_policy_refuses_other_scripts(browser: Any, shown: Any) -> None:
    page = shown(analyzer.analyze(sample("rst-after-fin-send-first")))
    markup = (
        Path(page.url.removeprefix("file://"))
        .read_text()
        .replace("</main>", "<script>document.title = 'ran'</script></main>")
    )
    other = Path(page.url.removeprefix("file://")).with_name("other.html")
    other.write_text(markup)
    context = browser.new_context()
    refused = context.new_page()
    refused.goto(other.as_uri())
    assert refused.title() != "ran"
    context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_accessibility(shown: Any, many: Report, dark: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    source = (Path(axe.__file__).parent / "axe.min.js").read_text()
    page = shown(many, "#flow-0", dark=dark, bypass_csp=True)
    page.get_by_text("Frames as a table").first.click()
    page.locator(".group h2 button").last.click()
    page.locator(".group").last.locator(".flow h3 button").first.click()
    page.evaluate(source)
    found = page.evaluate("axe.run()")["violations"]
    assert [
        (one["impact"], one["id"], [node["html"][:90] for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ] == []


def test_ten_thousand_failures_make_few_elements(shown: Any, tmp_path: Path) -> None:
    capture = crowd.write(tmp_path / "outage.pcap", crowd.outage(10_000))
    page = shown(analyzer.analyze(capture))
    assert page.locator(".tools output").inner_text() == "10,000 flows"
    assert page.locator("*").count() < 700
    page.get_by_role("searchbox").fill("10.0.1.7:")
    playwright.expect(page.locator(".tools output")).to_contain_text(" of ")
    assert page.locator("*").count() < 1500


SAME = """async ([one, other]) => {
  const pixels = async (data) => {
    const image = new Image();
    image.src = `data:image/jpeg;base64,${data}`;
    await image.decode();
    const canvas = new OffscreenCanvas(60, 45), drawing = canvas.getContext("2d");
    drawing.imageSmoothingQuality = "high";
    drawing.drawImage(image, 0, 0, 60, 45);
    return [image.width, image.height, drawing.getImageData(0, 0, 60, 45).data];
  };
  const [a, b] = [await pixels(one), await pixels(other)];
  const size = Math.max(Math.abs(a[0] - b[0]) / b[0], Math.abs(a[1] - b[1]) / b[1]);
  let sum = 0;
  for (let at = 0; at < a[2].length; at++) sum += Math.abs(a[2][at] - b[2][at]);
  return [size, sum / a[2].length];
}"""
"""How much two pictures differ: in size, and on average in each channel of each of 60x45 tiles (0 to 255)."""
SIZE, COLOUR = 0.06, 6.0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["overview", "ladder", "plot"])
def test_it_looks_as_it_did(
    shown: Any, browser: Any, many: Report, name: str, dark: bool, request: pytest.FixtureRequest
) -> None:
    page = shown(many if name == "overview" else analyzer.analyze(sample("zero-window-timeout")), dark=dark)
    places = {"overview": "body", "ladder": "svg.ladder", "plot": ".plots"}
    picture = page.locator(places[name]).screenshot(type="jpeg", quality=60, mask=[page.locator(".captures")])
    stored = SCREENS / f"{name}-{'dark' if dark else 'light'}.jpg"
    if request.config.getoption("--update-snapshots"):
        SCREENS.mkdir(exist_ok=True)
        stored.write_bytes(picture)
    context = browser.new_context()
    pair = [base64.b64encode(data).decode() for data in (picture, stored.read_bytes())]
    size, colour = context.new_page().evaluate(SAME, pair)
    context.close()
    assert size <= SIZE
    assert colour <= COLOUR
