"""The screen of `grade watch`, driven by Textual's pilot: what is painted, and what each key does.

What is painted is compared with `tests/screens/NAME.txt`, line by line in 80 by 24 cells. After a change that is meant,
SCREENS=write writes them anew.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace as at_another
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from grader.course import Course, find
from grader.messages import text
from grader.messages.language import Language
from grader.reports.layout import Paint
from grader.scorecard import Cause, KataResult, KindScore, Line, Scorecard, TestResult, Verdict
from grader.standing import Standing, State, standing
from grader.store import Store
from grader.watch import view
from grader.watch.app import Changed, Heard, Unannounced, Watch
from grader.watch.changes import Pulse
from grader.watch.runs import Began, Ended, News, Stands, Trouble
from grader.watch.runs import Tested as OneTested  # pytest collects classes by the name
from grader.watch.screens import Answer, Asked, Help, Listing, Main, Statement

HERE = Path(__file__).parent
SCREENS = HERE / "screens"
PAGE = """# Scale

Multiply by a number.

| name | what it is |
|---|---|
| `x (N, D)` | an array |

```
y = factor · x
```

<details><summary>Hints by symptom</summary>

It is one line.

</details>
"""


class Silent:
    """In the place of the two threads: what is asked of them is kept, and nothing is ever told."""

    def __init__(self, *_: Any) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.looks = 0
        self.going = True
        self.stopped = False

    def start(self) -> None: ...

    def ask(self, kata: str, *, fresh: bool = False) -> int:
        self.asked.append((kata, fresh))
        return len(self.asked)

    def kill(self) -> bool:
        return self.going

    def look(self) -> bool:
        self.looks += 1
        return False

    def close(self) -> None:
        self.stopped = True

    stop = close


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Given:
    """An upgrade that comes when it is told to."""

    is_there = False

    def came(self) -> bool:
        return self.is_there


@pytest.fixture
def course(tmp_path: Path) -> Course:
    root = tmp_path / "course"
    shutil.copytree(HERE / "toy", root, ignore=shutil.ignore_patterns("__pycache__", ".grade"))
    (root / "katas/01_scale/README.md").write_text(PAGE)
    (root / "katas/01_scale/README.zh.md").write_text("# 放大\n\n乘以一个数。\n", encoding="utf-8")
    return find(root)


@pytest.fixture
def store(course: Course) -> Iterator[Store]:
    found = Store(course.root, lambda said: pytest.fail(str(said)))
    yield found
    found.close()


@pytest.fixture
def app(course: Course, store: Store) -> Watch:
    return made(course, store)


def made(course: Course, store: Store, code: str = "en") -> Watch:
    pulse, upgrade = Pulse(Clock(), Clock()), Given()
    return Watch(
        course, store, standing(course, store), course.katas[0], Language(code), 2,
        runs=Silent, changes=Silent, pulse=pulse, upgrade=upgrade,  # type: ignore[arg-type]
    )  # fmt: skip


def drive(app: Watch, steps: Callable[[Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    """Run the screen, and go through the steps in it."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(pilot)

    asyncio.run(run())


def painted(app: Watch) -> str:
    """The signs on the screen, without colours, and without the bar at the right that says how much more there is."""
    strips = app.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip).rstrip(" ▁▂▃▄▅▆▇█") for strip in strips]
    return "\n".join(lines) + "\n"


async def hear(pilot: Pilot[None], *news: News) -> None:
    """As if the other thread had told this."""
    for each in news:
        pilot.app.post_message(Heard(each))
    await pilot.pause()


def said_by(app: Watch) -> list[tuple[str, bool]]:
    """What was asked to be judged."""
    found: list[tuple[str, bool]] = app.runs.asked  # type: ignore[attr-defined]
    return found


def failing(name: str = "test_values", kind: str = "value", title: str = "Every entry is multiplied.") -> TestResult:
    cause = Cause(
        where="index (0, 1), the largest of 6 errors in 12 entries", actual="0.5", expected="1", help="what is multiplied",
        diagnosis="You add the factor; the statement says to multiply.", diagnosis_zh="你把倍数加上去了；题目要求相乘。",
    )  # fmt: skip
    line = Line(number=8, source="return x + factor")
    return TestResult(
        name=name, kind=kind, title=title, verdict=Verdict.FAIL, message="scale(x) is off by 0.5", cause=cause, line=line
    )  # fmt: skip


def passing(name: str, kind: str, title: str) -> TestResult:
    return TestResult(name=name, kind=kind, title=title, verdict=Verdict.PASS)


