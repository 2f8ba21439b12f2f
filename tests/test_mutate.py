"""Mutants of a reference: which there are, which a suite lets live, and which are excused for good reason."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.authoring.check import Wanted, check
from grader.authoring.mutating import survivors
from grader.authoring.mutating.fate import Fate, excused, score
from grader.authoring.mutating.mutate import mutants
from grader.authoring.proving.bench import Bench
from grader.authoring.proving.case import Case, Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.mistakes import Excuse
from grader.authoring.showing import tables
from grader.course import Course
from grader.errors import UsageFault

from .workshop import SHORT, edited, new_bench, scaffold

SOURCE = '''"""A running mean."""

LIMIT = 3 + 1


def smooth(values, keep=0.5):
    """Mean of what came before."""
    # BEGIN SOLUTION: fold
    state, out = 0.0, []
    for value in values:
        if value > 2 and keep:
            continue
        state = state - value / 10
        out.append(abs(-state))
    check(f"{1 + 1}", True)
    return sum(out) + out[-1]
    # END SOLUTION


def check(text: "1 + 1", flag):
    return text + 1
'''
GOLDEN = [
    (9, "smooth: state, out = 1.0, []"),
    (11, "smooth: if not (value > 2 and keep)"),
    (11, "smooth: if value >= 2 and keep"),
    (11, "smooth: if value > 3 and keep"),
    (11, "smooth: if value > 1 and keep"),
    (11, "smooth: if value > 2 or keep"),
    (12, "smooth: without continue"),
    (13, "smooth: without state = state - value / 10"),
    (13, "smooth: state = value / 10 - state"),
    (13, "smooth: state = state + value / 10"),
    (13, "smooth: state = state - 10 / value"),
    (13, "smooth: state = state - value * 10"),
    (13, "smooth: state = state - value / 11"),
    (13, "smooth: state = state - value / 9"),
    (14, "smooth: without out.append(abs(-state))"),
    (14, "smooth: out.append(abs(state))"),
    (15, 'smooth: without check(f"{1 + 1}", True)'),
    (15, 'smooth: check(True, f"{1 + 1}")'),
    (15, 'smooth: check(f"{1 + 1}", False)'),
    (16, "smooth: return mean(out) + out[-1]"),
    (16, "smooth: return sum(out) - out[-1]"),
    (16, "smooth: return sum(out) + out[-2]"),
    (16, "smooth: return sum(out) + out[-0]"),
]


def test_the_mutants_of_a_small_function() -> None:
    """One slip each, between the markers alone: never in the signature, in text, or in what is not the learner's."""
    assert [(mutant.line, mutant.name) for mutant in mutants(SOURCE)] == GOLDEN


def test_a_mutant_is_the_source_with_one_line_changed() -> None:
    for mutant in mutants(SOURCE):
        pairs = list(zip(SOURCE.splitlines(), mutant.text.splitlines(), strict=True))
        assert [number for number, (one, other) in enumerate(pairs, 1) if one != other] == [mutant.line]


def test_mutants_have_names_of_their_own() -> None:
    twice = SOURCE.replace("out.append(abs(-state))", "out.append(abs(-state))\n        out.append(abs(-state))")
    names = [mutant.name for mutant in mutants(twice)]
    assert len(names) == len(set(names))
    assert "smooth: out.append(abs(state)) (2)" in names


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return scaffold(tmp_path_factory.mktemp("course"))


def test_the_score_leaves_out_what_is_excused() -> None:
    case, excuse = Case(Role.MUTANT, "a", b"", "a.py"), Excuse("a", "it is", 1)
    killed, lives, slow = Fate(case, ("test_a",)), Fate(case), Fate(case, ("test_b",), slow_only=True)
    assert score([killed, lives, slow, killed]) == 0.5
    assert score([killed, lives, Fate(case, excuse=excuse)]) == 0.5
    assert score([Fate(case, excuse=excuse)]) == score([]) == 1.0


def test_an_excuse_must_be_for_a_mutant_that_lives(course: Course, tmp_path: Path) -> None:
    names = ("nowhere", "dead", "slow", "alive")
    rows = "".join(f'[[equivalent]]\nmutant = "{name}"\nreason = "so it is"\n' for name in names)
    subject = edited(course, tmp_path, {"mistakes.toml": rows})
    excuses = {each.mutant: each for each in subject.mistakes.excuses}
    fates = [
        Fate(Case(Role.MUTANT, "dead", b"", "a.py"), ("test_a",), excuse=excuses["dead"]),
        Fate(Case(Role.MUTANT, "slow", b"", "a.py"), ("test_b",), slow_only=True, excuse=excuses["slow"]),
        Fate(Case(Role.MUTANT, "alive", b"", "a.py"), excuse=excuses["alive"]),
        Fate(Case(Role.MUTANT, "not excused", b"", "a.py")),
    ]
    assert list(map(str, excused(Evidence(subject, 1), fates))) == [
        f"{SHORT['mistakes.toml']}:1: there is no mutant 'nowhere': take its name from the list of survivors",
        f"{SHORT['mistakes.toml']}:4: 'dead' is excused, and test_a kills it",
    ]


def test_a_machine_without_libcst_is_told_what_to_install(
    course: Course, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "grader.authoring.mutating.mutate", None)
    with pytest.raises(UsageFault, match="--mutate needs") as refused:
        survivors.judge([Evidence(edited(course, tmp_path, {}), 1)], new_bench(tmp_path))
    assert "pip install libcst" in str(refused.value.next_step)


# A kata under mutation

