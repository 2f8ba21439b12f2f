"""Judging again what a class handed in, with the class's own seed: one file for an appeal, all of them on a changed course.

A regrade has a journal of its own, `regrade.sqlite` beside the class's, so that it can be stopped and gone on with, and
nothing changes for anybody before it is written. Writing keeps a copy of the class's journal first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from grader import __version__
from grader.classroom import snapshot
from grader.classroom.hands import Bench, Finding, Local, Work
from grader.classroom.journal import NAME, Job, Journal
from grader.classroom.lock import alone
from grader.classroom.records import Entry, Facts, State
from grader.course import Course
from grader.engine import key
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import Message, text
from grader.scorecard import KataResult, Verdict
from grader.seeds import Secret

REGRADE = "regrade.sqlite"
Differs = tuple[str, str, str]  # a test, its verdict then and now


@dataclass(frozen=True)
class Change:
    """A file that comes to something else now. `before` is None where it was not judged yet."""

    student: str
    kata: str
    before: KataResult | None
    after: KataResult

    @property
    def gain(self) -> float:
        """Points more than before."""
        return self.after.points - (self.before.points if self.before else 0.0)


@dataclass
class Outcome:
    """What a regrade came to.

    katas: those that another course judges otherwise than then; gone: those that it no longer has
    same: files that come to the same; faults: files that failed by a fault of ours; left: contents without a verdict
    """

    katas: tuple[str, ...]
    gone: tuple[str, ...]
    changes: list[Change] = field(default_factory=list)
    same: int = 0
    left: int = 0
    faults: int = 0

    @property
    def whole(self) -> bool:
        """Whether it may be written."""
        return not self.left


class Judging:
    """Judges at work, which can be told to stop. From any thread, and from a signal's handler."""

    def __init__(self) -> None:
        self._hands: Local | None = None
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True
        if self._hands is not None:
            self._hands.stop()

    def judge(
        self, course: Course, katas: Sequence[Kata], seed: Secret, facts: Facts, work: Iterator[Work], at_once: int
    ) -> Iterator[Finding]:
        """What each comes to, behind the sandbox of the class. Raises UsageFault where this machine has another one."""
        with closing(Local(Bench(course, katas, seed), at_once)) as self._hands:
            sandbox = self._hands.ready()
            if tuple(sorted(sandbox.layers)) != facts.layers:
                raise UsageFault(
                    text("the class was judged in another sandbox: {sandbox}", sandbox=facts.sandbox),
                    text("judge on a machine like that one; here it is {sandbox}", sandbox=sandbox.text),
                )
            if not self._stopped:
                yield from self._hands.judge(work)


def appeal(journal: Journal, course: Course, entry: Entry, judging: Judging) -> KataResult | None:
    """What a student's file comes to on the class's seed; None where it was stopped. Nothing is written."""
    (kata,) = course.select([entry.kata])
    work = Work((kata.id, entry.sha256), journal.source(entry.sha256))
    found = judging.judge(course, [kata], journal.seed(), journal.facts(), iter([work]), 1)
    return next((replace(each.result, stub=entry.path) for each in found), None)


def is_the_same_course(journal: Journal, course: Course, kata: Kata) -> bool:
    """Whether all that a verdict on the kata depends on is as it was when the class was judged."""
    (told,) = snapshot.facts(course, [kata])
    return told.digest in {each.digest for each in journal.facts().katas if each.id == kata.id}


def differing(before: KataResult, after: KataResult) -> list[Differs]:
    """The tests that end otherwise."""
    then = {test.name: test.verdict for test in before.tests}
    now = {test.name: test.verdict for test in after.tests}
    names = dict.fromkeys([*then, *now])
    return [(name, then.get(name, ""), now.get(name, "")) for name in names if then.get(name) != now.get(name)]


