"""For teachers with a class: `grade class` and `grade merge`."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from grader.classroom.hands import Bench, Finding, Hands
from grader.classroom.plan import Plan, Shard
from grader.classroom.run import Listener, Outcome, Run, Wanted
from grader.cli import signals
from grader.cli.options import Seed, course_option, here, jobs_option, processors, readable, ready_to_judge
from grader.cli.speech import language, note
from grader.cli.spoken import command, named, option
from grader.course import Course, find, locate
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import Message, text
from grader.reports.layout import cut
from grader.scorecard import Verdict
from grader.seeds import Secret
from grader.store import Store

if TYPE_CHECKING:
    from grader.classroom.records import Remark

    _Parameter = click.ParamType[Shard]
else:
    _Parameter = click.ParamType

_EVERY = 10.0  # seconds between two lines of progress, where they stay on the screen
_MOST_SHARDS = 10_000
_MOST = 30  # remarks on the screen, where they are not asked for


class _Shard(_Parameter):
    """`3/16`."""

    name = "I/N"

    def convert(self, value: str | Shard, param: click.Parameter | None, context: click.Context | None) -> Shard:
        if isinstance(value, Shard):
            return value
        number, slash, count = value.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) <= _MOST_SHARDS):
            wrong = "{value!r} is no shard: 3/16 is the third of sixteen, 16/16 the last"
            self.fail(language().text(wrong, value=value))
        return Shard(int(number), int(count))


@named("class")
@click.argument("submissions", type=click.Path(path_type=Path))
@option(
    "--roster", type=click.Path(path_type=Path), metavar="CSV", help="Who is in the class: ids, names, sections, dates."
)
@option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("graded"),
    metavar="DIR",
    help="Where the journal goes (graded).",
)
@option("--kata", "katas", multiple=True, metavar="KATA", help="A kata that was set; all without one. Repeatable.")
@option("--dry-run", "dry", is_flag=True, help="Say what would be done, with every remark, and leave nothing behind.")
@option("--allow-weaker-sandbox", "weaker", is_flag=True, help="Judge without the whole sandbox, which is noted.")
@option("--wait", is_flag=True, help="Wait for another run on the same DIR, instead of giving up.")
@option(
    "--shard", type=_Shard(), metavar="I/N", help="Judge the I-th of N parts only; `grade merge` brings them together."
)
@option(
    "--seed", type=Seed(), metavar="@FILE", help="The secret seed in FILE, for shards; else one is drawn for the class."
)
@option(
    "--engine",
    type=click.Choice(["local", "dask"]),
    default="local",
    help="Judges of this machine (local) or of a cluster.",
)
@option("--scheduler", metavar="ADDRESS", help="Dask's scheduler, as tls://HOST:PORT or tcp://HOST:PORT.")
@option(
    "--tls",
    type=click.Path(path_type=Path),
    nargs=3,
    metavar="CA CERT KEY",
    help="Files of the authority, of a certificate and of its key, for a scheduler at tls://.",
)
@jobs_option
@course_option
def class_(
    submissions: Path,
    roster: Path | None,
    out: Path,
    katas: Sequence[str],
    dry: bool,
    weaker: bool,
    wait: bool,
    shard: Shard | None,
    seed: int | Secret | None,
    engine: str,
    scheduler: str | None,
    tls: tuple[Path, Path, Path] | None,
    jobs: int | None,
    root: Path | None,
) -> int:
    """Judge a class: all that is in SUBMISSIONS, a folder or an archive with a folder or an archive for each student.

    What was found and what it came to stands in DIR/class.sqlite, as it comes: after an end of any kind, the same command
    goes on from there.

    Exit code 0: all is judged; 2: usage or course at fault, or another run is at work on DIR; 3: a fault of ours is left,
    which the next run tries again; 130, 143, 129: stopped by Ctrl-C, SIGTERM, SIGHUP.

    Example: grade class submissions/ --roster roster.csv --out term1/
    """
    if isinstance(seed, int):
        raise UsageFault(text("a class is judged on a secret seed"), text("give --seed @FILE, or leave it out"))
    if shard is not None and seed is None:
        raise UsageFault(
            text("all shards must judge on one seed, which each would draw for itself"),
            text("give every one of them the same --seed @FILE, which the first to begin makes"),
        )
    at_once = jobs or processors()
    if not dry and engine == "local":
        ready_to_judge(at_once)
    from grader.classroom import roster as rosters

    place = readable(locate(here(), root))
    with closing(Store(place, note)) as store:
        course = find(place, place, known_good=store.known_good, on_good=store.on_good)
        durations = store.last_seconds()
    asked = course.select(katas)
    wanted = Wanted(
        course=course,
        katas=asked,
        submissions=submissions,
        out=out,
        stubs=_stubs(course, asked),
        roster=rosters.read(roster) if roster else None,
        durations=durations,
        at_once=at_once,
        weaker=weaker,
        shard=shard,
        seed=seed,
        wait=wait,
    )
    telling = _Telling(sys.stderr, every_remark=dry)
    run = Run(wanted, telling, _cluster(scheduler, tls) if engine == "dask" else None)
    with signals.told_to(run.stop):
        outcome = run.go(dry)
    return telling.ended(outcome, out / wanted.name, dry)


@command
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def merge(folder: Path) -> int:
    """Bring together what shards of a class have judged into DIR, in DIR/class.sqlite.

    Exit code 0: every file is judged; 1: something is left, of shards that are missing or have not come to their end.

    Example: grade merge term1/
    """
    from grader.classroom import shards

    merged, spoken = shards.merge(folder), language()
    print(
        spoken.text(
            "{count} results of {shards} shards", count=merged.results, shards=merged.count - len(merged.missing)
        )
    )
    if merged.missing:
        print(
            spoken.text("missing: shards {numbers} of {count}", numbers=[*map(str, merged.missing)], count=merged.count)
        )
    if merged.left:
        print(spoken.text("{count} contents are not judged yet: run their shards again", count=merged.left))
    return int(bool(merged.missing or merged.left))


def _cluster(scheduler: str | None, tls: Sequence[Path] | None) -> Callable[[Bench, bytes], Hands]:
    """Who judges, where it is a cluster."""
    if scheduler is None:
        raise UsageFault(
            text("`--engine dask` needs a scheduler"),
            text("name it with --scheduler tls://HOST:PORT; `dask scheduler` starts one"),
        )
    try:
        from grader.classroom.cluster import Cluster
    except ImportError:
        raise UsageFault(
            text("the package `distributed` is not installed"), text("pip install 'gradkata[cluster]' brings it")
        ) from None
    return lambda bench, packed: Cluster(bench, packed, scheduler, tls or (), note)


def _stubs(course: Course, katas: Iterable[Kata]) -> dict[str, bytes]:
    """The stubs as they were handed out, as far as the course still knows them."""
    from grader.stub import original

    found = {}
    for kata in katas:
        try:
            found[kata.id] = original(course, kata)
        except UsageFault as fault:
            note(text("{problem}: a stub of it that nobody touched is judged like any file", problem=fault.said))
    return found


class _Telling(Listener):
    """The plan on standard output, and while it is judged how far that is: one line, or a line now and then."""

    def __init__(self, stream: TextIO, *, every_remark: bool) -> None:
        self._stream = stream
        self._every_remark = every_remark
        self._plan: Plan | None = None
        self._began = self._said = time.monotonic()
        self._done = 0
        self._weight = 0.0
        self._verdicts: dict[Verdict, int] = {}
        self._peak = 0.0

    def say(self, said: Message) -> None:
        note(said)

    def planned(self, plan: Plan) -> None:
        spoken = language()
        self._plan = plan
        self._total = sum(plan.weights[kata] for kata, _ in plan.jobs)
        for line in plan.lines():
            print(spoken.say(line))
        self._remark(plan.remarks)
        sys.stdout.flush()
        self._began = self._said = time.monotonic()

    def judged(self, finding: Finding, students: int) -> None:
        assert self._plan is not None
        self._done += 1
        self._weight += self._plan.weights[finding.job[0]]
        verdict = finding.result.verdict
        self._verdicts[verdict] = self._verdicts.get(verdict, 0) + 1
        self._peak = max([self._peak, *(test.peak_memory_mb or 0.0 for test in finding.result.tests)])
        now = time.monotonic()
        if self._stream.isatty():
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[2K{cut(language().say(self._line(now)), width)}")
            self._stream.flush()
        elif now - self._said >= _EVERY:
            self._said = now
            note(self._line(now))

    def _line(self, now: float) -> Message:
        """How far it is, how fast, and how long it may take yet, by the weight of what is left."""
        assert self._plan is not None
        seconds = max(now - self._began, 1e-3)
        left = seconds * (self._total - self._weight) / self._weight if self._weight else 0.0
        line = "{done} of {all} judged, {rate:.2f} a second, {failed} not passing, {faults} faults of ours; {minutes:.1f} minutes left"
        return text(
            line, done=self._done, all=len(self._plan.jobs), rate=self._done / seconds, failed=self._failed,
            faults=self._verdicts.get(Verdict.INTERNAL, 0), minutes=left / 60,
        )  # fmt: skip

    @property
    def _failed(self) -> int:
        ours = self._verdicts.get(Verdict.INTERNAL, 0) + self._verdicts.get(Verdict.PASS, 0)
        return self._done - ours

    def ended(self, outcome: Outcome, journal: Path, dry: bool) -> int:
        """The last words, and the exit code."""
        spoken = language()
        if self._stream.isatty() and self._done:
            self._stream.write("\r\x1b[2K")
        if dry:
            return 0
        if self._done:
            seconds = time.monotonic() - self._began
            told = "{done} contents judged in {minutes:.1f} minutes, {rate:.2f} a second; a worker held at most {peak:,.0f} MiB"
            rate = self._done / max(seconds, 1e-3)
            print(spoken.text(told, done=self._done, minutes=seconds / 60, rate=rate, peak=self._peak))
        for (kata, digest), students in outcome.faults.items():
            told = "a fault of ours with {kata} of {students} (content {digest}): judged again in the next run"
            print(spoken.text(told, kata=kata, students=students, digest=digest[:12]))
        if outcome.left:
            print(
                spoken.text("stopped with {left} contents left: the same command goes on from here", left=outcome.left)
            )
            return signals.exit_code()
        print(spoken.text("the journal is {file}", file=str(journal)))
        return 3 if outcome.faults else 0

    def _remark(self, remarks: Sequence[Remark]) -> None:
        spoken = language()
        shown = remarks if self._every_remark else remarks[:_MOST]
        if remarks:
            print(spoken.text("{count} remarks:", count=len(remarks)))
        for remark in shown:
            print(f"  {remark.student or '-'}: {spoken.say(remark.said)}")
        if len(shown) < len(remarks):
            more = "  and {count} more, which --dry-run shows, and the journal has"
            print(spoken.text(more, count=len(remarks) - len(shown)))
