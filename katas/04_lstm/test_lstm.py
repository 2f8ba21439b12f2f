"""The suite of kata 04: an LSTM from scratch beside torch's own, and a task that needs its long memory."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from grader.checks import (
    Uniform,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_gradients,
    assert_parts,
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    load_state,
    state_of,
    tensors_of,
)

# Sequences, steps, features, hidden units and classes of each case; all five differ within a case.
SIZES = [(4, 6, 3, 5, 2), (1, 5, 4, 3, 2), (3, 7, 2, 5, 4), (6, 4, 5, 3, 2), (2, 23, 5, 6, 3)]
SMALL = (4, 3, 1, 2, 5)  # for differences, where every number costs calls
WEIGHTS = ("w_ih", "w_hh", "b_ih", "b_hh")
ORACLE = dict(zip(WEIGHTS, ("0.weight_ih_l0", "0.weight_hh_l0", "0.bias_ih_l0", "0.bias_hh_l0"), strict=True))
ORACLE |= {"head.weight": "1.weight", "head.bias": "1.bias"}
PARTS = ("outputs", "h", "c", "logits")
SAME = 1e-9  # relative tolerance between two runs of the learner's own code

STEPS, BATCH, HELD_OUT = 30, 64, 512
SYMBOLS, HIDDEN, LONGEST, SHORTEST, SIGNAL, NOISE = 3, 20, 25, 20, 3.0, 0.15
FORGET_BIAS, LEARNING_RATE, LARGEST_GRADIENT = 4.0, 0.02, 0.25
BAR = 0.667  # mid-way between chance, 1/3, and the 100 % that a right solution reaches


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _lengths(rng, count, steps):
    """Lengths from 1 to T in any order: some shorter than T, and one of them T itself where there are several."""
    lengths = rng.integers(1, steps, count)
    if count > 1:
        lengths[rng.integers(count)] = steps
    return torch.from_numpy(lengths)


def _sequences(rng, count, steps, features, hidden):
    """x, lengths and the initial state (h, c) of a batch of unequal lengths."""
    state = _normal(rng, count, hidden), _normal(rng, count, hidden)
    return _normal(rng, count, steps, features), _lengths(rng, count, steps), state


def _shapes(features, hidden, classes):
    gates = 4 * hidden
    lstm = dict(zip(WEIGHTS, ((gates, features), (gates, hidden), (gates,), (gates,)), strict=True))
    return lstm | {"head.weight": (classes, hidden), "head.bias": (classes,)}


def _weights(rng, features, hidden, classes=2):
    """Six tensors whose pre-activations are of order one; no bias is zero."""
    shapes = _shapes(features, hidden, classes)
    return {name: _normal(rng, *size) / (size[1] ** 0.5 if len(size) > 1 else 2) for name, size in shapes.items()}


def _gates(weights):
    return [weights[name] for name in WEIGHTS]


def _make(solution, features, hidden, classes, **options):
    """The learner's new classifier, found to have the six parameters that the statement names."""
    model = solution.LSTMClassifier(features, hidden, classes, **options)
    dtype = options.get("dtype", torch.float32)
    return assert_state(model, _shapes(features, hidden, classes), dtype=dtype, name="LSTMClassifier")


def _model(solution, rng, features, hidden, classes):
    """The learner's classifier in float64 with given weights, and those weights."""
    model = _make(solution, features, hidden, classes, dtype=torch.float64)
    weights = _weights(rng, features, hidden, classes)
    return load_state(model, weights), weights


def _step(solution, x, state, weights):
    """(h, c) of the learner's lstm_step, both of the right form."""
    result = solution.lstm_step(x, *state, *_gates(weights))
    for value, name in zip(assert_parts(result, "hc", name="lstm_step"), "hc", strict=True):
        assert_shape(value, state[0].shape, dtype=x.dtype, name=f"{name} of lstm_step")
    return result


def _run(solution, x, lengths, state, weights):
    """(outputs, h, c) of the learner's lstm, all of the right form."""
    result = solution.lstm(x, lengths, *state, *_gates(weights))
    count, hidden = state[0].shape
    for value, name in zip(assert_parts(result, PARTS[:3], name="lstm"), PARTS[:3], strict=True):
        shape = (count, x.shape[1], hidden) if name == "outputs" else (count, hidden)
        assert_shape(value, shape, dtype=x.dtype, name=f"{name} of lstm")
    return result


def _classify(model, x, lengths, classes):
    """The logits of the learner's classifier, of the right form."""
    logits = model(x, lengths)
    assert_shape(logits, (len(x), classes), dtype=x.dtype, name="logits")
    return logits


