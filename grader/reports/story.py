"""What a kata that does not pass says first: the first failing test, in words about the learner's own file."""

from __future__ import annotations

from itertools import chain, repeat

from rich.cells import cell_len

from grader.messages import text
from grader.messages.language import Language
from grader.reports.layout import Paint, cut, pad, wrap
from grader.reports.table import KINDS, LABELS, mark, rows, style, word
from grader.scorecard import KataResult, TestResult, Verdict

OUR_FAULT = text(
    "This is our fault, not yours: nothing that you wrote decides it. Try again with `grade run {kata} --fresh`. "
    "If it stays, send these lines and what `grade doctor` prints to the authors of the course."
)
SUITE_FAULT = text("The suite, its manifest or the grader is at fault: `grade check {kata}` says where.")
SHOWN = 10  # lines of the learner's own output: half of them its first, half its last


def story(kata: KataResult, width: int, paint: Paint, language: Language) -> str:
    """A block of lines for a kata that neither passes nor is untouched."""
    head = f"{mark(kata.verdict)} {kata.id}  {word(kata.verdict, language)}"
    lines = [paint(head, style(kata.verdict), "bold") + cut(f"  {kata.title}", width - cell_len(head))]
    if kata.verdict is Verdict.INTERNAL:
        told = SUITE_FAULT if kata.stub.startswith("reference/") else OUR_FAULT  # its authors are who reads it
        lines += _indented(language.text(told.code, kata=kata.id), 2, width)
        lines += [""] * bool(kata.message)
    lines += _indented(kata.message, 2, width, most=12)
    test = first_failing(kata)
    if test is None:
        return "\n".join(lines)
    same = len(kata.tests) > 1 == len({(each.verdict, each.message) for each in kata.tests})
    title = test.title.rstrip(".。")
    if same:
        title = language.text("All {count} tests end like this", count=len(kata.tests))
    kind = language.say(KINDS[test.kind][0]) if test.kind in KINDS else test.kind
    how = [kind] * (not same) + [word(test.verdict, language)] * (test.verdict is not Verdict.FAIL)
    heading = language.text("{title} ({how})", title=title, how=how) if how else title
    lines += [""] * bool(kata.message) + _told(test, heading, kata.stub, width, paint, language)
    if not same:
        lines += [paint(line, "dim") for line in _others(kata, test, width, language)]
    return "\n".join(lines)


def under_way(kata: KataResult, width: int, paint: Paint, language: Language) -> str:
    """A calm line or two for a kata in which nothing that was written is wrong: how far it is, and what comes next."""
    passed = sum(test.verdict is Verdict.PASS for test in kata.tests)
    head = f"{mark(kata.verdict)} {kata.id}  "
    told = language.text("{passed} of {count} tests pass", passed=passed, count=len(kata.tests))
    to_do = next((test for test in kata.tests if test.verdict is Verdict.TODO), None)
    lines = [paint(head + told, "cyan", "bold")]
    if to_do is not None and to_do.message:
        lines += _indented(language.text("next: {what}", what=to_do.message), 2, width, most=3)
    return "\n".join(lines)


def _others(kata: KataResult, told: TestResult, width: int, language: Language) -> list[str]:
    """How many tests beside the one that was told do not pass, and how many were not run, and why."""
    left = [other for other in kata.tests if other.verdict is not Verdict.PASS and other is not told]
    not_run = [other for other in left if other.verdict is Verdict.NOT_RUN]
    lines, failing = [], len(left) - len(not_run)
    if failing:
        lines.append(
            language.plural("and {count} more test does not pass", "and {count} more tests do not pass", failing)
        )
    if not_run:
        one, many = "{count} test was not run, {why}", "{count} tests were not run, the first {why}"
        lines.append(language.plural(one, many, len(not_run), why=not_run[0].message))
    return ["", *(part for line in lines for part in _indented(line, 2, width))] if lines else []


def first_failing(kata: KataResult) -> TestResult | None:
    """The first test of our own fault if there is one, else the first that went wrong, is to do, or was not run."""

    def rank(test: TestResult) -> int:
        return {Verdict.INTERNAL: 0, Verdict.TODO: 2, Verdict.NOT_RUN: 3}.get(test.verdict, 1)

    return min((test for test in kata.tests if test.verdict is not Verdict.PASS), key=rank, default=None)


def _told(test: TestResult, heading: str, stub: str, width: int, paint: Paint, language: Language) -> list[str]:
    lines = [paint(line, "bold") for line in _indented(heading, 2, width)]
    lines += _indented(test.message, 4, width, most=12)
    indent = max(cell_len(language.say(label)) for label in LABELS)
    for label, said in rows(test.cause, language) if test.cause else ():
        starts = chain([pad(label, indent)], repeat(" " * indent))
        for start, line in zip(starts, wrap(said, width - indent - 6, most=6), strict=False):
            lines.append(f"    {paint(start, 'dim')}  {line}")
    if test.line and stub:
        lines += ["", "    " + paint(f"{stub}:{test.line.number}", "cyan")]
        lines += [cut(f"    > {test.line.source.strip()}", width)] * bool(test.line.source.strip())
    return lines + _printed(test, width, paint, language)


def _printed(test: TestResult, width: int, paint: Paint, language: Language) -> list[str]:
    """What the learner's code printed in this test, quoted, so that no line of it can pass for one of ours."""
    if not test.output.strip():
        return []
    quoted = [cut(f"    | {line}", width) for line in test.output.rstrip("\n").expandtabs(4).split("\n")]
    if len(quoted) > SHOWN:
        count = len(quoted) - SHOWN
        told = language.plural("… {count} line is not shown", "… {count} lines are not shown", count)
        left_out = paint(f"    {told}", "dim")
        quoted = [*quoted[: SHOWN // 2], left_out, *quoted[-SHOWN // 2 :]]
    shown = ["", paint(f"    {language.text('your code printed')}", "dim"), *quoted]
    if test.output_dropped:
        more = language.text("and {count} bytes more, which were not kept", count=test.output_dropped)
        shown.append(paint(f"    {more}", "dim"))
    return shown


def _indented(words: str, indent: int, width: int, most: int = 1000) -> list[str]:
    return [" " * indent + line for line in wrap(words, width - indent, most)] if words else []
