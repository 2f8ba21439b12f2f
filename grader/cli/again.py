"""For teachers: what is judged on the seed of a class after the class: `grade mistakes`, `grade appeal` and `grade regrade`."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import signals
from grader.cli.gradebook import beside, class_argument, one_student, speaker
from grader.cli.options import coloured, course_option, jobs_option, one_kata, opened, processors, ready_to_judge
from grader.cli.speech import language, note
from grader.cli.spoken import command, option
from grader.course import Course
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import Value, text
from grader.reports.table import amount, mark, word
from grader.scorecard import KataResult, Verdict

if TYPE_CHECKING:
    from grader.classroom.again import Change, Outcome
    from grader.classroom.mistakes import Wrong
    from grader.classroom.records import Facts

_EVERY = 10.0  # seconds between two lines of progress


@command
@class_argument
@jobs_option
@course_option
def mistakes(out: Path, jobs: int | None, root: Path | None) -> int:
    """Judge the known mistakes of the katas that somebody failed on the seed of the class: `grade gradebook` then names bugs.

    A class has a secret seed, and what is on record of a mistake holds for the usual one. Exit code 0: all is known; 2:
    usage or course at fault; 3: a fault of ours is left; 130, 143, 129: stopped.

    Example: grade mistakes graded
    """
    at_once = jobs or processors()
    ready_to_judge(at_once)
    from grader.classroom import again
    from grader.classroom import mistakes as known
    from grader.classroom.journal import Journal

    spoken, judging = language(), again.Judging()
    with closing(Journal.read(out)) as journal, opened(root) as (course, _):
        there = known.load(beside(out), journal.facts())
        asked = [kata for kata in course.katas if kata.id in known.failing(journal) - there.keys()]
        wrong = list(_wrong(course, asked))
        if asked and not wrong:
            raise UsageFault(
                text("this course has no known mistakes"), text("name that of its authors, with --course DIR")
            )
        for kata in asked:
            if not again.is_the_same_course(journal, course, kata):
                raise UsageFault(
                    text("{kata}, the grader or a library is not what it was when the class was judged", kata=kata.id),
                    text("`grade regrade` judges the class on what they are now"),
                )
    with signals.told_to(judging.stop):
        left = known.judge(beside(out), course, wrong, judging, at_once, _Heard())
    if left:
        print(spoken.text("not all is judged of {katas}: the same command does that", katas=left))
        return signals.exit_code() if signals.came() else 3
    count = sum(len(each.mistakes) for each in known.load(beside(out), _facts(out)).values())
    print(
        spoken.plural(
            "{count} mistake is known on the seed of this class",
            "{count} mistakes are known on the seed of this class",
            count,
        )
    )
    return 0


def _facts(out: Path) -> Facts:
    from grader.classroom.journal import Journal

    with closing(Journal.read(out)) as journal:
        return journal.facts()


def _wrong(course: Course, katas: Sequence[Kata]) -> Iterator[Wrong]:
    """The known mistakes of these katas, and what solves nothing of them."""
    from grader.authoring.proving.case import Role
    from grader.authoring.proving.subject import Subject
    from grader.classroom.mistakes import Wrong

    for kata in katas:
        subject = Subject(course, kata)
        sources = {case.name: case.source for case in subject.of(Role.MISTAKE)}
        for each in subject.mistakes.mistakes:
            yield Wrong(kata.id, sources[each.id], each.id, each.says, each.says_zh)
        if sources:
            yield from (Wrong(kata.id, case.source) for case in subject.of(Role.ZOO))


@command
@class_argument
@click.argument("id", metavar="STUDENT")
@click.argument("kata")
@course_option
def appeal(out: Path, id: str, kata: str, root: Path | None) -> int:
    """Judge the file of one STUDENT for KATA again, on the seed of the class, and set it beside the verdict of then.

    Nothing is written. Exit code 0: it comes to the same; 1: it does not; 3: a fault of ours.

    Example: grade appeal graded s17 lstm
    """
    ready_to_judge(1)
    from grader.classroom import again
    from grader.classroom.gradebook import Gradebook, in_hundredths, scorecard
    from grader.classroom.journal import Journal
    from grader.classroom.late import Policy
    from grader.classroom.overrides import Overrides
    from grader.classroom.records import State
    from grader.reports import terminal

    spoken = language()
    with closing(Journal.read(out)) as journal, opened(root) as (course, _):
        chosen = one_kata(course, kata)
        sheet = Gradebook(journal, Policy(), Overrides()).sheet(one_student(journal, id))
        cell = next((each for each in sheet.cells if each.kata.id == chosen.id), None)
        if cell is None or cell.entry.state is not State.FILE:
            raise UsageFault(
                text("{student} has no file for {kata} that could be judged", student=id, kata=chosen.id),
                text("`grade student` shows what was found"),
            )
        if not again.is_the_same_course(journal, course, chosen):
            note(text("{kata}, the grader or a library is not what it was when the class was judged", kata=chosen.id))
        judging = again.Judging()
        with signals.told_to(judging.stop):
            now = again.appeal(journal, course, cell.entry, judging)
        if now is None:
            return signals.exit_code()
        card = scorecard(sheet.only(chosen.id, now), journal.facts())
        width = shutil.get_terminal_size().columns
        told = speaker(course)(in_hundredths(card))
        sys.stdout.write(terminal.render(told, width=width, colour=coloured(), language=spoken, own=False))
        then = cell.result
    print()
    print(spoken.text("then: {ended}", ended=_ended(then)))
    print(spoken.text("now: {ended}", ended=_ended(now)))
    differs = [] if then is None else again.differing(then, now)
    for name, before, after in differs:
        print(spoken.text("  {test}: {before}, now {after}", test=name, before=before or "-", after=after or "-"))
    if now.verdict is Verdict.INTERNAL:
        return 3
    same = then is not None and not differs and (then.verdict, then.points) == (now.verdict, now.points)
    return 0 if same else 1


@command
@class_argument
@option(
    "--write",
    "wanted",
    is_flag=True,
    help="Put what it comes to now into the journal, and keep a copy of that of then.",
)
@jobs_option
@course_option
def regrade(out: Path, wanted: bool, jobs: int | None, root: Path | None) -> int:
    """Judge a class again after a fix of its course, and say who changes and by how much, before anything is written.

    Only katas that are judged otherwise than then are judged again. Stopped, the same command goes on from there.

    Exit code 0: nothing changes, or it is written; 1: something would change; 2: usage or course at fault; 3: a fault of
    ours is left, which the next run tries again; 130, 143, 129: stopped.

    Example: grade regrade graded --write
    """
    at_once = jobs or processors()
    ready_to_judge(at_once)
    from grader.classroom import again

    if not out.is_dir():
        raise UsageFault(text("{folder} is not a folder", folder=str(out)), text("name the folder of the class"))
    spoken, judging = language(), again.Judging()
    with opened(root) as (course, _), signals.told_to(judging.stop):
        found = again.regrade(out, course, judging, at_once, note, _Heard())
        if found.gone:
            note(text("no longer in the course, and left as they are: {katas}", katas=[*found.gone]))
        if not found.katas:
            print(spoken.text("no kata is judged otherwise than then: there is nothing to judge again"))
            return 0
        _tell(found)
        if found.left:
            print(spoken.text("{count} contents are left: the same command goes on from here", count=found.left))
            return 3 if found.faults else signals.exit_code()
        if not wanted:
            print(spoken.text("nothing is written yet: --write does that"))
            return int(bool(found.changes))
        copy = again.written(out, note)
    print(spoken.text("written; the journal of then is {file}", file=str(copy)))
    return 0


def _tell(found: Outcome) -> None:
    """Who changes and by how much, and how many in all."""
    spoken = language()
    print(spoken.text("judged again: {katas}", katas=[*found.katas]))
    for change in found.changes:
        print(f"  {change.student}  {change.kata}  {spoken.say(_moved(change))}")
    more, less = (sum(sign * change.gain > 0 for change in found.changes) for sign in (1, -1))
    count = len(found.changes)
    one, many = "{count} file changes", "{count} files change"
    points = [
        spoken.plural("{count} gains points", "{count} gain points", more),
        spoken.plural("{count} loses points", "{count} lose points", less),
        spoken.plural("{count} stays as it is", "{count} stay as they are", found.same),
    ]
    print(spoken.text("{changed}: {points}", changed=spoken.plural(one, many, count), points=points))


def _moved(change: Change) -> Value:
    gain = _points(change.after) - (_points(change.before) if change.before else 0.0)
    signed = ("+" if gain >= 0 else "-") + amount(abs(gain))
    return text("{before}, now {after} ({gain})", before=_ended(change.before), after=_ended(change.after), gain=signed)


def _ended(result: KataResult | None) -> Value:
    if result is None:
        return text("not judged yet")
    points = f"{amount(_points(result))}/{amount(result.max)}"
    return f"{mark(result.verdict)} {word(result.verdict, language())} {points}"


def _points(result: KataResult) -> float:
    """As the gradebook has them."""
    from grader.classroom.gradebook import rounded

    return rounded(result.points)


class _Heard:
    """A line now and then about how far it is."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self._said >= _EVERY:
            self._said = now
            note(text("{done} of {all} judged", done=done, all=of))
            sys.stderr.flush()
