"""A check as its authors read it: per kata what is wrong, a table of its tests, and the kill matrix; on a screen or as Markdown.

Rows of the matrix are mistakes, columns tests by their numbers; LEGEND says what its signs are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from grader.authoring.proving.case import Role
from grader.authoring.proving.proof import PARTS, Depth
from grader.authoring.showing.document import CaseRow, Check, KataCheck, TestRow
from grader.errors import UsageFault
from grader.messages import text
from grader.reports.layout import Paint, pad
from grader.scorecard import Verdict

BEGIN = "<!-- written by `grade check --report markdown` -->"
END = "<!-- end of what `grade check` writes -->"
_HEAD = """\
| kata | | seeds | tests | mistakes | variants | right | wrong | margin | bar | slips | wrappers | named | recall |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""
LEGEND = (
    "`#` caught by the test that the mistake names, `x` by another, `!` not caught by the one that it names, `.` not caught, "
    "blank: not tried."
)
_ROW = re.compile(r"^\| (\d\w+) \| .*\|$", re.MULTILINE)
_FOLD = re.compile(
    r"^<details><summary>(\w+): tests and kill matrix</summary>.*?^</details>$", re.MULTILINE | re.DOTALL
)
_TEST_HEADS = ("#", "test", "kind", "catches", "right", "wrong", "margin", "bar", "seconds")


def screen(check: Check, *, colour: bool = False) -> str:
    """All katas, and in the end how many hold."""
    paint = Paint(colour)
    parts = [_kata(kata, paint) for kata in check.katas]
    if check.findings:
        parts.append("\n".join(["the course", *_findings(check.findings, paint)]))
    return "\n\n".join([*parts, _summary(check, paint)]) + "\n"


def markdown(check: Check, before: str = "") -> str:
    """One row per kata, and every kill matrix in a fold; what differs between two runs of the same content is left out.

    before: the tables of an earlier check, from which katas that this one did not prove wholly are taken over as they stand.
    """
    limits = check.limits
    about = (
        f"*right*: the largest error of a right solution, as a share of its tolerance (at most {limits.right:g}). *wrong*: the smallest error of a "
        f"mistake where it is caught, in tolerances (at least {limits.wrong:g}). *margin*: from the worst seed of a right solution to the bar, in standard "
        f"deviations over the seeds (at least {limits.margin:g}). *bar*: where it stands between the nearest ablation (0), a mistake that takes away what "
        "the task needs, and the worst right run (1). *slips*, *wrappers*: mutants killed of those that are not excused. *named*: mutants that "
        "were told as a mistake of the list, and how many of them falsely, since they returned other values. *recall*: mistakes in the style "
        "of a variant that were named, of those that are written so."
    )
    rows = {each[1]: each[0] for each in _ROW.finditer(before)}
    folds = {each[1]: each[0] for each in _FOLD.finditer(before)}
    for kata in (each for each in check.katas if each.proved is Depth.WHOLE):
        rows[kata.id] = (
            f"| {kata.id} | {'holds' if kata.holds else '**does not hold**'} | {check.seeds} | {len(kata.tests)} "
            f"| {_count(kata, Role.MISTAKE)} | {_count(kata, Role.VARIANT)} | {_number(kata.right)} | {_number(kata.wrong)} "
            f"| {_number(kata.margin)} | {_bars(kata)} | {_killed(kata, 'slip')} | {_killed(kata, 'wrapper')} | {_named(kata)} | {_recall(kata)} |"
        )
        lines = [
            *_tests(kata, Paint(False), timed=False),
            "",
            *_matrix(kata, Paint(False)),
            *_survivors(kata),
            *_naming(kata),
        ]
        folds[kata.id] = f"<details><summary>{kata.id}: tests and kill matrix</summary>\n\n```text\n" + "\n".join(
            [*lines, "```", "", LEGEND, "", "</details>"]
        )
    table = [_HEAD, *(rows[id] for id in sorted(rows))]
    return "\n\n".join([about, "\n".join(table), *(folds[id] for id in sorted(folds))]) + "\n"


