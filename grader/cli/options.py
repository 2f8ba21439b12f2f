"""What several commands have in common: their options, and how they write a report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from grader import reports, seeds
from grader.cli.speech import language, note
from grader.cli.spoken import Whole, option
from grader.cli.verbs import COMMANDS
from grader.course import Course, find, locate
from grader.errors import Fault, GradeError, UsageFault
from grader.kata import Kata
from grader.machine import processors as processors
from grader.machine import ready_to_judge as ready_to_judge
from grader.messages import Message, text
from grader.seeds import Secret
from grader.store import Store
from grader.stub import ORIGINAL

_DIGITS = 18  # of a public seed: what other programs read from JSON as a whole number

course_option = option(
    "--course", "root", type=click.Path(path_type=Path), metavar="DIR", help="The course, if it is not around here."
)
jobs_option = option("-j", "--jobs", type=Whole(1, 64), metavar="N", help="Judge N katas at a time.")

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:  # generic since click 8.4
    from click.shell_completion import CompletionItem

    _Parameter = click.ParamType[tuple[str, Path | None]]
else:
    _Parameter = click.ParamType


class Report(_Parameter):
    """`FORMAT` or `FORMAT=PATH`."""

    name = "FORMAT[=PATH]"

    def __init__(self, formats: Sequence[str]) -> None:
        self.formats = tuple(formats)

    def convert(
        self, value: str, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, Path | None]:
        form, given, path = value.partition("=")
        if form not in self.formats:
            self.fail(
                language().text("there is no report {form!r}; the reports are {forms}", form=form, forms=self.formats)
            )
        if given and not path:
            self.fail(language().text("{value!r} names no path", value=value))
        return form, Path(path) if path else None

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return beginning(self.formats, incomplete)


class Seed(click.ParamType[int | Secret]):
    """A number, `secret`, or `@FILE`."""

    name = "N|secret|@FILE"

    def convert(
        self, value: str | int | Secret, param: click.Parameter | None, context: click.Context | None
    ) -> int | Secret:
        if not isinstance(value, str):
            return value
        if value == "secret":
            return seeds.draw()
        if value.startswith("@") and value != "@":
            secret, new = seeds.kept_in(Path(value[1:]))
            if new:
                note(text("a secret seed was drawn, and is kept in {file}", file=value[1:]))
            return secret
        if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS):
            wrong = "{value!r} is no seed: give a number of at most {digits} digits, `secret`, or @FILE"
            self.fail(language().text(wrong, value=value, digits=_DIGITS))
        return int(value)


def askable(yes: bool) -> None:
    """Raises UsageFault where a question can be put to nobody and was not answered by `--yes`."""
    if not yes and not sys.stdin.isatty():
        raise UsageFault(
            text("this asks first, and standard input is no terminal: nothing was changed"),
            text("say --yes if that is what you want"),
        )


def confirm(question: Message, yes: bool) -> None:
    """Ask, unless that was answered already. Raises Abort where the answer is no, and UsageFault where nobody can give one."""
    askable(yes)
    if not yes:
        click.confirm(language().say(question), abort=True)


def coloured() -> bool:
    """Whether standard output is a screen that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write_report(path: Path, report: str) -> None:
    """Write all of it or nothing. Raises UsageFault where that is not possible."""
    try:
        reports.write(path, report)
    except OSError as error:
        said = text("cannot write {file}: {reason}", file=str(path), reason=error.strerror)
        raise UsageFault(said, text("name a path that can be written")) from None


def here() -> Path:
    """The folder in which the command was started. Raises UsageFault where it is gone, or its name is no text."""
    try:
        found = Path.cwd()
    except OSError as error:
        raise UsageFault(
            text("the folder that you are in cannot be used: {reason}", reason=error.strerror),
            text("change to the folder of your course"),
        ) from None
    return readable(found)


def readable(path: Path) -> Path:
    """The path itself. Raises UsageFault where its name is not UTF-8: no report could show it."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise UsageFault(
            text("{path}: this name is not UTF-8", path=ascii(str(path))), text("give the folder another name")
        ) from None
    return path


def authors_place(root: Path | None) -> Path:
    """The folder of the course around here, as its authors have it. Raises UsageFault in a release, which has no references."""
    place = readable(locate(here(), root))
    if not (place / "reference").is_dir() and any(place.glob(f"katas/*/*{ORIGINAL}")):
        raise UsageFault(
            text("this course is a release, which has no references"),
            text("authors work in the course from which it was made"),
        )
    return place


def learners_course(place: Path, store: Store) -> Course:
    """The course at `place` as a learner needs it: a kata at fault is left out, and a note says so; it stops no other."""
    told = set()

    def left_out(fault: Fault) -> None:
        if fault.file not in told:
            told.add(fault.file)
            note(text("{fault}: this kata is left out", fault=fault.said))

    return find(place, place, known_good=store.known_good, on_good=store.on_good, on_fault=left_out)


@contextmanager
def opened(root: Path | None) -> Iterator[tuple[Course, Store]]:
    """The learner's course around here, and its store."""
    place = readable(locate(here(), root))
    store = Store(place, note)
    try:
        yield learners_course(place, store), store
    finally:
        store.close()


def beginning(values: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Those of the values that begin so, for a shell."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(value) for value in values if value.startswith(incomplete)]


def completed_track(context: click.Context, param: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    """The tracks of the course's katas that begin so."""
    course = _quietly_found(context)
    return beginning(dict.fromkeys(kata.track for kata in course.katas) if course else (), incomplete)


def completed_path(context: click.Context, param: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    """The names of the course's paths that begin so."""
    from grader.study import paths

    course = _quietly_found(context)
    return beginning([path.name for path in paths.load(course)] if course else (), incomplete)


def completed(context: click.Context, param: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    """The katas whose names begin so, for a shell that completes them; nothing is said of what is wrong with a course."""
    from click.shell_completion import CompletionItem

    course = _quietly_found(context)
    katas = course.katas if course else ()
    names = [(name, kata.title_in(language().code)) for kata in katas for name in (kata.slug, kata.id)]
    return [CompletionItem(name, help=title) for name, title in names if name.startswith(incomplete)]


def _quietly_found(context: click.Context) -> Course | None:
    """The course around here, None where there is none."""
    try:
        root = locate(here(), context.params.get("root"))
        store = Store(root, lambda said: None)
        return find(root, root, known_good=store.known_good, on_good=store.on_good, on_fault=lambda fault: None)
    except GradeError:
        return None


def kata_argument(*, required: bool = True) -> Callable[[F], F]:
    """KATA, which a shell can complete."""
    return click.argument("kata", required=required, shell_complete=completed)


def katas_argument(function: F) -> F:
    """[KATA]..., likewise."""
    return click.argument("katas", nargs=-1, metavar="[KATA]...", shell_complete=completed)(function)


def one_kata(course: Course, name: str) -> Kata:
    """The kata of this name, of its number, of its folder, or of the folder `.`. Raises UsageFault where there is none."""
    return course.select([meant(name)], COMMANDS)[0]


def meant(name: str) -> str:
    """`.` and the like mean the kata in whose folder the command was started."""
    return here().joinpath(name).resolve().name if name.strip("./") == "" else name
