"""What the screen shows, as lines: a state in, text out. Nothing here knows of Textual."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.cells import cell_len

from grader.kata import Kata
from grader.messages import Value, text
from grader.messages.language import Language
from grader.reports.layout import Paint, cut, wrap
from grader.reports.story import first_failing, numbered, telling, under_way
from grader.reports.table import KINDS, amount, mark, style, word
from grader.reports.terminal import curves
from grader.scorecard import KataResult, TestResult, Verdict
from grader.standing import Standing, State
from grader.study.desk import Hints, file_of
from grader.study.listing import all_done, changed, stars

BAR = 20  # cells
MARGIN = 1  # cells on the left
KEYS = (
    ("n", text("next")),
    ("h", text("hint")),
    ("l", text("list")),
    ("r", text("again")),
    ("s", text("statement")),
    ("o", text("solution")),
    ("e", text("edit")),
    ("?", text("help")),
    ("q", text("quit")),
)


@dataclass
class Shown:
    """All that the screen knows.

    number: of the run whose news are heard; checking: whether it is going on; tests: what has come of it, in that order
    result: of the run that ended last; killed: whether that was before its end, after so many `seconds`
    notices: what stays to be known, by what it is about; said: what was done or refused by the last key
    """

    kata: Kata
    standing: Standing
    language: Language
    number: int = 0
    checking: bool = False
    tests: list[TestResult] = field(default_factory=list)
    result: KataResult | None = None
    killed: bool = False
    seconds: float = 0.0
    trouble: tuple[Value, Value] | None = None
    hints: Hints | None = None
    hints_read: bool = False  # a run has begun since: what it found comes before them
    notices: dict[str, Value] = field(default_factory=dict)
    said: tuple[Value, ...] = ()
    kept: bool = False  # what was said is of a deed to the file, and stays over the run that follows

    def begin(self, kata: Kata, number: int) -> None:
        """A run is asked for: what was found before is past, and so are the hints for another kata."""
        if kata.id != self.kata.id:
            self.hints = None
        self.hints_read = self.hints is not None
        self.kata, self.number, self.checking = kata, number, True
        self.tests, self.result, self.killed, self.trouble = [], None, False, None
        self.said, self.kept = self.said if self.kept else (), False
        self.notice("misnamed", None)

    def notice(self, about: str, said: Value) -> None:
        """Keep saying something, or no more where it is None."""
        self.notices.pop(about, None)
        if said is not None:
            self.notices[about] = said


def head(shown: Shown, course: str, width: int, paint: Paint) -> str:
    """The course, and a bar of how much of it passes."""
    places = shown.standing.places
    passed = sum(place.state is State.PASSED for place in places)
    told = shown.language.plural(
        "{passed} of {count} kata passes", "{passed} of {count} katas pass", len(places), passed=passed
    )
    bar = min(BAR, max(width - cell_len(told) - 2, 0))
    filled = min(bar, bar * passed // max(len(places), 1) or bool(passed))
    left = cut(f"grade watch · {course}", max(width - bar - cell_len(told) - 4, 0))
    gap = " " * (width - cell_len(left) - bar - 2 - cell_len(told))
    return f"{paint(left, 'dim')}{gap}{paint('━' * filled, 'green')}{paint('─' * (bar - filled), 'dim')}  {told}"


def title(shown: Shown, width: int, paint: Paint) -> str:
    """The kata at hand, how hard it is and how long it takes."""
    kata = shown.kata
    right = f"{stars(kata.difficulty)}  {shown.language.text('{minutes} min', minutes=kata.minutes)}"
    room = max(width - cell_len(right) - 2, 0)
    left = cut(f"{kata.id}  {kata.title_in(shown.language.code)}", room)
    gap = " " * max(width - cell_len(left) - cell_len(right), 1)
    return f"{paint(left, 'bold')}{gap}{paint(right, 'dim')}"


def status(shown: Shown, width: int, paint: Paint) -> str:
    """How the run is going, or how it ended."""
    language, kata, result = shown.language, shown.kata, shown.result
    if shown.checking:
        told = language.text("checking {kata}…", kata=kata.id)
        counted = language.text("{done} of {total} tests", done=len(shown.tests), total=kata.tests)
        return cut(f"◌ {told}  {counted}", width)
    if shown.trouble is not None:
        return paint(cut(f"! {language.text('not judged')}", width), "magenta", "bold")
    if result is None:
        told = f"- {language.text('killed')}  {shown.seconds:.1f} s" if shown.killed else ""
        return paint(cut(told, width), "yellow", "bold")
    ended = language.text("killed") if shown.killed else word(result.verdict, language)
    points = language.text("{points} points", points=f"{amount(result.points)}/{amount(result.max)}")
    took = language.text("stored") if result.from_store else f"{result.seconds:.1f} s"
    took = f"{shown.seconds:.1f} s" if shown.killed else took  # what was killed has no seconds of its own
    facts = paint(f"{mark(result.verdict)} {ended}", style(result.verdict), "bold")
    return facts + cut(f"  {points} · {took}", width - 2 - cell_len(ended))


def strip(shown: Shown, width: int, paint: Paint) -> str:
    """A sign for each test, by kinds: what passes is seen at a glance."""
    tests = shown.tests if shown.checking or shown.result is None else list(shown.result.tests)
    kinds = [kind for kind in KINDS if any(test.kind == kind for test in tests)]
    named = [[f"{shown.language.say(KINDS[kind][size])} " for kind in kinds] for size in range(3)]
    room = width - len(tests) - 2 * len(kinds)
    labels = next((each for each in named if sum(map(cell_len, each)) <= room), [""] * len(kinds))
    parts = []
    for kind, label in zip(kinds, labels, strict=True):
        signs = "".join(paint(mark(test.verdict), style(test.verdict)) for test in tests if test.kind == kind)
        parts.append(f"{paint(label, 'dim')}{signs}")
    return "  ".join(parts)


def body(shown: Shown, width: int, paint: Paint) -> list[str]:
    """What there is to read: hints asked for just now, what is wrong first or that nothing is, curves, older hints, all tests."""
    found = shown.result or _so_far(shown)
    hints = _hints(shown, width, paint)
    parts = [[] if shown.hints_read else hints, _trouble(shown, width), _changed(shown, width, paint)]
    if found is not None:
        parts += [_story(shown, found, width, paint), curves(found.tests, "", width, paint, shown.language)]
        parts += [hints if shown.hints_read else [], _tests(found, width, paint)]
    lines: list[str] = []
    for part in parts:
        lines += [""] * bool(lines and part) + part
    return lines


def notes(shown: Shown, width: int, paint: Paint) -> list[str]:
    """What was done by the last key, and what stays to be known."""
    language = shown.language
    said = [(line, "cyan") for each in shown.said for line in wrap(language.say(each), width, 3)]
    stays = [(line, "yellow") for each in shown.notices.values() for line in wrap(language.say(each), width, 2)]
    return [paint(line, colour) for line, colour in (*said, *stays)]


def keys(width: int, paint: Paint, language: Language) -> str:
    """The keys that there is room for; help and quit always."""
    named = [(key, language.say(name)) for key, name in KEYS]
    while sum(cell_len(f"{key} {name}") + 2 for key, name in named) - 2 > width and len(named) > 2:
        del named[-3]
    return "  ".join(f"{paint(key, 'bold')} {paint(name, 'dim')}" for key, name in named)


def _hints(shown: Shown, width: int, paint: Paint) -> list[str]:
    """Those that were given, the newest last."""
    hints, language = shown.hints, shown.language
    if hints is None:
        return []
    if not hints.count:
        return [paint(language.text("{kata} has no hints", kata=shown.kata.id), "dim")]
    lines = []
    for number, words in enumerate(hints.given, 1):
        newest = number == len(hints.given)
        lines.append(paint(language.text("hint {number} of {count}", number=number, count=hints.count), "cyan", "bold"))
        lines += [line if newest else paint(line, "dim") for line in _indented(words, width)]
    if hints.bug:
        lines += [paint(language.text("your bug, by its traces"), "cyan", "bold"), *_indented(hints.bug, width)]
    if hints.exhausted:
        lines.append(paint(f"  {language.text('this was the last one')}", "dim"))
    return lines


def _trouble(shown: Shown, width: int) -> list[str]:
    if shown.trouble is None:
        return []
    said, next_step = (shown.language.say(each) if each else "" for each in shown.trouble)
    return [line for each in (said, next_step) if each for line in wrap(each, width)]


def _changed(shown: Shown, width: int, paint: Paint) -> list[str]:
    """That the kata at hand passed with another file, where this one was found not to."""
    if shown.checking or shown.result is None or shown.result.verdict is Verdict.PASS:
        return []
    told = changed([shown.standing.of(shown.kata)], shown.language)
    return [paint(line, "yellow") for line in wrap(told, width)] if told else []


def _so_far(shown: Shown) -> KataResult | None:
    """What has come of a run that is going on, as if it were all."""
    if not shown.tests:
        return None
    worst = next((test.verdict for test in shown.tests if test.verdict is not Verdict.PASS), Verdict.PASS)
    kata = shown.kata
    return KataResult(
        id=kata.id, title=kata.title, verdict=worst, points=0.0, max=0.0, by_kind={}, seconds=0.0, from_store=False,
        tests=tuple(shown.tests), stub=file_of(kata),
    )  # fmt: skip


def _story(shown: Shown, found: KataResult, width: int, paint: Paint) -> list[str]:
    language = shown.language
    if found.verdict is Verdict.PASS:
        return [] if shown.checking else _passed(shown, width, paint)
    if found.verdict is Verdict.TODO and found.tests:
        return under_way(found, width, paint, language, passing_named=False).split("\n")  # all tests stand below
    if found.verdict is Verdict.NOT_RUN and (first := first_failing(found)) and first.verdict is Verdict.NOT_RUN:
        return []
    return telling(found, width, paint, language)


def _passed(shown: Shown, width: int, paint: Paint) -> list[str]:
    """That it passes, what that opens, and where one may go: passing goes nowhere by itself."""
    language, kata = shown.language, shown.kata
    lines = [paint(language.text("Every test passes."), "green", "bold")]
    opened = [each.id for each in shown.standing.unlocked_by(kata)]
    if opened:
        told = language.text("{kata} passes, and opens {katas}", kata=kata.id, katas=opened)
        lines += [paint(line, "green") for line in wrap(told, width)]
    following = shown.standing.next([kata.id])
    told = all_done(shown.standing, language)
    if following is not None:
        name = f"{following.id}  {following.title_in(language.code)}"
        told = language.text("n goes on to {kata}; o shows the authors' solution beside yours", kata=name)
    return lines + wrap(told, width)


def _tests(found: KataResult, width: int, paint: Paint) -> list[str]:
    numbers = numbered(found)
    return [
        paint(mark(test.verdict), style(test.verdict))
        + cut(f" {numbers.get(test.name, '')}{test.title.rstrip('.。')}", width - 1)
        for test in found.tests
    ]


def _indented(words: str, width: int) -> list[str]:
    return [f"  {line}" for line in wrap(words, width - 2)]