def earlier(page: str, name: str, *, keep: bool) -> str:
    """What the page has between the two marks; with `keep` it must be tables that can be added to.

    Raises UsageFault where the marks are missing, or the tables are of another form.
    """
    _, begin, rest = page.partition(BEGIN)
    between, end, _ = rest.partition(END)
    if not begin or not end:
        raise UsageFault(
            text("{file} has no place for the tables", file=name),
            text("put these two lines where they belong: {begin} {end}", begin=BEGIN, end=END),
        )
    if keep and between.strip() and _HEAD not in between:
        raise UsageFault(
            text("{file} has tables of another form", file=name),
            text("check all katas once, which writes them anew"),
        )
    return between


def into(page: str, name: str, check: Check, *, keep: bool) -> str:
    """The page, with this check's tables between the two marks; with `keep` those of other katas stay. See `earlier`."""
    before = earlier(page, name, keep=keep)
    tables = f"{BEGIN}\n\n{markdown(check, before if keep else '')}\n{END}"
    return page.replace(f"{BEGIN}{before}{END}", tables)


def _kata(kata: KataCheck, paint: Paint) -> str:
    sign = paint("✓ holds", "green") if kata.holds else paint("✗ does not hold", "red")
    numbers = {"test": len(kata.tests), **{word: _count(kata, Role(word)) for word in ("mistake", "variant")}}
    counts = ", ".join(f"{number} {word}{'s' * (number != 1)}" for word, number in numbers.items())
    counts = {
        Depth.WHOLE: counts,
        Depth.PART: f"as on record; right solutions once, and every {PARTS}th mistake, tried again",
        Depth.FILES: "as on record",
    }[kata.proved]
    score = f", slips killed {_killed(kata, 'slip')}, wrappers {_killed(kata, 'wrapper')}" if kata.mutation else ""
    parts = [[f"{sign}  {paint(kata.id, 'bold')}  {kata.title}: {counts}{score}"]]
    if kata.tests and kata.proved is Depth.WHOLE:
        matrix = list(_matrix(kata, paint))
        legend = [paint(f"  {LEGEND}", "dim")] if matrix else []
        parts += [["", *_tests(kata, paint)], ["", *matrix, *legend]]
    parts += [part for part in (_survivors(kata), _naming(kata)) if part]
    if kata.findings:
        parts.append(["", *_findings(kata.findings, paint)])
    return "\n".join(line for part in parts for line in part)


