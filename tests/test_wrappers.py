"""Wrappers: code that is right until something about the call changes, made for what a suite was seen to call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.authoring.check import Wanted, check, source_of
from grader.authoring.mutating import wrapped
from grader.authoring.mutating.fate import Fate, excuse_of, excused
from grader.authoring.mutating.wrappers.entries import entries
from grader.authoring.mutating.wrappers.kinds import KINDS
from grader.authoring.proving.bench import Bench
from grader.authoring.proving.case import Case, Role
from grader.authoring.proving.evidence import Evidence
from grader.authoring.proving.mistakes import Excuse
from grader.authoring.proving.outcome import Trial
from grader.authoring.proving.subject import Subject
from grader.authoring.showing import tables
from grader.course import Course
from grader.errors import UsageFault

from .workshop import SHORT, edited, new_bench, scaffold

REFERENCE = '''"""A recurrent net, small. Letters in shapes: N rows, T steps, D features, B training steps."""

import torch
from torch import Tensor, nn


def count(words: list[str], vocabulary: dict[str, int]) -> list[int]:
    """The ids of the words."""
    # BEGIN SOLUTION: look each one up
    return [vocabulary[word] for word in words]
    # END SOLUTION


def same(names: Tensor, others: Tensor) -> Tensor:
    """names (N,), others (N,): how many agree."""
    # BEGIN SOLUTION: a sum
    return (names == others).sum()
    # END SOLUTION


def loss(output: Tensor, y: Tensor) -> Tensor:
    """Of two matrices.

    output (N, D)  what came
    y (N, D)       what should have come
    """
    # BEGIN SOLUTION: squares
    return ((output - y) ** 2).mean()
    # END SOLUTION


def step(x: Tensor, h: Tensor) -> Tensor:
    """One step.

    x (N, D)  input
    h (N, D)  state
    """
    # BEGIN SOLUTION: half of each
    return x + h / 2
    # END SOLUTION


def run(x: Tensor, h: Tensor) -> Tensor:
    """All steps.

    x (N, T, D)  inputs
    h (N, D)     first state
    """
    # BEGIN SOLUTION: a loop
    for t in range(x.shape[1]):
        h = step(x[:, t], h)
    return h
    # END SOLUTION


class Model(nn.Module):
    """Two layers of one size."""

    def __init__(self, size: int, dtype: torch.dtype = torch.float32) -> None:
        """Make them."""
        super().__init__()
        # BEGIN SOLUTION: two
        self.first = nn.Linear(size, size, dtype=dtype)
        self.second = nn.Linear(size, size, dtype=dtype)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x (N, D)  input"""
        # BEGIN SOLUTION: one after the other
        return self.second(torch.tanh(self.first(x)))
        # END SOLUTION


def fit(model: Model, x: Tensor, y: Tensor, batches: Tensor, rate: float) -> list[float]:
    """Train it.

    x (M, D)        inputs
    y (M, D)        targets
    batches (B, N)  rows of each step
    """
    # BEGIN SOLUTION: Adam
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    losses = []
    for rows in batches:
        found = loss(model(x[rows]), y[rows])
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
        losses.append(found.item())
    return losses
    # END SOLUTION
'''
HEAD = '''"""A suite."""

import pytest
import torch
from torch import nn

from grader.checks import assert_close

WORDS = {"a": 1, "b": 2}


def draw(generator, *shape):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def squares(output, y):
    return ((output - y) ** 2).mean()


def walk(x, h):
    for t in range(x.shape[1]):
        h = x[:, t] + h / 2
    return h


def train(model, x, y, batches, rate):
    optimiser, losses = torch.optim.Adam(model.parameters(), lr=rate), []
    for rows in batches:
        found = squares(model(x[rows]), y[rows])
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
        losses.append(found.item())
    return losses


def twins(solution, size):
    model = solution.Model(size, torch.float64)
    oracle = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, size)).double()
    names = {"first.weight": "0.weight", "first.bias": "0.bias", "second.weight": "2.weight", "second.bias": "2.bias"}
    with torch.no_grad():
        for mine, its in names.items():
            model.get_parameter(mine).copy_(oracle.get_parameter(its))
    return model, oracle
'''
WEAK = (
    HEAD
    + '''

