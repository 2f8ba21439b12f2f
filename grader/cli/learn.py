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

from grader import reports
from grader.cli import signals
from grader.cli.options import (
    Report,
    Seed,
    coloured,
    course_option,
    here,
    jobs_option,
    processors,
    readable,
    ready_to_judge,
    write_report,
)
from grader.cli.speech import language, note
from grader.cli.spoken import command, option
from grader.cli.verbs import COMMANDS
from grader.course import find, locate
from grader.engine.borrowed import borrowing
from grader.engine.keeper import Keeper
from grader.errors import UsageFault
from grader.messages import text
from grader.reports.progress import Progress
from grader.reports.terminal import After
from grader.scorecard import KataResult, Scorecard, TestResult, Verdict, exit_code
from grader.seeds import Secret
from grader.session import Listener, Session
from grader.standing import standing
from grader.store import Store
from grader.study.after import after_run
from grader.study.speaker import Speaker


@command
@click.argument("katas", nargs=-1, metavar="[KATA]...")
@option("--from", "source_dir", type=click.Path(path_type=Path), metavar="DIR", help="Take learners' files from DIR.")
@option(
    "--report",
    "wanted",
    type=Report(tuple(reports.REPORTS)),
    multiple=True,
    help="terminal, json, junit, markdown, github, gradescope or classroom; to standard output without a path. Repeatable.",
)
@option("--fresh", is_flag=True, help="Judge again what is known already.")
@option(
    "--fail-on",
    type=click.Choice(["any", "worse"]),
    default="any",
    help="Exit with 1 where anything does not pass (any), or only where a kata that passed before does not (worse).",
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
    fresh: bool,
    fail_on: str,
    within: float | None,
    jobs: int | None,
    seed: int | Secret,
    root: Path | None,
) -> int:
    """Grade KATAs (04_lstm, lstm or 4; all without a name) and print a scorecard.

    Exit code 0: everything asked for passes; 1: something does not; 2: usage or course at fault, or the report cannot be
    written; 3: a fault of ours; 130, 143, 129: stopped by Ctrl-C, SIGTERM, SIGHUP, after showing what was decided until
    then; 141: nobody reads the report any more.
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
    course = find(place, place, known_good=store.known_good, on_good=store.on_good)
    asked = course.select([_meant(name) for name in katas], COMMANDS)
    # What nobody may foretell is judged on a ladder that nobody else has had.
    borrow = None if isinstance(seed, Secret) else borrowing(course.root)
    session = Session(course, store, seed=seed, jobs=jobs, keeper=Keeper(borrow=borrow))
    files = [(form, path) for form, path in wanted if path is not None]
    speaker = Speaker(course, language())

    def write(card: Scorecard) -> None:
        for form, path in files:
            write_report(path, reports.render(form, speaker.card(card), language()))

    solved = (
        {place.kata.id for place in standing(course, store).places if place.solved} if fail_on == "worse" else set()
    )
    with signals.told_to(session.stop):
        try:
            with ExitStack() as stack:
                if within is not None:
                    stack.callback(_stopping(session, 60 * within).cancel)
                card = session.grade(
                    asked, source_dir, fresh=fresh, listener=_OnScreen(stack, session.jobs, write, speaker)
                )
            after = None if source_dir else after_run(card, course, store)
        finally:
            session.close()
        write(card)
        form = to_stdout[0] if to_stdout else "terminal"
        told = speaker.card(card)
        sys.stdout.write(_on_screen(told, after) if form == "terminal" else reports.render(form, told, language()))
        if on_github:
            _tell_github(told)
        sys.stdout.flush()
    if not card.complete and (within is None or signals.came()):
        return signals.exit_code()
    return _worse(card, solved) if fail_on == "worse" else exit_code(card)


def _meant(name: str) -> str:
    """`.` and the like mean the kata in whose folder the command was started."""
    return here().joinpath(name).resolve().name if name.strip("./") == "" else name


def _stopping(session: Session, seconds: float) -> threading.Timer:
    """What ends the run in order after so many seconds, unless it is cancelled before."""
    timer = threading.Timer(seconds, session.stop)
    timer.daemon = True
    timer.start()
    return timer


def _tell_github(card: Scorecard) -> None:
    """Annotations for the runner that reads standard output, and the summary where it wants it."""
    from grader.reports import github

    summary, text = os.environ.get("GITHUB_STEP_SUMMARY"), reports.render("github", card, language())
    if summary:
        with open(summary, "a", encoding="utf-8") as stream:
            stream.write(text)
    else:
        sys.stdout.write(text)
    sys.stdout.write(github.commands(card))


def _worse(card: Scorecard, solved: set[str]) -> int:
    """The exit code where only a kata that passed before and does not now is a failure: those are named."""
    lost = [kata.id for kata in card.katas if kata.id in solved and kata.verdict not in (Verdict.PASS, Verdict.NOT_RUN)]
    for id in lost:
        print(language().text("{kata} passed before, and does not now", kata=id), file=sys.stderr)
    ours = any(kata.verdict is Verdict.INTERNAL for kata in card.katas)
    return 3 if ours else 1 if lost else 0


class _OnScreen(Listener):
    """Shows the progress of what must be judged while the stack is open, and keeps report files up to date."""

    def __init__(self, stack: ExitStack, jobs: int, write: Callable[[Scorecard], None], speaker: Speaker) -> None:
        self._stack = stack
        self._jobs = jobs
        self._write = write
        self._speaker = speaker

    def planned(self, tests: Mapping[str, int], expected: Mapping[str, float]) -> None:
        self._progress = self._stack.enter_context(
            Progress(tests, sys.stderr, expected, self._jobs, language=language())
        )

    def started(self, kata: str) -> None:
        self._progress.started(kata)

    def tested(self, kata: str, result: TestResult) -> None:
        self._progress.tested(kata, self._speaker.test(kata, result))

    def finished(self, result: KataResult) -> None:
        self._progress.finished(result)

    def changed(self, partial: Scorecard) -> None:
        self._write(partial)


def _on_screen(card: Scorecard, after: After | None) -> str:
    """The terminal report, fitted to the terminal; plain where it goes elsewhere or where NO_COLOR asks for it."""
    from grader.reports import terminal

    return terminal.render(
        card, width=shutil.get_terminal_size((80, 24)).columns, colour=coloured(), language=language(), after=after
    )
