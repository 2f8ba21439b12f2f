"""Gradescope's side of a course: `python -m grader.autograder ROOT` judges what was handed in, and writes its results.

ROOT is Gradescope's folder: `source/` holds the course as `grade release --gradescope` packed it, `submission/` what was
handed in, `submission_metadata.json` when it is due; `results/results.json` is what Gradescope reads. Where the course or
the grader is at fault, or the sandbox is too weak, there is none, and Gradescope says that the autograder failed: no
learner gets 0 points for what is no fault of theirs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from grader import reports, seeds
from grader.course import Course, find
from grader.engine.hold import wait
from grader.engine.plan import Plan
from grader.errors import GradeError
from grader.messages import Message, text
from grader.messages.language import Language, texts_of
from grader.reports.worded import Told, worded
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict
from grader.session import Session
from grader.store import Store

CONFIG = "autograder.json"
SEED = "seed"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the author chose as the zip was made."""

    language: str = "en"
    allow_weaker_sandbox: bool = False


def grade(root: Path) -> int:
    """Judge `root/submission` and write `root/results/results.json`; 0 if it is written. Raises GradeError."""
    source = root / "source"
    config = msgspec.json.decode((source / CONFIG).read_bytes(), type=Config)
    language, course = Language(config.language), find(source, source)
    seed, _ = seeds.kept_in(source / SEED)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), lambda said: None)
        session = Session(course, store, seed=seed, jobs=_processors())
        try:
            weak = _weakness(session)
            if weak and not config.allow_weaker_sandbox:
                print(language.say(weak), file=sys.stderr)
                print(language.text(_ALLOW), file=sys.stderr)
                return 2
            card = session.grade(course.katas, _handed_in(root / "submission"))
        finally:
            session.close()
    told = worded(card, language, {kata.id: _told(course, kata.id, language) for kata in card.katas})
    if any(kata.verdict is Verdict.INTERNAL for kata in card.katas) or not card.complete:
        print(reports.render("terminal", told, language), file=sys.stderr)
        return 3
    hidden = {kata.id: _hidden(kata.hidden) for kata in course.katas}
    document = results(told, hidden, language, due=_is_due(root), note=language.say(weak) if weak else "")
    (root / "results").mkdir(exist_ok=True)
    reports.write(root / "results" / "results.json", document)
    return 0


def results(
    card: Scorecard, hidden: Mapping[str, frozenset[str]], language: Language, *, due: bool, note: str = ""
) -> str:
    """`results.json`: visible tests as they are, hidden ones together as one that is shown later.

    hidden: names of tests, by kata. due: whether the assignment has a due date, after which they are shown; else they
    are shown as its grades are published. note: what a reader of the whole is told.
    """
    pairs = [(kata, test) for kata in card.katas for test in kata.tests if test.name in hidden.get(kata.id, ())]
    katas = tuple(_visible(kata, hidden) for kata in card.katas if not kata.tests or _visible(kata, hidden).tests)
    document: dict[str, Any] = json.loads(reports.render("gradescope", replace(card, katas=katas), language))
    if pairs:
        document["tests"].append(_together([test for _, test in pairs], language, due))
    if note:
        document["output"] = "\n".join(filter(None, [document["output"], note]))
    return json.dumps(document, indent=2) + "\n"


def main() -> int:
    try:
        return grade(Path(sys.argv[1]))
    except GradeError as error:
        for said in filter(None, (error.said, error.next_step)):
            print(Language().say(said), file=sys.stderr)
        return error.exit_code


_ALLOW = "if you accept that, release it with --allow-weaker-sandbox: every result then says so"


def _weakness(session: Session) -> Message | None:
    """What is missing of the sandbox, found by trying before anything that was handed in runs; None where nothing is."""
    katas = session.course.katas
    plans = [Plan.of(kata.worker, filter(None, (kata.suite, kata.hidden)), b"") for kata in katas]
    plan = reduce(or_, plans)
    ladder = session.keeper.reaching(plan, plan)
    wait(ladder)
    if ladder.sandbox.complete:
        return None
    return text("the sandbox of this machine is weaker than it should be: {sandbox}", sandbox=ladder.sandbox.text)


def _handed_in(submission: Path) -> Path:
    """The folder in which the files are: an upload has them at its top, a repository in katas/."""
    return submission / "katas" if (submission / "katas").is_dir() else submission


def _hidden(suite: Path | None) -> frozenset[str]:
    """The names of the tests in a hidden suite."""
    import ast

    tree = ast.parse(suite.read_bytes()) if suite else ast.Module([], [])
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def _visible(kata: KataResult, hidden: Mapping[str, frozenset[str]]) -> KataResult:
    return replace(kata, tests=tuple(test for test in kata.tests if test.name not in hidden.get(kata.id, ())))


def _together(tests: list[TestResult], language: Language, due: bool) -> dict[str, Any]:
    passed = sum(test.verdict is Verdict.PASS for test in tests)
    found: dict[str, Any] = {
        "name": language.text("hidden tests"),
        "score": round(sum(test.points for test in tests), 6),
        "max_score": round(sum(test.max for test in tests), 6),
        "output": language.text("{passed} of {count} tests pass", passed=passed, count=len(tests)),
        "visibility": "after_due_date" if due else "after_published",
    }
    if any(test.verdict not in (Verdict.TODO, Verdict.NOT_RUN) for test in tests):
        found["status"] = "passed" if passed == len(tests) else "failed"
    return found


def _is_due(root: Path) -> bool:
    """Whether Gradescope knows when the assignment is due."""
    try:
        said = json.loads((root / "submission_metadata.json").read_bytes())
        return bool(said["assignment"]["due_date"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _told(course: Course, id: str, language: Language) -> Told:
    (kata,) = course.select([id])
    texts = {**texts_of(course.reference(kata).parent, language), **texts_of(kata.folder, language)}
    return Told(kata.title_in(language.code), "", texts)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
