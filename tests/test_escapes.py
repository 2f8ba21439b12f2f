"""Every hostile case of `tests/escapes/`, and every honest look-alike: through the real command, each in a run of its own.

After each one the seven invariants are checked, and its row of `tests/escapes/README.md` must say what was found. After a change
`ESCAPES=write make escapes` writes the rows anew: read the difference before you keep it.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .arena import CASES, COURSE, OUTER, OUTER_SECONDS, TOY, Arena, Case, Outcome, broken_invariants

pytestmark = pytest.mark.timeout(400)  # of a run that hangs: the load of the machine decides nothing before

PAGE = CASES / "README.md"
ALL = [Case.read(file.parent) for file in sorted(CASES.glob("*/expect.toml"))]
WAITING = tomllib.loads((CASES / "waiting.toml").read_text(encoding="utf-8"))
KINDS = list(dict.fromkeys(case.kind for case in ALL))
HONEST = "honest look-alike"
KATAS = sorted(path.name for path in (COURSE / "katas").glob("[0-9]*"))
# They leave nothing, whatever lets them.
CHOSEN = ("A02", "A05", "A12", "B01", "B11", "F01", "F06", "F09", "J01", "N04")
LAYERS = {
    "landlock": frozenset({4, 5}),
    "seccomp": frozenset({4, 5}),
    "rlimits": frozenset(),
    "namespaces": frozenset(),
    "landlock,seccomp,rlimits,namespaces": frozenset({4, 5}),
}


def deal() -> dict[str, dict[str, Case]]:
    """By class, the attacks that are a file and nothing else, each on a kata of the course, which take turns."""
    dealt: dict[str, dict[str, Case]] = {}
    turn = itertools.cycle(KATAS)
    for case in ALL:
        if case.kind != HONEST and case.file.exists() and not (case.script or case.arguments or case.environment):
            mine = dealt.setdefault(case.kind, {})
            mine[next(kata for kata in turn if kata not in mine)] = case
    return dealt


DEALT = deal()
ROW = re.compile(
    r"^\| ([A-Z]\d\d|(?:landlock|seccomp|rlimits|namespaces)[a-z,]*|on the course: [^|]+) \| .* \|$", re.MULTILINE
)
HEAD = """\
# Attacks on the grader, and whether it held

