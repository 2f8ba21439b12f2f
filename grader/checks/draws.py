"""First values: is every parameter of a new model drawn from the distribution that the statement names?

Spread alone is not asked: zeros, two values of the right size, or another distribution of the same spread all have
one. The values of several new models are held against the distribution twice, each time by a bound that holds for any
number of draws: by the largest distance between what share of them lies below a value and what share should (the
Kolmogorov-Smirnov statistic, whose bound is that of Dvoretzky, Kiefer, Wolfowitz and Massart), and by their largest
size, which tells a cut, a narrower or a wider distribution. A right model fails one time in a million.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

import numpy as np

from grader.checks.failure import AuthorFault, CheckFailure, rounded
from grader.checks.state import Shapes, state_of
from grader.messages import Message, Value, message, said, text

State = dict[str, np.ndarray]

FALSE_ALARM = 1e-6  # of one call, all parameters and both questions together
DRAWS = 400  # numbers of each parameter: told apart are shares that differ by about a seventh, and bounds by 5 %
MODELS = 40  # the most that are made for them; with fewer numbers the bounds are wider
ROUNDING = 1e-6  # of a bound in float32
SAME = 0.5  # share of equal numbers above which two tensors are not drawn apart
REPEATED = 0.05  # share of numbers that stand in a tensor again; of float32 draws hardly one does


class Law(Protocol):
    """A distribution around zero."""

    def below(self, values: np.ndarray) -> np.ndarray:
        """The share that should lie below each value."""

    def larger(self, size: float) -> float:
        """The share that should be larger in size; 0 beyond what there can be."""

    @property
    def said(self) -> Message:
        """The distribution in words."""


@dataclass(frozen=True)
class Uniform:
    """Uniform between -bound and bound."""

    bound: float

    def below(self, values: np.ndarray) -> np.ndarray:
        return np.clip((values / self.bound + 1) / 2, 0.0, 1.0)

    def larger(self, size: float) -> float:
        return 0.0 if size > self.bound * (1 + ROUNDING) else max(ROUNDING, 1 - size / self.bound)

    @property
    def said(self) -> Message:
        return message("law.uniform", low=rounded(-self.bound), high=rounded(self.bound))


@dataclass(frozen=True)
class Normal:
    """Normal around zero with this standard deviation."""

    std: float

    def below(self, values: np.ndarray) -> np.ndarray:
        return np.array([math.erfc(-value / self.std / math.sqrt(2)) / 2 for value in values.tolist()])

    def larger(self, size: float) -> float:
        return math.erfc(size / self.std / math.sqrt(2))

    @property
    def said(self) -> Message:
        return message("law.normal", std=rounded(self.std))


@dataclass(frozen=True)
class Constant:
    """Every entry is this number."""

    value: float

    @property
    def said(self) -> Message:
        return message("law.constant", value=rounded(self.value))


def layer_laws(
    shapes: Shapes, *, embeddings: Collection[str] = (), norms: Collection[str] = ()
) -> dict[str, Law | Constant]:
    """How torch's own layers draw the tensors of these names: nn.Linear, convolutions, and what is named apart.

    A weight and its bias are uniform within 1 / sqrt(n), where n is the product of the weight's axes but the first;
    embeddings (layers, without ".weight") are standard normal; norms are ones and zeros.
    """
    laws: dict[str, Law | Constant] = {}
    for name in shapes:
        layer, _, end = name.rpartition(".")
        if layer in norms:
            laws[name] = Constant({"weight": 1.0, "bias": 0.0}[end])
        elif layer in embeddings:
            laws[name] = Normal(1.0)
        elif len(shapes.get(f"{layer}.weight", ())) < 2 or end not in ("weight", "bias"):
            raise AuthorFault(f"{name} belongs to no layer with a weight of two axes or more")
        else:
            laws[name] = Uniform(math.prod(shapes[f"{layer}.weight"][1:]) ** -0.5)
    return laws


def assert_drawn(
    make: Callable[[], Any], laws: Mapping[str, Law | Constant], *, name: Value = "the model", help: Value = ""
) -> None:
    """The named tensors of new models from make() are drawn by these laws, anew each time and each by itself.

    As many models are made as give every tensor 400 numbers, two at the least and 40 at the most: so let the sizes
    be such that each tensor has ten or more.
    """
    __tracebackhide__ = True
    drawn = {key: law for key, law in laws.items() if not isinstance(law, Constant)}
    made = [state_of(make(), laws, name=name) for _ in range(2)]
    smallest = min((made[0][key].numel() for key in drawn), default=DRAWS)
    wanted = min(MODELS, math.ceil(DRAWS / max(smallest, 1)))
    made += [state_of(make(), laws, name=name) for _ in range(wanted - 2)]
    states = [{key: tensor.double().numpy() for key, tensor in state.items()} for state in made]
    new = text("a new model") if name == "the model" else text("a new {name}", name=said(name))
    _assert_anew(states[0], states[1], list(drawn), new, help)
    for key, law in laws.items():
        if isinstance(law, Constant):
            _assert_constant([state[key] for state in states], law, key, new, help)
    allowed = FALSE_ALARM / (2 * max(len(drawn), 1))
    for key, law in drawn.items():
        _assert_law(np.concatenate([state[key].ravel() for state in states]), law, allowed, key, new, help)
    _assert_apart(states, list(drawn), new, help)


def _assert_anew(first: State, second: State, drawn: list[str], new: Message, help: Value) -> None:
    """The second model is not the first again; what is one number everywhere is for the distribution to tell."""
    __tracebackhide__ = True
    for key in drawn:
        if np.ptp(first[key]) > 0 and np.mean(first[key] == second[key]) > SAME:
            raise CheckFailure(
                "drawn.again",
                key=key,
                help=help or "values drawn once and kept, or a seed that is set inside",
            )


def _assert_constant(found: Iterable[np.ndarray], law: Constant, key: str, new: Message, help: Value) -> None:
    __tracebackhide__ = True
    for values in found:
        wrong = np.argwhere(~(np.abs(values - law.value) <= ROUNDING * abs(law.value)))
        if len(wrong):
            index = tuple(map(int, wrong[0]))
            got = rounded(float(values[index]))
            raise CheckFailure(
                "drawn.constant", key=key, name=new, law=law.said, got=got, index=index or None, help=help
            )


def _assert_law(values: np.ndarray, law: Law, allowed: float, key: str, new: Message, help: Value) -> None:
    """Both questions, each answered wrongly for right values with probability `allowed` at the most."""
    __tracebackhide__ = True
    if not np.isfinite(values).all():
        raise CheckFailure("drawn.not_finite", key=key, name=new, law=law.said, help=help)
    count, ordered = len(values), np.sort(values)
    should, steps = law.below(ordered), np.arange(count + 1) / count
    above, under = steps[1:] - should, should - steps[:-1]
    worst = int(np.argmax(np.maximum(above, under)))
    rarer = law.larger(float(np.abs(values).max()))  # what share is to be larger than the largest
    narrow = rarer == 1 or count * math.log1p(-rarer) < math.log(allowed)
    wide = rarer * count < allowed
    far = max(above[worst], under[worst]) > math.sqrt(math.log(2 / allowed) / (2 * count))
    if not (far or narrow or wide):
        return
    share = steps[worst + 1] if above[worst] >= under[worst] else steps[worst]
    raise CheckFailure(
        "drawn.otherwise",
        key=key,
        name=new,
        count=count,
        least=float(ordered[0]),
        most=float(ordered[-1]),
        mean=float(values.mean()),
        std=float(values.std()),
        law=law.said,
        share=100 * float(share),
        value=float(ordered[worst]),
        should=100 * float(should[worst]),
        help=help,
    )


def _assert_apart(states: list[State], drawn: list[str], new: Message, help: Value) -> None:
    """No draw stands in two places: not within one tensor, not in two tensors of one model."""
    __tracebackhide__ = True
    for key in drawn:
        values = np.concatenate([state[key].ravel() for state in states])
        again = values.size - np.unique(values).size
        if again > REPEATED * values.size:
            raise CheckFailure("drawn.repeats", key=key, name=new, count=values.size, again=again, help=help)
    for one, other in combinations(drawn, 2):
        first, second = (np.sort(states[0][key], None) for key in (one, other))
        if first.size == second.size and np.mean(first == second) > SAME:
            raise CheckFailure("drawn.alike", key=one, other=other, name=new, help=help)
