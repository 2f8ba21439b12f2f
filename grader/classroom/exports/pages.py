"""HTML: a page for each student, which holds nobody else's data, and one for the teacher.

One file each, with no scripts and nothing to fetch; a content security policy allows the page's own style alone. Whatever
somebody else wrote is escaped by the templates in `grader/classroom/templates/`.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from math import fsum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from msgspec.structs import replace as edited

from grader.classroom.exports import told
from grader.classroom.exports.folder import file_name
from grader.classroom.exports.statistics import Bug, OfClass, OfKata, OfTest, median
from grader.classroom.gradebook import Cell, Sheet
from grader.classroom.records import Facts, Student
from grader.messages import text
from grader.messages.language import Language
from grader.reports.folded import alike, folded
from grader.reports.html import code
from grader.reports.table import KINDS, amount, mark, rows, style, word
from grader.scorecard import KataResult, TestResult, Verdict

TEMPLATES = Path(__file__).parents[1] / "templates"
_STYLES = {"green": "good", "red": "bad", "magenta": "ours", "dim": "quiet", "yellow": "quiet"}
_PRINTED = 4_000  # characters of what a test printed
_WORDS = {
    "bug": text("the mistake"),
    "bugs": text("The bugs of this class"),
    "bugs_help": text("Known mistakes that were recognised, by the number of students: what to explain first."),
    "class": text("class"),
    "counts": text("counts"),
    "decided": text("Decided by hand"),
    "distribution": text("Points of the students"),
    "files": text("Remarks about files"),
    "handed_in": text("handed in"),
    "hardest": text("The hardest tests"),
    "internal": text("Our fault"),
    "internal_help": text("Nothing that these students wrote decides it, and no points are given: judge the class again."),
    "judged": text("judged"),
    "kata": text("kata"),
    "katas": text("Katas"),
    "late": text("late"),
    "median": text("median points"),
    "memory": text("most memory"),
    "no_bugs": text("No failure is the trace of a known mistake."),
    "not_yet": text("not known yet"),
    "pass": text("pass"),
    "points": text("points"),
    "printed": text("your code printed"),
    "sandbox": text("sandbox"),
    "section": text("section"),
    "seed": text("digest of the seed"),
    "share": text("of the points"),
    "student": text("student"),
    "students": text("Students"),
    "test": text("test"),
    "tests": text("How many pass each test"),
    "time": text("time: median, most"),
    "verdict": text("verdict"),
    "unnamed": text("The known mistakes were not judged on the seed of this class yet, which `grade mistakes` does:"),
    "weak": text("Judged behind a weaker sandbox than a class needs"),
}  # fmt: skip


class _End(NamedTuple):
    """How a test or a kata ended."""

    mark: str
    word: str
    style: str


class _Test(NamedTuple):
    """One test on a student's page."""

    end: _End
    title: str
    how: str
    message: str
    rows: list[tuple[str, str]]
    line: str
    output: str


class _Kata(NamedTuple):
    """One kata on a student's page."""

    id: str
    title: str
    end: _End
    raw: str
    points: str
    notes: list[str]
    message: str
    tests: list[_Test]


@dataclass(frozen=True)
class Line:
    """One student in the teacher's list."""

    student: Student
    points: float | None  # None: not all is judged
    max: float


