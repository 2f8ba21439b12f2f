"""`grade check`: every rule, on every kata that is asked for, and all that is wrong at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader import __version__, kata, settings
from grader.authoring.mutating import fate, survivors, wrapped
from grader.authoring.proving import fingerprints, measures, proof, rules, strength
from grader.authoring.proving.bench import Bench, in_order
from grader.authoring.proving.case import Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.finding import Finding, of_fault
from grader.authoring.proving.outcome import Trial
from grader.authoring.proving.proof import Depth
from grader.authoring.proving.rules import texts
from grader.authoring.proving.subject import Subject
from grader.authoring.showing.document import Check, Limits, kata_check
from grader.course import Course
from grader.engine.key import grader_digest, versions
from grader.errors import CourseFault, Fault, UsageFault, did_you_mean
from grader.kata import Kata
from grader.messages import text
from grader.settings import Settings
from grader.study import paths

_TOGETHER = 2  # mistakes of a kata that are tried on the convergence tests before it is asked whether that is enough
_RECORDED = {"strength", "fingerprints"}  # the rules that `--record` makes hold
_TIMINGS = 3  # more runs of a reference that seems too slow, each alone on the machine


@dataclass(frozen=True)
class Wanted:
    """What the command was asked to do."""

    katas: Sequence[str] = ()
    seeds: int = 5
    full: bool = False  # every mistake on every test before a judge, and not only as far as the rules need it
    mutate: bool = False
    record: bool = False
    week: int | None = None  # where only what has changed is proved wholly: which part of the rest is tried


def check(root: Path, wanted: Wanted, bench: Bench) -> Check:
    """Examine the katas of the course at `root`."""
    began = time.perf_counter()
    katas, faults = kata.survey(root, known_good=bench.store.known_good, on_good=bench.store.on_good)
    course = Course(root, katas, _settings(root))
    findings = [of_fault("manifest", fault) for fault in faults]
    if not wanted.katas:
        findings += _stray_folders(course)
        if not any(fault.file == settings.FILE for fault in faults):
            findings += [of_fault("course", fault) for fault in paths.faults(course)]
    chosen = [Subject(course, each) for each in _chosen(course, wanted.katas, faults)]
    evidence = [_evidence(subject, place, wanted) for place, subject in enumerate(chosen)]
    _gather(evidence, bench, wanted)
    slips = survivors.judge(evidence, bench) if wanted.mutate else {}
    behaviour = wrapped.judge(evidence, bench) if wanted.mutate else {}
    fates = {id: slips[id] + behaviour[id] for id in slips}
    checks = []
    for each in evidence:
        if wanted.record:
            texts.write(each.subject)
        found = rules.broken(each)
        if wanted.record and each.depth is Depth.WHOLE and {finding.rule for finding in found} <= _RECORDED:
            strength.write(each)
            fingerprints.write(each)
            found = rules.broken(each)
        if wanted.record and not found and each.depth is Depth.WHOLE:
            proof.write(each.subject, each.seeds)
        found = _in_order(found, wanted.record)
        if wanted.mutate:
            found += fate.excused(each, fates[each.subject.id])
        checks.append(kata_check(each, found, fates.get(each.subject.id)))
        bench.store.prune_checks(each.subject.id)
    return Check(
        course=course.name,
        grader=f"{__version__}+{grader_digest()[:12]}",
        versions=versions(),
        seeds=wanted.seeds,
        limits=Limits(),
        seconds=round(time.perf_counter() - began, 3),
        judged=bench.judged,
        holds=not findings and all(each.holds for each in checks),
        findings=tuple(findings),
        katas=tuple(checks),
    )


def _in_order(found: list[Finding], record: bool) -> list[Finding]:
    """What has to be mended first, and then what `--record` settles, which nobody who gave it is asked for."""
    real = [finding for finding in found if finding.rule not in _RECORDED]
    return real + [finding for finding in found if finding.rule in _RECORDED and not (record and real)]


def source_of(root: Path, katas: Sequence[str], mutant: str, bench: Bench) -> str:
    """The source of one mutant of one kata. Raises UsageFault where there is none of this name."""
    survey, faults = kata.survey(root, known_good=bench.store.known_good, on_good=bench.store.on_good)
    course = Course(root, survey, _settings(root))
    chosen = _chosen(course, katas, faults)
    if len(katas) != 1 or not chosen:
        raise UsageFault(
            text("--show prints a mutant of one kata"), text("name it, for example `grade check lstm --show NAME`")
        )
    subject = Subject(course, chosen[0])
    cases = [*survivors.slips(subject), *wrapped.cases(subject, bench)]
    found = {case.name: case.source.decode() for case in cases}
    if mutant not in found:
        listed = text("`grade check {kata} --mutate` lists those that live", kata=subject.id)
        raise UsageFault(
            text("{kata} has no mutant {mutant!r}", kata=subject.id, mutant=mutant),
            did_you_mean(mutant, found) or listed,
        )
    return found[mutant]


def _evidence(subject: Subject, place: int, wanted: Wanted) -> Evidence:
    """What is to be found out about a kata; where it is not proved wholly, on one seed."""
    if wanted.week is None:
        return Evidence(subject, wanted.seeds)
    depth = proof.due(subject, place, wanted.week)
    return Evidence(subject, wanted.seeds if depth is Depth.WHOLE else 1, depth=depth, week=wanted.week)


def _settings(root: Path) -> Settings:
    """Those of the course, or of one that says nothing, where they are at fault, which the survey tells."""
    try:
        return settings.load(root)
    except CourseFault:
        return Settings()


def _gather(evidence: Sequence[Evidence], bench: Bench, wanted: Wanted) -> None:
    """Judge what every kata needs, then what the first outcomes call for."""
    runnable = [each for each in evidence if each.subject.tests and each.depth is not Depth.FILES]
    _run([(each, trial) for each in runnable for trial in each.base(wanted.full, wanted.mutate)], bench)
    _run([(each, trial) for each in runnable for trial in each.doubtful()], bench)
    whole = [each for each in runnable if each.depth is Depth.WHOLE]
    while batch := [(each, trial) for each in whole for trial in _next_convergence(each, wanted.full)]:
        _run(batch, bench)
    for each in whole:
        reference = each.subject.of(Role.REFERENCE)
        for again in range(2, 2 + _TIMINGS):
            if reference and (measures.over_budget(each) or measures.short_limit(each)):
                each.pace = max(each.pace, bench.pace())
                trial = Trial(reference[0], again=again)
                (each.found[trial],) = bench.run([(each.subject, trial)], keep=False, alone=True)


def _run(trials: list[tuple[Evidence, Trial]], bench: Bench) -> None:
    ordered = in_order([(each.subject, trial) for each, trial in trials])
    homes = {each.subject.id: each for each, _ in trials}
    for (subject, trial), outcome in zip(ordered, bench.run(ordered), strict=True):
        homes[subject.id].found[trial] = outcome


def _next_convergence(evidence: Evidence, full: bool) -> list[Trial]:
    """The next mistakes to try on the convergence tests: those that most tests catch, while one of these has caught none."""
    if not evidence.slow or not (full or evidence.idle):
        return []
    cases = [case for case in evidence.subject.of(Role.MISTAKE) if evidence.convergence(case) not in evidence.found]
    cases.sort(key=lambda case: -len(evidence.caught_by(case)))
    return [evidence.convergence(case) for case in (cases if full else cases[:_TOGETHER])]


def _chosen(course: Course, names: Sequence[str], faults: Sequence[Fault]) -> tuple[Kata, ...]:
    """The katas that are asked for; one whose manifest is at fault is not missed, since its faults are told."""
    broken = {Path(fault.file).parent.name for fault in faults}
    known = []
    for name in names:
        try:
            course.select([name])
        except UsageFault:
            if not any(_means(Path(name).name, id) for id in broken):
                raise
        else:
            known.append(name)
    return course.select(known) if known or not names else ()


def _means(name: str, id: str) -> bool:
    """Whether a kata whose manifest cannot be read is meant: by its folder, its short name or its number."""
    number, _, slug = id.partition("_")
    return name in (id, slug) or (name.isdecimal() and number.isdecimal() and int(name) == int(number))


def _stray_folders(course: Course) -> Iterator[Finding]:
    """Folders that belong to no kata."""
    manifests = {path.parent.name for path in course.root.glob("katas/*/kata.toml")}
    for top in ("katas", "reference"):
        for path in sorted((course.root / top).glob("*/")):
            if path.name not in manifests and path.name != "__pycache__" and not (path / "CACHEDIR.TAG").is_file():
                yield Finding(
                    "files", f"{top}/{path.name}", None, f"is a stray folder: no katas/{path.name}/kata.toml is there"
                )