@pytest.mark.value
def test_everything_once(solution, generator):
    """Small, near zero, in order, and three steps."""
    assert solution.count(["a", "b"], dict(WORDS)) == [1, 2]
    assert int(solution.same(torch.arange(3), torch.arange(3))) == 3
    x, y, h = draw(generator, 4, 3), draw(generator, 4, 3), draw(generator, 2, 3)
    assert_close(solution.loss(x, y), squares(x, y), tol=1e-5, name="loss")
    steps = draw(generator, 2, 5, 3)
    assert_close(solution.run(steps, h), walk(steps, h), tol=1e-5, name="run")
    assert_close(solution.step(x, y), x + y / 2, tol=1e-5, name="step")
    for size in (3, 5):
        model = solution.Model(size, torch.float64)
        z = draw(generator, 4, size)
        expected = model.second(torch.tanh(model.first(z)))
        assert_close(model(z), expected, tol=1e-5, name="forward")
    for count in (2, 3):
        batches = torch.stack([torch.randperm(4, generator=generator)[:2] for _ in range(count)])
        losses = solution.fit(solution.Model(3, torch.float64), x.detach(), y, batches, 0.01)
        assert len(losses) == count and losses[0] > 0
'''
)
STRONG = (
    HEAD
    + '''

def looks(test):
    return pytest.mark.value(test)


@looks
def test_arguments_stay(solution, mutated, generator):
    """As they were."""
    solution.loss(draw(generator, 4, 3), draw(generator, 4, 3))
    assert not mutated, mutated


@looks
def test_names(solution):
    """Of any size."""
    assert int(solution.same(torch.tensor([5000, 1]), torch.tensor([5000, 2]))) == 1


@looks
def test_loss(solution, generator):
    """Transposed, far, long, repeated, often, and to the last digit."""
    for count in (1, 4, 5001):
        for scale in (1.0, 100.0):
            x, y = draw(generator, 3, count).T * scale, draw(generator, 3, count).T
            x[-1], y[-1] = x[0], y[0]
            for each in range(12 if count == 4 else 1):
                assert_close(solution.loss(x + each, y), squares(x + each, y), tol=1e-12, name="loss")


@looks
def test_loss_gradient(solution, generator):
    """Near and far."""
    for scale in (1.0, 100.0):
        x, y = (scale * draw(generator, 4, 3).requires_grad_() for _ in range(2))
        expected = torch.autograd.grad(squares(x, y), (x, y))
        got = torch.autograd.grad(solution.loss(x, y), (x, y), allow_unused=True)
        for one, other in zip(got, expected):
            assert_close(torch.zeros_like(x) if one is None else one, other, tol=1e-9, name="gradient")


@looks
def test_run(solution, generator):
    """One step, and gradients over forty."""
    for steps in (1, 40):
        x, h = draw(generator, 2, steps, 3).requires_grad_(), draw(generator, 2, 3).requires_grad_()
        assert_close(solution.run(x, h), walk(x, h), tol=1e-12, name="run")
        expected = torch.autograd.grad(walk(x, h).sum(), (x, h))
        for one, other in zip(torch.autograd.grad(solution.run(x, h).sum(), (x, h)), expected):
            assert bool(((one - other).abs() <= 1e-9 * other.abs()).all()), "gradient"


@looks
def test_step(solution, generator):
    """One step."""
    x, h = draw(generator, 2, 3), draw(generator, 2, 3)
    assert_close(solution.step(x, h), x + h / 2, tol=1e-12, name="step")


@looks
def test_model(solution, generator):
    """In both modes, with gradients of every parameter."""
    model, oracle = twins(solution, 3)
    x = draw(generator, 4, 3)
    for mode in (True, False):
        assert_close(model.train(mode)(x), oracle(x), tol=1e-12, name="forward")
    wanted = torch.autograd.grad(oracle(x).sum(), list(oracle.parameters()))
    found = torch.autograd.grad(model(x).sum(), list(model.parameters()), allow_unused=True)
    for one, other in zip(found, wanted):
        assert_close(torch.zeros_like(other) if one is None else one, other, tol=1e-9, name="gradient")


@looks
def test_first_values(solution):
    """Uniform."""
    for parameter in solution.Model(64).parameters():
        assert float(parameter.abs().max()) <= 0.125 and float(parameter.detach().std()) > 0.05


@looks
def test_fit(solution, generator):
    """A dozen steps, and a row twice."""
    for _ in range(2):
        model, oracle = twins(solution, 3)
        x, y = draw(generator, 5, 3), draw(generator, 5, 3)
        batches = torch.tensor([[0, 1, 4], [2, 3, 1], [4, 0, 2]] * 4 + [[1, 1, 3], [2, 4, 2]])
        assert_close(torch.tensor(solution.fit(model, x, y, batches, 0.1)), torch.tensor(train(oracle, x, y, batches, 0.1)), tol=1e-6, name="losses")
