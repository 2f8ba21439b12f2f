"""The suite of kata 04: an LSTM from scratch beside torch's own, and a task that needs its long memory."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from grader.checks import (
    Uniform,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_parts,
    assert_shape,
    assert_state,
    assert_that,
    assert_trained,
    assert_unchanged,
    descend,
    load_state,
    normal,
    state_of,
    text,
)

# Sequences, steps, features, hidden units and classes of each case; all that are not 1 differ within a case.
SIZES = [(4, 6, 3, 5, 2), (1, 5, 4, 3, 2), (3, 1, 2, 5, 4), (6, 4, 5, 3, 2), (2, 23, 5, 6, 3)]
MANY, LONG, LESS_LONG = (5001, 2, 1, 3, 4), (3, 5001, 2, 1, 4), (3, 1101, 2, 1, 4)
BACK = (2, 40, 3, 4, 5)  # for gradients, which must come back from there
FAR = 100.0  # times what is usual: nothing has a bound that the formula does not give
WEIGHTS = ("w_ih", "w_hh", "b_ih", "b_hh")
ORACLE = dict(
    zip(WEIGHTS, ("lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0"), strict=True)
)
ORACLE |= {"head.weight": "head.weight", "head.bias": "head.bias"}
PARTS = ("outputs", "h", "c")
SAME = 1e-9  # relative tolerance between two runs of the learner's own code

STEPS, BATCH, HELD_OUT = 30, 64, 512
SYMBOLS, HIDDEN, LONGEST, SHORTEST, SIGNAL, NOISE = 3, 20, 25, 20, 3.0, 0.15
FORGET_BIAS, LEARNING_RATE, LARGEST_GRADIENT = 4.0, 0.02, 0.25
BAR = 0.667  # mid-way between chance, 1/3, and the 100 % that a right solution reaches


def _shapes(features, hidden, classes):
    shapes = ((4 * hidden, features), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,))
    return dict(zip(WEIGHTS, shapes, strict=True)) | {"head.weight": (classes, hidden), "head.bias": (classes,)}


def _weights(rng, features, hidden, classes=2):
    """Six tensors whose pre-activations are of order one, no bias zero, the forget gates rather open than shut."""
    shapes = _shapes(features, hidden, classes)
    weights = {name: normal(rng, *size) / (size[1] ** 0.5 if len(size) > 1 else 2) for name, size in shapes.items()}
    weights["b_ih"][hidden : 2 * hidden] += 2.0
    return weights


def _batch(rng, count, steps, features):
    """x, and lengths from 1 to T in any order, one of which is T where there are several."""
    lengths = rng.integers(1, steps + 1, count)
    lengths[rng.integers(count)] = steps if count > 1 else lengths[0]
    return {"x": normal(rng, count, steps, features), "lengths": torch.from_numpy(lengths)}


def _cases(*sizes):
    """Each size with numbers of order one, and the first with far ones too."""
    return [*((size, 1.0) for size in sizes), (sizes[0], FAR)]


def _inputs(rng, size, far=1.0):
    """The eight arguments of lstm, by name and in order."""
    count, steps, features, hidden, _ = size
    given = _batch(rng, count, steps, features) | {"h": normal(rng, count, hidden), "c": normal(rng, count, hidden)}
    given = {name: value * far if value.is_floating_point() else value for name, value in given.items()}
    weights = _weights(rng, features, hidden)
    return given | {name: weights[name] for name in WEIGHTS}


def _of_step(given):
    """The arguments of lstm_step at the first step of a batch."""
    return {name: value for name, value in given.items() if name != "lengths"} | {"x": given["x"][:, 0]}


class Oracle(nn.Module):
    """torch's own LSTM on a packed batch, with a linear head."""

    def __init__(self, features, hidden, classes):
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, batch_first=True, dtype=torch.float64)
        self.head = nn.Linear(hidden, classes, dtype=torch.float64)

    def forward(self, x, lengths):
        return self.head(_packed(self.lstm, x, lengths)[1])


def _packed(lstm, x, lengths, state=None):
    """(outputs, h, c) of torch's LSTM on a packed batch."""
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    packed, (h, c) = lstm(packed, state)
    outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
    return outputs, h[0], c[0]