TESTS = (
    passing("test_shape", "shape", "The result has the shape of the input."),
    failing(),
    passing("test_halves", "value", "The two halves of an array of even length."),
    passing("test_pure", "behaviour", "The input stays as it was."),
)


def result(*tests: TestResult, verdict: Verdict = Verdict.FAIL, points: float = 2.5) -> KataResult:
    return KataResult(
        id="01_scale", title="Scale", verdict=verdict, points=points, max=4.0, by_kind={}, seconds=0.3, from_store=False,
        tests=tests, stub="katas/01_scale/scale.py", readme="katas/01_scale/README.md",
    )  # fmt: skip


def all_pass() -> KataResult:
    tests = [passing(test.name, test.kind, test.title) for test in TESTS]
    return result(*tests, verdict=Verdict.PASS, points=4.0)


def with_curve() -> KataResult:
    """A kata of the golden scorecards that draws a curve."""
    card = msgspec.json.decode((HERE / "golden/all-pass/scorecard.json").read_bytes(), type=Scorecard)
    return next(kata for kata in card.katas if any(test.pictures for test in kata.tests))


def passed(app: Watch) -> None:
    """The kata at hand is among those that pass."""
    places = app.state.standing.places
    solved = type(places[0])(places[0].kata, State.PASSED, ())
    app.state.standing = type(app.state.standing)((solved, *places[1:]))


# Screens


async def failed(pilot: Pilot[None]) -> None:
    await hear(pilot, Ended(1, result(*TESTS), False))


async def under_way(pilot: Pilot[None]) -> None:
    await hear(pilot, OneTested(1, TESTS[1]), OneTested(1, TESTS[0]))


async def all_right(pilot: Pilot[None]) -> None:
    assert isinstance(pilot.app, Watch)
    passed(pilot.app)
    await hear(pilot, Ended(1, all_pass(), False))


async def a_curve(pilot: Pilot[None]) -> None:
    await hear(pilot, Ended(1, replace(with_curve(), id="01_scale"), False))


async def untouched(pilot: Pilot[None]) -> None:
    said = {"verdict": Verdict.TODO, "message": "scale: one multiplication"}
    tests = [replace(test, cause=None, line=None, **said) for test in TESTS]
    await hear(pilot, Ended(1, result(*tests, verdict=Verdict.TODO, points=0.0), False))


async def missing(pilot: Pilot[None]) -> None:
    none = replace(result(verdict=Verdict.ERROR, points=0.0), message="katas/01_scale/scale.py is missing")
    await hear(pilot, Ended(1, none, False))


async def hinted(pilot: Pilot[None]) -> None:
    await hear(pilot, Ended(1, result(*TESTS), False))
    await pilot.press("h", "h")


async def noticed(pilot: Pilot[None]) -> None:
    pilot.app.post_message(Unannounced())
    await hear(pilot, Trouble(1, text("{folder} is not a folder", folder="katas"), text("nothing was changed")))