def regrade(
    out: Path,
    course: Course,
    judging: Judging,
    at_once: int,
    tell: Callable[[Message], None],
    heard: Callable[[int, int], None],
) -> Outcome:
    """Judge every file again whose kata is judged otherwise now, and say what changes. The class's journal stays as it is.

    heard: told how many contents are judged of how many
    """
    with ExitStack() as stack:
        stack.enter_context(alone(out / f"{NAME}.lock", False, tell))
        then = stack.enter_context(closing(Journal.read(out)))
        facts = then.facts()
        known = {kata.id for kata in course.katas}
        katas = [kata for kata in course.katas if kata.id in {each.id for each in facts.katas}]
        gone = tuple(kata.id for kata in facts.katas if kata.id not in known)
        frozen = stack.enter_context(snapshot.unpacked(snapshot.pack(course, katas), out / ".course-regrade"))
        now = _facts(facts, frozen, [frozen.select([kata.id])[0] for kata in katas])
        which = _changed(facts, now)
        if not which:
            return Outcome((), gone)
        new = stack.enter_context(_begun(out, then, now))
        jobs = [job for job in new.jobs() if job[0] in which]
        left = [job for job in jobs if job not in new.judged(now.layers)]
        chosen = frozen.select(which)
        work = (Work(job, then.source(job[1])) for job in left)
        if left:
            for done, found in enumerate(judging.judge(frozen, chosen, then.seed(), facts, work, at_once), 1):
                new.put(found.result, now.layers)
                heard(done, len(left))
        return _compared(then, new, which, gone, jobs)


def written(out: Path, tell: Callable[[Message], None]) -> Path:
    """Put the results of the regrade into the class's journal; returns the copy of that which was kept.

    Where it is broken off, the same again brings it to its end.
    """
    with alone(out / f"{NAME}.lock", False, tell):
        with closing(Journal.read(out)) as then, closing(Journal.read(out / REGRADE)) as new:
            copy = out / f"class.before-{datetime.now():%Y%m%d-%H%M%S}.sqlite"
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            then.copy_to(copy)
            then.take_over(new)
            then.update(new.facts())  # last: until then the katas count as changed
        _drop(out)
    return copy


def _facts(facts: Facts, course: Course, katas: Sequence[Kata]) -> Facts:
    """Those of the class, with what the course and the grader are now."""
    told = {kata.id: kata for kata in snapshot.facts(course, katas)}
    merged = tuple(told.get(kata.id, kata) for kata in facts.katas)
    grader = f"{__version__}+{key.grader_digest()[:12]}"
    return replace(facts, katas=merged, course_digest=snapshot.digest(merged), grader=grader, versions=key.versions())


def _changed(then: Facts, now: Facts) -> list[str]:
    return [kata.id for kata, was in zip(now.katas, then.katas, strict=True) if kata.digest != was.digest]


@contextmanager
def _begun(out: Path, then: Journal, now: Facts) -> Iterator[Journal]:
    """The regrade's own journal: the one that was begun for just this course and these files, or a new one."""
    if (out / REGRADE).is_file():
        with closing(Journal.read(out / REGRADE)) as old:
            same = old.begun and old.facts() == now and old.handed_in() == then.handed_in()
        if not same:
            _drop(out)
    with closing(Journal.write(out, REGRADE)) as new:
        if not new.begun:
            entries = list(then.entries())
            contents = {entry.sha256: then.source(entry.sha256) for entry in entries if entry.state is State.FILE}
            new.begin(now, then.seed())
            new.put_class(then.students(), entries, [], contents)
        yield new


def _drop(out: Path) -> None:
    for name in (REGRADE, f"{REGRADE}-wal", f"{REGRADE}-shm"):
        with suppress(FileNotFoundError):
            (out / name).unlink()


def _compared(then: Journal, new: Journal, which: Sequence[str], gone: tuple[str, ...], jobs: Sequence[Job]) -> Outcome:
    before_facts, facts = then.facts(), new.facts()
    done = new.judged(facts.layers)
    outcome = Outcome(tuple(which), gone)
    for entry in then.entries():
        if entry.kata not in which or entry.state is not State.FILE:
            continue
        before, after = then.result(entry, before_facts), new.result(entry, facts)
        if after is None:
            continue
        if after.verdict is Verdict.INTERNAL:
            outcome.faults += 1
        elif before is None or (before.verdict, before.points) != (after.verdict, after.points):
            outcome.changes.append(Change(entry.student, entry.kata, before, after))
        else:
            outcome.same += 1
    outcome.left = sum(job not in done for job in jobs)
    return outcome
