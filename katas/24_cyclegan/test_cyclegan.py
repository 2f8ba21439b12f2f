"""The suite of kata 24: losses by hand and beside torch's own, a pool of numbered pictures, who moves when, and two papers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    assert_agrees,
    assert_beats,
    assert_close,
    assert_parts,
    assert_shape,
    assert_that,
    assert_trajectory,
    assert_unchanged,
    load_state,
    normal,
    state_of,
    text,
)

# Pictures of A, pictures of B, pixels, hidden units.
SIZES = [(4, 3, 5, 6), (1, 2, 7, 3), (3, 5, 2, 4), (6, 1, 4, 5), (2, 6, 3, 7)]
CROWD = (5003, 1201, 3, 2)
TOL, SAME, FAR = 1e-8, 1e-9, 100.0
PARTS = ("to_b", "to_a", "critic_a", "critic_b")
PARAMETERS = ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
OF_TRANSLATORS = [f"{part}.{name}" for part in PARTS[:2] for name in PARAMETERS]
RETURNED = ("loss", "fake_a", "fake_b")
ROUNDS = 12

STEPS, BATCH, HIDDEN, POOL, LEARNING_RATE, DIGITS = 150, 32, 96, 50, 0.004, 700
SQUARES = (np.indices((8, 8)).sum(0) % 2).ravel()  # 1 where the paper of domain B is dark
# 40 right runs kept 0.81 of the classes or more, with an error of 0.18 or less; without one of the three terms it was 0.34 or more.
KEPT, ERROR = 0.6, 0.24


class _Net(nn.Module):
    """Two layers, what comes between them, and what comes last."""

    def __init__(self, pixels, hidden, outputs, between, last):
        super().__init__()
        self.hidden, self.output = nn.Linear(pixels, hidden), nn.Linear(hidden, outputs)
        self.between, self.last = between, last
        self.double()

    def forward(self, pictures):
        return self.last(self.output(self.between(self.hidden(pictures))))


def _networks(solution, rng, size):
    """The learner's four networks and the oracle's, with the same weights; in one size critics are very sure."""
    pixels, hidden = size[2:]
    learners, oracles = nn.ModuleDict(), nn.ModuleDict()
    for part in PARTS:
        if part.startswith("to"):
            made, oracle = solution.Translator, _Net(pixels, hidden, pixels, torch.relu, torch.tanh)
        else:
            made, oracle = solution.Critic, _Net(pixels, hidden, 1, nn.LeakyReLU(0.2), nn.Flatten(0))
        for parameter in oracle.parameters():
            parameter.data = normal(rng, *parameter.shape) / parameter.shape[-1] ** 0.5
        oracle.output.bias.data += 60.0 * (size[0] == 3 and part.startswith("critic"))
        learners[part] = load_state(made(pixels, hidden, dtype=torch.float64), state_of(oracle, PARAMETERS), name=part)
        oracles[part] = oracle
    return learners, oracles


def _pictures(rng, size):
    """Pictures of A and of B; the last of several is the first again."""
    a, b = (torch.tanh(normal(rng, count, size[2])) for count in size[:2])
    a[-1], b[-1] = a[0], b[0]
    return a, b


def _gan(solution, learners, rate, **weights):
    return solution.CycleGAN(*(learners[part] for part in PARTS), rate, **weights)


def _squares(scores, target):
    return F.mse_loss(scores, torch.full_like(scores, target))


def _verdict(real, fake):
    """What one critic lowers."""
    return 0.5 * _squares(real, 1) + 0.5 * _squares(fake, 0)


def _cycle(a, b, nets):
    return F.l1_loss(nets["to_a"](nets["to_b"](a)), a) + F.l1_loss(nets["to_b"](nets["to_a"](b)), b)


def _identity(a, b, nets):
    return F.l1_loss(nets["to_a"](a), a) + F.l1_loss(nets["to_b"](b), b)


def _asked(loss):
    """A loss of the learner's with the form of the oracles above."""
    return lambda a, b, nets: loss(a, b, nets["to_b"], nets["to_a"])


def _translators_pay(nets, a, b, cycle_weight, identity_weight):
    adversarial = _squares(nets["critic_b"](nets["to_b"](a)), 1) + _squares(nets["critic_a"](nets["to_a"](b)), 1)
    return adversarial + cycle_weight * _cycle(a, b, nets) + identity_weight * _identity(a, b, nets)