Each folder is a case: what is handed in, and what must come of it (`expect.toml`). `tests/test_escapes.py` runs them through
the real command, checks after each that nothing leaked, nothing is left and all reports agree, and that this page says so.
`ESCAPES=write make escapes` writes it anew.
"""


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)
def test_a_case_gets_its_verdict_and_breaks_no_invariant(case: Case, tmp_path: Path) -> None:
    arena = Arena(tmp_path / "arena")
    arena.admit(case)
    outcome = arena.grade(case.kata)
    wrong = unexpected(case, case.kata, outcome)
    if case.script and hasattr(case.script, "check"):
        wrong += case.script.check(arena, outcome)
    lost = frozenset({4, 5}) if "GRADKATA_TEST_WITHOUT" in arena.environment else frozenset[int]()
    wrong += broken_invariants(arena, outcome, lost)
    verdict = outcome.kata(case.kata)["verdict"] if outcome.card else "none"
    told = allowed(case) if verdict in case.verdict.split("|") else verdict
    hold_to_page(case.id, f"| {case.id} | {case.title} | {told} | {'no' if wrong else 'yes'} |", wrong)


@pytest.mark.parametrize("missing", LAYERS)
def test_a_missing_layer_is_told_and_costs_only_the_invariants_that_are_its_own(missing: str, tmp_path: Path) -> None:
    arena = Arena(tmp_path / "arena")
    arena.environment["GRADKATA_TEST_WITHOUT"] = missing
    chosen = {f"{number}_{case.id.lower()}": case for number, case in enumerate(ALL, 10) if case.id in CHOSEN}
    for kata, case in chosen.items():
        arena.admit(case, kata)
    outcome = arena.grade(*chosen)
    wrong = broken_invariants(arena, outcome, LAYERS[missing])
    wrong += [f"{kata}: {what}" for kata, case in chosen.items() for what in unexpected(case, kata, outcome)]
    kept = ", ".join(str(number) for number in range(1, 8) if number not in LAYERS[missing])
    hold_to_page(missing, f"| {missing} | {', '.join(CHOSEN)} | {kept} | {'no' if wrong else 'yes'} |", wrong)


@pytest.mark.parametrize("kind", DEALT)
def test_on_the_katas_of_the_course_no_attack_scores(kind: str, tmp_path: Path) -> None:
    """Each attack that is a file and nothing else, handed in on one of the course's own katas."""
    arena = Arena(tmp_path / "arena", COURSE)
    arena.outer_seconds *= 3  # since many are judged in one run
    for kata, case in DEALT[kind].items():
        arena.disguise(case, kata)
    outcome = arena.grade(*DEALT[kind])
    wrong = broken_invariants(arena, outcome)
    for kata in DEALT[kind] if outcome.card else ():
        found = outcome.kata(kata)
        if found["verdict"] in ("pass", "internal") or found["points"]:
            wrong.append(f"{kata}: {found['verdict']} with {found['points']} points: {found['message']}")
    dealt = ", ".join(f"{case.id} on {kata[:2]}" for kata, case in DEALT[kind].items())
    hold_to_page(f"on the course: {kind}", f"| on the course: {kind} | {dealt} | {'no' if wrong else 'yes'} |", wrong)


def test_the_page_lists_every_case_and_every_row_that_waits() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = {match[1]: match[0] for match in ROW.finditer(text)}
    assert text == page(rows)
    assert rows.keys() == {case.id for case in ALL} | WAITING.keys() | LAYERS.keys() | {
        f"on the course: {kind}" for kind in DEALT
    }


def test_the_page_demands_of_each_case_what_the_case_does() -> None:
    rows = {match[1]: match[0] for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))}
    assert [case.id for case in ALL if not rows[case.id].endswith(f" | {allowed(case)} | yes |")] == []


def test_the_outer_limits_are_in_force_whatever_shell_there_is() -> None:
    asked = "import resource as r; print(*[r.getrlimit(k) for k in (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_FSIZE)])"
    done = subprocess.run(["sh", "-c", OUTER, "sh", sys.executable, "-c", asked], capture_output=True, text=True)
    limits = (24 << 30, OUTER_SECONDS, 1 << 30)
    assert (done.stdout, done.stderr) == (" ".join(f"({limit}, {limit})" for limit in limits) + "\n", "")


def test_a_third_of_a_point_is_no_disagreement(tmp_path: Path) -> None:
    """Three tests share one point, and one of them passes; an invariant that is broken is still told."""
    arena = Arena(tmp_path / "arena")
    folder = arena.course / "katas/01_scale"
    for name, old, new in (("kata.toml", "value = 2\n", "value = 1\n"), ("kata.toml", "behaviour = 1\n", "")):
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    suite = folder / "test_scale.py"
    suite.write_text(suite.read_text(encoding="utf-8").replace("mark.behaviour", "mark.value"), encoding="utf-8")
    handed_in = arena.handed_in / "01_scale"
    handed_in.mkdir()
    right = (TOY / "reference/01_scale/scale.py").read_text(encoding="utf-8")
    (handed_in / "scale.py").write_text(f"{right}\n\ndef scale(x, factor):\n    return x * 0\n", encoding="utf-8")
    outcome = arena.grade("01_scale")
    assert outcome.kata("01_scale")["points"] == pytest.approx(4 / 3, abs=1e-12)
    assert broken_invariants(arena, outcome) == []
    outcome.kata("01_scale")["points"] = 5 / 3
    assert [line[0] for line in broken_invariants(arena, outcome)] == ["1", "6"]


