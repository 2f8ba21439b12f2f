"""For authors who want to know what their suites are worth: `grade check`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from grader.cli.options import (
    Report,
    authors_place,
    coloured,
    course_option,
    jobs_option,
    katas_argument,
    processors,
    ready_to_judge,
    write_report,
)
from grader.cli.speech import language, note
from grader.cli.spoken import Whole, command, option
from grader.course import Course
from grader.errors import GradeError, UsageFault
from grader.kata import survey
from grader.messages import text
from grader.reports.layout import cut
from grader.store import Store

if TYPE_CHECKING:
    from grader.authoring.check import Wanted
    from grader.authoring.proving.bench import Bench
    from grader.authoring.proving.case import Case
    from grader.authoring.proving.subject import Subject

_FORMATS = ("json", "markdown")
_EVERY = 25  # trials between two lines, where they stay on the screen


class _Telling:
    """How far it is: one line that is written anew on a terminal, elsewhere a line now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._judged = 0

    def __call__(self, subject: Subject, case: Case, left: int) -> None:
        self._judged += 1
        if self._stream.isatty():
            told = text("{left} trials left; {kata}: {case}", left=left, kata=subject.id, case=str(case))
            words = language().say(told) if left else ""
            self._stream.write(f"\r\x1b[2K{cut(words, shutil.get_terminal_size().columns - 1)}")
        elif self._judged % _EVERY == 0:
            note(text("{judged} trials judged, {left} left", judged=self._judged, left=left))
        self._stream.flush()


@command
@katas_argument
@option("--seeds", type=Whole(1, 1000), default=5, metavar="N", help="Right solutions on N seeds (5).")
@option(
    "--mutate",
    is_flag=True,
    help="Also judge mutants, small slips in the reference and wrong code round it, and list those that no test sees.",
)
@option("--show", metavar="MUTANT", help="Print one mutant of the one KATA, by its name, and judge nothing.")
@option("--full", is_flag=True, help="A judge for every mistake on every test, and nothing left to plain pytest.")
@option(
    "--changed",
    is_flag=True,
    help="Prove wholly only the katas that are not as they were put on record; of the others a part, which follows the week.",
)
@option("--record", is_flag=True, help="Put on record how strictly the tests compare, where all other rules hold.")
@option(
    "--report",
    "wanted",
    type=Report(_FORMATS),
    multiple=True,
    help="json=PATH: all that was found; markdown=PAGE: tables, between the two marks that PAGE has for them; those of katas that are not named stay. Repeatable.",
)
@option("--fresh", is_flag=True, help="Judge again what is known already.")
@option("--watch", is_flag=True, help="Prove again what is saved, until Ctrl-C.")
@jobs_option
@course_option
def check(
    katas: Sequence[str],
    seeds: int,
    mutate: bool,
    show: str | None,
    full: bool,
    changed: bool,
    record: bool,
    wanted: Sequence[tuple[str, Path | None]],
    fresh: bool,
    watch: bool,
    jobs: int | None,
    root: Path | None,
) -> int:
    """Prove the suites of KATAs (all without a name) on solutions that are known to be right and wrong.

    Exit code 0: every rule holds; 1: there are faults, all of which are told; 2: usage or course at fault; 3: a fault of ours.

    Example: grade check lstm --mutate
    """
    if changed and (mutate or full):
        raise UsageFault(
            text("--changed goes with neither --mutate nor --full"), text("name the katas that these are to prove")
        )
    jobs = jobs or processors()
    ready_to_judge(jobs)
    from grader.authoring.check import Wanted, source_of
    from grader.authoring.proving import proof
    from grader.authoring.proving.bench import Bench
    from grader.authoring.showing import tables

    for form, path in wanted:
        if path is None or (form == "markdown" and not path.is_file()):
            needs = "--report {form} needs a page" if form == "markdown" else "--report {form} needs a path"
            example = f"{form}=out.{'md' if form == 'markdown' else form}"
            raise UsageFault(text(needs, form=form), text("for example {example}", example=example))
        if form == "markdown":
            tables.earlier(_text(path), str(path), keep=bool(katas) or changed)  # raises now, and not after an hour
    course = authors_place(root)
    store = Store(course, note)
    bench = Bench(store, jobs=jobs, fresh=fresh, tell=_Telling(sys.stderr))
    try:
        if show is not None:
            sys.stdout.write(source_of(course, katas, show, bench))
            return 0
        asked = Wanted(katas, seeds, full, mutate, record, proof.week() if changed else None)
        if watch:
            _watch(course, asked, bench, wanted)
        holds = _prove(course, asked, bench, wanted)
    finally:
        bench.close()
        store.close()
    return 0 if holds else 1


def _prove(course: Path, asked: Wanted, bench: Bench, wanted: Sequence[tuple[str, Path | None]]) -> bool:
    """One check, written to its reports and to standard output; returns whether everything holds."""
    import msgspec

    from grader.authoring.check import check as examine
    from grader.authoring.showing import tables

    found = examine(course, asked, bench)
    keep = bool(asked.katas) or asked.week is not None
    for form, path in wanted:
        assert path is not None
        if form == "json":
            write_report(path, msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        else:
            write_report(path, tables.into(_text(path), str(path), found, keep=keep))
    sys.stdout.write(tables.screen(found, colour=coloured()))
    sys.stdout.flush()
    return found.holds


def _watch(course: Path, asked: Wanted, bench: Bench, wanted: Sequence[tuple[str, Path | None]]) -> NoReturn:
    """Prove, and prove again what is saved; ends with an interrupt. A course at fault is told, and waited for."""
    from dataclasses import replace

    from grader.authoring import saves

    round, before = asked, saves.state(course)
    while True:
        bench.anew()
        try:
            _prove(course, round, bench, wanted)
        except GradeError as error:
            note(text("{problem}: {help}", problem=error.said, help=error.next_step) if error.next_step else error.said)
        note(text("save a file, and its kata is proved again; Ctrl-C ends"))
        concerned: set[str] | None = set()
        while concerned is not None and not concerned:
            changed = saves.awaited(course, before)
            before, concerned = saves.state(course), saves.ids(changed)
            if concerned is not None and asked.katas:
                concerned &= _ids(course, asked.katas)
        round = asked if concerned is None else replace(asked, katas=sorted(concerned))
        sys.stdout.write("\n")


def _ids(course: Path, names: Sequence[str]) -> set[str]:
    """The ids that these names mean, of katas whose manifests can be read."""
    katas, _ = survey(course)
    wanted = Course(course, katas)
    found: set[str] = set()
    for name in names:
        with suppress(UsageFault):
            found |= {kata.id for kata in wanted.select([name])}
    return found


def _text(page: Path) -> str:
    try:
        return page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(text("{file} cannot be read: {reason}", file=str(page), reason=str(error))) from None
