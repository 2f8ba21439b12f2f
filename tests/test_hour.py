"""The first hour: its page is what the story plays, its pictures are those of the README, and what is cut out is neutral."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib import image

from grader.cli.verbs import COMMANDS
from grader.course import find
from grader.stub import make_stub, unmarked

from .hour.desk import Desk, filled
from .hour.neutral import cut, framed, neutral
from .hour.pictures import terminal
from .hour.story import CNN, MLP, RNN, Hour
from .hour.terminal import COLUMNS, Terminal

ROOT = Path(__file__).parents[1]
PAGES = {"en": "first-hour.md", "zh": "first-hour.zh.md"}
PICTURES = ROOT / ".github/docs/pictures"
SOURCE = """def one():
    # BEGIN SOLUTION: first
    return 1
    # END SOLUTION


def two():
    # BEGIN SOLUTION: second
    return 2
    # END SOLUTION
"""


class Paper(Terminal):
    """A terminal on which nothing runs: it keeps what is typed, and shows that alone."""

    def __init__(self) -> None:
        self.typed: list[str] = []

    def run(self, command: str, until: str = "") -> None:
        self.typed.append(command)

    def until(self, *words: str, gone: object = ()) -> None: ...

    def screen(self, *, coloured: bool = False) -> str:
        return " a screen"

    def since(self, command: str, *, coloured: bool = False) -> str:
        return f"$ {command}"

    def press(self, *keys: str) -> None: ...

    def leave(self, key: str) -> None: ...


@pytest.fixture
def played(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[str, Hour, list[str]]:
    """The story in one language, on paper, with the files of the three katas as they are saved in it."""
    desk, paper = Desk(tmp_path, Path("/origin")), Paper()
    for place in ("katas", "reference"):
        for kata in (MLP, CNN, RNN):
            shutil.copytree(ROOT / place / kata, desk.course / place / kata)
    hour = Hour(desk, paper, request.param)
    hour.play()
    return request.param, hour, paper.typed


@pytest.mark.parametrize("played", PAGES, indirect=True)
def test_the_page_is_what_the_story_plays(played: tuple[str, Hour, list[str]]) -> None:
    """What is said, typed and saved, in order; only the screens come of `make hour`."""
    language, hour, typed = played
    page = (ROOT / ".github/docs/learners" / PAGES[language]).read_text(encoding="utf-8")
    typed = [command.replace("/origin", "ADDRESS") for command in typed]
    assert re.findall(r"^\$ (.+)$", page, re.MULTILINE) == typed
    said = [part for part in hour.told.parts if not part.startswith("```text")]
    place = 0
    for part in said:
        assert part in page[place:], f"`make hour` writes the page anew: {part}"
        place = page.index(part, place) + len(part)
    for kata in (MLP, CNN, RNN):
        (stub,) = (hour._desk.course / "katas" / kata).glob(f"{kata[3:]}.py")
        assert stub.read_text() == unmarked((ROOT / "reference" / kata / stub.name).read_text()), "it ends solved"


@pytest.mark.parametrize("page", PAGES.values())
def test_every_command_of_the_page_is_one(page: str) -> None:
    words = re.findall(r"^\$ grade (\S+)", (ROOT / ".github/docs/learners" / page).read_text("utf-8"), re.MULTILINE)
    katas = {kata.slug for kata in find(ROOT, ROOT).katas}
    assert len(words) > 8 and set(words) <= set(COMMANDS) | katas


def test_the_pictures_are_those_of_the_readme_small_and_fetch_nothing() -> None:
    named = re.findall(r"!\[([^\]]+)\]\(\.github/docs/pictures/([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert {name for _, name in named} == {path.name for path in PICTURES.iterdir()}
    assert all(len(words.split()) > 3 for words, _ in named), "who cannot see them reads what they show"
    for path in PICTURES.iterdir():
        assert path.stat().st_size < 150_000, path.name
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
            assert "http" not in path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        else:
            assert image.imread(path).ndim == 3


def test_a_capture_loses_its_machine_and_keeps_its_columns() -> None:
    names = {"/tmp/home": "~", "/tmp/home/origin": "ADDRESS"}
    capture = "✗ fail  10/10  12.3 s   \n\n\n\n9 of 10 points ·  45.6 s\nat /tmp/home/x, /tmp/home/origin\n"
    assert neutral(capture, names) == "✗ fail  10/10   0.5 s\n\n9 of 10 points · 0.5 s\nat ~/x, ADDRESS"
    assert neutral("2026-01-02 03:04  01_mlp  v1.5 s1", {}) == "2026-09-01 09:00  01_mlp  v1.5 s1"
    assert neutral("it took    3 minutes · 2 attempts", {}) == "it took    1 minute · 2 attempts"
    for same in ("about 45 minutes · you edit", "约 45 分钟 · 只需修改"):
        assert neutral(same, {}) == same
    assert neutral("done.\nUpdating files: 100% (1302/1302), done.\n", {}) == "done."


def test_a_frame_is_not_ended_by_what_is_in_it() -> None:
    assert framed("a\n```\nb") == "````text\na\n```\nb\n````"
    assert cut("1\n2\n3", 2) == "1\n2\n…" and cut("1\n2", 2) == "1\n2"


def test_gaps_are_filled_one_after_the_other_slips_and_all() -> None:
    assert filled(SOURCE, 0) == make_stub(SOURCE)
    assert filled(SOURCE, 2) == filled(SOURCE, 9) == unmarked(SOURCE)
    half = filled(SOURCE, 1, ("return 1", "return 0"))
    assert "return 0" in half and 'NotImplementedError("two: second")' in half and "SOLUTION" not in half
    with pytest.raises(ValueError, match="stands there 2 times"):
        filled(SOURCE, 1, ("return", "yield"))


def test_a_terminal_is_typed_into_read_and_left(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ROOT)
    with closing(Terminal(tmp_path / "tmux", tmp_path, desk.environment("zh"))) as shown:
        shown.run("echo $LANG; seq 30 | tail -2")
        assert shown.since("echo") == "$ echo $LANG; seq 30 | tail -2\nzh_CN.UTF-8\n29\n30"
        shown.run("printf '\\033[31mred\\033[0m\\n'")
        assert "\x1b[31mred" in shown.since("printf", coloured=True)
        shown.run("cat", until="cat")
        shown.press("C-d")
        shown.leave("Enter")


def test_a_picture_of_a_terminal_has_its_words_and_colours() -> None:
    drawn = terminal("\x1b[31m✗ fail\x1b[0m  中文", "grade", COLUMNS)
    assert (
        ElementTree.fromstring(drawn) is not None and "fail" in drawn and "中文" in drawn and "fill: #cc555a" in drawn
    )
