"""The known mistakes on a class's own seed, by which its gradebook names bugs.

What the authors put on record of their mistakes holds numbers of the usual seed, and a class is judged on a secret one. So
the mistakes of a kata are judged once more on that seed, and what each test said of them is kept beside the journal, in
`mistakes.json`, which says nothing of any student. What solves nothing at all is judged too: a failure that it shares is
the trace of no mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from grader.classroom.again import Judging
from grader.classroom.hands import Work
from grader.classroom.journal import Job, Journal
from grader.classroom.records import Facts, State
from grader.course import Course
from grader.diagnosis import Fingerprints, Known, Print, agree
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import text
from grader.scorecard import KataResult, Verdict
from grader.writing import write

FILE = "mistakes.json"


@dataclass(frozen=True)
class Wrong:
    """A wrong solution of a kata: a known mistake with what its learner is told, or ("") one that solves nothing."""

    kata: str
    source: bytes
    id: str = ""
    says: str = ""
    says_zh: str = ""

    @property
    def job(self) -> Job:
        return self.kata, sha256(self.source).hexdigest()


class Kept(msgspec.Struct, frozen=True):
    """What is known of one kata, as it was on a course and a seed."""

    digest: str
    prints: Fingerprints


def of(course: Course, kata: Kata) -> Path:
    """The file with a kata's known mistakes, which a release has not."""
    return course.reference(kata).with_name("mistakes.toml")


def load(out: Path, facts: Facts) -> dict[str, Fingerprints]:
    """What is known, by kata; nothing of katas that were others then, and nothing where the file cannot be read."""
    try:
        found = msgspec.json.decode((out / FILE).read_bytes(), type=dict[str, Kept])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return {id: each.prints for id, each in found.items() if each.digest == _digests(facts).get(id)}


def failing(journal: Journal) -> set[str]:
    """The katas for which a student's file has a test that fails."""
    found: set[str] = set()
    facts = journal.facts()
    for entry in journal.entries():
        if entry.state is State.FILE and entry.kata not in found:
            result = journal.result(entry, facts)
            if result is not None and any(test.verdict is Verdict.FAIL for test in result.tests):
                found.add(entry.kata)
    return found


def judge(
    out: Path,
    course: Course,
    wrong: Iterable[Wrong],
    judging: Judging,
    at_once: int,
    heard: Callable[[int, int], None],
) -> list[str]:
    """Judge these and keep what the tests said of them; returns the katas of which not all was judged.

    heard: told how many are judged of how many
    """
    by_kata: dict[str, list[Wrong]] = {}
    for each in wrong:
        by_kata.setdefault(each.kata, []).append(each)
    if not by_kata:
        return []
    with closing(Journal.read(out)) as journal:
        facts, seed = journal.facts(), journal.seed()
    known, found = load(out, facts), dict[Job, KataResult]()
    work = list({each.job: Work(each.job, each.source) for these in by_kata.values() for each in these}.values())
    findings = judging.judge(course, course.select(by_kata), seed, facts, iter(work), at_once)
    for done, finding in enumerate(findings, 1):
        found[finding.job] = finding.result
        these = by_kata[finding.job[0]]
        if all((result := found.get(each.job)) and result.verdict is not Verdict.INTERNAL for each in these):
            known[finding.job[0]] = _prints(these, found)
            _keep(out, facts, known)  # now, so that no end of the run costs more than one kata
        heard(done, len(work))
    return [kata for kata in by_kata if kata not in known]


def _prints(wrong: Iterable[Wrong], found: Mapping[Job, KataResult]) -> Fingerprints:
    said = [(each, _failures(found[each.job])) for each in wrong]
    idle = [failures for each, failures in said if not each.id]
    mistakes = []
    for each, failures in said:
        if each.id:
            own = {
                test: print
                for test, print in failures.items()
                if not any(test in other and agree(other[test], print) for other in idle)
            }
            mistakes.append(Known(each.id, each.says, each.says_zh, own))
    return Fingerprints(tuple(mistakes))


def _failures(result: KataResult) -> dict[str, Print]:
    """What the tests that fail say; convergence tests apart, whose numbers are not the same twice."""
    return {
        test.name: Print(test.said, test.trace)
        for test in result.tests
        if test.verdict is Verdict.FAIL and test.said is not None and test.kind != "convergence"
    }


def _digests(facts: Facts) -> dict[str, str]:
    """Of all that the prints of a kata depend on."""
    return {kata.id: f"{kata.digest} {facts.seed_sha256}" for kata in facts.katas}


def _keep(out: Path, facts: Facts, known: Mapping[str, Fingerprints]) -> None:
    digests = _digests(facts)
    kept = {id: Kept(digests[id], prints) for id, prints in known.items()}
    try:
        write(out / FILE, msgspec.json.encode(kept))
    except OSError as error:
        said = text("cannot write {file}: {reason}", file=str(out / FILE), reason=error.strerror or str(error))
        raise UsageFault(said, text("name a path that can be written")) from None
