"""The pages of a class in a real browser: readable for everybody, nobody else's data in them, and nothing that runs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, sync_playwright

from grader.classroom.exports.write import write
from grader.classroom.gradebook import Gradebook
from grader.classroom.journal import Journal
from grader.classroom.overrides import Overrides
from grader.messages.language import Language

from .pupils import BUG_ZH, OURS, WRONG, Class, F, P, kata, small
from .test_gradebook import POLICY, decided

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ATTACK = '<img src=x onerror="document.title=1"><script>document.title=2</script>{{ 7 * 7 }}"\'><b>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The exports of one class, in English and in Chinese, and those of a class of attackers."""
    made = {}
    out = small(tmp_path_factory.mktemp("class"))
    attacked = Class(tmp_path_factory.mktemp("attacked"), [kata(1, ATTACK)], course=ATTACK, sandbox=ATTACK)
    verdicts = [P, F, OURS, P]
    attacked.student(ATTACK, {"01_kata": (WRONG, verdicts)}, name=ATTACK, section=ATTACK, bug=ATTACK, printed=ATTACK)
    attacked.student("a" * 200, {"01_kata": (b"x", [P, F, F, F])}, name="W" * 300, bug="m" * 400, printed="p" * 3000)
    attacked.remark(ATTACK, ATTACK)
    by_hand = Overrides((decided("s4", points=2.5), decided("s4", "02_kata", excused=True)))
    for name, folder, code, overrides in (
        ("en", out, "en", by_hand),
        ("zh", out, "zh", by_hand),
        ("attacked", attacked.put(), "en", Overrides((decided(ATTACK, points=1.0),))),
    ):
        made[name] = folder / f"pages-{name}"
        with closing(Journal.read(folder)) as journal:
            write(Gradebook(journal, POLICY, overrides), made[name], ["html"], Language(code))
    return made


