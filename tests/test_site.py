"""The site: built strictly from the pages as they stand, and looked at in a browser in both languages."""

from __future__ import annotations

import functools
import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
SITE = ROOT / ".github/site"
STATEMENTS = sorted((ROOT / "katas").glob("[0-9]*/README*.md"))
BLOCK = re.compile(r"^## (?:The formula|公式)\n\n```\n(.*?)\n```$", re.MULTILINE | re.DOTALL)

sys.path.insert(0, str(SITE))
from formulae import mathml  # noqa: E402  # it stands beside the site and not in the package


@pytest.mark.parametrize("path", STATEMENTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_formulae_of_a_statement_are_set_whole(path: Path) -> None:
    """Every sign of the text is in the mathematics, in its order; only what marks an index or a power is not shown."""
    (block,) = BLOCK.findall(path.read_text(encoding="utf-8"))
    shown = ElementTree.fromstring(mathml(block))
    assert len(list(shown)) == len(block.splitlines()) and shown.findall(".//math")

    def bare(text: str) -> str:
        return re.sub(r"[\s_^()]", "", text)

    assert bare("".join(shown.itertext())) == bare(block)


def test_an_index_a_power_and_a_name_are_told_apart() -> None:
    shown = mathml("x_t = w_ih · 10^(2i/E)   learning_rate < 1")
    row = ElementTree.fromstring(shown)
    assert ["".join(each.itertext()) for each in row.iter("msub")] == ["xt", "wih"]
    assert ["".join(each.itertext()) for each in row.iter("msup")] == ["102i/E"]
    assert "learning_rate" in [each.text for each in row.iter("mi")] and len(row.findall(".//math")) == 2


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, str(SITE / "build.py"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_every_statement_is_there_in_both_languages(site: Path) -> None:
    for folder in sorted((ROOT / "katas").glob("[0-9]*")):
        for page in (site / "katas" / folder.name, site / "zh/katas" / folder.name):
            text = (page / "index.html").read_text(encoding="utf-8")
            assert '<div class="formula"><div><math>' in text and 'class="other-language"' in text


def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/index.md").write_text("# Page\n\n[gone](gone.md)\n")
    settings = {"SITE_SOURCE": str(tmp_path / "source"), "SITE_LANGUAGE": "en", "SITE_EN": "./", "SITE_ZH": "zh/"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", "mkdocs.yml"]
    done = subprocess.run(
        [*command, "--site-dir", str(tmp_path / "out")],
        cwd=SITE, env={"PATH": "/usr/bin:/bin", **settings}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and "gone.md" in done.stderr


@pytest.fixture
def browser(site: Path) -> Iterator[tuple[Page, str, list[str]]]:
    """A page of a real browser, where the site is, and whatever it asks of anywhere else."""
    handler = functools.partial(_Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home, elsewhere = f"http://127.0.0.1:{server.server_port}/", []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.on("request", lambda asked: None if asked.url.startswith(home) else elsewhere.append(asked.url))
        yield page, home, elsewhere
        chromium.close()
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


def test_a_browser_shows_mathematics_in_both_languages_and_asks_nobody_else(
    browser: tuple[Page, str, list[str]],
) -> None:
    page, home, elsewhere = browser
    for path, heading in (("katas/04_lstm/", "The formula"), ("zh/katas/04_lstm/", "公式")):
        page.goto(home + path)
        assert heading in page.inner_text("article")
        sizes = page.eval_on_selector_all(
            ".formula math", "all => all.map(each => each.getBoundingClientRect().height)"
        )
        assert len(sizes) >= 5 and min(sizes) > 10
        lowered = page.eval_on_selector(
            ".formula msub", "each => each.children[1].getBoundingClientRect().bottom - each.children[0].getBoundingClientRect().bottom"
        )  # fmt: skip
        assert lowered > 0  # an index hangs lower than what it belongs to: this is set, and not merely shown
        fits = page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert fits
    page.wait_for_load_state(
        "networkidle"
    )  # by then the theme knows of other languages, and takes links to them for its own
    page.click(".other-language a")
    assert page.url == f"{home}katas/04_lstm/" and page.get_attribute("html", "lang") == "en"
    page.wait_for_load_state(
        "networkidle"
    )  # by then the theme knows of other languages, and takes links to them for its own
    page.click(".other-language a")
    assert page.url == f"{home}zh/katas/04_lstm/" and page.get_attribute("html", "lang") == "zh"
    page.goto(f"{home}zh/")
    page.click("article >> text=给学习者")
    assert "给学习者" in page.inner_text("h1")
    assert elsewhere == []