REFERENCE = '''"""A line, small."""

import os


def predict(x, weight, bias):
    """Evaluate it."""
    # BEGIN SOLUTION: one product
    while True:
        break
    if not x.any():
        os._exit(3)
    return x @ weight + bias
    # END SOLUTION


def loss(x, y, weight, bias):
    # BEGIN SOLUTION: squares
    if len(x) == 2:
        y = y * 1.0
    return abs(predict(x, weight, bias) - y).mean()
    # END SOLUTION
'''
SUITE = '''"""Two values and a model."""

import numpy as np
import pytest

from grader.checks import assert_beats, assert_close


@pytest.mark.value
def test_values(solution, rng):
    """Both are right."""
    x, weight, y = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=4)
    assert_close(solution.predict(x, weight, 1.5), x @ weight + 1.5, name="outputs")
    assert_close(solution.loss(x, y, weight, 1.5), np.mean(abs(x @ weight + 1.5 - y)), name="loss")


@pytest.mark.convergence
def test_learns(solution, rng):
    """Nothing is learnt."""
    assert_beats(float(solution.loss(np.eye(2), np.ones(2), np.zeros(2), 1.0)), 0.5, name="loss", higher=False)
'''
SWAPPED = "loss: return abs(y - predict(x, weight, bias)).mean()"
MISTAKES = f'''
[[mistake]]
id = "a-sum"
find = "y).mean()"
replace = "y).sum()"
caught_by = "test_values"
says = "A sum."
says_zh = "求和。"

[[equivalent]]
mutant = "{SWAPPED}"
reason = "An absolute value has no sign."

[[equivalent]]
mutant = "predict: return x @ weight - bias"
reason = "It is not."
'''
VALUES, LEARNS = ("test_values",), ("test_learns",)
FATES = {
    "predict: while not (True)": ("survived", ()),
    "predict: while False": ("survived", ()),
    "predict: without break": ("killed", VALUES),  # it runs for ever
    "predict: if not (not x.any())": ("killed", VALUES),  # it ends the process
    "predict: if x.any()": ("killed", VALUES),
    "predict: if not x.all()": ("convergence", LEARNS),
    "predict: without os._exit(3)": ("survived", ()),
    "predict: os._exit(4)": ("survived", ()),
    "predict: os._exit(2)": ("survived", ()),
    "predict: return weight @ x + bias": ("killed", VALUES),
    "predict: return x @ weight - bias": ("excused", VALUES),
    "loss: if not (len(x) == 2)": ("survived", ()),
    "loss: if len(x) != 2": ("survived", ()),
    "loss: if len(x) == 3": ("survived", ()),
    "loss: if len(x) == 1": ("survived", ()),
    "loss: without y = y * 1.0": ("survived", ()),
    "loss: y = y / 1.0": ("survived", ()),
    "loss: y = y * 2.0": ("convergence", LEARNS),
    "loss: return abs(predict(x, weight, bias) - y).sum()": ("killed", VALUES),
    SWAPPED: ("excused", ()),
    "loss: return abs(predict(weight, x, bias) - y).mean()": ("killed", VALUES),
    "loss: return abs(predict(x, weight, bias) + y).mean()": ("killed", VALUES),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    shared = new_bench(tmp_path_factory.mktemp("store"))
    yield shared
    shared.close()


def test_every_mutant_has_its_fate_and_survivors_are_listed(course: Course, bench: Bench, tmp_path: Path) -> None:
    """One that runs for ever is killed, and so is one that takes its process down; what convergence alone sees is not."""
    manifest = (course.root / SHORT["kata.toml"]).read_text(encoding="utf-8").replace("tests = 6", "tests = 2")
    files = {"suite": SUITE, "mistakes.toml": MISTAKES, "kata.toml": manifest}
    edited(course, tmp_path, {**files, "reference": REFERENCE})
    found = check(tmp_path, Wanted(seeds=1, mutate=True), bench)
    mutation = found.katas[0].mutation
    assert mutation is not None
    slips = [mutant for mutant in mutation.mutants if mutant.kind == "slip"]
    assert {mutant.name: (mutant.fate, mutant.killed_by) for mutant in slips} == FATES
    words = [fate for fate, _ in FATES.values()]
    counted = len(words) - words.count("excused")
    assert mutation.score == pytest.approx(words.count("killed") / counted, abs=1e-4)
    assert [mutant.reason for mutant in slips if mutant.name == SWAPPED] == ["An absolute value has no sign."]
    told = [str(finding) for finding in found.all_findings if finding.rule == "mutants"]
    assert told == [
        f"{SHORT['mistakes.toml']}:14: 'predict: return x @ weight - bias' is excused, and test_values kills it"
    ]
    text = tables.screen(found)
    alive = [name for name, (fate, _) in FATES.items() if fate in ("survived", "convergence")]
    assert f"slips killed {words.count('killed')}/{counted} (" in text
    assert f"  slips: {len(FATES)}, of which {len(alive)} to judge\n" in text
    assert f"    {SHORT['reference']}:20: loss: y = y * 2.0 (convergence alone sees it)\n" in text
    shown = [line.partition(": ")[2].removesuffix(" (convergence alone sees it)") for line in text.splitlines()]
    assert [line for line in shown if line in FATES and not line.endswith("kills it")] == alive
    assert SWAPPED not in text


def test_mutants_of_markers_that_do_not_pair_are_none(course: Course, bench: Bench, tmp_path: Path) -> None:
    """Even where the suite runs, so that the fault is told beside all others."""
    edits = ("    # END SOLUTION\n\n\ndef loss(", "\n\ndef loss(")
    subject = edited(course, tmp_path, {"reference": edits})
    assert subject.tests and survivors.judge([Evidence(subject, 1)], bench) == {subject.id: []}