def _oracle(weights):
    """torch's own LSTM and a linear head, with these weights."""
    gates, features = weights["w_ih"].shape
    lstm = nn.LSTM(features, gates // 4, batch_first=True, dtype=torch.float64)
    oracle = nn.ModuleList([lstm, nn.Linear(gates // 4, len(weights["head.bias"]), dtype=torch.float64)])
    oracle.load_state_dict({ORACLE[name]: value for name, value in weights.items()})
    return oracle


def _packed(oracle, x, lengths, state=None):
    """(outputs, h, c) of torch's LSTM on a packed batch."""
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    packed, last = oracle[0](packed, state and tuple(part.contiguous()[None] for part in state))
    outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
    return outputs, last[0][0], last[1][0]


def _logits(oracle, x, lengths):
    return oracle[1](_packed(oracle, x, lengths)[1])


def _memory_task(generator, count):
    """The first step shows one of three symbols, all later ones noise; the class is the symbol."""
    symbols = torch.randint(SYMBOLS, (count,), generator=generator)
    x = NOISE * torch.randn(count, LONGEST, SYMBOLS, generator=generator)
    x[:, 0] = SIGNAL * F.one_hot(symbols, SYMBOLS)
    return x, torch.randint(SHORTEST, LONGEST + 1, (count,), generator=generator), symbols


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one sequence and for several, and depends on the input."""
    for index, (count, steps, features, hidden, classes) in enumerate(SIZES):
        dtype = (torch.float32, torch.float64)[index % 2]
        _, lengths, state = _sequences(rng, count, steps, features, hidden)
        state, seen = [part.to(dtype) for part in state], []
        weights = {name: value.to(dtype) for name, value in _weights(rng, features, hidden).items()}
        model = _make(solution, features, hidden, classes, dtype=dtype)
        for x in (torch.zeros(count, steps, features, dtype=dtype), torch.ones(count, steps, features, dtype=dtype)):
            results = *_step(solution, x[:, 0], state, weights), *_run(solution, x, lengths, state, weights)
            seen.append((*results, _classify(model, x, lengths, classes)))
        assert all((a != b).any() for a, b in zip(*seen, strict=True)), "inputs 0 and 1 give the same result"


@pytest.mark.value
def test_one_step(solution, rng):
    """One step from any state gives the hidden and the cell state of torch's LSTMCell."""
    for count, steps, features, hidden, _ in SIZES:
        weights = _weights(rng, features, hidden)
        x, _, state = _sequences(rng, count, steps, features, hidden)
        cell = nn.LSTMCell(features, hidden, dtype=torch.float64)
        cell.load_state_dict(dict(zip(cell.state_dict(), _gates(weights), strict=True)))
        with torch.no_grad():
            expected, large = cell(x[:, 1], state), cell(x[:, 1], (state[0], 50 * state[1]))
        h, c = _step(solution, x[:, 1], state, weights)
        assert_close(c, expected[1], name="c", help="the order of the gates, both biases, and what squashes each gate")
        assert_close(h, expected[0], name="h", help="c is right: now the output gate, and the cell state that it shows")
        _, c = _step(solution, x[:, 1], (state[0], 50 * state[1]), weights)
        assert_close(c, large[1], name="c from a large c", help="the cell state has no bound: nothing may clip it")


@pytest.mark.value
def test_full_sequences(solution, rng):
    """Sequences of equal length give the outputs and final states of torch's LSTM, from any initial state."""
    for count, steps, features, hidden, _ in SIZES:
        weights, lengths = _weights(rng, features, hidden), torch.full((count,), steps)
        x, _, state = _sequences(rng, count, steps, features, hidden)
        with torch.no_grad():
            expected = _packed(_oracle(weights), x, lengths, state)
        results = _run(solution, x, lengths, state, weights)
        for value, want, name in zip(results, expected, PARTS[:3], strict=True):
            assert_close(value, want, name=name, help="where the first step starts, and what one step hands the next")


@pytest.mark.value
def test_unequal_lengths(solution, rng):
    """Sequences of unequal length give the outputs and final states of torch's LSTM on a packed batch."""
    for count, steps, features, hidden, _ in SIZES:
        weights = _weights(rng, features, hidden)
        x, lengths, state = _sequences(rng, count, steps, features, hidden)
        with torch.no_grad():
            expected = _packed(_oracle(weights), x, lengths, state)
        outputs, h, c = _run(solution, x, lengths, state, weights)
        assert_close(h, expected[1], name="h", help="the state is frozen after step lengths[n], counted from 1")
        assert_close(c, expected[2], name="c", help="h and c freeze together")
        assert_close(outputs, expected[0], name="outputs", help="hidden states on real steps, zeros on padding")


@pytest.mark.value
def test_classifier_with_given_weights(solution, rng):
    """With given weights, the logits are the head's answer to the hidden state after the last real step."""
    for count, steps, features, hidden, classes in SIZES:
        model, weights = _model(solution, rng, features, hidden, classes)
        x, lengths = _normal(rng, count, steps, features), _lengths(rng, count, steps)
        with torch.no_grad():
            expected = _logits(_oracle(weights), x, lengths)
        help = "which of the two states the head reads, and of which step"
        assert_close(_classify(model, x, lengths, classes), expected, name="logits", help=help)
        model.eval()
        help = "nothing here depends on the mode: the classifier has no dropout, and returns logits in either"
        assert_close(_classify(model, x, lengths, classes), expected, name="logits in evaluation mode", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach every input, both initial states and every parameter, through every step."""
    count, steps, features, hidden, classes = SMALL
    weights = _weights(rng, features, hidden)
    x, lengths, (h, c) = _sequences(rng, count, steps, features, hidden)

    def run(x, h, c, **weights):
        return _run(solution, x, lengths, (h, c), weights)

    model, given = _model(solution, rng, features, hidden, classes)

    def classify(x):
        return _classify(model, x, lengths, classes)

    with torch.no_grad():
        assert_close(run(x, h, c, **weights)[1], _packed(_oracle(weights), x, lengths, (h, c))[1], name="h")
        assert_close(classify(x), _logits(_oracle(given), x, lengths), name="logits")
    help = "nothing may cut the graph: no detach, no .data, no .item(), no new tensor made from old numbers"
    inputs = {"x": x, "h": h, "c": c, **{name: weights[name] for name in WEIGHTS}}
    assert_gradients(run, inputs, rng, name="gradient of lstm", help=help)
    parameters = tensors_of(model, given)
    assert_gradients(classify, {"x": x}, rng, parameters=parameters, name="gradient of the classifier", help=help)


@pytest.mark.gradient
def test_three_training_steps(solution, rng):
    """From given weights, three steps of gradient descent give torch's losses, and torch's weights after them."""
    for count, steps, features, hidden, classes in SIZES:
        model, weights = _model(solution, rng, features, hidden, classes)
        oracle = _oracle(weights)
        optimisers = [torch.optim.SGD(module.parameters(), lr=0.5) for module in (model, oracle)]
        losses, expected = [], []
        for _ in range(3):
            x, lengths = _normal(rng, count, steps, features), _lengths(rng, count, steps)
            labels = torch.from_numpy(rng.integers(0, classes, count))
            both = _classify(model, x, lengths, classes), _logits(oracle, x, lengths)
            for logits, optimiser, history in zip(both, optimisers, (losses, expected), strict=True):
                loss = F.cross_entropy(logits, labels)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                history.append(loss.item())
        assert_trajectory(losses, expected, help="the first step's loss is the forward pass, the others are gradients")
        trained = oracle.state_dict()
        for name, value in state_of(model, weights).items():
            assert_close(value, trained[ORACLE[name]], name=f"{name} after three steps")


@pytest.mark.behaviour
def test_padding_never_matters(solution, rng):
    """What stands in the padding, and how much there is of it, changes nothing; the last real step does."""
    for count, steps, features, hidden, classes in SIZES:
        model, weights = _model(solution, rng, features, hidden, classes)
        x, lengths, state = _sequences(rng, count, steps, features, hidden)
        outputs, h, c = _run(solution, x, lengths, state, weights)
        logits = _classify(model, x, lengths, classes)
        longer = torch.cat([x, _normal(rng, count, 3, features)], 1)
        padding = torch.arange(steps + 3) >= lengths[:, None]
        other = torch.where(padding[:, :, None], 10 * _normal(rng, *longer.shape), longer)
        for changed in (other[:, :steps], other):
            results = *_run(solution, changed, lengths, state, weights), _classify(model, changed, lengths, classes)
            for value, want, name in zip(results, (outputs, h, c, logits), PARTS, strict=True):
                value = value[:, :steps] if name == "outputs" else value
                assert_close(value, want, tol=SAME, name=f"{name} with other padding", help="what padding may reach")
        last = x.clone()
        last[torch.arange(count), lengths - 1] += 1.0
        results = _run(solution, last, lengths, state, weights)[1], _classify(model, last, lengths, classes)
        moved = [(value != want).any(1).all() for value, want in zip(results, (h, logits), strict=True)]
        assert all(moved), "another last real step must give another h and other logits"


@pytest.mark.behaviour
def test_each_sequence_by_itself(solution, rng):
    """A sequence gets the same answer alone, among others, and in any place of the batch."""
    for count, steps, features, hidden, classes in SIZES:
        model, weights = _model(solution, rng, features, hidden, classes)
        x, lengths, state = _sequences(rng, count, steps, features, hidden)
        together = *_run(solution, x, lengths, state, weights), _classify(model, x, lengths, classes)
        assert len(set(together[3].flatten().tolist())) == count * classes, "different sequences give the same logits"
        places = [torch.tensor([n]) for n in range(count)] + [torch.from_numpy(rng.permutation(count))]
        for rows in places:
            part = [value[rows] for value in state]
            few, ends = x[rows], lengths[rows]
            results = *_run(solution, few, ends, part, weights), _classify(model, few, ends, classes)
            for value, whole, name in zip(results, together, PARTS, strict=True):
                help = "an answer must stay with its own row"
                assert_close(value, whole[rows], tol=SAME, name=f"{name} in another batch", help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """A call changes neither its arguments nor the parameters, and the next call remembers nothing of it."""
    for count, steps, features, hidden, classes in SIZES:
        model, weights = _model(solution, rng, features, hidden, classes)
        first, lengths, state = _sequences(rng, count, steps, features, hidden)
        second, seen = _normal(rng, count, steps, features), []
        for x in (first, second, first):
            results = *_step(solution, x[:, 0], state, weights), *_run(solution, x, lengths, state, weights)
            seen.append([value.detach() for value in (*results, _classify(model, x, lengths, classes))])
        assert_unchanged(mutated)
        for value, other, again in zip(*seen, strict=True):
            assert (value != other).any(), "two different inputs give the same result"
            assert_close(again, value, tol=SAME, name="the same call made again", help="state must not outlive a call")
        for name, value in state_of(model, weights).items():
            assert_close(value, weights[name], tol=SAME, name=f"{name} after three calls")


@pytest.mark.behaviour
def test_fresh_parameters(solution, rng):
    """A new classifier draws its weights as stated, and starts with the given bias in the forget gate alone."""
    features, hidden, classes = 11, 17, 29
    names = list(_shapes(features, hidden, classes))
    for options in ({}, {"forget_bias": 4.0}, {"forget_bias": float(rng.uniform(-2, 3))}):
        model = _make(solution, features, hidden, classes, dtype=torch.float64, **options)
        fresh = state_of(model, names)
        expected = torch.zeros(4, hidden, dtype=torch.float64)
        expected[1] = options.get("forget_bias", 1.0)
        help = "the gates stand in the order i, f, g, o; the two biases are added"
        assert_close(fresh["b_ih"] + fresh["b_hh"], expected.flatten(), name="b_ih + b_hh when new", help=help)
        x, lengths, _ = _sequences(rng, 3, 5, features, hidden)
        with torch.no_grad():
            answer = _logits(_oracle(fresh), x, lengths)
        assert_close(_classify(model, x, lengths, classes), answer, name="logits of a new classifier")
    drawn = dict.fromkeys(
        ("w_ih", "w_hh", "head.weight", "head.bias"), Uniform(hidden**-0.5)
    )  # the bound of nn.Linear is the same
    assert_drawn(lambda: _make(solution, features, hidden, classes), drawn, name="LSTMClassifier")


@pytest.mark.convergence
def test_remembers_the_first_step(solution, generator, record):
    """Trained for 30 steps, the classifier still knows at step 25 which symbol it was shown at step 1."""
    model = _make(solution, SYMBOLS, HIDDEN, SYMBOLS, forget_bias=FORGET_BIAS)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, STEPS)
    losses = []
    for _ in range(STEPS):
        x, lengths, symbols = _memory_task(generator, BATCH)
        loss = F.cross_entropy(_classify(model, x, lengths, SYMBOLS), symbols)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    record.curve("loss while learning to remember", losses, baseline=math.log(SYMBOLS))
    x, lengths, symbols = _memory_task(generator, HELD_OUT)
    right = (_classify(model, x, lengths, SYMBOLS).argmax(1) == symbols).double().mean().item()
    help = "the cell state must survive 25 steps: the forget gate, and gradients through every step"
    assert_beats(right, BAR, name="accuracy on held-out sequences", help=help)