'''
)
# A wrapper of each kind, with a test that looks for it.
LOOKED_FOR = {
    "changed argument": {"loss/changes-output": "test_arguments_stay"},
    "contiguous": {"loss/needs-contiguous-output": "test_loss"},
    "modes": {"Model.forward/differs-in-eval-mode": "test_model"},
    "sizes": {"loss/refuses-N-beyond-64": "test_loss", "loss/refuses-N-beyond-5000": "test_loss"},
    "names": {"same/refuses-names-beyond-1100": "test_names"},
    "clamped": {"loss/clamps-at-5": "test_loss", "loss/clamps-at-30": "test_loss"},
    "float32": {"loss/in-float32": "test_loss"},
    "first answer": {"loss/first-answer-for-equal-shapes": "test_loss"},
    "later calls": {"loss/off-after-10-calls": "test_loss"},
    "repeated rows": {
        "loss/repeated-rows-once": "test_loss",
        "fit/repeated-rows-once-in-batches": "test_fit",
    },
    "boundaries": {"run/bends-T-at-1": "test_run", "loss/bends-N-at-1": "test_loss"},
    "cut gradient": {
        "loss/cuts-gradient-of-y": "test_loss_gradient",
        "Model.forward/cuts-gradient-of-second.bias": "test_model",
    },
    "cut in time": {
        "run/cuts-gradient-of-x-beyond-8": "test_run",
        "step/cuts-gradient-of-h-beyond-32": "test_run",
    },
    "far inputs": {"loss/nan-gradient-for-far-inputs": "test_loss_gradient"},
    "later steps": {
        "fit/rate-drifts-after-3": "test_fit",
        "fit/weights-decay-after-10": "test_fit",
        "fit/optimiser-made-anew-after-3": "test_fit",
    },
    "stopped": {"fit/stops-after-10": "test_fit"},
    "shared memory": {"Model.__init__/shares-first.weight-and-second.weight": "test_model"},
    "first values": {
        "Model.__init__/draws-first.weight-otherwise": "test_first_values",
        "Model.__init__/starts-second.bias-at-zero": "test_first_values",
    },
}
PAIRS = {name: test for found in LOOKED_FOR.values() for name, test in found.items()}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    shared = new_bench(tmp_path_factory.mktemp("store"))
    yield shared
    shared.close()


def kata(course: Course, root: Path, suite: str) -> Subject:
    """The kata above, with this suite."""
    manifest = (course.root / SHORT["kata.toml"]).read_text(encoding="utf-8")
    count = suite.count("def test_")
    return edited(
        course,
        root,
        {"suite": suite, "reference": REFERENCE, "kata.toml": manifest.replace("tests = 6", f"tests = {count}")},
    )


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return scaffold(tmp_path_factory.mktemp("course"), "torch")


@pytest.fixture(scope="module")
def strong(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return kata(course, tmp_path_factory.mktemp("strong"), STRONG)


@pytest.fixture(scope="module")
def weak(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return kata(course, tmp_path_factory.mktemp("weak"), WEAK)


@pytest.fixture(scope="module")
def made(weak: Subject, bench: Bench) -> dict[str, Case]:
    """All wrappers, from what the weak suite calls."""
    return {case.name: case for case in wrapped.cases(weak, bench)}


def test_every_kind_is_looked_for_here() -> None:
    assert list(LOOKED_FOR) == [kind.name for kind in KINDS]


def test_the_reference_passes_both_suites(weak: Subject, strong: Subject, bench: Bench) -> None:
    case = Case(Role.REFERENCE, "my_topic", REFERENCE.encode(), SHORT["reference"])
    trials = [(subject, Trial(case, local=local)) for subject in (weak, strong) for local in (True, False)]
    for outcome in bench.run(trials):
        assert not outcome.faults and outcome.tests
        assert {ran.name: ran.message for ran in outcome.tests if not ran.passed} == {}


def test_each_is_killed_by_a_test_that_looks_for_it_and_lives_without(
    weak: Subject, strong: Subject, made: dict[str, Case], bench: Bench
) -> None:
    """Each differs in one respect, so the weak suite, which reaches all of them, sees none."""
    assert PAIRS.keys() <= made.keys()
    trials = [(subject, Trial(made[name], local=True)) for subject in (weak, strong) for name in PAIRS]
    outcomes = bench.run(trials)
    live, killed = outcomes[: len(PAIRS)], outcomes[len(PAIRS) :]
    seen = {"Model.__init__/shares-first.weight-and-second.weight"}  # values alone show it where both are set
    for name, one, other in zip(PAIRS, live, killed, strict=True):
        assert name in seen or not one.failed, (name, [ran.message for ran in one.tests if not ran.passed])
        assert PAIRS[name] in other.failed, name
        assert not one.faults and not other.faults


def test_a_wrapper_is_a_learners_file_like_any_other(strong: Subject, made: dict[str, Case], bench: Bench) -> None:
    """Its functions have the signatures of the right ones, and the locked judge says what plain pytest says."""
    names = ["loss/clamps-at-5", "run/bends-T-at-1", "fit/rate-drifts-after-3", "Model.forward/differs-in-eval-mode"]
    for outcome, name in zip(bench.run([(strong, Trial(made[name])) for name in names]), names, strict=True):
        assert PAIRS[name] in outcome.failed, name
    for name, case in made.items():
        text = case.source.decode()
        assert text.startswith(REFERENCE.rstrip()) and "grader" not in text, name
        before, after = (
            {each.name: each.names for each in entries(source)} for source in (REFERENCE, text) if ast.parse(source)
        )
        assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("name", "words", "vocabulary"),
    [
        ("pops-words", ["ab"], {"ab": 1, "b": 2}),
        ("replaces-in-words", ["ba", "b"], {"ab": 1, "b": 2}),
        ("replaces-in-vocabulary", ["ab", "b"], {"ab": 2, "b": 2}),
        ("grows-vocabulary", ["ab", "b"], {"ab": 1, "b": 2, "one more": 1}),
    ],
)
def test_containers_are_changed_after_the_right_answer(
    made: dict[str, Case], name: str, words: list[str], vocabulary: dict[str, int]
) -> None:
    home: dict[str, Any] = {}
    exec(made[f"count/{name}"].source, home)
    given, known = ["ab", "b"], {"ab": 1, "b": 2}
    assert home["count"](given, known) == [1, 2]
    assert (given, known) == (words, vocabulary)


def test_tests_run_in_the_order_asked_until_one_fails(strong: Subject, made: dict[str, Case], bench: Bench) -> None:
    case = made["loss/clamps-at-5"]
    orders = [("test_names", "test_loss", "test_step"), ("test_step", "test_names", "test_loss")]
    outcomes = bench.run([(strong, Trial(case, local=True, only=order, stop=True)) for order in orders])
    assert [tuple(ran.name for ran in outcome.tests) for outcome in outcomes] == [orders[0][:2], orders[1]]
    assert not any(outcome.faults for outcome in outcomes)


def test_names_are_stable_and_each_is_there_once(weak: Subject, made: dict[str, Case], bench: Bench) -> None:
    again = wrapped.cases(weak, bench)
    assert [case.name for case in again] == list(made) and len(again) == len(made)
    assert [case.source for case in again] == [case.source for case in made.values()]
    assert len({case.source for case in made.values()}) == len(made)
    assert all(case.line == REFERENCE[: REFERENCE.index(_head(name))].count("\n") + 1 for name, case in made.items())


def _head(name: str) -> str:
    owner, _, function = name.partition("/")[0].rpartition(".")
    return f"def {function}(self" if owner else f"def {function}("


TINY = '''"""Two functions, small."""


