"""The record of how strictly each test compares: a suite that was weakened since is refused.

That right solutions are far inside a tolerance and mistakes far outside it does not show that the tolerance is what it was
when the suite was proved: most mistakes are so gross that a thousandfold tolerance would still catch them. So the tolerances
are on record, in a file that is small enough to be read in a diff. `grade check --record` writes it, from the reference on seed 0.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from grader.authoring.proving.case import Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.finding import Finding, read_text
from grader.authoring.proving.outcome import Outcome, Trial

FILE = "strength.toml"
_HEAD = """\
# How strictly each test compares: the relative tolerance of each of its comparisons, found on the reference.
# Written by `grade check --record`; a suite that compares more loosely, or less, is refused.
"""
_ROUNDING = 1 + 1e-9

Record = Mapping[str, Mapping[str, float | Sequence[float]]]  # test -> name of a comparison -> tolerances; 0 is exact


def measured(evidence: Evidence) -> Record | None:
    """How strictly the suite compares now; None where the reference did not run."""
    outcome = _on_reference(evidence)
    if outcome is None:
        return None
    record: dict[str, dict[str, list[float]]] = {}
    for ran in outcome.tests:
        names = record.setdefault(ran.name, {})
        for seen in ran.comparisons:
            if seen.margin is None:
                names[seen.name] = sorted({seen.tolerance, *names.get(seen.name, [])})
    return record


def _on_reference(evidence: Evidence) -> Outcome | None:
    reference = next(iter(evidence.subject.of(Role.REFERENCE)), None)
    outcome = evidence.found.get(Trial(reference)) if reference else None
    return None if outcome is None or outcome.faults else outcome


def render(record: Record) -> str:
    """The record as TOML, in the suite's order."""
    tables = []
    for test, tolerances in record.items():
        rows = [f"{_key(name)} = {_value(_list(each))}" for name, each in tolerances.items()]
        tables.append("\n".join([f"[{_key(test)}]", *rows]))
    return "\n\n".join([_HEAD.rstrip(), *tables]) + "\n"


def write(evidence: Evidence) -> Path | None:
    """Put on record how strict the suite is now; returns the file, None where nothing is known or nothing changed."""
    record = measured(evidence)
    path = evidence.subject.behind / FILE
    if record is None or read_text("strength", path, "") == render(record):
        return None
    path.write_text(render(record), encoding="utf-8", newline="\n")
    return path


def weaker(evidence: Evidence) -> Iterator[Finding]:
    """No test is gone, compares less or compares more loosely than is on record."""
    subject = evidence.subject
    path = subject.behind / FILE
    file = subject.name(path)
    now, outcome = measured(evidence), _on_reference(evidence)
    if now is None or outcome is None:
        return
    command = f"`grade check {subject.id} --record`"
    if not path.is_file():
        yield Finding("strength", file, None, f"is missing: {command} writes it once all other rules hold")
        return
    text = read_text("strength", path, file)
    if isinstance(text, Finding):
        yield text
        return
    try:
        record = msgspec.convert(tomllib.loads(text), dict[str, dict[str, float | list[float]]])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        yield Finding("strength", file, 1, f"is no record of tolerances: {error}; {command} writes it anew")
        return
    for name, tolerances in record.items():
        if name not in now:
            message = f"{name} is on record and no longer in the suite; if that is meant, {command}"
            yield Finding("strength", file, _line(text, name), message)
        elif (test := subject.by_name.get(name)) and name not in outcome.failed:  # one that fails has not compared all
            for message in _weaker(tolerances, now[name]):
                yield Finding("strength", test.file, test.line, f"{name} {message}; if that is meant, {command}")
    for name in now:
        if name not in record and (test := subject.by_name.get(name)):
            yield Finding("strength", test.file, test.line, f"{name} is not on record yet: {command} adds it")


def _weaker(record: Mapping[str, float | Sequence[float]], now: Mapping[str, float | Sequence[float]]) -> Iterator[str]:
    """Tolerances of one name are held to each other from the largest down, so only a new smallest one may be added."""
    for name, tolerances in record.items():
        if name not in now:
            yield f"no longer compares {name!r}, as it did when it was put on record"
            continue
        old, new = sorted(_list(tolerances), reverse=True), sorted(_list(now[name]), reverse=True)
        pairs = zip(new, old, strict=False)
        if len(new) < len(old) or any(one > other * _ROUNDING for one, other in pairs):
            yield f"compares {name!r} with tolerance {_value(new)}, and {_value(old)} is on record"


def _list(tolerances: float | Sequence[float]) -> list[float]:
    return [float(each) for each in tolerances] if isinstance(tolerances, Sequence) else [float(tolerances)]


def _value(tolerances: Sequence[float]) -> str:
    """One number, or where there are others a list of them: TOML, and words."""
    return repr(tolerances[0]) if len(tolerances) == 1 else repr(list(tolerances))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _line(text: str, table: str) -> int:
    return next((number for number, line in enumerate(text.splitlines(), 1) if line == f"[{table}]"), 1)