@dataclass
class Pages:
    """The pages of one class in one language."""

    facts: Facts
    language: Language
    _lines: list[Line] = field(default_factory=list, init=False)

    def student(self, sheet: Sheet) -> str:
        """The page of one student."""
        say = self.language
        total = say.text("not everything is judged yet")
        if sheet.complete:
            total = say.text("{points} of {most} points", points=amount(sheet.points), most=amount(sheet.max))
        return self._render(
            "student",
            who=sheet.student,
            total=total,
            cells=[self._cell(cell) for cell in sheet.cells],
            remarks=[say.say(each.said) for each in sheet.remarks],
        )

    def note(self, sheet: Sheet) -> None:
        """A line of the teacher's list."""
        self._lines.append(Line(sheet.student, sheet.points if sheet.complete else None, sheet.max))

    def teacher(self, found: OfClass) -> str:
        """The page about the class, which links to those of the students that were noted."""
        counts = found.distribution()
        return self._render(
            "teacher",
            told=self._told(found),
            internal=found.internal,
            weak=bool(self.facts.sandbox) and not self.facts.complete,
            unnamed=sorted(found.unnamed),
            bugs=[(bug.kata, self._says(bug), count) for bug, count in found.worst_bugs()],
            katas=[self._kata(each) for each in found.katas.values()],
            distribution=[
                (10 * place, 10 * place + 10, count, count / max(*counts, 1)) for place, count in enumerate(counts)
            ],
            hardest=[self._rate(test) for test in found.hardest()],
            decided=[(who, cell.kata.id, told.lines(cell, self.language)) for who, cell in found.decided],
            remarks=[(each.student, self.language.say(each.said)) for each in found.remarks],
            students=[self._line(line) for line in self._lines],
        )

    def _told(self, found: OfClass) -> str:
        say, waiting = self.language, sum(kata.waiting for kata in found.katas.values())
        students = say.plural("{count} student", "{count} students", found.students)
        katas = say.plural("{count} kata", "{count} katas", len(found.katas))
        parts = [students, katas]
        parts += [say.plural("{count} file is not judged yet", "{count} files are not judged yet", waiting)] * bool(
            waiting
        )
        return " · ".join(parts)

    def _says(self, bug: Bug) -> str:
        return bug.says_zh if self.language.code == "zh" and bug.says_zh else bug.says

    def _line(self, line: Line) -> dict[str, Any]:
        who = line.student
        points = "" if line.points is None else f"{amount(line.points)}/{amount(line.max)}"
        href = f"students/{quote(file_name(who.id))}.html"
        return {"id": who.id, "name": who.name, "section": who.section, "points": points, "href": href}

    def _kata(self, each: OfKata) -> dict[str, Any]:
        middle, peak = median(each.seconds), max(each.memory, default=None)
        points = median(each.points)
        return {
            "id": each.kata.id,
            "title": told.title(each.kata, self.language),
            "handed_in": each.handed_in,
            "passed": f"{each.passed}/{each.judged}",
            "share": each.passed / each.judged if each.judged else 0.0,
            "median": "" if points is None else f"{amount(points)}/{amount(each.kata.max)}",
            "late": each.late,
            "seconds": "" if middle is None else f"{middle:.1f} s, {max(each.seconds):.1f} s",
            "memory": "" if peak is None else f"{peak:.0f} MB",
            "tests": [self._rate(test) for test in each.tests.values()],
        }

    def _rate(self, test: OfTest) -> dict[str, Any]:
        return {
            "kata": test.kata, "title": test.title, "kind": self._kind(test.kind), "passed": test.passed, "tried": test.tried,
        }  # fmt: skip

    def _kind(self, kind: str) -> str:
        return self._kinds.get(kind, kind)

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return {kind: self.language.say(names[0]) for kind, names in KINDS.items()}

    @cached_property
    def _ends(self) -> dict[Verdict, _End]:
        return {each: _End(mark(each), word(each, self.language), _STYLES[style(each)]) for each in Verdict}

    def _cell(self, cell: Cell) -> _Kata:
        result, say = cell.result, self.language
        points = say.text("excused") if cell.excused else "" if cell.points is None else _of(cell.points, cell.max)
        end = _End("", say.text("not judged yet"), "quiet") if result is None else self._ends[result.verdict]
        return _Kata(
            id=cell.kata.id,
            title=told.title(cell.kata, say),
            end=end,
            raw="" if cell.raw is None else amount(cell.raw),
            points=points,
            notes=told.lines(cell, say),
            message="" if result is None else result.message,
            tests=[] if result is None else self._tests(result),
        )

    def _tests(self, result: KataResult) -> list[_Test]:
        """A test each, but for those that all went wrong alike and for the hidden ones, which are one each."""
        first = next((test for test in result.tests if not test.hidden), None)
        if first is not None and first.verdict is not Verdict.PASS and alike(result):
            title = self.language.text("All {count} tests end like this", count=len(result.tests))
            points, most = (fsum(getattr(test, name) for test in result.tests) for name in ("points", "max"))
            return [self._test(edited(first, title=title, kind="", points=points, max=most), result)]
        return [self._test(test, result) for test in folded(result, self.language).tests]

    def _test(self, test: TestResult, result: KataResult) -> _Test:
        passed, end = test.verdict is Verdict.PASS, self._ends[test.verdict]
        how = (
            [self._kind(test.kind)] * bool(test.kind and not test.hidden)
            + [end.word] * (not passed)
            + [_of(test.points, test.max)]
        )
        return _Test(
            end=end,
            title=test.title,
            how=" · ".join(how),
            message=test.message,
            rows=rows(test.cause, self.language) if test.cause else [],
            line=f"{result.stub}:{test.line.number}\n{test.line.source.strip()}" if test.line else "",
            output="" if passed else test.output[:_PRINTED].rstrip(),
        )

    def _render(self, name: str, **values: Any) -> str:
        return self._templates.get_template(f"{name}.html.jinja").render(values)

    @cached_property
    def _templates(self) -> Environment:
        made = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True, keep_trailing_newline=True,
        )  # fmt: skip
        made.filters["code"] = code
        sheet = (TEMPLATES / "style.css").read_text(encoding="utf-8")
        made.globals |= {
            "facts": self.facts,
            "lang": self.language.code,
            "style": Markup(sheet),
            "style_hash": f"sha256-{b64encode(sha256(sheet.encode()).digest()).decode()}",
            "w": {name: self.language.say(said) for name, said in _WORDS.items()},
        }
        return made


def _of(points: float, most: float) -> str:
    return f"{amount(points)}/{amount(most)}"
