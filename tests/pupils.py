"""A class that nobody judged: a journal with results made up, for tests of what is shown of a class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from grader.classroom.journal import Journal
from grader.classroom.records import About, Entry, Facts, KataFacts, Remark, State, Student
from grader.messages import message, text
from grader.scorecard import Cause, KataResult, KindScore, Line, TestResult, Verdict
from grader.seeds import Secret, draw

LAYERS = ("landlock", "seccomp")
BUG = "the gates are in another order than the statement's"
BUG_ZH = "门的顺序与题目说明不同"
WORKS, WRONG = b"def f(x):\n    return x\n", b"def f(x):\n    return -x\n"


def kata(number: int, title: str = "Scale") -> KataFacts:
    """A kata of four points in four tests."""
    id = f"{number:02d}_kata"
    return KataFacts(
        id=id, slug="kata", title=title, title_zh="放大", points={"shape": 1, "value": 3}, tests=4, digest="d"
    )


def facts(katas: Iterable[KataFacts], seed: Secret, **changes: object) -> Facts:
    made = Facts(
        course="toy", course_digest="c", grader="1.0+abc", versions={"python": "3.11"}, katas=tuple(katas),
        seed_sha256=seed.sha256, submissions="in", started="2026-09-01T00:00:00+00:00", sandbox="landlock seccomp",
        layers=LAYERS, complete=True,
    )  # fmt: skip
    return replace(made, **changes)


def result(of: KataFacts, digest: str, verdicts: Iterable[Verdict], *, bug: str = "", printed: str = "") -> KataResult:
    """A kata whose four tests ended so; those that fail have a cause, and the bug if one is known."""
    tests = tuple(_test(place, verdict, bug, printed) for place, verdict in enumerate(verdicts))
    found = [test.verdict for test in tests]
    worst = next((v for v in (Verdict.INTERNAL, Verdict.FAIL, Verdict.TODO) if v in found), Verdict.PASS)
    points = sum(test.points for test in tests) if worst is not Verdict.INTERNAL else 0.0
    kinds = {
        "shape": KindScore(points=0, max=1, passed=0, total=1),
        "value": KindScore(points=0, max=3, passed=0, total=3),
    }
    return KataResult(
        id=of.id, title=of.title, verdict=worst, points=points, max=of.max, by_kind=kinds, seconds=1.25, from_store=False,
        tests=tests, sha256=digest,
    )  # fmt: skip


def _test(place: int, verdict: Verdict, bug: str, printed: str) -> TestResult:
    said = message(
        "value.off", name=text("the output"), error=0.25, relative=0.5, allowed=1e-6, got=1.5, expected=1.25, slip=None
    )
    fails = verdict is Verdict.FAIL
    return TestResult(
        name=f"test_{place}", kind="shape" if place == 0 else "value", title=f"Property {place} holds.", verdict=verdict,
        points=float(verdict is Verdict.PASS), max=1.0, seconds=0.25, message=str(said) if fails else "",
        said=said if fails else None, cause=Cause(expected="1.25", actual="1.5", diagnosis=bug, diagnosis_zh=BUG_ZH if bug else "")
        if fails else None, line=Line(number=2, source="    return -x") if fails else None, output=printed,
        peak_memory_mb=120.0 + place,
    )  # fmt: skip


class Class:
    """A journal that is being filled; `put` it down when all students are there."""

    def __init__(self, out: Path, katas: Iterable[KataFacts] = (kata(1), kata(2)), **changes: object) -> None:
        self.out, self.katas = out, tuple(katas)
        self.seed = draw()
        self.facts = facts(self.katas, self.seed, **changes)
        self.students: list[Student] = []
        self.entries: list[Entry] = []
        self.remarks: list[Remark] = []
        self.results: list[KataResult] = []
        self.contents: dict[str, bytes] = {}

    def student(self, id: str, files: Mapping[str, tuple[bytes, list[Verdict]]] | None = None, **about: object) -> None:
        """One student, with sources and verdicts by kata; nothing is handed in of the other katas.

        about: `time` of the files, `bug`, `printed`, and fields of the student.
        """
        time, bug, printed = (str(about.pop(name, "")) for name in ("time", "bug", "printed"))
        self.students.append(Student(id=id, **about))  # type: ignore[arg-type]
        for of in self.katas:
            if files is None or of.id not in files:
                given = result(of, "", [])
                given = replace(given, verdict=Verdict.ERROR, message="kata.py is missing")
                self.entries.append(Entry(student=id, kata=of.id, state=State.MISSING, given=given))
                continue
            source, verdicts = files[of.id]
            digest = sha256(source).hexdigest()
            self.contents[digest] = source
            entry = Entry(student=id, kata=of.id, state=State.FILE, path="kata.py", sha256=digest, time=time)
            self.entries.append(entry)
            if verdicts:
                self.results.append(result(of, digest, verdicts, bug=bug, printed=printed))

    def remark(self, student: str, said: str) -> None:
        self.remarks.append(Remark(about=About.DUPLICATE, said=text("{said}", said=said), student=student))

    def put(self) -> Path:
        """Write all of it; returns the folder of the journal."""
        with closing(Journal.write(self.out)) as journal:
            journal.begin(self.facts, self.seed)
            journal.put_class(self.students, self.entries, self.remarks, self.contents)
            for each in self.results:
                journal.put(each, LAYERS)
        return self.out


P, F, T, OURS = Verdict.PASS, Verdict.FAIL, Verdict.TODO, Verdict.INTERNAL


def small(out: Path) -> Path:
    """Four students on two katas: all right, a known bug and late, our fault, and nothing handed in."""
    made = Class(out)
    both = {"01_kata": (WORKS, [P, P, P, P]), "02_kata": (WORKS, [P, P, P, P])}
    made.student("s1", both, name="One", section="A", time="2026-09-30T12:00:00+00:00")
    wrong = {"01_kata": (WRONG, [P, F, F, P]), "02_kata": (WRONG, [P, P, T, T])}
    made.student("s2", wrong, name="Two", section="A", time="2026-10-03T12:00:00+00:00", bug=BUG, printed="<b>hi</b>")
    made.student("s3", {"01_kata": (b"3", [P, OURS, P, P]), "02_kata": (b"3", [])}, name="Three", section="B")
    made.student("s4", name="Four", section="B")
    made.remark("s2", "kata (1).py stands beside kata.py")
    return made.put()
