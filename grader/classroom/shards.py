"""The journals of shards, each judged by a machine of its own, brought together into one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from grader.classroom.journal import Journal
from grader.classroom.lock import alone
from grader.classroom.records import Facts
from grader.errors import UsageFault
from grader.messages import Message, text

_NAME = re.compile(r"shard-(\d+)-of-(\d+)\.sqlite")


@dataclass(frozen=True)
class Merged:
    """What came together. left: contents that no shard has judged; missing: numbers of shards that are not there."""

    results: int
    left: int
    missing: tuple[int, ...]
    count: int


def merge(out: Path) -> Merged:
    """Bring together the journals of the shards in `out` into its `class.sqlite`; what is there already stays.

    Raises UsageFault where there are none, or they are not of one run. The shards' journals are only read.
    """
    paths = sorted(path for path in out.glob("shard-*.sqlite") if _NAME.fullmatch(path.name))
    if not paths:
        raise UsageFault(
            text("there are no shards in {folder}", folder=str(out)),
            text("name the folder that every `grade class --shard I/N --out` was given"),
        )
    with ExitStack() as stack:
        stack.enter_context(alone(out / "class.sqlite.lock", False, lambda said: None))
        shards = [stack.enter_context(closing(Journal.read(path))) for path in paths]
        facts = _one_run(paths, shards)
        whole = stack.enter_context(closing(Journal.write(out)))
        if whole.begun:
            _same([facts, whole.facts()], [paths[0], whole.path])
            whole.update(facts)
        else:
            whole.begin(facts, shards[0].seed())
        first = shards[0]
        jobs = first.jobs()
        contents = {digest: first.source(digest) for _, digest in jobs}
        whole.put_class(first.students(), first.entries(), first.remarks(), contents)
        results = sum(whole.take_over(shard) for shard in shards)
        left = len(jobs.keys() - whole.judged(facts.layers))
    numbers = {_numbers(path)[0] for path in paths}
    count = _numbers(paths[0])[1]
    return Merged(results, left, tuple(sorted(set(range(1, count + 1)) - numbers)), count)


def _one_run(paths: Sequence[Path], shards: Sequence[Journal]) -> Facts:
    """The facts of all, which differ in nothing but their number; one that had nothing to judge has no sandbox."""
    facts = [shard.facts() for shard in shards]
    _same(facts, paths)
    for path, shard in zip(paths, shards, strict=True):
        if _numbers(path)[1] != _numbers(paths[0])[1] or shard.handed_in() != shards[0].handed_in():
            raise _stranger(paths[0], path, text("what was handed in, or the number of shards"))
    tried = [each for each in facts if each.sandbox] or facts
    return replace(tried[0], shard="", started=min(each.started for each in facts))


def _same(facts: Sequence[Facts], places: Sequence[Path]) -> None:
    sandboxes = [(each, path) for each, path in zip(facts, places, strict=True) if each.sandbox]
    for each, path in zip(facts, places, strict=True):
        if each.course_digest != facts[0].course_digest:
            raise _stranger(places[0], path, text("the course, the grader or the libraries"))
        if each.seed_sha256 != facts[0].seed_sha256:
            raise _stranger(places[0], path, text("the seed"))
    for each, path in sandboxes:
        if each.layers != sandboxes[0][0].layers:
            raise _stranger(sandboxes[0][1], path, text("the sandbox"))


def _stranger(one: Path, other: Path, what: Message) -> UsageFault:
    differs = "{one} and {other} are not of one run: they differ in {what}"
    return UsageFault(
        text(differs, one=one.name, other=other.name, what=what),
        text("judge the shards anew, with one course and one `--seed @FILE` for all of them"),
    )


def _numbers(path: Path) -> tuple[int, int]:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1]), int(found[2])
