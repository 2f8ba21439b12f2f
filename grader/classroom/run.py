"""A class run: what was handed in is written into the journal, and judged into it, until nothing is left.

Whenever it ends, by itself, by a signal or by `kill -9`, the journal holds every result that was found, and the same
command goes on from there: what is judged in the end is the same as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from grader import __version__, seeds
from grader.classroom import snapshot
from grader.classroom.hands import Bench, Finding, Hands, Local, Work
from grader.classroom.intake import Intake, take_in
from grader.classroom.journal import NAME, Job, Journal
from grader.classroom.lock import alone
from grader.classroom.matching import Desk
from grader.classroom.plan import Plan, Shard, make
from grader.classroom.records import Facts, KataFacts
from grader.classroom.roster import Roster
from grader.course import Course
from grader.engine import key
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import Message, text
from grader.scorecard import Verdict
from grader.seeds import Secret


@dataclass(frozen=True)
class Wanted:
    """What is asked of a run.

    stubs: of the katas, as they were handed out; durations: seconds that katas took elsewhere
    seed: None draws one for a new journal, and takes that of an old one
    """

    course: Course
    katas: Sequence[Kata]
    submissions: Path
    out: Path
    stubs: Mapping[str, bytes] = field(default_factory=dict)
    roster: Roster | None = None
    durations: Mapping[str, float] = field(default_factory=dict)
    at_once: int = 1
    weaker: bool = False
    shard: Shard | None = None
    seed: Secret | None = None
    wait: bool = False

    @property
    def name(self) -> str:
        """Of its journal: shards have one each, which `grade merge` brings together."""
        return f"shard-{self.shard.number}-of-{self.shard.count}.sqlite" if self.shard else NAME


@dataclass
class Outcome:
    """How far a run came. faults: contents whose judging failed for our own reasons, with those who handed them in."""

    judged: int = 0
    left: int = 0
    faults: dict[Job, list[str]] = field(default_factory=dict)


class Listener:
    """What a run tells while it goes. To be overridden where it matters."""

    def say(self, said: Message) -> None:
        """Something that whoever waits should know."""

    def planned(self, plan: Plan) -> None:
        """What is going to be done, before it begins."""

    def judged(self, finding: Finding, students: int) -> None:
        """A result is in the journal; so many students handed that content in."""


class Run:
    """One run. `hands` makes those who judge, from what they need to know; by default judges of this machine."""

    def __init__(
        self, wanted: Wanted, listener: Listener, hands: Callable[[Bench, bytes], Hands] | None = None
    ) -> None:
        self._wanted = wanted
        self._tell = listener
        self._make = hands or (lambda bench, packed: Local(bench, wanted.at_once))
        self._hands: Hands | None = None
        self._stopped = False

    def stop(self) -> None:
        """Begin nothing more, and end soon. From any thread, and from a signal's handler."""
        self._stopped = True
        if self._hands is not None:
            self._hands.stop()

    def go(self, dry: bool = False) -> Outcome:
        """Look through what was handed in, tell the plan and, unless it is `dry`, judge.

        A dry run leaves nothing behind. Raises UsageFault where the output is another run's, or the sandbox is not whole.
        """
        wanted = self._wanted
        _apart(wanted.submissions, wanted.out)
        found = None if (wanted.out / wanted.name).is_file() else self._take_in()  # before anything is written
        with ExitStack() as stack:
            place = wanted.out
            if dry:
                place = Path(stack.enter_context(TemporaryDirectory()))
                if (wanted.out / wanted.name).is_file():
                    with closing(Journal.read(wanted.out / wanted.name)) as journal:
                        journal.copy_to(place / wanted.name)
            else:
                stack.enter_context(alone(place / f"{wanted.name}.lock", wanted.wait, self._tell.say))
            if (
                found is None or (place / wanted.name).is_file()
            ):  # another run may have ended, for which this one waited
                found = self._take_in()
            packed = snapshot.pack(wanted.course, wanted.katas)
            course = stack.enter_context(snapshot.unpacked(packed, place / f".course-{wanted.name}"))
            journal = stack.enter_context(closing(Journal.write(place, wanted.name)))
            return self._on(journal, course, packed, found, dry)

    def _take_in(self) -> Intake:
        """What was handed in. Raises UsageFault where that is nobody's."""
        wanted = self._wanted
        found = take_in(wanted.submissions, Desk(wanted.katas, wanted.stubs), wanted.roster)
        if not found.students:
            raise UsageFault(
                text("no student is found in {folder}", folder=str(wanted.submissions)),
                text("it must hold a folder or an archive for each student, or files as a platform names them"),
            )
        return found

    def _on(self, journal: Journal, course: Course, packed: bytes, found: Intake, dry: bool) -> Outcome:
        wanted = self._wanted
        katas = course.select([kata.id for kata in wanted.katas])
        facts = self._facts(journal, course, katas)
        journal.put_class(found.students, found.entries, found.remarks, found.contents)
        plan = make(journal, katas, wanted.durations, wanted.at_once, wanted.shard)
        self._tell.planned(plan)
        if dry:
            return Outcome(left=len(plan.jobs))
        if not plan.jobs:
            return Outcome()
        with closing(self._make(Bench(course, katas, journal.seed()), packed)) as self._hands:
            if self._stopped:
                return Outcome(left=len(plan.jobs))
            facts = self._guarded(journal, facts)
            again = make(journal, katas, wanted.durations, wanted.at_once, wanted.shard)
            return self._judge(journal, facts, again)

    def _judge(self, journal: Journal, facts: Facts, plan: Plan) -> Outcome:
        assert self._hands is not None
        outcome, students = Outcome(left=len(plan.jobs)), journal.jobs()
        work = (Work(job, journal.source(job[1])) for job in plan.jobs)
        for finding in self._hands.judge(work):
            internal = finding.result.verdict is Verdict.INTERNAL
            if not internal and tuple(sorted(finding.layers)) != facts.layers:
                raise UsageFault(
                    text("the sandbox has changed in the midst of the run"),
                    text("find out with `grade doctor` what has become of it, and run the same command again"),
                )
            journal.put(finding.result, facts.layers)
            outcome.left -= 1
            if internal:
                outcome.faults[finding.job] = journal.who_has(*finding.job)
            else:
                outcome.judged += 1
            self._tell.judged(finding, students[finding.job])
        return outcome

    def _facts(self, journal: Journal, course: Course, katas: Sequence[Kata]) -> Facts:
        """What holds for the run, which must be what held for those before it in this journal."""
        wanted, told = self._wanted, snapshot.facts(course, katas)
        if journal.begun:
            before = journal.facts()
            _same_course(before, told, snapshot.digest(told), wanted.out)
            if wanted.seed is not None and wanted.seed.sha256 != before.seed_sha256:
                raise UsageFault(
                    text("{folder} was begun with another seed", folder=str(wanted.out)),
                    text("leave --seed out, or name another --out"),
                )
            return before
        seed = wanted.seed or seeds.draw()
        facts = Facts(
            course=wanted.course.name,
            course_digest=snapshot.digest(told),
            grader=f"{__version__}+{key.grader_digest()[:12]}",
            versions=key.versions(),
            katas=told,
            seed_sha256=seed.sha256,
            submissions=str(wanted.submissions),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            shard=str(wanted.shard or ""),
        )
        journal.begin(facts, seed)
        return facts

    def _guarded(self, journal: Journal, facts: Facts) -> Facts:
        """The facts with the sandbox, as found by trying. Raises UsageFault where it is less than the run must have."""
        assert self._hands is not None
        sandbox = self._hands.ready()
        if not sandbox.complete and not self._wanted.weaker:
            raise UsageFault(
                text("this machine does not keep workers apart as a class needs it: {sandbox}", sandbox=sandbox.text),
                text(
                    "`grade doctor` says what is missing; with --allow-weaker-sandbox it is judged all the same, and noted"
                ),
            )
        layers = tuple(sorted(sandbox.layers))
        if facts.sandbox and layers != facts.layers:
            raise UsageFault(
                text(
                    "{folder} was judged in another sandbox: {sandbox}", folder=str(journal.path), sandbox=facts.sandbox
                ),
                text("judge on a machine like that one, or name another --out"),
            )
        if not facts.sandbox:
            allowed = self._wanted.weaker
            words = sandbox.text or "none"
            facts = replace(facts, sandbox=words, layers=layers, complete=sandbox.complete, weaker_allowed=allowed)
            journal.update(facts)
        return facts


def _same_course(before: Facts, now: Sequence[KataFacts], digest: str, out: Path) -> None:
    if before.course_digest == digest:
        return
    known = {kata.id: kata.digest for kata in before.katas}
    told = {kata.id: kata.digest for kata in now}
    changed = sorted(id for id in known.keys() | told.keys() if known.get(id) != told.get(id))
    raise UsageFault(
        text("the course is not the one that {folder} was begun with: {katas}", folder=str(out), katas=changed),
        text("name another --out for a new run; or take the course, the katas, the grader and the libraries of then"),
    )


def _apart(submissions: Path, out: Path) -> None:
    """Raises UsageFault where the output lies among the submissions: it would be a student."""
    if out.resolve().is_relative_to(submissions.resolve()):
        raise UsageFault(
            text("{out} lies among the submissions", out=str(out)), text("name a folder elsewhere, with --out")
        )