def _critics_pay(nets, a, b, fake_a, fake_b):
    pairs = (nets["critic_a"], a, fake_a), (nets["critic_b"], b, fake_b)
    return sum(_verdict(critic(real), critic(fake)) for critic, real, fake in pairs)


def _number(loss, name):
    assert_that(isinstance(loss, float), "{name} must return a Python float, the loss before its update", name=name)
    assert_that(math.isfinite(loss), "the loss of {name} is {loss}", name=name, loss=str(loss))
    return loss


def _translate(gan, a, b):
    """What translator_step returns, in the form that it must have."""
    loss, *fakes = assert_parts(gan.translator_step(a, b), RETURNED, name="translator_step")
    for name, fake, other in zip(RETURNED[1:], fakes, (b, a), strict=True):
        assert_shape(fake, other.shape, dtype=a.dtype, name=name, help="one for each picture of the other domain")
        assert_that(not fake.requires_grad, "{name} must come without a graph", name=name)
    return _number(loss, "translator_step"), *fakes


@pytest.mark.shape
def test_shapes(solution, rng):
    """Losses are one number of the dtype of the pictures, steps return Python floats, and translations have no graph"""
    for index, size in enumerate(SIZES):
        (count, *_, pixels, hidden), dtype = size, (torch.float32, torch.float64)[index % 2]
        a, b = (each.to(dtype) for each in _pictures(rng, size))
        nets = [solution.Translator(pixels, hidden, dtype=dtype) for _ in range(2)]
        nets += [solution.Critic(pixels, hidden, dtype=dtype) for _ in range(2)]
        scores = a[:, 0], b[:, 0]
        for name, given, others in (
            ("adversarial_loss", (scores[0], 1.0), (scores[0] + 3, 1.0)),
            ("critic_loss", scores, (scores[0] + 3, scores[1])),
            ("cycle_loss", (a, b, *nets[:2]), (a + 3, b, *nets[:2])),
            ("identity_loss", (a, b, *nets[:2]), (a + 3, b, *nets[:2])),
        ):
            loss = getattr(solution, name)(*given)
            assert_shape(loss, (), dtype=dtype, name=name, help="one number")
            assert_that(loss != getattr(solution, name)(*others), "{name} is the same for other pictures", name=name)
        gan = solution.CycleGAN(*nets, 0.01)
        _, fake_a, fake_b = _translate(gan, a, b)
        _number(gan.critic_step(a, b, fake_a, fake_b), "critic_step")
        shown = solution.ImagePool(2).exchange(a, torch.zeros(count), torch.zeros(count).long())
        assert_shape(shown, a.shape, dtype=dtype, name="shown", help="one picture for each that is given")


@pytest.mark.value
def test_scores(solution, rng):
    """Scores pay the square of what they miss 1 or 0 by; a critic pays half for real pictures and half for translations"""
    help = "scores are numbers, not logits: no sigmoid; a mean over each pile by itself, and half of each mean"
    for case, (count, others, *_) in enumerate([*SIZES, *SIZES, CROWD]):
        real, fake = ((1, FAR)[case % 2] * normal(rng, each, 2)[:, 0] for each in (count, others))
        agree = {"tol": TOL, "help": help}
        calls = [lambda real, fake, f=f: f(real, fake) for f in (solution.critic_loss, _verdict)]
        assert_agrees(*calls, {"real": real, "fake": fake}, rng, name="critic_loss", **agree)
        for target in (1.0, 0.0) if case else (0.5,):
            calls = [lambda scores, f=f, t=target: f(scores, t) for f in (solution.adversarial_loss, _squares)]
            assert_agrees(*calls, {"scores": fake}, rng, name="adversarial_loss", **agree)


