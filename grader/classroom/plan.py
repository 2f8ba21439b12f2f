"""What there is to do: every content once, what takes longest first, and what is known already not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from grader.classroom.journal import Job, Journal
from grader.classroom.records import Remark, State
from grader.kata import Kata
from grader.messages import Message, text


@dataclass(frozen=True)
class Shard:
    """One of `count` parts, from 1: each content is in one of them, whichever machine asks."""

    number: int
    count: int

    def has(self, job: Job) -> bool:
        digest = sha256("/".join(job).encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class Plan:
    """What is to be judged, in its order, and what is not.

    jobs: contents to judge; judged: contents that were before; elsewhere: contents of other shards
    seconds: that all of it takes, one after another, going by earlier times; None where a kata has none
    weights: of the katas, their seconds or a guess
    """

    jobs: tuple[Job, ...]
    judged: int
    elsewhere: int
    students: int
    entries: Mapping[State, int]
    remarks: tuple[Remark, ...]
    seconds: float | None
    weights: Mapping[str, float]
    memory_mb: int  # the most that a worker of one of these katas may hold
    at_once: int

    def lines(self) -> Iterator[Message]:
        """It, in words."""
        counts = self.entries
        handed = counts.get(State.FILE, 0)
        contents = len(self.jobs) + self.judged + self.elsewhere
        yield text(
            "{students} students, {entries} files expected", students=self.students, entries=sum(counts.values())
        )
        yield text("  {count} files to judge, of {contents} different contents", count=handed, contents=contents)
        yield text("  {count} stubs untouched: to do, and not judged", count=counts.get(State.STUB, 0))
        yield text("  {count} missing", count=counts.get(State.MISSING, 0))
        yield text("  {count} that cannot be read", count=counts.get(State.REFUSED, 0))
        yield text("  {count} unclear: several files differ", count=counts.get(State.UNCLEAR, 0))
        if self.judged:
            yield text("{count} contents are judged already", count=self.judged)
        if self.elsewhere:
            yield text("{count} contents are for other shards", count=self.elsewhere)
        holds = "{count} to judge now, {at_once} at a time; a worker holds at most {memory:,} MiB"
        yield text(holds, count=len(self.jobs), at_once=self.at_once, memory=self.memory_mb)
        if self.jobs and self.seconds is not None:
            minutes = self.seconds / 60 / self.at_once
            yield text("about {minutes:,.1f} minutes, going by earlier times", minutes=minutes)
        elif self.jobs:
            yield text("how long it takes is not known before each kata was judged once")


def make(
    journal: Journal,
    katas: Sequence[Kata],
    durations: Mapping[str, float],
    at_once: int = 1,
    shard: Shard | None = None,
) -> Plan:
    """The plan for what the journal holds. durations: seconds that a kata took, where the journal itself knows none.

    Where nothing is known of a kata, its limits stand for its time, so that what may take long does not come last.
    """
    facts, all_jobs = journal.facts(), journal.jobs()
    own = [job for job in all_jobs if shard is None or shard.has(job)]
    done = journal.judged(facts.layers) if facts.layers or facts.sandbox else set()
    seconds = {**durations, **journal.seconds()}
    weights = {kata.id: seconds.get(kata.id, kata.seconds * kata.tests) for kata in katas}
    left = tuple(sorted((job for job in own if job not in done), key=lambda job: (-weights[job[0]], job)))
    needed = {kata for kata, _ in left}
    known = all(kata in seconds for kata in needed)
    return Plan(
        jobs=left,
        judged=sum(job in done for job in own),
        elsewhere=len(all_jobs) - len(own),
        students=len(journal.students()),
        entries=journal.states(),
        remarks=tuple(journal.remarks()),
        seconds=sum(seconds[kata] for kata, _ in left) if known else None,
        weights=weights,
        memory_mb=max((kata.memory_mb for kata in katas if kata.id in needed), default=0),
        at_once=at_once,
    )
