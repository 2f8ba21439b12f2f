"""For learners who stay with it: `grade watch`."""

from __future__ import annotations

import codecs
import os
import select
import sys
from pathlib import Path

import click
from rich.cells import cell_len

from grader.cli import signals
from grader.cli.options import course_option, here, jobs_option, one_kata, processors, readable, ready_to_judge
from grader.cli.output import Notes
from grader.cli.speech import language, note
from grader.cli.spoken import command
from grader.course import find, locate
from grader.errors import UsageFault
from grader.messages import text
from grader.standing import standing
from grader.store import Store

_PLAIN = "gradkata.plain"  # what a terminal cannot show, in signs of the same width that it can
_SIGNS = str.maketrans(
    "▸✓✗○◐◌·•…→━─│█▇▆▅▄▃▂▁★☆\u2018\u2019\u201c\u201d\u2212\u00d7≤≥",
    ">+xo%o.*.>=-|@#*+=-:.*.''\"\"-x<>",
)


@command
@click.argument("kata", required=False)
@jobs_option
@course_option
def watch(kata: str | None, jobs: int | None, root: Path | None) -> int:
    """Watch your files, and judge KATA, or what is next, whenever you save; ? shows the keys.

    Example: grade watch lstm
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        raise UsageFault(text("`grade watch` needs a terminal"), text("`grade run` says the same without one"))
    jobs = jobs or processors()
    ready_to_judge(jobs)
    place = readable(locate(here(), root))
    store = Store(place, note)
    try:
        course = find(place, place, known_good=store.known_good, on_good=store.on_good)
        found = standing(course, store)
        chosen = one_kata(course, kata) if kata else found.next() or course.katas[0]
        _take_terminal()
        from grader.watch.app import Watch

        app = Watch(course, store, found, chosen, language(), jobs, gone=_hung_up)
        try:
            with signals.told_to(app.leave):
                app.run(mouse=False)
        finally:
            app.stop()
    finally:
        store.close()
    return signals.exit_code() if signals.came() else app.return_code or 0


def _take_terminal() -> None:
    """Let the screen be painted on standard output, which may lack some signs."""
    codecs.register_error(_PLAIN, _plain)
    terminal = Notes(
        open(1, "wb", closefd=False),  # noqa: SIM115  # as long as the command runs
        encoding=sys.stdout.encoding,
        errors=_PLAIN,
        write_through=True,
    )
    sys.__stdout__ = sys.__stderr__ = terminal  # type: ignore[misc]  # where Textual looks for it


def _hung_up() -> bool:
    """Whether the terminal was closed, also where nobody is told by a signal."""
    poll = select.poll()
    poll.register(0, 0)
    return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for signs that an encoding lacks: as many cells, so that nothing moves."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end].translate(_SIGNS)
    return "".join(each if each.isascii() else "?" * cell_len(each) for each in lacking), error.end
