"""What a kernel keeps from one cell to the next: a warm ladder for each course, which it offers to other commands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from grader import machine, nudges
from grader.course import Course, find, locate
from grader.engine import shared
from grader.engine.borrowed import borrowing
from grader.engine.keeper import Keeper
from grader.engine.shares import Memory
from grader.errors import UsageFault
from grader.kata import Kata
from grader.messages import Message, text
from grader.notebook.words import Asked
from grader.reports.terminal import After
from grader.scorecard import Scorecard
from grader.session import Listener, Session
from grader.standing import standing
from grader.store import Store
from grader.study.after import after_run
from grader.study.choosing import resolved
from grader.study.misnamed import meant_elsewhere
from grader.submission import Typed


@dataclass(frozen=True)
class Found:
    """What came of one cell."""

    course: Course
    card: Scorecard
    after: After


class Desk:
    """Judges cells one at a time, and keeps the ladders that they were judged on until it is closed."""

    def __init__(self, notice: Callable[[Message], None]) -> None:
        self._notice = notice
        self._keepers: dict[Path, Keeper] = {}
        self._open = ExitStack()
        self._turn = threading.Lock()  # a kernel may have several threads that run cells

    def judge(self, asked: Asked, cell: str | None, shown: str, listener: Listener) -> Found:
        """Judge a cell as the file of the kata that is asked for, or without a cell the files of the course.

        shown: what the cell is called where a line of it is named
        Raises GradeError. Where it is interrupted, the scorecard is not complete.
        """
        with self._turn, self._opened(asked) as (course, store):
            katas = _chosen(course, asked, alone=cell is not None)
            katas, choose = resolved(course, katas, asked.choose, asked.language) if asked.choose else (katas, "")
            jobs = asked.jobs or min(len(katas), machine.processors())
            machine.ready_to_judge(jobs)
            keeper, memory, before = self._keeper(course.root), Memory(store), standing(course, store)
            session = Session(
                course,
                store,
                seed=asked.seed,
                jobs=jobs,
                choose=choose,
                stop_at_first=asked.stop_at_first,
                keeper=keeper,
                memory=memory,
            )
            typed = None if cell is None else {katas[0].id: Typed(cell, shown)}
            card = session.grade(katas, fresh=asked.fresh, listener=listener, typed=typed)
            for said in meant_elsewhere(course, katas if cell is None else ()):
                self._notice(said)
            if not asked.diagnosis:
                card = nudges.kept_back(card, store, own=True)
            return Found(course, card, after_run(card, course, store, before, asked.language))

    def close(self) -> None:
        """End every ladder."""
        self._keepers.clear()
        self._open.close()

    @contextmanager
    def _opened(self, asked: Asked) -> Iterator[tuple[Course, Store]]:
        root = _located(asked)
        with closing(Store(root, self._notice)) as store:
            yield find(root, root, known_good=store.known_good, on_good=store.on_good), store

    def _keeper(self, root: Path) -> Keeper:
        if root not in self._keepers:
            keeper = self._keepers[root] = Keeper(borrow=borrowing(root))
            self._open.enter_context(closing(keeper))
            self._open.enter_context(shared.offered(keeper, root, by="%%grade"))
        return self._keepers[root]


def _located(asked: Asked) -> Path:
    """The course around the kernel's folder, or the one that is named. Raises UsageFault where there is none."""
    try:
        return locate(Path.cwd(), asked.course)
    except UsageFault as fault:
        if asked.course is not None:
            raise
        step = text("go there with `%cd FOLDER` in a cell of its own, or name it behind the magic: --course FOLDER")
        raise UsageFault(fault.said, step) from None


def _chosen(course: Course, asked: Asked, *, alone: bool) -> tuple[Kata, ...]:
    """The katas that are meant. Raises UsageFault where a cell could be the file of none or of several."""
    if alone and len(asked.katas) != 1:
        said = text("a cell is the file of one kata, and {count} are named", count=len(asked.katas))
        raise UsageFault(said, text("begin it with, for example, %%grade {kata}", kata=course.katas[0].slug))
    return course.select(asked.katas)