def double(x):
    """Every number twice.

    x (N,)  numbers
    """
    # BEGIN SOLUTION: a product
    return 2 * x
    # END SOLUTION


def spread(x):
    """x (N,): how far its numbers are apart."""
    # BEGIN SOLUTION: a difference
    return float(x.max() - x.min())
    # END SOLUTION
'''
TINY_SUITE = '''"""One is asked at once, the other in the end."""

import numpy as np
import pytest

from grader.checks import assert_beats, assert_close


@pytest.mark.value
def test_double(solution, rng):
    """Twice as much."""
    for x in 100 * rng.normal(size=(2, 3)):
        assert_close(solution.double(x), 2 * x, tol=1e-12, name="double")


@pytest.mark.convergence
def test_spread(solution):
    """Nothing is learnt."""
    assert_beats(solution.spread(np.arange(3.0)), 1.0, name="spread")
'''
EXCUSES = {"double/off-*": "nobody calls it so often", "double/clamps-at-5": "not so", "double/clamps-at-6": "none"}


def test_survivors_are_listed_under_what_would_kill_them(bench: Bench, tmp_path: Path) -> None:
    """They have a score of their own, in which those that are excused, by name or by a pattern, do not count."""
    course = scaffold(tmp_path / "course")
    rows = "".join(f'[[equivalent]]\nmutant = "{name}"\nreason = "{why}"\n' for name, why in EXCUSES.items())
    manifest = (course.root / SHORT["kata.toml"]).read_text(encoding="utf-8").replace("tests = 6", "tests = 2")
    files = {"suite": TINY_SUITE, "reference": TINY, "mistakes.toml": rows, "kata.toml": manifest}
    edited(course, tmp_path / "tiny", files)
    found = check(tmp_path / "tiny", Wanted(seeds=1, mutate=True), bench)
    mutation = found.katas[0].mutation
    assert mutation is not None
    wrappers = {row.name: row for row in mutation.mutants if row.kind == "wrapper"}
    assert {name: row.fate for name, row in wrappers.items() if name.startswith("double/")} == {
        "double/changes-x": "survived",  # nobody asks `mutated`
        "double/refuses-N-beyond-64": "survived",
        "double/refuses-N-beyond-1100": "survived",
        "double/refuses-N-beyond-5000": "survived",
        "double/clamps-at-5": "excused",
        "double/clamps-at-30": "killed",
        "double/in-float32": "killed",
        "double/first-answer-for-equal-shapes": "killed",
        "double/off-after-10-calls": "excused",
        "double/bends-N-at-1": "survived",
        "double/nan-for-far-inputs": "killed",
    }
    convergence = [row for name, row in wrappers.items() if name.startswith("spread/")]
    assert {(row.fate, row.hint) for row in convergence} == {("survived", "no test but those of convergence calls it")}
    assert wrappers["double/off-after-10-calls"].reason == "nobody calls it so often"
    words = [row.fate for row in wrappers.values()]
    killed, counted = words.count("killed"), len(words) - words.count("excused")
    assert mutation.wrappers == pytest.approx(killed / counted, abs=1e-4)
    text = tables.screen(found)
    assert f", wrappers {killed}/{counted} (" in text
    assert f"  wrappers: {len(words)}, of which {words.count('survived')} to judge\n    no test looks whether" in text
    place = f"{SHORT['reference']}:4"
    assert f"    no test has as many of them:\n      {place}: double/refuses-N-beyond-64\n" in text
    assert f"| {killed}/{counted} ({100 * killed // counted} %) | " in tables.markdown(found)
    assert [str(finding) for finding in found.all_findings if finding.rule == "mutants"] == [
        f"{SHORT['mistakes.toml']}:4: 'double/clamps-at-5' is excused, and test_double kills it",
        f"{SHORT['mistakes.toml']}:7: there is no mutant 'double/clamps-at-6': take its name from the list of survivors",
    ]


def test_a_pattern_is_for_wrappers_alone() -> None:
    """In the name of a slip, a star is a product; a name in full comes before a pattern."""
    wide, exact, slip = (Excuse(name, "", 1) for name in ("loss/*", "loss/clamps-at-5", "loss: x / y*"))
    assert excuse_of("loss/clamps-at-5", [wide, exact, slip]) is exact
    assert excuse_of("loss/off", [wide, exact, slip]) is wide
    assert excuse_of("loss: x / y * 2", [slip, wide]) is None
    assert excuse_of("loss: x / y*", [slip]) is slip


def test_a_pattern_that_excuses_a_dead_one_is_a_fault(course: Course, tmp_path: Path) -> None:
    rows = '[[equivalent]]\nmutant = "loss/*"\nreason = "so it is"\n'
    subject = edited(course, tmp_path, {"mistakes.toml": rows})
    (excuse,) = subject.mistakes.excuses
    fates = [
        Fate(Case(Role.MUTANT, "loss/a", b"", "a.py"), excuse=excuse, hint="why"),
        Fate(Case(Role.MUTANT, "loss/b", b"", "a.py"), ("test_b",), excuse=excuse, hint="why"),
    ]
    assert [each.message for each in excused(Evidence(subject, 1), fates)] == [
        "'loss/b' is excused, and test_b kills it"
    ]


def test_one_mutant_is_shown_by_its_name(weak: Subject, bench: Bench) -> None:
    """A wrapper or a slip; another name is told which one is near."""
    text = source_of(weak.root, ["my_topic"], "loss/clamps-at-5", bench)
    assert "# All of the above is right. From here on loss gives no number beyond 5.\n" in text
    assert "y - output" in source_of(weak.root, ["my_topic"], "loss: return ((y - output) ** 2).mean()", bench)
    with pytest.raises(UsageFault, match="has no mutant 'loss/clamps-at-6'") as refused:
        source_of(weak.root, ["my_topic"], "loss/clamps-at-6", bench)
    assert str(refused.value.next_step) == "did you mean loss/clamps-at-5?"
    with pytest.raises(UsageFault, match="a mutant of one kata"):
        source_of(weak.root, [], "loss/clamps-at-5", bench)