@pytest.mark.value
def test_losses_by_hand(solution, rng):
    """With translators x + 1 and 2y, and others that scale and shift, both losses are what paper and pencil say"""
    for case, size in enumerate([*SIZES, *SIZES, CROWD]):
        p, q, r, t = (1.0, 1.0, 2.0, 0.0) if case % 3 == 0 else rng.uniform(-2, 2, 4).tolist()
        to_b, to_a = solution.Affine(p, q, dtype=torch.float64), solution.Affine(r, t, dtype=torch.float64)
        a, b = ((1, FAR)[case % 2] * each for each in _pictures(rng, size))
        # to_a(to_b(a)) = r (p a + q) + t, and to_b(to_a(b)) = p (r b + t) + q
        cycle = ((r * p - 1) * a + r * q + t).abs().mean() + ((p * r - 1) * b + p * t + q).abs().mean()
        identity = ((r - 1) * a + t).abs().mean() + ((p - 1) * b + q).abs().mean()
        given = text("to_b(x) = {p:.2f} x + {q:.2f}, to_a(y) = {r:.2f} y + {t:.2f}", p=p, q=q, r=r, t=t)
        help = text("{given}; where does a round trip end, and beside what?", given=given)
        assert_close(solution.cycle_loss(a, b, to_b, to_a), cycle, tol=TOL, name="cycle_loss", help=help)
        help = text("{given}; which pictures should to_b leave alone?", given=given)
        assert_close(solution.identity_loss(a, b, to_b, to_a), identity, tol=TOL, name="identity_loss", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Both losses send gradients through both translators, on each leg of each round trip, and to the pictures"""
    help = "nothing may cut the graph between the two legs; absolute values, a mean over pictures and pixels"
    for case, size in enumerate((*SIZES, CROWD)):
        learners, oracles = _networks(solution, rng, size)
        inputs = dict(zip("ab", ((1, FAR)[case % 2] * each for each in _pictures(rng, size)), strict=True))
        for name, oracle in (("cycle_loss", _cycle), ("identity_loss", _identity)):
            both = (_asked(getattr(solution, name)), learners), (oracle, oracles)
            calls = [lambda a, b, f=f, nets=nets: f(a, b, nets) for f, nets in both]
            checked = {"modules": (learners, oracles), "parameters": OF_TRANSLATORS, "tol": TOL}
            assert_agrees(*calls, inputs, rng, name=name, help=help, **checked)


@pytest.mark.value
def test_pool_by_hand(solution, rng):
    """A pool fills up first; then a low chance shows what was kept and keeps the new one, a high chance shows the new one"""
    # What the pool holds, and then for each call: pictures by number, chances, slots, and which ones are shown.
    cases = [
        (3, [([1, 2], [0.1, 0.1], [0, 0], [1, 2]), ([3, 4, 5], [0.1, 0.1, 0.9], [0, 0, 2], [3, 1, 5])]),
        (3, [([1, 2, 3, 4, 5, 6], [0.9, 0.2, 0.7, 0.4, 0.6, 0.3], [2, 1, 0, 1, 1, 1], [1, 2, 3, 2, 5, 4])]),
        (1, [([1], [0.3], [0], [1]), ([2, 3, 4], [0.49, 0.5, 0.1], [0, 0, 0], [1, 3, 2]), ([5], [0.0], [0], [4])]),
        (0, [([1, 2, 3], [0.1, 0.9, 0.4], [0, 0, 0], [1, 2, 3]), ([4], [0.0], [0], [4])]),
        (2, [([1, 2, 3, 4], [0.7, 0.0, 0.99, 0.51], [0, 1, 1, 0], [1, 2, 3, 4]), ([5, 6, 7], [0.2] * 3, [1, 1, 0], [2, 5, 1])]),
        (5, [([1, 2, 3], [0.0] * 3, [4, 0, 1], [1, 2, 3]), ([4, 5, 6], [0.0] * 3, [0, 0, 4], [4, 5, 5])]),
    ]  # fmt: skip
    many = [number % 8 for number in range(1200)]
    cases.append((1200, [(many, [0.1] * 1200, [0] * 1200, many), ([5, 7], [0.1, 0.1], [1150, 1150], [1150 % 8, 5])]))
    for size, calls in cases:
        pool, pictures = solution.ImagePool(size), (100 * normal(rng, 8, 3)).requires_grad_()
        for numbers, chances, slots, wanted in calls:
            given = {"size": size, "numbers": numbers[:9], "chances": chances[:9], "slots": slots[:9]}
            help = text("a pool of {size} is given {numbers}, with chances {chances} and slots {slots}", **given)
            shown = pool.exchange(pictures[numbers], torch.tensor(chances), torch.tensor(slots))
            assert_close(shown, pictures[wanted].detach(), tol=TOL, name="shown", help=help)
            assert not shown.requires_grad, "what the critic is shown must come without a graph"


def _check_step(solution, rng, moving):
    """One of the steps, twice and with the other before it: what it returns, and which networks it moves."""
    step = ("translator_step", "critic_step")[moving]
    for size in (*SIZES, CROWD):
        learners, oracles = _networks(solution, rng, size)
        weights = {"cycle_weight": float(rng.uniform(2, 12)), "identity_weight": float(rng.uniform(0.5, 4))}
        gan = _gan(solution, learners, 0.02, **weights)
        for _ in range(2):
            a, b = _pictures(rng, size)
            old = [each.flip(0) for each in _pictures(rng, (size[1], size[0], size[2]))]
            gan.critic_step(a, b, *old) if moving == 0 else _translate(gan, a, b)
            before = {part: state_of(learners[part], PARAMETERS) for part in PARTS}
            for part in PARTS:
                load_state(oracles[part], before[part])
            if moving == 0:
                loss, *fakes = _translate(gan, a, b)
                wanted, expected = _translators_pay(oracles, a, b, **weights), (oracles["to_a"](b), oracles["to_b"](a))
                for name, fake, one in zip(RETURNED[1:], fakes, expected, strict=True):
                    assert_close(fake, one.detach(), tol=TOL, name=name, help="the translations before the update")
            else:
                loss, wanted = _number(gan.critic_step(a, b, *old), step), _critics_pay(oracles, a, b, *old)
            help = "whose score counts 1, what the two weights multiply, and whether both directions are there"
            assert_close(loss, wanted.item(), tol=TOL, name=text("what {step} returns", step=step), help=help)
            help = "whose parameters does the optimiser have, and does the gradient come through to them?"
            for place, part in enumerate(PARTS):
                for name, value in state_of(learners[part], PARAMETERS).items():
                    kept, fields = before[part][name], {"step": step, "name": f"{part}.{name}"}
                    if place // 2 == moving:
                        assert_that(not torch.equal(value, kept), "{step} does not move {name}", help=help, **fields)
                    else:
                        assert_close(value, kept, tol=0.0, name=text("{name} after {step}", **fields), help=help)


@pytest.mark.behaviour
def test_translator_step(solution, rng):
    """translator_step pays all terms in both directions, moves every tensor of both translators and none of the critics"""
    _check_step(solution, rng, 0)


@pytest.mark.behaviour
def test_critic_step(solution, rng):
    """critic_step judges the translations that it is given, moves every tensor of both critics and none of the translators"""
    _check_step(solution, rng, 1)


def _down(adam, loss):
    """One update by this optimiser, and the loss before it."""
    adam.zero_grad()
    loss.backward()
    adam.step()
    return loss.item()


@pytest.mark.value
def test_rounds(solution, rng):
    """From given weights and pictures, a dozen rounds of both steps in turn have the right losses and weights"""
    help = "clear the gradients before each backward; betas (0.5, 0.999), the given rate, two optimisers for all rounds"
    for index, size in enumerate(SIZES[:3]):
        learners, oracles = _networks(solution, rng, size)
        rate, weights = float(rng.uniform(0.01, 0.03)), {"cycle_weight": 10.0, "identity_weight": 5.0}  # as by default
        gan = _gan(solution, learners, rate, **({} if index % 2 else weights))
        owners = [[p for part in parts for p in oracles[part].parameters()] for parts in (PARTS[:2], PARTS[2:])]
        adams = [torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999)) for parameters in owners]
        found, wanted = [], []
        shown = (torch.zeros(size[1], size[2]).double(), torch.zeros(size[0], size[2]).double())
        for _ in range(ROUNDS):
            a, b = _pictures(rng, size)
            loss, *fakes = _translate(gan, a, b)
            found += [loss, _number(gan.critic_step(a, b, *shown), "critic_step")]
            wanted += [_down(adams[0], _translators_pay(oracles, a, b, **weights))]
            wanted += [_down(adams[1], _critics_pay(oracles, a, b, *shown))]
            shown = fakes  # the critics see the translations of the round before
        assert_trajectory(found, wanted, name=text("the losses of a dozen rounds"), help=help)
        for part in PARTS:
            expected = state_of(oracles[part], PARAMETERS)
            for name, value in state_of(learners[part], PARAMETERS).items():
                said = text("{name} after a dozen rounds", name=f"{part}.{name}")
                assert_close(value, expected[name], tol=1e-6, name=said, help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Losses move nothing and leave their arguments as they were, and so do the steps and the pool"""
    for size in SIZES:
        learners, oracles = _networks(solution, rng, size)
        a, b = _pictures(rng, size)
        for name, oracle in (("cycle_loss", _cycle), ("identity_loss", _identity)):
            for _ in range(2):
                found = _asked(getattr(solution, name))(a, b, learners)
                assert_close(
                    found.detach(),
                    oracle(a, b, oracles).detach(),
                    tol=SAME,
                    name=text("{name}, asked again", name=name),
                )
        for part in PARTS:
            for name, value in state_of(learners[part], PARAMETERS).items():
                same = torch.equal(value, oracles[part].state_dict()[name])
                assert_that(same, "{name} has changed, and there was no training", name=f"{part}.{name}")
        gan = _gan(solution, learners, 0.01)
        _, fake_a, fake_b = _translate(gan, a, b)
        shown = solution.ImagePool(2).exchange(fake_a, torch.zeros(size[1]), torch.zeros(size[1]).long())
        gan.critic_step(a, b, shown, fake_b)
        scores = normal(rng, 5), normal(rng, 3)
        solution.critic_loss(*scores)
        solution.adversarial_loss(scores[0], 1.0)
    assert_unchanged(mutated)


@pytest.mark.convergence
def test_two_papers(solution, rng, record):
    """Digits on clean paper and others on squared paper, never paired: new digits keep their class on the way across"""
    digits = load_digits()
    order = rng.permutation(len(digits.target))
    clean, classes = digits.data[order] / 8 - 1, digits.target[order]
    squared, new = np.maximum(clean, SQUARES - 0.4), slice(2 * DIGITS, None)
    piles = clean[:DIGITS], squared[DIGITS : 2 * DIGITS]  # no digit is in both
    to_b, to_a = (solution.Translator(64, HIDDEN) for _ in range(2))
    gan = solution.CycleGAN(to_b, to_a, *(solution.Critic(64, HIDDEN) for _ in range(2)), LEARNING_RATE)
    batches = torch.from_numpy(rng.integers(0, DIGITS, (2, STEPS, BATCH)))
    draws = torch.Generator().manual_seed(int(rng.integers(2**31)))
    a, b = (torch.from_numpy(pile).float() for pile in piles)
    losses = np.array(solution.fit(gan, a, b, *batches, POOL, draws))
    record.curve("the translators' loss", losses[:, 0])
    record.curve("the critics' loss, beside that of always saying 1/2", losses[:, 1], baseline=0.5)

    errors, kept = [], []
    seen = "new digits of A, your translations, what they should be, and back again", "and the same from B"
    ways = (clean, squared, to_b, to_a, DIGITS), (squared, clean, to_a, to_b, 0)
    for name, (given, truth, there, back, first) in zip(seen, ways, strict=True):
        pictures = torch.from_numpy(given[new]).float()
        across = there(pictures).detach()
        rows = pictures[:10], across[:10], torch.from_numpy(truth[new][:10]), back(across[:10]).detach()
        shown = torch.cat([row.double() for row in rows]).reshape(-1, 8, 8).numpy()
        record.images(name, shown, columns=10)
        known, found = slice(first, first + DIGITS), across.double().numpy()
        kept.append(KNeighborsClassifier(1).fit(truth[known], classes[known]).score(found, classes[new]))
        errors.append(np.abs(found - truth[new]).mean())
    help = "a perfect round trip proves nothing: is there an identity loss, does each translator face its own critic?"
    assert_beats(float(np.mean(kept)), KEPT, name=text("share of new digits that keep their class"), help=help)
    help = "all terms in both directions, each with its own weight; do the critics learn, and only in their own step?"
    name = text("mean error of a pixel beside the true translation")
    assert_beats(float(np.mean(errors)), ERROR, name=name, higher=False, help=help)
