"""For learners: `grade run`."""

from __future__ import annotations

import shutil
import sys
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
    jobs_option,
    processors,
    refuse_windows,
    write_report,
)
from grader.cli.speech import Speaker, language, note
from grader.cli.spoken import command, option
from grader.course import find, locate
from grader.errors import UsageFault
from grader.messages import text
from grader.reports.progress import Progress
from grader.scorecard import KataResult, Scorecard, TestResult, exit_code
from grader.seeds import Secret
from grader.session import Listener, Session
from grader.store import Store


@command
@click.argument("katas", nargs=-1, metavar="[KATA]...")
@option("--from", "source_dir", type=click.Path(path_type=Path), metavar="DIR", help="Take learners' files from DIR.")
@option(
    "--report",
    "wanted",
    type=Report(tuple(reports.REPORTS)),
    multiple=True,
    help="terminal, json or junit; to standard output without a path. Repeatable.",
)
@option("--fresh", is_flag=True, help="Judge again what is known already.")
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
    jobs: int | None,
    seed: int | Secret,
    root: Path | None,
) -> int:
    """Grade KATAs (04_lstm, lstm or 4; all without a name) and print a scorecard.

    Exit code 0: everything asked for passes; 1: something does not; 2: usage or course at fault, or the report cannot be
    written; 3: a fault of ours; 130, 143, 129: stopped by Ctrl-C, SIGTERM, SIGHUP, after showing what was decided until
    then; 141: nobody reads the report any more.
    """
    refuse_windows()
    to_stdout = [form for form, path in wanted if path is None]
    if len(to_stdout) > 1:
        raise UsageFault(
            text("{one} and {other} cannot both go to standard output", one=to_stdout[0], other=to_stdout[1]),
            text("give one a path: json=out.json"),
        )
    if source_dir is not None and not source_dir.is_dir():
        raise UsageFault(
            text("{folder} is not a folder", folder=str(source_dir)),
            text("name the folder that holds the learners' files"),
        )
    here = locate(Path.cwd(), root)
    store = Store(here, note)
    course = find(Path.cwd(), here, known_good=store.known_good, on_good=store.on_good)
    asked = course.select(katas)
    session = Session(course, store, seed=seed, jobs=jobs or processors())
    files = [(form, path) for form, path in wanted if path is not None]
    speaker = Speaker(course)

    def write(card: Scorecard) -> None:
        for form, path in files:
            write_report(path, reports.render(form, speaker.card(card), language()))

    with signals.told_to(session.stop):
        try:
            with ExitStack() as stack:
                card = session.grade(
                    asked, source_dir, fresh=fresh, listener=_OnScreen(stack, session.jobs, write, speaker)
                )
        finally:
            session.close()
        write(card)
        form = to_stdout[0] if to_stdout else "terminal"
        told = speaker.card(card)
        sys.stdout.write(_on_screen(told) if form == "terminal" else reports.render(form, told, language()))
        sys.stdout.flush()
    return exit_code(card) if card.complete else signals.exit_code()


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


def _on_screen(card: Scorecard) -> str:
    """The terminal report, fitted to the terminal; plain where it goes elsewhere or where NO_COLOR asks for it."""
    from grader.reports import terminal

    return terminal.render(
        card, width=shutil.get_terminal_size((80, 24)).columns, colour=coloured(), language=language()
    )
