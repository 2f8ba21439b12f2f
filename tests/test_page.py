"""The page: looked at in a real browser, narrow and wide, in light and dark, by axe-core, and with hostile words on it."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib.image import imread
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, Request, sync_playwright

from grader import reports
from grader.messages.language import Language
from grader.reports import html
from grader.reports.page.past import Past
from grader.scorecard import Cause, Curve, Images, Line, Matrix, Numbers, Scorecard, Shades, TestResult, Text, Verdict
from grader.store import Attempt

from .test_reports import GOLDEN, golden

WIDTHS, THEMES = (375, 1280), ("light", "dark")
LANGUAGES = ("en", "zh")
ONE = Numbers((1, 1), b"\0\0\x80?")
HOSTILE = [
    "<script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 1'><svg onload=\"window.ran = 1\">",
    "\"'></title></style></pre></svg><script>window.ran = 1</script><b style='position:fixed'>",
    "]]></desc><foreignObject><iframe src='https://example.org/'></iframe></foreignObject>",
    "--><base href='https://example.org/'><link rel=stylesheet href=//example.org/a.css>",
    "`</code><script>window.ran = 1</script>` {{ 7 * 7 }} {% raw %} $\\frac{1}{$ url(https://example.org/a.png)",
    "\x1b[2J\x00\x07\u202egnp.exe\u2066\ud800\ufffe &lt;&#0;",
    "x" * 5000,
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def past() -> Past:
    """Three attempts at one kata and one at another, whose file is not the judged one any more."""
    ended = ((0, "fail", 4.0), (90_000, "timeout", 7.5), (400_000, "pass", 10.0))
    tried = [Attempt("04_lstm", 1.77e9 + s, Verdict(verdict), points, 10.0, "", 1.0) for s, verdict, points in ended]
    other = Attempt("20_gpt2", 1.77e9 + 500_000, Verdict.PASS, 13.0, 13.0, "", 1.0)
    return Past({"04_lstm": tried, "20_gpt2": [other]}, frozenset({"20_gpt2"}), UTC)


class Seen:
    """A page as a browser shows it, all of it opened, and whatever it said or asked for."""

    def __init__(self, browser: Browser, file: Path, text: str, width: int = 1280, theme: str = "light") -> None:
        file.write_text(text, encoding="utf-8")
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme="dark" if theme == "dark" else "light"
        )
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.refused: list[Request] = []
        self.page.on("requestfailed", lambda request: self.refused.append(request))
        self.page.goto(file.as_uri())
        self.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")

    def faults(self) -> list[str]:
        found = Axe().run(self.page)
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found.response["violations"]]

    def colours(self, selector: str) -> np.ndarray:
        """The pixels (N, 3) of an element, from 0 to 1."""
        shown = self.page.locator(selector).first.screenshot()
        return np.asarray(imread(io.BytesIO(shown)))[..., :3].reshape(-1, 3)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_read_the_page(
    browser: Browser, tmp_path: Path, past: Past, width: int, theme: str, language: str
) -> None:
    text = html.render(golden("pictures"), language=Language(language), past=past)
    seen = Seen(browser, tmp_path / "page.html", text, width, theme)
    assert seen.faults() == []
    assert (seen.said, [url for url in seen.asked if not url.startswith("data:image/png;base64,")]) == (
        [],
        seen.asked[:1],
    )
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    dark = seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 20, 23)"
    assert dark == (theme == "dark")
    line = (0x8F, 0xB0, 0xFF) if theme == "dark" else (0x28, 0x53, 0xC4)
    assert (np.abs(seen.colours("figure.curve svg") - np.array(line) / 255).max(axis=1) < 0.02).sum() > 50
    outside = """() => [...document.querySelectorAll('.drawing svg')].flatMap(svg => {
        const whole = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text, image')].map(each => each.getBoundingClientRect()).filter(
            box => box.left < whole.left - 6 || box.right > whole.right + 6 || box.bottom > whole.bottom + 6)})"""
    assert seen.page.evaluate(outside) == []
    shown = (
        "[...document.images].filter(image => image.naturalWidth && image.getBoundingClientRect().width > 20).length"
    )
    assert seen.page.evaluate(shown) == text.count("<img ") == 17
    seen.page.close()


@pytest.mark.parametrize(
    "case", [("mixed", "dark"), ("our-fault", "light"), ("our-fault", "dark"), ("stopped", "light")]
)
def test_every_kind_of_end_is_readable(browser: Browser, tmp_path: Path, case: tuple[str, str]) -> None:
    name, theme = case
    seen = Seen(browser, tmp_path / "page.html", reports.render("html", golden(name)), 375, theme)
    assert (seen.faults(), seen.said) == ([], [])
    seen.page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_what_stands_in_a_row_or_below_each_other_is_in_line(browser: Browser, tmp_path: Path, width: int) -> None:
    """A card whose title takes two lines has its state where the others of its row have theirs."""
    card = golden("mixed")
    first, *others = card.katas
    text = html.render(replace(card, katas=(replace(first, title="word " * 12), *others)))
    seen = Seen(browser, tmp_path / "page.html", text, width)
    box = "each => { const box = each.getBoundingClientRect(); return [Math.round(box.left), Math.round(box.top)]; }"
    cards, states, points = (
        seen.page.locator(f".map {name}").evaluate_all(f"all => all.map({box})") for name in ("a", ".state", ".points")
    )
    rows = len({top for _, top in cards})
    assert rows == (1 if width == 1280 else len(cards)) and len({top for _, top in states}) == rows
    assert len({top for _, top in points}) == rows
    files = [file.locator("> span").evaluate_all(f"all => all.map({box})") for file in seen.page.locator(".file").all()]
    assert {len({edge for edge, _ in parts}) for parts in files if len(parts) > 1} == {2 if width == 1280 else 1}
    seen.page.close()


def hostile(evil: str) -> Scorecard:
    """A scorecard all of whose words are these."""
    curve, map_ = Curve(evil, ONE, 1.0, ONE), Matrix(evil, ONE, (evil,))
    grey = Images(evil, Shades((1, 1, 1), b"\7", 0.0, 1.0))
    test = TestResult(
        name=evil, kind=evil, title=evil, verdict=Verdict.FAIL, message=evil, output=evil, output_dropped=3,
        line=Line(3, evil), cause=Cause(evil, evil, evil, evil, evil, evil), pictures=(curve, map_, grey, Text(evil, evil)),
    )  # fmt: skip
    card = golden("mixed")
    kata = card.katas[1]
    by_kind = {evil: next(iter(kata.by_kind.values()))}
    kata = replace(kata, id=evil, title=evil, tests=(test,), message=evil, stub=evil, readme=evil, by_kind=by_kind)
    texts = {"course": evil, "grader": evil, "versions": {evil: evil}, "sandbox": evil, "started": evil}
    return replace(card, katas=(kata,), unfinished=(f"{evil}2",), complete=False, **texts)


@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
def test_what_somebody_wrote_is_shown_and_obeyed_by_nobody(browser: Browser, tmp_path: Path, evil: str) -> None:
    card = hostile(evil)
    text = reports.render("html", card)
    seen = Seen(browser, tmp_path / "page.html", text, 375)
    assert seen.page.evaluate("window.ran") is None
    assert (seen.said, [url for url in seen.asked if not url.startswith("data:image/png;base64,")]) == (
        [],
        seen.asked[:1],
    )
    assert (
        seen.page.evaluate("document.querySelectorAll('script, iframe, base, link, object, embed, form').length") == 0
    )
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 375
    attributes = "[...document.querySelectorAll('*')].flatMap(each => [...each.attributes].map(one => one.name))"
    assert not [name for name in seen.page.evaluate(attributes) if name.startswith("on")]
    told = card.katas[0].tests[0].output
    assert seen.page.locator(".output code").first.text_content() == f"{told}\nand 3 bytes more, which were not kept"
    assert seen.page.locator(".wrote").first.text_content() == told
    assert seen.page.locator("figure.curve title").first.text_content() == card.katas[0].title
    seen.page.close()


def test_a_browser_is_told_to_run_nothing_and_to_fetch_nothing(browser: Browser, tmp_path: Path) -> None:
    """Whatever slipped through would still not be obeyed."""
    text = reports.render("html", golden("mixed")).replace(
        "</main>", "<script>window.ran = 1</script><img src='https://example.org/a.png'></main>"
    )
    seen = Seen(browser, tmp_path / "page.html", text)
    assert seen.page.evaluate("window.ran") is None
    assert [request.failure for request in seen.refused] == ["csp"]
    assert sum("Content Security Policy" in each for each in seen.said) == 2
    seen.page.close()


def test_the_page_tells_what_was_tried_and_what_has_changed(browser: Browser, tmp_path: Path, past: Past) -> None:
    seen = Seen(browser, tmp_path / "page.html", html.render(golden("pictures"), past=past))
    lines = seen.page.locator("#kata-04_lstm .history tbody tr").all_inner_texts()
    assert [line.split("\t") for line in lines] == [
        ["2026-02-06 17:46", "✓ pass", "10/10"], ["2026-02-03 03:40", "✗ timeout", "7.5/10"], ["2026-02-02 02:40", "✗ fail", "4/10"],
    ]  # fmt: skip
    summary = seen.page.locator("#kata-04_lstm .history summary").inner_text()
    assert summary == "History 3 attempts; passed for the first time on 2026-02-06"
    assert seen.page.locator(".changed").count() == seen.page.locator("#kata-20_gpt2 .changed").count() == 1
    told = seen.page.locator("header svg desc").text_content()
    assert told == "from 2026-02-02 to 2026-02-07: 23 of 42 points"
    seen.page.close()


def test_a_screen_reader_is_told_what_a_chart_shows(browser: Browser, tmp_path: Path) -> None:
    seen = Seen(browser, tmp_path / "page.html", reports.render("html", golden("pictures")))
    names = [each.get_attribute("aria-labelledby") or "" for each in seen.page.locator(".drawing svg").all()]
    told = [" | ".join(seen.page.locator(f"#{id}").text_content() or "" for id in name.split()) for name in names]
    assert told[0] == "training loss | 2.51 → 0.317; least 0.225, greatest 2.51"
    assert told[1] == "a loss that was not finite | 1 → 0.25; least 0.25, greatest 1"
    assert told[3] == "where the words look | 6 rows, 6 columns; least 0, greatest 1"
    legend = seen.page.locator("figure.curve .legend").first.locator("li").all_inner_texts()
    assert legend == ["yours", "baseline 2.3", "ablation, which lacks what it takes: 1.95"]
    rows = seen.page.locator("figure.matrix tbody tr").first.locator("th, td").all_inner_texts()
    assert rows == ["0", "9", "1"]
    seen.page.close()


def test_no_two_things_on_the_page_have_one_id(past: Past) -> None:
    text = html.render(golden("pictures"), past=past)
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids)) > 20
    referred = re.findall(r'(?:href="#|url\(#|aria-labelledby=")([^")]*)', text)
    assert {each for one in referred for each in one.split()} <= set(ids)


def test_a_drawing_is_an_svg_to_anybody() -> None:
    drawings = re.findall(r"<svg .*?</svg>", reports.render("html", golden("pictures")), re.DOTALL)
    assert len(drawings) == 5
    for each in drawings:
        root = ElementTree.fromstring(each)
        assert [child.tag for child in root[:2]] == ["title", "desc"]
        assert not re.search(r"#0[0-6]0[0-6]0[0-6]\b|font-family|<style", each)


PROGRAM = """
import sys, msgspec
from grader import reports
from grader.scorecard import Scorecard
sys.stdout.write(reports.render("html", msgspec.json.decode(open(sys.argv[1], "rb").read(), type=Scorecard)))
"""


def test_equal_input_gives_equal_bytes_on_every_machine(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\nsvg.hashsalt: other\naxes.grid: True\n")
    command = [sys.executable, "-c", PROGRAM, str(GOLDEN / "pictures" / "scorecard.json")]
    odd = {**os.environ, "MATPLOTLIBRC": str(tmp_path), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"}
    there = subprocess.run(command, env=odd, capture_output=True, check=True).stdout
    assert there.decode() == reports.render("html", golden("pictures"))


def test_a_new_kata_draws_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report file is written anew after each kata of a run."""
    card = golden("pictures")
    reports.render("html", card)
    monkeypatch.setattr("grader.reports.page.svg.drawn", None)
    monkeypatch.setattr("grader.reports.page.charts.drawn", None)
    assert reports.render("html", replace(card, katas=card.katas[1:])).count("<svg ") == 5


def test_a_card_that_travelled_is_the_same_page() -> None:
    card = golden("pictures")
    back = msgspec.json.decode(reports.render("json", card), type=Scorecard)
    assert reports.render("html", back) == reports.render("html", card)
