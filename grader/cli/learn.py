"""For learners: `grade run`."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from grader import nudges, reports
from grader.cli import signals
from grader.cli.gate import FAIL_ON, Gate
from grader.cli.options import (
    Report,
    Seed,
    coloured,
    course_option,
    here,
    jobs_option,
    katas_argument,
    learners_course,
    meant,
    processors,
    readable,
    ready_to_judge,
    write_report,
)
from grader.cli.speech import language, note
from grader.cli.spoken import command, option
from grader.cli.verbs import COMMANDS
from grader.course import Course, locate
from grader.engine.borrowed import borrowing
from grader.engine.keeper import Keeper
from grader.engine.shares import Memory
from grader.errors import UsageFault
from grader.messages import text
from grader.reports.progress import Progress
from grader.reports.terminal import After
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict, exit_code
from grader.seeds import Secret
from grader.session import Listener, Session
from grader.standing import standing
from grader.store import Store
from grader.study.after import after_run, elsewhere
from grader.study.choosing import resolved
from grader.study.misnamed import meant_elsewhere
from grader.study.speaker import Speaker


@command
@katas_argument
@option("--from", "source_dir", type=click.Path(path_type=Path), metavar="DIR", help="Take learners' files from DIR.")
@option(
    "--report",
    "wanted",
    type=Report(tuple(reports.REPORTS)),
    multiple=True,
    help="terminal, json, junit, markdown, github, gradescope, classroom, html or badge; to standard output without a path. Repeatable.",
)
@option("--all", "every", is_flag=True, help="Show every test that fails, not only the first of each kata.")
@option(
    "-k",
    "choose",
    default="",
    metavar="EXPR",
    help="Run only the tests whose names EXPR picks, as in pytest: `step and not gradient`; or those of a number, or with words of a title, as a scorecard shows them. That judges no kata.",
)
@option("-x", "stop_at_first", is_flag=True, help="Leave each kata at its first test that does not pass.")
@option("-s", "prints", is_flag=True, help="Show what your code printed in tests that pass, too.")
@option(
    "--diagnosis/--no-diagnosis",
    default=True,
    envvar="GRADE_DIAGNOSIS",
    help="Name known mistakes (or leave them to `grade hint`, which GRADE_DIAGNOSIS=no does for every run).",
)
@option("--fresh", is_flag=True, help="Judge again what is known already.")
@option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default="any",
    help="Exit with 1 where anything does not pass (any), only where a kata that passed before does not (worse), or, where course.toml has `fail_under`, below that share of the points (course).",
)
@option(
    "--solved",
    "memory",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Count what FILE says as having passed before, and add to it what passes now.",
)
@option(
    "--within", type=click.FloatRange(0.01, 10_000), metavar="MINUTES", help="Stop in order after so long, and report."
)
@jobs_option
@option(
    "--seed",
    type=Seed(),
    default="0",
    metavar="N|secret|@FILE",
    help="The seed of the run: a number (0); `secret`, a new one that nobody is told; or the secret one in FILE, which is drawn where there is no such file.",
)
@course_option
def run(
    katas: Sequence[str],
    source_dir: Path | None,
    wanted: Sequence[tuple[str, Path | None]],
    every: bool,
    choose: str,
    stop_at_first: bool,
    prints: bool,
    diagnosis: bool,
    fresh: bool,
    fail_on: str,
    memory: Path | None,
    within: float | None,
    jobs: int | None,
    seed: int | Secret,
    root: Path | None,
) -> int:
    """Grade KATAs (04_lstm, lstm or 4; all without a name) and print a scorecard.

    Exit code 0: everything asked for passes; 1: something does not; 2: usage or course at fault, or the report cannot be
    written; 3: a fault of ours; 130, 143, 129: stopped by Ctrl-C, SIGTERM, SIGHUP, after showing what was decided until
    then; 141: nobody reads the report any more.

    Example: grade lstm
    """
    jobs = jobs or processors()
    ready_to_judge(jobs)
    to_stdout = [form for form, path in wanted if path is None and form != "github"]
    on_github = ("github", None) in wanted
    if len(to_stdout) > 1:
        raise UsageFault(
            text("{one} and {other} cannot both go to standard output", one=to_stdout[0], other=to_stdout[1]),
            text("give one a path: json=out.json"),
        )
    if source_dir is not None and not readable(source_dir).is_dir():
        raise UsageFault(
            text("{folder} is not a folder", folder=str(source_dir)),
            text("name the folder that holds the learners' files"),
        )
    place = readable(locate(here(), root))
    store = Store(place, note)
    course = learners_course(place, store)
    asked = course.select([meant(name) for name in katas], COMMANDS)
    if choose:
        asked, choose = resolved(course, asked, choose, language())
    # What nobody may foretell is judged on a ladder that nobody else has had.
    keeper = Keeper(borrow=None if isinstance(seed, Secret) else borrowing(course.root))
    session = Session(
        course,
        store,
        seed=seed,
        jobs=jobs,
        choose=choose,
        stop_at_first=stop_at_first,
        keeper=keeper,
        memory=Memory(store),
    )
    files = [(form, path) for form, path in wanted if path is not None]
    files += _always(course)
    speaker = Speaker(course, language())

    def write(card: Scorecard) -> None:
        card = card if diagnosis else nudges.kept_back(card, store, own=False)
        for form, path in files:
            write_report(path, reports.render(form, speaker.card(card), language()))

    before = standing(course, store)
    gate = Gate(fail_on, course, store, memory)
    with signals.told_to(session.stop):
        try:
            with ExitStack() as stack:
                if within is not None:
                    stack.callback(_stopping(session, 60 * within).cancel)
                card = session.grade(
                    asked, source_dir, fresh=fresh, listener=_OnScreen(stack, session.jobs, within, write, speaker)
                )
            if card.complete and seed != 0:
                card = _named(card, session)
            if not diagnosis:
                card = nudges.kept_back(card, store, own=source_dir is None)
            after = elsewhere(card, course) if source_dir else after_run(card, course, store, before, language())
        finally:
            session.close()
        chosen_pass = bool(choose) and _chosen(card, choose)
        write(card)
        gate.keep(card)
        form = to_stdout[0] if to_stdout else "terminal"
        told = speaker.card(card)
        sys.stdout.write(
            _on_screen(told, after, every, prints) if form == "terminal" else reports.render(form, told, language())
        )
        if on_github:
            _tell_github(told)
        if any(form == "github" for form, _ in wanted):
            from grader.reports import github

            _appended("GITHUB_OUTPUT", github.outputs(told))
        sys.stdout.flush()
        for said in meant_elsewhere(course, asked if source_dir is None else ()):
            note(said)
    if not card.complete and (within is None or signals.came()):
        return signals.exit_code()
    if course.left_out and not katas and exit_code(card) != 3:
        return 2
    if choose and exit_code(card) != 3:
        return 0 if chosen_pass else 1
    return gate.code(card)


def _named(card: Scorecard, session: Session) -> Scorecard:
    """The card of a run on another seed than the usual one, bugs named where the references are at hand."""
    course = session.course
    if not course.settings.diagnosis or not any(course.reference(kata).is_file() for kata in course.katas):
        return card
    from grader.authoring.proving.replay import Replay

    seed = session.seed.digits if isinstance(session.seed, Secret) else session.seed
    return Replay(course, session.store, session.keeper, seed, session.jobs).diagnosed(card)


def _always(course: Course) -> list[tuple[str, Path]]:
    """The reports that the course wants of every run."""
    each = (said.partition("=") for said in course.settings.reports)
    return [(form, course.root / path) for form, _, path in each]


def _stopping(session: Session, seconds: float) -> threading.Timer:
    """What ends the run in order after so many seconds, unless it is cancelled before."""
    timer = threading.Timer(seconds, session.stop)
    timer.daemon = True
    timer.start()
    return timer


def _tell_github(card: Scorecard) -> None:
    """Annotations for the runner that reads standard output, and the summary where it wants it."""
    from grader.reports import github

    summary = reports.render("github", card, language())
    if not _appended("GITHUB_STEP_SUMMARY", summary):
        sys.stdout.write(summary)
    sys.stdout.write(github.commands(card, language()))


def _appended(name: str, lines: str) -> bool:
    """Whether the runner named a file in this variable, which has the lines now."""
    path = os.environ.get(name)
    if path:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(lines)
    return bool(path)


class _OnScreen(Listener):
    """Shows the progress of what must be judged while the stack is open, and keeps report files up to date."""

    def __init__(
        self,
        stack: ExitStack,
        jobs: int,
        within: float | None,
        write: Callable[[Scorecard], None],
        speaker: Speaker,
    ) -> None:
        self._stack = stack
        self._jobs = jobs
        self._within = within
        self._write = write
        self._speaker = speaker

    def planned(self, tests: Mapping[str, int], expected: Mapping[str, float]) -> None:
        self._progress = self._stack.enter_context(
            Progress(tests, sys.stderr, expected, self._jobs, self._within, language=language())
        )

    def started(self, kata: str) -> None:
        self._progress.started(kata)

    def tested(self, kata: str, result: TestResult) -> None:
        self._progress.tested(kata, self._speaker.test(kata, result))

    def finished(self, result: KataResult) -> None:
        self._progress.finished(result)

    def changed(self, partial: Scorecard) -> None:
        self._write(partial)


def _on_screen(card: Scorecard, after: After | None, every: bool, prints: bool) -> str:
    """The terminal report, fitted to the terminal; plain where it goes elsewhere or where NO_COLOR asks for it."""
    from grader.reports import terminal

    return terminal.render(
        card,
        width=shutil.get_terminal_size((80, 24)).columns,
        colour=coloured(),
        language=language(),
        after=after,
        every=every,
        prints=prints,
    )


def _chosen(card: Scorecard, expression: str) -> bool:
    """Whether all tests pass that were chosen. Raises UsageFault where none was, though katas were judged."""
    tests = [test for kata in card.katas for test in kata.tests]
    ran = [test for kata in card.katas for test in kata.chosen]
    if tests and not ran:
        raise UsageFault(
            text("no test is chosen by {expression!r}", expression=expression),
            text("the tests are {tests}", tests=sorted({test.name for test in tests})[:20]),
        )
    return card.complete and bool(ran) and all(test.verdict is Verdict.PASS for test in ran)