def _lstm(x, lengths, h, c, **weights):
    """What lstm should return, by torch's LSTM."""
    lstm = nn.LSTM(x.shape[2], h.shape[1], batch_first=True, dtype=torch.float64)
    weights = {ORACLE[name].removeprefix("lstm."): value for name, value in weights.items()}
    state = h.contiguous()[None], c.contiguous()[None]
    return _packed(lambda *args: functional_call(lstm, weights, args), x, lengths, state)


def _cell(x, h, c, **weights):
    """(c, h) after one step: c first, since h is made of it."""
    return torch.lstm_cell(x, (h, c), *weights.values())[::-1]


def _learners_cell(solution):
    """lstm_step as a function of its arguments by name, which gives c first."""
    return lambda **given: assert_parts(solution.lstm_step(*given.values()), "hc", name="lstm_step")[::-1]


def _learners_lstm(solution):
    return lambda **given: solution.lstm(*given.values())


def _make(solution, features, hidden, classes, **options):
    """The learner's new classifier, found to have the six parameters that the statement names."""
    model = solution.LSTMClassifier(features, hidden, classes, **options)
    dtype = options.get("dtype", torch.float32)
    return assert_state(model, _shapes(features, hidden, classes), dtype=dtype, name="LSTMClassifier")


def _models(solution, rng, features, hidden, classes, far=1.0):
    """The learner's classifier in float64, and the oracle with the same weights; far: how much larger the head's are."""
    weights = _weights(rng, features, hidden, classes)
    weights["head.weight"] *= far
    oracle = Oracle(features, hidden, classes)
    load_state(oracle, {ORACLE[name]: value for name, value in weights.items()})
    return load_state(_make(solution, features, hidden, classes, dtype=torch.float64), weights), oracle


def _answers(solution, model, given):
    """What lstm and the classifier say to the arguments of lstm, by name, each of the right form."""
    x, lengths, h = list(given.values())[:3]
    found = dict(zip(PARTS, assert_parts(solution.lstm(*given.values()), PARTS, name="lstm"), strict=True))
    found["logits"] = model(x, lengths)
    shapes = {"outputs": (*x.shape[:2], h.shape[1]), "logits": (len(x), len(model.head.bias))}
    for name, value in found.items():
        assert_shape(value, shapes.get(name, tuple(h.shape)), dtype=x.dtype, name=name)
    return found


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one sequence and for several, and depends on the input."""
    for index, size in enumerate(SIZES):
        dtype = (torch.float32, torch.float64)[index % 2]
        given = {name: value.to(dtype) if name != "lengths" else value for name, value in _inputs(rng, size).items()}
        for part, value in zip("ch", _learners_cell(solution)(**_of_step(given)), strict=True):
            assert_shape(value, given[part].shape, dtype=dtype, name=text("{part} of lstm_step", part=part))
        model = _make(solution, *size[2:], dtype=dtype)
        zero, one = (_answers(solution, model, given | {"x": torch.full_like(given["x"], x)}) for x in (0.0, 1.0))
        for name, value in zero.items():
            assert_that((value != one[name]).any(), "inputs 0 and 1 give the same {name}", name=name)


@pytest.mark.value
def test_one_step(solution, rng):
    """One step from any state gives the hidden and the cell state of torch's LSTMCell."""
    help = "for c the order of the gates, both biases, what squashes each gate, and no bound; for h the output gate too"
    for size, far in _cases(*SIZES, MANY):
        given = _of_step(_inputs(rng, size, far))
        assert_agrees(_learners_cell(solution), _cell, given, rng, gradients=False, name=("c", "h"), help=help)


@pytest.mark.value
def test_full_sequences(solution, rng):
    """Sequences of equal length give the outputs and final states of torch's LSTM, from any initial state."""
    help = "where the first step starts, and what one step hands the next"
    for size, far in _cases(*SIZES):
        given = _inputs(rng, size, far) | {"lengths": torch.full((size[0],), size[1])}
        assert_agrees(_learners_lstm(solution), _lstm, given, rng, gradients=False, name=PARTS, help=help)


