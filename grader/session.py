"""A grading session: katas and learners' files in, a scorecard out; what is known already is not judged again.

The ladder is started for the first kata that must be judged, and stays warm for the next run of the same session.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, reduce
from hashlib import sha256
from importlib import metadata
from operator import or_
from pathlib import Path

from msgspec.structs import replace

from grader import __version__, diagnosis, submission
from grader.course import Course
from grader.judge.job import Began, Event, Job, Judged
from grader.judge.ladder import Judges, Plan, start
from grader.judge.run import Judgement, run
from grader.kata import Kata
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict, grade_kata, reject_kata, total
from grader.store import Store, key
from grader.submission import Submission

_LIBRARIES = ("numpy", "torch", "scipy", "scikit-learn", "pytest")
_NOTHING_RAN = "nothing was run: every result is from the store"
_NUMPY_ONLY = ("torch", "functorch")
_SHOWING = ("authoring", "cli", "reports", "schemas")  # the folders that show or gather verdicts, and make none


class Listener:
    """What a session tells while it runs, in the session's own thread. To be overridden where it matters."""

    def planned(self, tests: Mapping[str, int], expected: Mapping[str, float]) -> None:
        """The katas that must be judged with their numbers of tests, and the seconds that each took the last time."""

    def started(self, kata: str) -> None:
        """A judge has taken up a kata."""

    def tested(self, kata: str, result: TestResult) -> None:
        """One test of it has ended."""

    def finished(self, result: KataResult) -> None:
        """All of its tests have ended."""

    def changed(self, partial: Scorecard) -> None:
        """The scorecard as it stands after another kata."""