async def pressed(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


DRAWN: dict[str, Callable[[Pilot[None]], Awaitable[None]]] = {
    "fails": failed,
    "under-way": under_way,
    "passes": all_right,
    "curve": a_curve,
    "untouched": untouched,
    "missing": missing,
    "hints": hinted,
    "notices": noticed,
    "list": lambda pilot: pressed(pilot, "l"),
    "help": lambda pilot: pressed(pilot, "question_mark"),
    "question": lambda pilot: pressed(pilot, "x"),
}


@pytest.mark.parametrize("code", ["en", "zh"])
@pytest.mark.parametrize("name", DRAWN)
def test_the_screen_is_painted_as_it_was(course: Course, store: Store, name: str, code: str) -> None:
    app = made(course, store, code)
    if name == "question":
        course.katas[0].stub.write_text("mine = 1\n")

    async def steps(pilot: Pilot[None]) -> None:
        await DRAWN[name](pilot)
        await pilot.pause()
        found, path = painted(app), SCREENS / f"{name}-{code}.txt"
        if os.environ.get("SCREENS") == "write":
            path.write_text(found, encoding="utf-8")
        assert found == path.read_text(encoding="utf-8")

    drive(app, steps)


def test_no_line_is_wider_than_a_narrow_terminal(course: Course, store: Store) -> None:
    from rich.cells import cell_len

    shown = view.Shown(course.katas[0], standing(course, store), Language("zh"))
    shown.result = result(*TESTS)
    paint = Paint(False)
    for width in (40, 60, 80, 120):
        lines = [view.head(shown, "course", width, paint), view.title(shown, width, paint)]
        lines += [view.status(shown, width, paint), view.strip(shown, width, paint), *view.body(shown, width, paint)]
        lines += [view.keys(width, paint, shown.language)]
        assert max(map(cell_len, lines)) <= width


# What is heard


def test_a_save_is_told_at_once_and_its_results_as_they_come(app: Watch, course: Course) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await hear(pilot, Ended(1, all_pass(), False))
        assert "Every test passes." in painted(app)
        app.post_message(Changed(frozenset([course.katas[0].stub])))
        await pilot.pause()
        assert "checking 01_scale…  0 of 4 tests" in painted(app) and "Every test passes." not in painted(app)
        await hear(pilot, OneTested(2, TESTS[1]))
        assert "1 of 4 tests" in painted(app) and "You add the factor" in painted(app)
        await hear(pilot, Ended(2, result(*TESTS), False))
        assert "2.5/4 points" in painted(app)

    drive(app, steps)
    assert said_by(app) == [("01_scale", False), ("01_scale", False)]


def test_what_an_older_run_still_tells_is_not_heard(app: Watch) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await hear(pilot, OneTested(1, TESTS[1]), Ended(1, all_pass(), False), Trouble(1, text("nothing is running")))
        assert "checking 01_scale…  0 of 4 tests" in painted(app)

    drive(app, steps)
    assert said_by(app)[-1] == ("01_scale", True)


def test_what_passed_with_another_file_is_said_and_n_goes_on(app: Watch, course: Course, store: Store) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        places = standing(course, store).places
        changed = at_another(places[0], state=State.CHANGED)
        await hear(pilot, Ended(1, result(*TESTS), False), Stands(course, Standing((changed, *places[1:]))))
        shown = " ".join(painted(app).split())
        assert "01_scale has passed, and its file is another one since: it still counts" in shown
        assert "0 of 2 katas pass" in shown
        await pilot.press("n")
        assert app.state.kata.id == "02_line" and "another one since" not in painted(app)

    drive(app, steps)


def test_passing_stays_where_it_is_and_n_goes_on(app: Watch, course: Course) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await all_right(pilot)
        assert app.state.kata.id == "01_scale" and "goes on to 02_line" in painted(app)
        await pilot.press("n")
        assert app.state.kata.id == "02_line"
        await pilot.press("n")
        assert app.state.kata.id == "01_scale"

    drive(app, steps)
    assert [kata for kata, _ in said_by(app)] == ["01_scale", "02_line", "01_scale"]


def test_a_suite_that_changed_judges_and_a_statement_does_not(app: Watch, course: Course) -> None:
    kata, other = course.katas

    async def steps(pilot: Pilot[None]) -> None:
        for path in (kata.suite, kata.folder / "kata.toml", course.reference(kata)):
            app.post_message(Changed(frozenset([path])))
            await pilot.pause()
        assert len(said_by(app)) == 4
        for path in (kata.statement(), other.suite, course.reference(other)):
            app.post_message(Changed(frozenset([path])))
            await pilot.pause()
        assert len(said_by(app)) == 4

    drive(app, steps)


def test_who_saves_the_file_of_another_kata_is_followed_there(app: Watch, course: Course) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        app.post_message(Changed(frozenset([course.katas[1].stub])))
        await pilot.pause()
        assert app.state.kata.id == "02_line" and "checking 02_line" in painted(app)

    drive(app, steps)


def test_another_state_of_the_course_is_taken_up(app: Watch, course: Course) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        manifest = course.katas[0].folder / "kata.toml"
        manifest.write_text(manifest.read_text().replace('title = "Scale"', 'title = "Enlarge"'))
        newer = find(course.root)
        await hear(pilot, Began(1, newer.katas[0]), Stands(newer, app.state.standing))
        assert "01_scale  Enlarge" in painted(app)

    drive(app, steps)


def test_after_a_sleep_the_files_are_looked_at_and_a_run_begins_anew(app: Watch) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        app.beat()
        assert (app.changes.looks, len(said_by(app))) == (0, 1)  # type: ignore[attr-defined]
        for clock in app._pulse._clocks:  # as a SIGSTOP moves both, a laptop's lid the second alone
            clock.now += 3600.0  # type: ignore[attr-defined]
            app.beat()
        assert app.changes.looks == 2 and said_by(app)[1:] == [("01_scale", True)] * 2  # type: ignore[attr-defined]
        await hear(pilot, Ended(3, result(verdict=Verdict.TIMEOUT), False))
        app._pulse._clocks[0].now += 3600.0  # type: ignore[attr-defined]
        app.beat()
        assert len(said_by(app)) == 4
        await hear(pilot, Ended(4, all_pass(), False))
        app._pulse._clocks[0].now += 3600.0  # type: ignore[attr-defined]
        app.beat()
        assert len(said_by(app)) == 4

    drive(app, steps)


def test_a_newer_grader_says_restart(app: Watch) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        app._upgrade.is_there = True  # type: ignore[attr-defined]
        app.beat()
        await pilot.pause()
        assert "quit with q, and restart" in painted(app) and "checking" in painted(app)
        await pilot.press("r")
        assert "! not judged" in painted(app)

    drive(app, steps)
    assert len(said_by(app)) == 1


def test_without_a_terminal_nobody_is_left_waiting(course: Course, store: Store) -> None:
    app = made(course, store)
    app._gone = lambda: True

    async def steps(pilot: Pilot[None]) -> None:
        app.beat()

    drive(app, steps)
    assert app.return_code == 0


# Keys


def test_hints_come_one_level_at_a_time_and_go_with_their_kata(app: Watch) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        for number in (1, 2, 3):
            await pilot.press("h")
            assert f"hint {number} of 3" in painted(app) and f"hint {number + 1} of 3" not in painted(app)
        await pilot.press("h")
        assert "this was the last one" in painted(app)
        await pilot.press("n", "question_mark", "q")
        assert "hint" not in painted(app).replace("h hint", "")

    drive(app, steps)


def test_the_list_is_searched_filtered_and_jumped_from(app: Watch) -> None:
    def rows() -> list[str]:
        return [
            line.split()[2] for line in painted(app).replace("▸", " ").splitlines() if line.startswith(("   ○", "   ✓"))
        ]

    async def steps(pilot: Pilot[None]) -> None:
        passed(app)
        await pilot.press("l")
        await pilot.pause()
        assert isinstance(app.screen, Listing) and rows() == ["01_scale", "02_line"]
        await pressed(pilot, "tab")
        assert rows() == ["02_line"] and "[to do]" in painted(app)
        await pressed(pilot, "tab")
        assert rows() == ["01_scale"] and "[done]" in painted(app)
        await pressed(pilot, "tab", "q")
        assert rows() == [] and isinstance(app.screen, Listing) and "no kata matches" in painted(app)
        await pressed(pilot, "enter", "backspace", "slash", "l", "i", "n")
        assert rows() == ["02_line"]
        await pressed(pilot, "enter")
        assert isinstance(app.screen, Main) and app.state.kata.id == "02_line"
        await pressed(pilot, "l", "up", "enter")
        assert app.state.kata.id == "01_scale"
        await pressed(pilot, "l", "down")
        assert "▸ ○ new     02_line" in painted(app)
        await pressed(pilot, "escape")
        assert app.state.kata.id == "01_scale" and isinstance(app.screen, Main)

    drive(app, steps)


def test_the_statement_has_its_table_and_formula_in_either_language(app: Watch, course: Course) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pressed(pilot, "s")
        assert isinstance(app.screen, Statement)
        assert all(each in painted(app) for each in ("x (N, D)", "an array", "y = factor · x", "Hints by symptom"))
        await pressed(pilot, "t")
        assert "乘以一个数" in painted(app)
        await pressed(pilot, "t", "q")
        assert isinstance(app.screen, Main)
        course.katas[0].statement().unlink()
        await pressed(pilot, "s")
        assert isinstance(app.screen, Main) and "has no statement" in painted(app)

    drive(app, steps)


def test_the_solution_is_for_who_solved_it(app: Watch, course: Course, store: Store) -> None:
    kata = course.katas[0]

    async def steps(pilot: Pilot[None]) -> None:
        await pressed(pilot, "o")
        assert isinstance(app.screen, Main) and "does not pass yet" in painted(app)
        assert "`grade solution scale --give-up`" in painted(app)
        kata.stub.write_text("mine = 1\n")
        score = KindScore(points=4.0, max=4.0, passed=4, total=4)
        store.put("any", replace(all_pass(), by_kind={"value": score}, sha256="0"))
        await pressed(pilot, "o")
        assert isinstance(app.screen, Answer) and "BEGIN SOLUTION" not in painted(app)
        await pressed(pilot, "end")
        assert "return np.split(x, 2)" in painted(app)
        await pressed(pilot, "t")
        assert "mine = 1" in painted(app)
        await pilot.resize_terminal(130, 40)
        await pilot.pause()
        assert any("mine = 1" in line and "│" in line for line in painted(app).splitlines())
        await pressed(pilot, "escape")
        assert isinstance(app.screen, Main)

    drive(app, steps)


def test_the_editor_is_given_the_file_and_the_line(
    app: Watch, course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub, told = course.katas[0].stub, tmp_path / "told"
    editor = tmp_path / "nano"
    editor.write_text(f'#!/bin/sh\necho "$@" > {told}\n')
    editor.chmod(0o755)

    async def steps(pilot: Pilot[None]) -> None:
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.delenv("EDITOR", raising=False)
        await pressed(pilot, "e")
        assert "names an editor" in painted(app)
        monkeypatch.setenv("EDITOR", f"{editor} -w")
        monkeypatch.setattr(type(app._driver), "can_suspend", True)
        await hear(pilot, Ended(1, result(*TESTS), False))
        await pressed(pilot, "e")
        assert told.read_text() == f"-w +8 {stub}\n"
        assert app.changes.looks == 1  # type: ignore[attr-defined]
        monkeypatch.setenv("EDITOR", "no-such-editor")
        await pressed(pilot, "e")
        assert "no-such-editor cannot be started" in painted(app)

    drive(app, steps)


def test_an_answer_under_another_name_is_told_of_until_it_has_the_right_one(app: Watch, course: Course) -> None:
    kata = course.katas[0]
    (kata.folder / "SCALE.py").write_text("def scale(x, factor):\n    return x * factor\n")

    async def steps(pilot: Pilot[None]) -> None:
        await untouched(pilot)
        shown = " ".join(painted(app).split())
        assert "scale.py is untouched; you may have meant SCALE.py beside it: only scale.py is judged" in shown
        kata.stub.write_bytes((kata.folder / "SCALE.py").read_bytes())
        await pilot.press("r")
        assert "you may have meant" not in painted(app)
        await hear(pilot, Ended(2, result(*TESTS), False))
        assert "you may have meant" not in painted(app)

    drive(app, steps)


def test_a_hint_makes_room_for_what_the_next_run_finds(app: Watch) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await hear(pilot, Ended(1, result(*TESTS), False))
        await pilot.press("h")
        shown = painted(app)
        assert shown.index("hint 1 of 3") < shown.index("You add the factor")
        await pilot.press("r")
        await hear(pilot, Ended(2, result(*TESTS), False))
        body = "\n".join(view.body(app.state, 78, Paint(False)))
        assert body.index("You add the factor") < body.index("hint 1 of 3") < body.index("The input stays as it was")
        await pilot.press("h")
        shown = painted(app)
        assert shown.index("hint 2 of 3") < shown.index("Every entry")

    drive(app, steps)


def test_killing_is_for_what_is_running(app: Watch) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("k")
        none_ran = replace(TESTS[1], verdict=Verdict.NOT_RUN, cause=None, line=None)
        await hear(pilot, Ended(1, result(TESTS[0], none_ran, verdict=Verdict.NOT_RUN, points=1.0), True, 4.25))
        assert "- killed  1/4 points · 4.2 s" in painted(app)
        await hear(pilot, Ended(1, None, True, 1.5))
        assert "- killed  1.5 s" in painted(app)
        app.runs.going = False  # type: ignore[attr-defined]
        await pilot.press("k")
        assert "nothing is running" in painted(app)

    drive(app, steps)


def test_beginning_again_asks_keeps_a_copy_and_is_undone(app: Watch, course: Course) -> None:
    stub = course.katas[0].stub
    given = stub.read_bytes()

    async def steps(pilot: Pilot[None]) -> None:
        await pressed(pilot, "x")
        assert "is the stub already" in painted(app)
        stub.write_text("mine = 1\n")
        await pressed(pilot, "x")
        assert isinstance(app.screen, Asked)
        await pressed(pilot, "n")
        assert stub.read_text() == "mine = 1\n" and isinstance(app.screen, Main)
        await pressed(pilot, "x", "y")
        assert stub.read_bytes() == given and "is the stub again" in painted(app)
        await pressed(pilot, "u")
        assert stub.read_text() == "mine = 1\n" and "is as it was before" in painted(app)
        for said in (True, False):  # over the run that it is followed by, and not over the next
            app.post_message(Changed(frozenset([stub])))
            await pilot.pause()
            assert ("is as it was before" in painted(app)) is said
        shutil.rmtree(course.root / ".grade/copies")
        await pressed(pilot, "u")
        assert "there is nothing to undo" in painted(app)

    drive(app, steps)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_quitting_ends_it(app: Watch, key: str) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, Help)
        await pilot.press("q", key)

    drive(app, steps)
    assert app.return_code == 0 and not app.is_running