@pytest.mark.value
def test_unequal_lengths(solution, rng):
    """Sequences of unequal length give the outputs and final states of torch's LSTM on a packed batch."""
    help = "h and c freeze together, after step lengths[n] counted from 1; outputs are zero on padding"
    for size in (*SIZES, MANY, LONG):
        given = _inputs(rng, size)
        assert_agrees(_learners_lstm(solution), _lstm, given, rng, gradients=False, name=PARTS, help=help)


@pytest.mark.value
def test_classifier_with_given_weights(solution, rng):
    """With given weights, in either mode, the logits are the head's answer to the last real hidden state."""
    help = "which of the two states the head reads, and of which step; no softmax, no dropout, no bound"
    for (count, steps, *sizes), far in (
        *((size, 1.0) for size in (*SIZES, MANY, (3, 1101, *LONG[2:]))),
        (SIZES[0], FAR),
    ):
        models = _models(solution, rng, *sizes, far)
        given = _batch(rng, count, steps, sizes[0])
        assert_agrees(*models, given, rng, modules=models, gradients=False, name="logits", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach every input, both initial states and every parameter, through every step, 40 of them too."""
    help = "nothing may cut the graph: no detach, no .data, no .item(), no new tensor made from old numbers"
    for size, far in _cases(*SIZES[:3], BACK):
        count, steps, *sizes = size
        assert_agrees(
            _learners_cell(solution), _cell, _of_step(_inputs(rng, size, far)), rng, name=("c", "h"), help=help
        )
        assert_agrees(_learners_lstm(solution), _lstm, _inputs(rng, size, far), rng, name=PARTS, help=help)
        models, batch = _models(solution, rng, *sizes), _batch(rng, count, steps, sizes[0])
        batch["x"] = batch["x"] * far
        assert_agrees(*models, batch, rng, modules=models, parameters=ORACLE, name="logits", help=help)


@pytest.mark.gradient
def test_training_steps(solution, rng):
    """From given weights, a dozen steps of gradient descent give torch's losses, and torch's weights after them."""
    for count, steps, *sizes in (SIZES[0], SIZES[2], (3, 12, 2, 4, 3)):
        model, oracle = _models(solution, rng, *sizes)
        batches = [_batch(rng, count, steps, sizes[0]) for _ in range(12)]
        labels = torch.from_numpy(rng.integers(0, sizes[-1], (12, count)))

        def losses(module, batches=batches, labels=labels):
            return (F.cross_entropy(module(**batch), y) for batch, y in zip(batches, labels, strict=True))

        optimiser, oracles = (torch.optim.SGD(module.parameters(), lr=0.5) for module in (model, oracle))
        found = descend(losses(model), optimiser)
        help = "the first step's loss is the forward pass, the others are gradients"
        given = {"parameters": ORACLE, "weights_tol": 1e-6, "help": help}
        assert_trained(found, model, oracle, losses(oracle), oracles, **given)


@pytest.mark.behaviour
def test_padding_never_matters(solution, rng):
    """What stands in the padding, and how much there is of it, changes nothing; the last real step does."""
    for size in SIZES:
        count, steps, features, *_ = size
        model, _ = _models(solution, rng, *size[2:])
        given = _inputs(rng, size)
        x, lengths = given["x"], given["lengths"]
        answers = _answers(solution, model, given)
        longer = torch.cat([x, normal(rng, count, 3, features)], 1)
        padding = torch.arange(steps + 3) >= lengths[:, None]
        other = torch.where(padding[:, :, None], 10 * normal(rng, *longer.shape), longer)
        for changed in (other[:, :steps], other):
            found = _answers(solution, model, given | {"x": changed})
            found["outputs"] = found["outputs"][:, :steps]
            for name, value in found.items():
                assert_close(value, answers[name], tol=SAME, name=text("{name} with other padding", name=name))
        last = x.clone()
        last[torch.arange(count), lengths - 1] += 1.0
        found = _answers(solution, model, given | {"x": last})
        for name in ("h", "logits"):
            moved = (found[name] != answers[name]).any(1).all()
            assert_that(moved, "another last real step must give another {name}", name=name)


@pytest.mark.behaviour
def test_each_sequence_by_itself(solution, rng):
    """A sequence gets the same answer alone, among others, and in any place of the batch."""
    for size in SIZES:
        count, classes = size[0], size[-1]
        model, _ = _models(solution, rng, *size[2:])
        given = _inputs(rng, size)
        together = _answers(solution, model, given)
        different = len(set(together["logits"].flatten().tolist()))
        assert different == count * classes, "different sequences give the same logits"
        for rows in [torch.tensor([n]) for n in range(count)] + [torch.from_numpy(rng.permutation(count))]:
            few = {name: value if name in WEIGHTS else value[rows] for name, value in given.items()}
            for name, value in _answers(solution, model, few).items():
                help = "an answer must stay with its own row"
                said = text("{name} in another batch", name=name)
                assert_close(value, together[name][rows], tol=SAME, name=said, help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """A call changes neither its arguments nor the parameters, and the next call remembers nothing of it."""
    for size in SIZES:
        model, _ = _models(solution, rng, *size[2:])
        before, given = state_of(model, ORACLE), _inputs(rng, size)
        other = given | {"x": normal(rng, *given["x"].shape)}
        step, _, same = (_learners_cell(solution)(**_of_step(each)) for each in (given, other, given))
        first, second, again = (_answers(solution, model, each) for each in (given, other, given))
        assert_unchanged(mutated)
        assert_close(same[0], step[0], tol=SAME, name=text("{name} of the same call made again", name="c"))
        for name, value in first.items():
            assert_that((value != second[name]).any(), "two different inputs give the same {name}", name=name)
            said = text("{name} of the same call made again", name=name)
            assert_close(again[name], value, tol=SAME, name=said, help="state must not outlive a call")
        for name, value in state_of(model, ORACLE).items():
            assert_close(value, before[name], tol=SAME, name=text("{name} after three calls", name=name))


@pytest.mark.behaviour
def test_fresh_parameters(solution, rng):
    """A new classifier draws its weights as stated, and starts with the given bias in the forget gate alone."""
    features, hidden, classes = 11, 17, 29
    for options in ({}, {"forget_bias": 4.0}, {"forget_bias": 0.0}, {"forget_bias": float(rng.uniform(-2, 3))}):
        fresh = state_of(_make(solution, features, hidden, classes, dtype=torch.float64, **options), ORACLE)
        expected = torch.zeros(4, hidden, dtype=torch.float64)
        expected[1] = options.get("forget_bias", 1.0)
        help = "the gates stand in the order i, f, g, o; the two biases are added"
        assert_close(fresh["b_ih"] + fresh["b_hh"], expected.flatten(), name="b_ih + b_hh", help=help)
    laws = dict.fromkeys(("w_ih", "w_hh", "head.weight", "head.bias"), Uniform(hidden**-0.5))  # nn.Linear's bound too
    assert_drawn(lambda: _make(solution, features, hidden, classes), laws, name="LSTMClassifier")


@pytest.mark.convergence
def test_remembers_the_first_step(solution, generator, record):
    """Trained for 30 steps, the classifier still knows at step 25 which symbol it was shown at step 1."""
    model = _make(solution, SYMBOLS, HIDDEN, SYMBOLS, forget_bias=FORGET_BIAS)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, STEPS)
    losses = []
    for _ in range(STEPS):
        x, lengths, symbols = _memory_task(generator, BATCH)
        loss = F.cross_entropy(model(x, lengths), symbols)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    record.curve("loss while learning to remember", losses, baseline=math.log(SYMBOLS))
    x, lengths, symbols = _memory_task(generator, HELD_OUT)
    right = (model(x, lengths).argmax(1) == symbols).double().mean().item()
    help = "the cell state must survive 25 steps: the forget gate, and gradients through every step"
    assert_beats(right, BAR, name="accuracy on held-out sequences", help=help)


def _memory_task(generator, count):
    """The first step shows one of three symbols, all later ones noise; the class is the symbol."""
    symbols = torch.randint(SYMBOLS, (count,), generator=generator)
    x = NOISE * torch.randn(count, LONGEST, SYMBOLS, generator=generator)
    x[:, 0] = SIGNAL * F.one_hot(symbols, SYMBOLS)
    return x, torch.randint(SHORTEST, LONGEST + 1, (count,), generator=generator), symbols
