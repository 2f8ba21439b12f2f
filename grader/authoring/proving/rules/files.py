"""What can be said of a kata's files without running any: nothing missing, nothing stray, everything in step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grader import diagnosis
from grader.authoring.proving import proof, statement, strength
from grader.authoring.proving.finding import Finding, of_fault
from grader.authoring.proving.subject import Subject, python_finding
from grader.errors import did_you_mean
from grader.stub import StubFault, make_stub

CUT = "cut_data.py"  # the script, beside the reference, that made a kata's data from their source


def suite(subject: Subject) -> Iterator[Finding]:
    """Every test has one kind and a docstring, and the manifest says how many tests of which kinds there are."""
    for each in subject.suites:
        yield from each.findings
    if not subject.readable:
        return
    kata, manifest = subject.kata, subject.kata.manifest
    filled = f"`grade stub {subject.id}` fills it in"
    if len(subject.tests) != kata.tests:
        message = f"tests must be {len(subject.tests)}, as many as there are, found {kata.tests}: {filled}"
        yield Finding("suite", manifest, None, message)
    kinds = {test.kind for test in subject.tests} - {""}
    for kind in sorted(kinds - set(kata.points)):
        yield Finding("suite", manifest, None, f"points.{kind} is missing: the suite has tests of this kind; {filled}")
    for kind in sorted(set(kata.points) - kinds):
        yield Finding("suite", manifest, None, f"points.{kind} is given, and no test is of this kind")


def pages(subject: Subject) -> Iterator[Finding]:
    """The statements are there, short, with hints in three levels and the shapes of the stub."""
    if subject.stub is not None:
        yield from statement.faults(subject.kata.folder, subject.shown, subject.stub, subject.course.languages)


def stub(subject: Subject) -> Iterator[Finding]:
    """The stub is what the markers of the reference leave."""
    path = subject.behind / f"{subject.kata.slug}.py"
    if missing := python_finding("stub", path, subject.reference_file):
        yield missing
    if broken := python_finding("stub", subject.kata.stub, subject.stub_file):
        yield broken
    if subject.reference is None:
        return
    try:
        wanted = make_stub(subject.reference, subject.reference_file)
    except StubFault as fault:
        yield from (of_fault("stub", each) for each in fault.faults)
        return
    if subject.stub is not None and subject.stub != wanted:
        pairs = zip([*wanted.splitlines(), ""], [*subject.stub.splitlines(), ""], strict=False)
        line = next((number for number, (one, other) in enumerate(pairs, 1) if one != other), 1)
        message = f"is not in step with the reference: `grade stub {subject.id}` writes it"
        yield Finding("stub", subject.stub_file, line, message)


def mistakes(subject: Subject) -> Iterator[Finding]:
    """Mistakes are exact, unique edits that name a test which proves something; there are variants too."""
    if not (subject.behind / "mistakes.toml").is_file():
        yield Finding("mistakes", subject.mistakes_file, None, "is missing: it names the wrong solutions")
    yield from subject.mistakes.findings
    for mistake in subject.mistakes.mistakes if subject.readable else ():
        test = subject.by_name.get(mistake.caught_by)
        if test is None:
            near = did_you_mean(mistake.caught_by, subject.by_name)
            message = f"{mistake.id}: there is no test {mistake.caught_by}" + (f"; {near}" if near else "")
            yield Finding("mistakes", subject.mistakes_file, mistake.line, message)
        elif test.kind == "convergence":
            message = f"{mistake.id}: {test.name} is a convergence test, which alone proves nothing: name another test"
            yield Finding("caught", subject.mistakes_file, mistake.line, message)
    if not subject.variants:
        yield Finding(
            "mistakes", f"{subject.name(subject.behind)}/variants", None, "has no right solution in another style"
        )
    for case in subject.variants:
        if broken := python_finding("right", subject.root / case.file, case.file):
            yield broken


def stray(subject: Subject) -> Iterator[Finding]:
    """Nothing lies in the folders that belongs to no part of a kata; data must be named by the suite and by [[data]].

    The script that cut the data may lie beside the reference, where the source of some data names it.
    """
    kata = subject.kata
    catalogues = {f"{language}.po" for language in subject.course.languages[1:]}
    pages = {statement.PAGES[language][0] for language in subject.course.languages}
    own = {"kata.toml", kata.stub.name, kata.suite.name} | pages | catalogues
    suites = "".join(suite.text for suite in subject.suites)
    sources = " ".join(data.source for data in kata.data)
    for path in _entries(kata.folder):
        if path.name in own:
            continue
        if path.is_dir() or path.name not in suites:
            yield Finding("files", subject.name(path), None, "is a stray file: neither kata nor suite names it")
        elif path.name not in sources:
            message = f"is data whose origin no [[data]] entry of {kata.manifest} gives: name it in `source`"
            yield Finding("files", subject.name(path), None, message)
    own = {f"{kata.slug}.py", "mistakes.toml", "test_hidden.py", strength.FILE, proof.FILE, diagnosis.FILE} | catalogues
    own |= {CUT} if CUT in sources else set()
    folders = [
        (subject.behind, own | {"variants"}),
        (subject.behind / "variants", {case.name + ".py" for case in subject.variants}),
    ]
    for folder, known in folders:
        for path in _entries(folder) if folder.is_dir() else ():
            if path.name not in known:
                yield Finding("files", subject.name(path), None, "is a stray file: no part of a kata has this name")


def _entries(folder: Path) -> Iterator[Path]:
    """What lies in the folder, caches aside."""
    for path in sorted(folder.iterdir()):
        if path.name != "__pycache__" and not (path / "CACHEDIR.TAG").is_file():
            yield path
