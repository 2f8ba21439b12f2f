"""For learners: `grade report`, what is known already as a page, without judging anything."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from grader.cli.options import course_option, opened, readable, write_report
from grader.cli.speech import language
from grader.cli.spoken import command, option
from grader.errors import UsageFault
from grader.messages import text
from grader.study.speaker import Speaker

_START = b"<!doctype html>"


@command
@option(
    "--html",
    "path",
    is_flag=False,
    flag_value=Path(),
    type=click.Path(path_type=Path),
    metavar="[PATH]",
    help="Where to write the page; .grade/report.html of the course without a path.",
)
@option("--open", "shown", is_flag=True, help="Open the page in your browser.")
@course_option
def report(path: Path | None, shown: bool, root: Path | None) -> int:
    """Write a page about all of your work that was judged: progress, failures, and what your models made.

    Nothing is judged for it, and nothing on it needs a network or a script: it is one file, to keep or to give away.

    Example: grade report --html --open
    """
    from grader.kept import kept
    from grader.reports import html
    from grader.reports.page.past import Past

    with opened(root) as (course, store):
        found = kept(course, store)
    page = html.render(
        Speaker(course, language()).card(found.card), language=language(), past=Past(found.attempts, found.changed)
    )
    file = _place(path, course.root)
    write_report(file, page)
    print(language().text("the page is {file}", file=str(file)))
    if shown and not webbrowser.open(file.resolve().as_uri()):
        print(language().text("no browser could be opened: open the file in yours"))
    return 0


def _place(path: Path | None, root: Path) -> Path:
    """Where the page goes, which is nobody else's file. Raises UsageFault where it is."""
    if path is None or path == Path():
        own = root / ".grade" / "report.html"
        own.parent.mkdir(exist_ok=True)
        if own.is_symlink():
            own.unlink()  # the page goes beside the store, and nowhere else
        return own
    if readable(path).is_dir():
        path /= "report.html"
    if path.is_file():
        with path.open("rb") as stream:
            if stream.read(len(_START)) != _START:
                raise UsageFault(
                    text("{file} is there already, and is no page", file=str(path)), text("name another file")
                )
    return path
