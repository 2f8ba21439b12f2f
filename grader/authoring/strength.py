"""The record of how strictly each test compares: a suite that was weakened since is refused.

That right solutions are far inside a tolerance and mistakes far outside it does not show that the tolerance is what it was
when the suite was proved: most mistakes are so gross that a thousandfold tolerance would still catch them. So the tolerances
are on record, in a file that is small enough to be read in a diff. `grade check --record` writes it, from the reference on seed 0.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from grader.authoring.case import Role
from grader.authoring.evidence import Evidence
from grader.authoring.finding import Finding
from grader.authoring.outcome import Trial

FILE = "strength.toml"
_HEAD = """\
# How strictly each test compares: the relative tolerance of each of its comparisons, found on the reference.
# Written by `grade check --record`; a suite that compares more loosely, or less, is refused.
"""
_ROUNDING = 1 + 1e-9

Record = Mapping[str, Mapping[str, float]]  # test -> name of a comparison -> tolerance; 0 is exact


def measured(evidence: Evidence) -> Record | None:
    """How strictly the suite compares now; None where the reference did not run."""
    reference = next(iter(evidence.subject.of(Role.REFERENCE)), None)
    outcome = evidence.found.get(Trial(reference)) if reference else None
    if outcome is None or outcome.faults:
        return None
    record: dict[str, dict[str, float]] = {}
    for ran in outcome.tests:
        tolerances = record.setdefault(ran.name, {})
        for seen in ran.comparisons:
            if seen.margin is None:
                tolerances[seen.name] = max(seen.tolerance, tolerances.get(seen.name, 0.0))
    return record


def render(record: Record) -> str:
    """The record as TOML, in the suite's order."""
    tables = []
    for test, tolerances in record.items():
        rows = [f"{_key(name)} = {float(tolerance)!r}" for name, tolerance in tolerances.items()]
        tables.append("\n".join([f"[{_key(test)}]", *rows]))
    return "\n\n".join([_HEAD.rstrip(), *tables]) + "\n"


def write(evidence: Evidence) -> Path | None:
    """Put on record how strict the suite is now; returns the file, None where nothing is known or nothing changed."""
    record = measured(evidence)
    path = evidence.subject.behind / FILE
    if record is None or (path.is_file() and path.read_text(encoding="utf-8") == render(record)):
        return None
    path.write_text(render(record), encoding="utf-8", newline="\n")
    return path


def weaker(evidence: Evidence) -> Iterator[Finding]:
    """No test is gone, compares less or compares more loosely than is on record."""
    subject = evidence.subject
    path = subject.behind / FILE
    file = subject.name(path)
    now = measured(evidence)
    if now is None:
        return
    command = f"`grade check {subject.id} --record`"
    if not path.is_file():
        yield Finding("strength", file, None, f"is missing: {command} writes it once all other rules hold")
        return
    text = path.read_text(encoding="utf-8")
    try:
        record: Record = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        yield Finding("strength", file, 1, f"is not valid TOML: {error}; {command} writes it anew")
        return
    for name, tolerances in record.items():
        if name not in now:
            message = f"{name} is on record and no longer in the suite; if that is meant, {command}"
            yield Finding("strength", file, _line(text, name), message)
        else:
            test = subject.by_name[name]
            for message in _weaker(tolerances, now[name]):
                yield Finding("strength", test.file, test.line, f"{name} {message}; if that is meant, {command}")
    for name in now:
        if name not in record:
            test = subject.by_name[name]
            yield Finding("strength", test.file, test.line, f"{name} is not on record yet: {command} adds it")


def _weaker(record: Mapping[str, float], now: Mapping[str, float]) -> Iterator[str]:
    for name, tolerance in record.items():
        if name not in now:
            yield f"no longer compares {name!r}, as it did when it was put on record"
        elif now[name] > tolerance * _ROUNDING:
            yield f"compares {name!r} with tolerance {now[name]:g}, and {tolerance:g} is on record"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _line(text: str, table: str) -> int:
    return next((number for number, line in enumerate(text.splitlines(), 1) if line == f"[{table}]"), 1)