@dataclass
class Session:
    """One course, one store, one warm ladder."""

    course: Course
    store: Store
    seed: int = 0
    jobs: int = 1
    hidden: bool = True
    _judges: Judges | None = None
    _plan: Plan | None = None
    _sandbox: str = _NOTHING_RAN

    def grade(
        self,
        katas: Sequence[Kata],
        source_dir: Path | None = None,
        *,
        fresh: bool = False,
        listener: Listener | None = None,
    ) -> Scorecard:
        """Grade `katas` on the learner's files in the course or in `source_dir`.

        An interrupt ends the run early: the scorecard is then not complete, and says what was left.
        """
        tell = listener or Listener()
        began, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
        self._sandbox = _NOTHING_RAN
        results: dict[str, KataResult] = {}

        def card() -> Scorecard:
            done = tuple(results[kata.id] for kata in katas if kata.id in results)
            return Scorecard(
                course=self.course.root.name,
                grader=f"{__version__}+{grader_digest()[:12]}",
                versions=versions(),
                seed=self.seed,
                sandbox=self._sandbox,
                jobs=self.jobs,
                started=started,
                seconds=round(time.perf_counter() - began, 3),
                score=total(katas, done),
                complete=len(done) == len(katas),
                katas=done,
                unfinished=tuple(kata.id for kata in katas if kata.id not in results),
            )

        def finish(result: KataResult) -> None:
            results[result.id] = result
            tell.changed(card())

        with suppress(KeyboardInterrupt):
            self._run(katas, source_dir, fresh, tell, finish)
        return card()

    def plan(self, katas: Sequence[Kata], source_dir: Path | None = None) -> Plan:
        """How far the ladder must reach to judge all of `katas`."""
        return reduce(
            or_, (self._plan_for(kata, submission.read(kata, source_dir, self.course)) for kata in katas), Plan()
        )

    def close(self) -> None:
        """Take down the ladder and let go of the store."""
        if self._judges is not None:
            self._judges.close()
            self._judges = None
        self.store.close()

    def _run(
        self,
        katas: Sequence[Kata],
        source_dir: Path | None,
        fresh: bool,
        tell: Listener,
        finish: Callable[[KataResult], None],
    ) -> None:
        seconds = self.store.last_seconds()
        left: dict[str, tuple[Kata, Submission, str]] = {}
        for kata in katas:
            read = submission.read(kata, source_dir, self.course)
            stored_as = self._key(kata, read)
            if read.problem is not None:
                finish(self._rejected(kata, read))
            elif not fresh and (known := self.store.get(stored_as, kata.id)) is not None:
                finish(self._diagnosed(kata, replace(known, stub=read.display_path, readme=_shown(kata))))
            else:
                left[kata.id] = (kata, read, stored_as)
        if not left:
            return
        work = sorted(left.values(), key=lambda each: -seconds.get(each[0].id, each[0].minutes))
        plans = {kata.id: self._plan_for(kata, read) for kata, read, _ in work}
        tell.planned({kata.id: kata.tests for kata, _, _ in work}, seconds)
        judges = self.ladder(reduce(or_, plans.values()))

        def hear(judgement: Judgement, event: Event) -> None:
            match event:
                case Began() if not judgement.tests:
                    tell.started(judgement.job.kata)
                case Judged(result, _):
                    tell.tested(judgement.job.kata, result)

        def leave(judgement: Judgement) -> None:
            self._sandbox = judges.sandbox
            kata, read, stored_as = left[judgement.job.kata]
            result = self._dated(kata, stored_as, _result(kata, read, judgement))
            self.store.put(stored_as, result)
            result = self._diagnosed(kata, result)  # not stored, since fingerprints may change while verdicts stay
            finish(result)  # first, so that what was told of is in the scorecard, whenever an interrupt comes
            tell.finished(result)

        jobs = [(self.job(kata, read), plans[kata.id], kata.tests) for kata, read, _ in work]
        run(jobs, judges, self.jobs, hear, leave)

    def job(self, kata: Kata, read: Submission) -> Job:
        """What a judge needs to judge one file on one kata."""
        return Job(
            kata=kata.id,
            slug=kata.slug,
            root=str(self.course.root),
            suites=tuple(str(suite) for suite in self._suites(kata)),
            reference=str(self.course.reference(kata)),
            worker=kata.worker,
            source=read.source or b"",
            seconds=kata.seconds,
            memory_bytes=kata.memory_mb << 20,
            forbidden_operators=kata.forbidden_operators,
            forbidden_jobs=kata.forbidden_jobs,
            forbidden_imports=kata.forbidden_imports + (_NUMPY_ONLY if kata.worker == "numpy" else ()),
            seed=self.seed,
        )

    def _suites(self, kata: Kata) -> list[Path]:
        return [kata.suite, *([kata.hidden] if kata.hidden and self.hidden else [])]

    def _plan_for(self, kata: Kata, read: Submission) -> Plan:
        return Plan.of(kata.worker, self._suites(kata), read.source or b"")

    def ladder(self, plan: Plan) -> Judges:
        """The warm ladder if it reaches far enough, else a new one."""
        if self._judges is not None and self._plan is not None and not self._plan.covers(plan):
            self._judges.close()
            self._judges = None
        if self._judges is None:
            self._judges, self._plan = start(plan), plan
        return self._judges

    def _key(self, kata: Kata, read: Submission) -> str:
        """The digest of all that a result depends on."""
        files = {
            f"file {path.name}": path.read_bytes()
            for path in sorted(kata.folder.iterdir())
            if path.is_file() and path != kata.stub and path.suffix != ".md"
        }
        if kata.hidden:
            files["hidden"] = kata.hidden.read_bytes()
        reference = self.course.reference(kata)
        files["reference"] = reference.read_bytes() if reference.is_file() else b""
        libraries = " ".join(f"{name}={version}" for name, version in versions().items())
        facts = {"kata": kata.id, "seed": str(self.seed), "grader": judging_digest(), "libraries": libraries}
        return key({**files, **facts, "source": read.source or b""})

    def _dated(self, kata: Kata, stored_as: str, result: KataResult) -> KataResult:
        """The result, with the day on which the same file passed if the kata is another one since.

        Another seed is no change of the kata, and neither is a verdict that differs from a stored one of the same content.
        """
        if result.verdict in (Verdict.PASS, Verdict.INTERNAL) or self.seed:
            return result
        attempts = [each for name in (kata.id, *kata.aliases) for each in self.store.attempts(name)]
        passed = [each.time for each in attempts if each.verdict is Verdict.PASS and each.sha256 == result.sha256]
        stored = self.store.get(stored_as, kata.id)
        if not passed or (stored is not None and stored.verdict is Verdict.PASS):
            return result
        told = f"changed since you passed on {datetime.fromtimestamp(max(passed)).date().isoformat()}"
        return replace(result, message=f"{told}\n{result.message}".rstrip())

    def _diagnosed(self, kata: Kata, result: KataResult) -> KataResult:
        return (
            result if result.verdict is Verdict.PASS else diagnosis.diagnosed(result, diagnosis.load(self.course, kata))
        )

    def _rejected(self, kata: Kata, read: Submission) -> KataResult:
        problem = read.problem
        assert problem is not None
        message = f"{problem.message}: {problem.help}" if problem.help else problem.message
        where = {"stub": read.display_path, "readme": _shown(kata), "sha256": read.sha256}
        return reject_kata(kata, Verdict(problem.verdict), message, **where)


def _result(kata: Kata, read: Submission, judgement: Judgement) -> KataResult:
    """The result of a kata, from all that its judge said: nothing counts if the suite or the judge was at fault."""
    where = {"stub": read.display_path, "readme": _shown(kata), "sha256": read.sha256}
    if judgement.faults:
        return reject_kata(kata, Verdict.INTERNAL, "\n".join(judgement.faults), **where)
    return grade_kata(kata, judgement.tests, seconds=round(judgement.seconds, 3), **where)


def _shown(kata: Kata) -> str:
    return f"katas/{kata.id}/README.md"


@cache
def versions() -> dict[str, str]:
    """What a result depends on besides the course: interpreter, system and libraries."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def grader_digest() -> str:
    """A digest of the grader's own files, which names the version that made a scorecard."""
    return _digest_of_grader(())


def judging_digest() -> str:
    """A digest of those of the grader's files that a verdict can depend on: a change to any makes stored results stale."""
    return _digest_of_grader(_SHOWING)


@cache
def _digest_of_grader(without: tuple[str, ...]) -> str:
    top, digest = Path(__file__).parent, sha256()
    for folder, _, names in sorted(os.walk(top)):
        place = Path(folder).relative_to(top)
        if place.parts and place.parts[0] in without:
            continue
        for name in sorted(names):
            if name.endswith((".py", ".json")):
                digest.update(str(place / name).encode() + Path(folder, name).read_bytes())
    return digest.hexdigest()
