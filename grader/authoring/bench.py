"""The bench: trials go to judges on one warm ladder, and what is known already is taken from the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from pathlib import Path
from zlib import error as ZlibError

import msgspec
from msgspec.structs import replace

from grader.authoring import outcome as outcomes
from grader.authoring.case import Case
from grader.authoring.outcome import Outcome, Trial, outcome, pack, unpack
from grader.authoring.pace import pace
from grader.authoring.subject import Subject
from grader.judge.job import Job
from grader.judge.ladder import Judges, Plan, start
from grader.judge.run import Judgement, run
from grader.session import Session, judging_digest, versions
from grader.store import Store, key
from grader.submission import Submission


@dataclass
class Bench:
    """One store, one ladder; `tell` hears of every trial that had to be judged, and how many are left.

    `pace` says how much slower than meant the machine is, whenever it is asked.
    """

    store: Store
    jobs: int = 1
    fresh: bool = False
    tell: Callable[[Subject, Case, int], None] = lambda subject, case, left: None
    pace: Callable[[], float] = pace
    judged: int = 0
    _judges: Judges | None = None
    _plan: Plan = field(default_factory=Plan)
    _parts: dict[Subject, str] = field(default_factory=dict)

    def run(self, asked: Iterable[tuple[Subject, Trial]], *, keep: bool = True, alone: bool = False) -> list[Outcome]:
        """The outcomes of trials, in the order asked; the trials are best given longest first.

        With keep=False nothing is taken from the store or put there; with alone=True one trial runs at a time.
        """
        trials = list(asked)
        found: dict[int, Outcome] = {}
        left: list[tuple[Job, Plan, int]] = []
        places: dict[int, int] = {}
        keys = [self._key(subject, trial) if keep else "" for subject, trial in trials]
        for place, (subject, trial) in enumerate(trials):
            known = self._known(keys[place]) if keep and not self.fresh else None
            if known is not None:
                found[place] = known
                continue
            job = self._job(subject, trial)
            places[id(job)] = place
            left.append((job, _plan(job), len(trial.only) or subject.kata.tests))

        def finish(judgement: Judgement) -> None:
            place = places[id(judgement.job)]
            subject, trial = trials[place]
            found[place] = outcome(judgement)
            self.judged += 1
            if keep and found[place].storable:
                self.store.put_check(keys[place], subject.id, pack(found[place]))
            self.tell(subject, trial.case, len(trials) - len(found))

        if left:
            judges = self._ladder(reduce(or_, (plan for _, plan, _ in left)))
            run(left, judges, 1 if alone else self.jobs, finished=finish)
        return [found[place] for place in range(len(trials))]

    def close(self) -> None:
        """Take down the ladder."""
        if self._judges is not None:
            self._judges.close()
            self._judges = None

    def _ladder(self, plan: Plan) -> Judges:
        if self._judges is not None and not self._plan.covers(plan):
            self.close()
        if self._judges is None:
            self._judges, self._plan = start(plan), plan
        return self._judges

    def _job(self, subject: Subject, trial: Trial) -> Job:
        read = Submission(subject.id, subject.kata.stub, trial.case.file, trial.case.source)
        job = Session(subject.course, self.store, seed=trial.seed).job(subject.kata, read)
        seconds = min(trial.seconds or job.seconds, job.seconds)
        return replace(job, threads=trial.threads, local=trial.local, only=trial.only, stop=trial.stop, seconds=seconds)

    def _known(self, stored_as: str) -> Outcome | None:
        content = self.store.check(stored_as)
        try:
            return None if content is None else unpack(content)
        except (msgspec.MsgspecError, ZlibError):
            return None

    def _key(self, subject: Subject, trial: Trial) -> str:
        """The digest of all that an outcome depends on."""
        facts: dict[str, str | bytes] = {
            "kata": self._parts.get(subject) or self._parts.setdefault(subject, _facts(subject)),
            "source": trial.case.source,
            "how": repr((trial.seed, trial.threads, trial.local, trial.only, trial.again, trial.seconds, trial.stop)),
        }
        return key(facts)


def _facts(subject: Subject) -> str:
    """The digest of what all trials of a kata share: suites, data, limits, the reference where a test asks for it."""
    kata = subject.kata
    data = [
        path for path in sorted(kata.folder.iterdir()) if path.is_file() and path.suffix not in (".md", ".py", ".toml")
    ]
    asks = any("reference" in suite.text for suite in subject.suites)
    return key(
        {
            **{f"data {path.name}": path.read_bytes() for path in data},
            **{f"suite {suite.file}": suite.text for suite in subject.suites},
            "reference": (subject.reference or "") if asks else "",
            "limits": repr((kata.id, kata.seconds, kata.memory_mb, kata.worker)),
            "forbidden": repr((kata.forbidden_operators, kata.forbidden_imports, kata.forbidden_jobs)),
            "grader": judging_digest(),
            "recorded as": Path(outcomes.__file__).read_bytes(),
            "libraries": repr(sorted(versions().items())),
        }
    )


def _plan(job: Job) -> Plan:
    return Plan.of(job.worker, [Path(suite) for suite in job.suites], job.source)


def in_order(trials: Sequence[tuple[Subject, Trial]]) -> list[tuple[Subject, Trial]]:
    """The same trials, those that take longest first: right solutions on 2 threads, on one, and then what fails early."""
    return sorted(
        trials, key=lambda each: (not each[1].case.right, -each[1].threads, bool(each[1].only), each[1].local)
    )