def _tests(kata: KataCheck, paint: Paint, *, timed: bool = True) -> Iterator[str]:
    rows = [
        (
            str(number),
            test.name,
            test.kind,
            str(len(test.catches)),
            _number(test.right),
            _number(test.wrong),
            _number(test.margin),
            "" if test.bar is None else f"{test.bar:.2f}",
            "" if test.seconds is None else f"{test.seconds:.2f}",
        )
        for number, test in enumerate(kata.tests, 1)
    ]
    heads = _TEST_HEADS if timed else _TEST_HEADS[:-1]
    widths = [max(len(row[column]) for row in [_TEST_HEADS, *rows]) for column in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        shown = zip(heads, cells, widths, strict=False)
        return "  " + "  ".join(pad(cell, width, right=head not in ("test", "kind")) for head, cell, width in shown)

    yield paint(line(heads), "dim")
    yield from map(line, rows)
    if timed and kata.seconds is not None:
        yield paint(f"  all tests on the reference: {kata.seconds:.2f} s", "dim")


def _matrix(kata: KataCheck, paint: Paint) -> Iterator[str]:
    mistakes = [case for case in kata.cases if case.role is Role.MISTAKE]
    if not mistakes:
        return
    width = max(len(case.name) for case in mistakes)
    digits = max(2, len(str(len(kata.tests))))
    numbers = " ".join(str(number).rjust(digits) for number in range(1, len(kata.tests) + 1))
    yield paint(f"  {'mistake':<{width}}  {numbers}", "dim")
    for case in mistakes:
        cells = " ".join(_cell(case, test, digits, paint) for test in kata.tests)
        told = "  ablation" if case.ablation else ""
        yield f"  {case.name:<{width}}  {cells}{told}".rstrip()


def _cell(case: CaseRow, test: TestRow, digits: int, paint: Paint) -> str:
    verdict = case.verdicts.get(test.name)
    named = test.name == case.caught_by
    if verdict is None:
        return " " * digits
    if verdict is Verdict.PASS:
        return paint("!" if named else ".", "red" if named else "dim").replace(".", ".".rjust(digits), 1)
    return paint(("#" if named else "x").rjust(digits), "green")


def _survivors(kata: KataCheck) -> list[str]:
    """Every mutant that is to be judged; wrappers under what lets them live."""
    if kata.mutation is None:
        return []
    lines = [""]
    for kind in ("slip", "wrapper"):
        mutants = [mutant for mutant in kata.mutation.mutants if mutant.kind == kind]
        alive = [mutant for mutant in mutants if mutant.fate in ("survived", "convergence")]
        lines.append(f"  {kind}s: {len(mutants)}, of which {len(alive)} to judge")
        for hint in dict.fromkeys(mutant.hint for mutant in alive):
            lines += [f"    {hint}:"] if hint else []
            lines += [
                f"    {'  ' * bool(hint)}{mutant.file}:{mutant.line}: {mutant.name}"
                + " (convergence alone sees it)" * (mutant.fate == "convergence")
                for mutant in alive
                if mutant.hint == hint
            ]
    return lines


def _findings(findings: Iterable[object], paint: Paint) -> Iterator[str]:
    for finding in findings:
        rule = getattr(finding, "rule", "")
        yield f"  {paint(str(finding), 'red')} [{rule}]"


def _summary(check: Check, paint: Paint) -> str:
    held = sum(kata.holds for kata in check.katas)
    faults = len(check.all_findings)
    whole = sum(kata.proved is Depth.WHOLE for kata in check.katas)
    words = f"{held} of {len(check.katas)} katas hold" + f", {whole} of them proved" * (whole != len(check.katas))
    words += f" on {check.seeds} seeds"
    told = f"{faults} fault{'s' * (faults != 1)}, " if faults else ""
    return f"{paint(words, 'green' if check.holds else 'red')}; {told}{check.judged} trial{'s' * (check.judged != 1)} judged, {check.seconds:.1f} s"


def _count(kata: KataCheck, role: Role) -> int:
    return sum(case.role is role for case in kata.cases)


def _killed(kata: KataCheck, kind: str) -> str:
    if kata.mutation is None:
        return ""
    counted = [mutant for mutant in kata.mutation.mutants if mutant.kind == kind and mutant.fate != "excused"]
    killed = sum(mutant.fate == "killed" for mutant in counted)
    share = kata.mutation.score if kind == "slip" else kata.mutation.wrappers
    return f"{killed}/{len(counted)} ({int(100 * share)} %)"


def _named(kata: KataCheck) -> str:
    naming = kata.mutation.naming if kata.mutation else None
    return "" if naming is None else f"{naming.named}, {len(naming.false)} falsely"


def _recall(kata: KataCheck) -> str:
    naming = kata.mutation.naming if kata.mutation else None
    return f"{naming.recalled}/{naming.again}" if naming and naming.again else ""


def _naming(kata: KataCheck) -> list[str]:
    """Every mutant that is named falsely, and every mistake in another style that is not named."""
    naming = kata.mutation.naming if kata.mutation else None
    if naming is None:
        return []
    lines = ["", f"  named: {naming.named} of {naming.mutants} mutants, {len(naming.false)} falsely"]
    lines += [f"    {each}" for each in naming.false]
    lines.append(f"  mistakes in another style: {naming.recalled} of {naming.again} named")
    return [*lines, *(f"    not {each}" for each in naming.missed)]


def _bars(kata: KataCheck) -> str:
    return ", ".join(f"{test.bar:.2f}" for test in kata.tests if test.bar is not None)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}" if value < 0.01 or value >= 1000 else f"{value:.3g}"
