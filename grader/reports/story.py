"""What a kata that does not pass says first: the first failing test, in words about the learner's own file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, repeat

from rich.cells import cell_len

from grader.messages import text
from grader.messages.language import Language
from grader.reports.folded import alike
from grader.reports.layout import Paint, cut, pad, wrap
from grader.reports.table import KINDS, LABELS, amount, mark, rows, style, word
from grader.scorecard import KataResult, TestResult, Verdict

OUR_FAULT = text(
    "This is our fault, not yours: nothing that you wrote decides it. Try again with `grade run {kata} --fresh`. "
    "If it stays, send these lines and what `grade doctor` prints to the authors of the course."
)
SUITE_FAULT = text("The suite, its manifest or the grader is at fault: `grade check {kata}` says where.")
SHOWN = 10  # lines of the learner's own output: half of them its first, half its last


def story(kata: KataResult, width: int, paint: Paint, language: Language, *, every: bool = False) -> str:
    """A block of lines for a kata that neither passes nor is untouched; with `every`, all of its failing tests."""
    head = f"{mark(kata.verdict)} {kata.id}  {word(kata.verdict, language)}"
    first = paint(head, style(kata.verdict), "bold") + cut(f"  {kata.title}", width - cell_len(head))
    return "\n".join([first, *telling(kata, width, paint, language, every=every)])


def telling(kata: KataResult, width: int, paint: Paint, language: Language, *, every: bool = False) -> list[str]:
    """The lines under its first: what is wrong with the kata as a whole, and the first failing test, or with `every` all."""
    lines: list[str] = []
    if kata.verdict is Verdict.INTERNAL:
        told = SUITE_FAULT if kata.stub.startswith("reference/") else OUR_FAULT  # its authors are who reads it
        lines += _indented(language.text(told.code, kata=kata.id), 2, width)
        lines += [""] * bool(kata.message)
    lines += _indented(kata.message, 2, width, most=12)
    test = first_failing(kata)
    if test is None:
        return lines
    same, numbers = alike(kata), numbered(kata)
    heading = _heading(test, language, numbers)
    if same:
        heading = language.text("All {count} tests end like this", count=len(kata.tests))
        if test.verdict is not Verdict.FAIL:
            heading = language.text("{title} ({how})", title=heading, how=[word(test.verdict, language)])
    lines += [""] * bool(kata.message) + told_test(test, heading, kata.stub, width, paint, language)
    if not same:
        more = _wrong(kata)[1:] if every else []
        for other in more:
            lines += ["", *told_test(other, _heading(other, language, numbers), kata.stub, width, paint, language)]
        lines += [paint(line, "dim") for line in _others(kata, [test, *more], width, language)]
    return lines


def numbered(kata: KataResult) -> dict[str, str]:
    """What stands before the title of each test, by its name: its number, by which `-k` picks it.

    Nothing where not all of the kata's tests are there, nor in their order, as in the midst of a run.
    """
    names = list(dict.fromkeys(test.name.partition("[")[0] for test in kata.tests)) * bool(kata.max)
    return {test.name: f"{names.index(test.name.partition('[')[0]) + 1}. " for test in kata.tests if names}


def _heading(test: TestResult, language: Language, numbers: Mapping[str, str]) -> str:
    """Which test it is, what it is about, of which kind it is, and how it ended, where that is not just wrong."""
    kind = [language.say(KINDS[test.kind][0]) if test.kind in KINDS else test.kind]
    how = kind + [word(test.verdict, language)] * (test.verdict is not Verdict.FAIL)
    title = numbers.get(test.name, "") + test.title.rstrip(".。")
    return language.text("{title} ({how})", title=title, how=how)


def under_way(kata: KataResult, width: int, paint: Paint, language: Language, *, passing_named: bool = True) -> str:
    """Calm lines for a kata in which nothing that ran is wrong: the points so far, the tests that pass, and what comes next."""
    passing = [test for test in kata.tests if test.verdict is Verdict.PASS]
    points, most = amount(kata.points), amount(kata.max)
    told = [
        language.text("{passed} of {count} tests pass", passed=len(passing), count=len(kata.chosen)),
        language.text("{points} of {most} points so far", points=points, most=most),
    ]
    lines = [paint(cut(f"{mark(kata.verdict)} {kata.id}  {' · '.join(told)}", width), "cyan", "bold")]
    lines += [line for said in notes(kata, language) for line in _indented(said, 2, width)]
    numbers = numbered(kata)
    titles = [numbers.get(test.name, "") + test.title.rstrip(".。") for test in passing if passing_named]
    lines += [cut(f"  {mark(Verdict.PASS)} {title}", width) for title in titles]
    to_do = next((test for test in kata.chosen if test.verdict is Verdict.TODO), None)
    if to_do is not None and to_do.message:
        lines += _indented(language.text("next: {what}", what=to_do.message), 2, width, most=3)
    return "\n".join(lines)


def notes(kata: KataResult, language: Language) -> list[str]:
    """What was said of a kata beside how many of its tests are to do."""
    return [language.say(said) for said in kata.said if said.code != "kata.to_do"]


def whole_output(kata: KataResult, told: Sequence[TestResult], width: int, paint: Paint, language: Language) -> str:
    """What the learner's code printed in the tests that are not told anyway, whole."""
    lines = []
    for test in kata.tests:
        if test not in told and test.output.strip():
            heading = language.text(
                "{title} ({how})", title=test.title.rstrip(".。"), how=[word(test.verdict, language)]
            )
            lines += ["", *_indented(heading, 2, width), *_printed(test, width, paint, language, whole=True)[1:]]
    return "\n".join([paint(kata.id, "bold"), *lines[1:]]) if lines else ""