def allowed(case: Case) -> str:
    """The verdicts that a case may get, where the machine or the moment decides among several."""
    return " or ".join(case.verdict.split("|"))


def unexpected(case: Case, kata: str, outcome: Outcome) -> list[str]:
    """Where verdicts and words are not those of the case."""
    if not outcome.card:
        return []
    found, wrong = outcome.kata(kata), []
    if found["verdict"] not in case.verdict.split("|"):
        wrong.append(f"the verdict is {found['verdict']}, not {case.verdict}: {found['message']}")
    verdicts = {test["name"]: test["verdict"] for test in found["tests"]}
    if found["tests"]:
        wrong += [
            f"{name} is {verdicts.get(name)}, not {word}"
            for name, word in case.tests
            if verdicts.get(name) not in word.split("|")
        ]
    said = outcome.everything()
    wrong += [f"nothing says {words!r}" for words in case.says if words not in said]
    shown = outcome.stdout + outcome.stderr + outcome.junit + repr(found).replace("\\\\", "\\")
    wrong += [f"a report says {words!r}" for words in ("BREACH:", *case.silent) if words in shown]
    return wrong + [f"{test['name']}: {test['message']}" for test in found["tests"] if wrong]


def hold_to_page(name: str, row: str, wrong: list[str]) -> None:
    """Nothing may be wrong, and the page must have this row; with ESCAPES=write it gets it, whatever it says."""
    if os.environ.get("ESCAPES") == "write":
        with (CASES / "waiting.toml").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = (
                {match[1]: match[0] for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))}
                if PAGE.exists()
                else {}
            )
            PAGE.write_text(page(rows | {name: row}), encoding="utf-8")
    assert not wrong, "\n".join(wrong)
    assert row in PAGE.read_text(encoding="utf-8").splitlines()


def page(rows: dict[str, str]) -> str:
    """The whole page, from the rows that are known."""
    parts = [HEAD]
    held = {case.id: rows.get(case.id, "").endswith("| yes |") for case in ALL}
    table = [
        f"| {kind} | {len(same)} | {sum(held[case.id] for case in same)} |"
        for kind in KINDS
        if (same := [c for c in ALL if c.kind == kind])
    ]
    table.append(f"| **all** | {len(ALL)} | {sum(held.values())} |")
    parts.append("\n".join(["| class | tried | held |", "|---|---|---|", *table]) + "\n")
    for kind in KINDS:
        lines = [rows[case.id] for case in ALL if case.kind == kind and case.id in rows]
        parts.append(
            "\n".join(
                [
                    f"## {kind[0].upper()}{kind[1:]}\n",
                    "| id | what is tried | verdict | held |",
                    "|---|---|---|---|",
                    *lines,
                ]
            )
            + "\n"
        )
    layers = [rows[name] for name in LAYERS if name in rows]
    lost = "Each layer of the sandbox switched off: the report says so, and what does not rest on the layer holds on."
    parts.append(
        "\n".join(
            [
                f"## A layer less\n\n{lost}\n",
                "| without | cases | invariants kept | held |",
                "|---|---|---|---|",
                *layers,
            ]
        )
        + "\n"
    )
    rows_of_course = [rows[name] for kind in DEALT if (name := f"on the course: {kind}") in rows]
    told = "The attacks that are a file and nothing else, on the course's own katas: no point, and every invariant."
    parts.append(
        "\n".join(
            [
                f"## On the course\n\n{told}\n",
                "| class | attacks | held |",
                "|---|---|---|",
                *rows_of_course,
            ]
        )
        + "\n"
    )
    waiting = [f"| {id} | {why} |" for id, why in WAITING.items()]
    parts.append("\n".join(["## Waiting\n", "| id | for what |", "|---|---|", *waiting]) + "\n")
    return "\n".join(parts)