def every(pages: dict[str, Path]) -> list[Path]:
    return [path for folder in pages.values() for path in sorted(folder.rglob("*.html"))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_axe_finds_nothing_and_no_page_is_wider_than_its_screen(
    browser: Browser, pages: dict[str, Path], width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    looked_at = [pages["en"] / "teacher.html", pages["zh"] / "students" / "s2.html", *pages["attacked"].rglob("*.html")]
    for path in looked_at:
        page.goto(path.as_uri())
        found = Axe().run(page)
        assert found.violations_count == 0, (path, found.generate_report())
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) == 0, path
    page.close()


def opened(browser: Browser, path: Path) -> tuple[Page, list[str]]:
    """The page, and what the browser complained of or asked for beside it."""
    page, told = browser.new_page(), list[str]()
    page.on("console", lambda message: told.append(message.text))
    page.on("request", lambda request: told.append(request.url))
    page.goto(path.as_uri())
    return page, told


def test_a_hostile_name_is_shown_and_nothing_of_it_runs(browser: Browser, pages: dict[str, Path]) -> None:
    for path in pages["attacked"].rglob("*.html"):
        page, told = opened(browser, path)
        assert told == [path.as_uri()]  # nothing was fetched, and the policy allowed all that there is
        assert page.title().startswith(ATTACK)
        assert page.locator("script, img, b").count() == 0
        page.close()
    page, _ = opened(browser, pages["attacked"] / "teacher.html")
    assert ATTACK in page.locator("main").inner_text()
    page.close()


def test_the_policy_lets_no_script_run_that_got_in_all_the_same(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    page = (pages["en"] / "teacher.html").read_text(encoding="utf-8")
    (tmp_path / "x.html").write_text(
        page.replace("<main>", "<main><script>document.title = 'run'</script>"), encoding="utf-8"
    )
    opened_page, told = opened(browser, tmp_path / "x.html")
    assert opened_page.title() != "run"
    assert any("Content Security Policy" in each for each in told)
    opened_page.close()


def test_a_students_page_has_nobody_elses_data(pages: dict[str, Path]) -> None:
    names = {"s1": "One", "s2": "Two", "s3": "Three", "s4": "Four"}
    for id, name in names.items():
        text = (pages["en"] / "students" / f"{id}.html").read_text(encoding="utf-8")
        assert name in text and re.search(rf"\b{id}\b", text)
        for other in names.keys() - {id}:
            assert not re.search(rf"\b({other}|{names[other]})\b", text)


def student_page(out: Path, made: Class) -> str:
    with closing(Journal.read(made.put())) as journal:
        write(Gradebook(journal, POLICY, Overrides()), out, ["html"], Language())
    return (out / "students" / "s1.html").read_text(encoding="utf-8")


def test_of_hidden_tests_a_student_reads_how_many_pass_and_no_more(tmp_path: Path) -> None:
    made = Class(tmp_path, [kata(1)])
    made.student("s1", {"01_kata": (WRONG, [P, F, F, P])}, printed="told by the code")
    (result,) = made.results
    secret = {"hidden": True, "title": "Secret", "message": "the secret is off", "output": "secretly printed"}
    tests = [*result.tests[:2], replace(result.tests[2], **secret), replace(result.tests[3], **secret)]
    made.results = [replace(result, tests=tuple(tests))]
    page = student_page(tmp_path / "to", made)
    assert "secret" not in page.lower()
    assert "hidden tests" in page and "1 of 2 tests pass" in page
    shown = [float(points) for points in re.findall(r"([\d.]+)/[\d.]+</span>", page)]
    assert (sum(shown), len(shown)) == (2.0, 3)  # of the kata's four tests


def test_what_all_tests_end_with_is_said_once(tmp_path: Path) -> None:
    made = Class(tmp_path, [kata(1)])
    made.student("s1", {"01_kata": (WRONG, [F, F, F, F])})
    page = student_page(tmp_path / "to", made)
    assert page.count("the output is off by 0.25") == 1
    assert "All 4 tests end like this" in page and "0/4</span>" in page


def test_a_student_reads_what_was_judged_what_counts_and_why(browser: Browser, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["en"] / "students" / "s2.html")
    text = page.locator("main").inner_text()
    assert "2.8 of 8 points" in text
    assert text.count("3 days late: 30 % less") == 2
    assert "the output is off by 0.25" in text and "<b>hi</b>" in text
    page.goto((pages["en"] / "students" / "s4.html").as_uri())
    text = page.locator("main").inner_text()
    assert "2.5 of 4 points" in text
    assert "2.5 points were given by hand: ill (the teacher)" in text and "excused: ill (the teacher)" in text
    page.goto((pages["en"] / "students" / "s3.html").as_uri())
    assert "not everything is judged yet" in page.locator("main").inner_text()
    page.close()


def test_a_teacher_reads_our_faults_first_and_finds_every_student(browser: Browser, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["en"] / "teacher.html")
    heads = page.locator("h2").all_inner_texts()
    assert heads[:2] == ["Our fault", "The bugs of this class"]
    assert "s3 01_kata" in page.locator(".ours-box").inner_text()
    assert "grade mistakes" in page.locator("code").all_inner_texts() and "`" not in page.locator("main").inner_text()
    page.locator("details summary").first.click()
    assert "1/2" in page.locator("details").first.inner_text()
    page.get_by_role("link", name="s2").click()
    assert page.locator("h1").inner_text() == "Two"
    page.close()


def test_pages_speak_chinese(browser: Browser, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["zh"] / "teacher.html")
    assert page.locator("html").get_attribute("lang") == "zh"
    text = page.locator("main").inner_text()
    assert BUG_ZH in text and "放大" in text
    heads = page.locator("h2, th").all_inner_texts()
    page.goto((pages["zh"] / "students" / "s2.html").as_uri())
    heads += page.locator("thead th").all_inner_texts()
    assert [head for head in heads if head and not re.search("[\u4e00-\u9fff]|^0[12]_kata|^s\\d", head)] == []
    page.close()


def test_a_weaker_sandbox_is_said(tmp_path: Path, browser: Browser) -> None:
    weak = Class(tmp_path, complete=False, sandbox="rlimits alone")
    with closing(Journal.read(weak.put())) as journal:
        write(Gradebook(journal, POLICY, Overrides()), tmp_path / "to", ["html"], Language())
    page, _ = opened(browser, tmp_path / "to" / "teacher.html")
    assert "rlimits alone" in page.locator(".box").inner_text()
    page.close()