def told(kata: KataResult, every: bool) -> list[TestResult]:
    """The tests of a kata that fails which its story tells."""
    first = first_failing(kata)
    return _wrong(kata) if every and _wrong(kata) else [first] if first else []


def _others(kata: KataResult, told: Sequence[TestResult], width: int, language: Language) -> list[str]:
    """How many tests beside those that were told went wrong, and how many were not run, and why."""
    calm = (Verdict.PASS, Verdict.TODO)  # how many are to do is said of the kata
    left = [other for other in kata.tests if other.verdict not in calm and other not in told]
    not_run = [other for other in left if other.verdict is Verdict.NOT_RUN]
    lines, failing = [], len(left) - len(not_run)
    not_run = [other for other in not_run if other.said is None or other.said.code != "not_run.unchosen"]  # said above
    if failing:
        lines.append(
            language.plural("and {count} more test does not pass", "and {count} more tests do not pass", failing)
        )
    if not_run:
        one, many = "{count} test was not run, {why}", "{count} tests were not run, the first {why}"
        lines.append(language.plural(one, many, len(not_run), why=not_run[0].message))
    return ["", *(part for line in lines for part in _indented(line, 2, width))] if lines else []


def first_failing(kata: KataResult) -> TestResult | None:
    """The first test of our own fault if there is one, else the one that went wrong at the earliest step of the kata.

    Where none went wrong, it is the first that is to do, and last the first that was not run.
    """
    ranks = {Verdict.INTERNAL: 0, Verdict.TODO: 2, Verdict.NOT_RUN: 3}
    failing = (test for test in kata.tests if test.verdict is not Verdict.PASS)
    return min(failing, key=lambda test: (ranks.get(test.verdict, 1), test.step), default=None)


def _wrong(kata: KataResult) -> list[TestResult]:
    """The tests that went wrong, the earliest step of the kata first."""
    calm = (Verdict.PASS, Verdict.TODO, Verdict.NOT_RUN)
    wrong = [test for test in kata.tests if test.verdict not in calm]
    return sorted(wrong, key=lambda test: (test.verdict is not Verdict.INTERNAL, test.step))


def told_test(test: TestResult, heading: str, stub: str, width: int, paint: Paint, language: Language) -> list[str]:
    """The lines of one test: what went wrong, why, and where, under a heading."""
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


def _printed(test: TestResult, width: int, paint: Paint, language: Language, *, whole: bool = False) -> list[str]:
    """What the learner's code printed in this test, quoted, so that no line of it can pass for one of ours."""
    if not test.output.strip():
        return []
    quoted = [cut(f"    | {line}", width) for line in test.output.rstrip("\n").expandtabs(4).split("\n")]
    if len(quoted) > SHOWN and not whole:
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
