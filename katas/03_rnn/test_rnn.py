"""Six functions, graded one by one against torch's RNN in float64; then a task that needs a memory, and one for order."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from grader.checks import (
    assert_beats,
    assert_close,
    assert_parts,
    assert_shape,
    assert_that,
    assert_trajectory,
    assert_unchanged,
    normal_array,
    text,
)

# Sequences, steps, features, hidden units and classes, which differ within a case; and how large inputs and logits are.
SIZES = (
    (4, 6, 3, 5, 2, 1.0),
    (3, 1, 4, 5, 2, 1.0),
    (1, 5, 4, 3, 2, 1.0),
    (6, 4, 5, 3, 2, 100.0),
    (2, 40, 5, 1, 6, 1.0),
    (3, 7, 1, 5, 4, 1.0),
)
CASES = SIZES + SIZES  # each size twice, the second time with other numbers
VAST = ((5003, 2, 3, 2, 4, 1.0), (2, 5003, 2, 4, 3, 1.0), (3, 2, 1, 4, 1201, 1.0))  # in sequences, steps and classes
RATES = (0.5, 2.0, 0.1, 1e-4, 0.3, 1.0)
ORACLE = {
    "w_ih": "0.weight_ih_l0",
    "w_hh": "0.weight_hh_l0",
    "b_h": "0.bias_ih_l0",
    "w_out": "1.weight",
    "b_out": "1.bias",
}
TOL = 1e-9
NO_CLIPPING = 1e6  # a norm that no gradient here comes near

# One of two signals in the steps 0 to 2, one of two in the steps 3 to 5, then one to four steps of noise: four classes.
STEPS, BATCH, HIDDEN, HELD_OUT = 300, 32, 20, 1000
EARLIER, LONGEST, SHORTEST, NOISE = 3, 10, 7, 0.1
CLASSES = ("AA", "AB", "BA", "BB")
LEARNING_RATE, MAX_NORM = 0.5, 1.0
# The last input alone: 0.28 at best in 50 runs; the two signals without their order: 0.75; a right solution: 0.987 at worst.
# Gradients that stop after one step pass in 45 of 50 runs: a turning state remembers untaught. Other tests catch them.
BAR = 0.87

# What a wrong change of a parameter says, in the order in which they are compared.
UPDATES = {
    "b_out": "the loss is right: now minus learning_rate times its gradient; the logits' gradient, summed over the batch",
    "w_out": "b_out is right: now pair the logits' gradient with the states that were read",
    "b_h": "the head is right: each state that was read gets its gradient from w_out, where it stood; no other gets any",
    "w_hh": "b_h is right: w_hh comes from rnn_backward, as it is",
    "w_ih": "b_h and w_hh are right: w_ih comes from rnn_backward, as it is",
}

# What a wrong gradient says, in the order in which they are compared: those before it in this list are right.
PATHS = {
    "b_h": "the slope of tanh is 1 - state ** 2, of the state after the step; then the sum over the batch, no mean",
    "w_ih": "b_h is right: now pair each step with its own input",
    "x": "b_h and w_ih are right: now the way back through w_ih",
    "w_hh": "b_h is right: now pair each step with the state before it; before the first step that is h",
    "h": "all others are right: from the first step, go back through w_hh once more",
}


def _params(rng, features, hidden, classes, scale=1.0):
    """Five parameters; what the tanh is given is of order one, for inputs of this scale, and the logits are of this scale."""
    return {
        "w_ih": normal_array(rng, hidden, features) / features**0.5 / scale,
        "w_hh": normal_array(rng, hidden, hidden) / hidden**0.5,
        "b_h": rng.normal(size=hidden) / 2,
        "w_out": normal_array(rng, classes, hidden) / hidden**0.5 * scale,
        "b_out": rng.normal(size=classes) / 2,
    }


def _problem(rng, count, steps, features, hidden, classes, scale):
    """Parameters, inputs, and the state before the first step."""
    params = _params(rng, features, hidden, classes, scale)
    return params, scale * normal_array(rng, count, steps, features), normal_array(rng, count, hidden)


def _batch(rng, count, steps, features, hidden, classes, scale):
    """x, lengths in any order, labels; one sequence has no padding, and the last of three or more is the first again."""
    x, labels = scale * normal_array(rng, count, steps, features), rng.integers(0, classes, count)
    lengths = rng.integers(1, steps, count, endpoint=True)
    lengths[count // 2], labels[count // 2] = steps, classes - 1
    for each in (x, lengths, labels):
        each[-1] = each[0] if count > 2 else each[-1]
    return x, lengths, labels


def _oracle(params):
    """torch's RNN and a linear head with these parameters; torch has a second bias for the state, which is zero here."""
    hidden, features = params["w_ih"].shape
    rnn = nn.RNN(features, hidden, batch_first=True, dtype=torch.float64)
    oracle = nn.ModuleList([rnn, nn.Linear(hidden, len(params["b_out"]), dtype=torch.float64)])
    given = {theirs: torch.tensor(params[ours]) for ours, theirs in ORACLE.items()}
    oracle.load_state_dict(given | {"0.bias_hh_l0": torch.zeros(hidden, dtype=torch.float64)})
    return oracle


def _states(params, x, h):
    """All the states by torch, not contiguous in memory."""
    with torch.no_grad():
        return np.asfortranarray(_oracle(params)[0](torch.tensor(x), torch.tensor(h)[None])[0].numpy())


def _cell(params, x, h):
    """One step by torch."""
    return _states(params, x[:, None], h)[:, 0]


def _logits(oracle, x, lengths):
    """The head's answer to torch's final state on a packed batch."""
    packed = pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    return oracle[1](oracle[0](packed)[1][0])


def _gradients(params, x, h, upstream):
    """What rnn_backward is given, all the states, and the five gradients that it must return, by torch's autograd."""
    oracle, x, h = _oracle(params), torch.tensor(x, requires_grad=True), torch.tensor(h, requires_grad=True)
    states = oracle[0](x, h[None])[0]
    states.backward(torch.tensor(upstream))
    trained = dict(oracle.named_parameters())
    found = {"x": x, "h": h} | {name: trained[ORACLE[name]] for name in ("w_ih", "w_hh", "b_h")}
    return np.asfortranarray(states.detach().numpy()), {name: found[name].grad.numpy() for name in PATHS}


def _torch_step(params, x, lengths, labels, learning_rate, max_norm):
    """What train_step must return, by torch's autograd."""
    oracle = _oracle(params)
    loss = F.cross_entropy(_logits(oracle, x, lengths), torch.tensor(labels))
    loss.backward()
    trained = dict(oracle.named_parameters())
    gradients = {ours: trained[theirs].grad.numpy() for ours, theirs in ORACLE.items()}
    norm = np.linalg.norm(np.concatenate([gradient.ravel() for gradient in gradients.values()]))
    rate = learning_rate if norm <= max_norm else learning_rate * max_norm / norm
    return {name: params[name] - rate * gradients[name] for name in params}, loss.item(), float(norm)


def _train(solution, params, *batch):
    """(new_params, loss, norm) of the learner's train_step, all of the right form."""
    result = solution.train_step(params, *batch)
    new, loss, norm = assert_parts(result, ("new_params", "loss", "norm"), name="train_step")
    assert isinstance(new, dict), "new_params must be a dict"
    for name, value in params.items():
        assert_that(name in new, "new_params must hold {name}", name=name)
        assert_shape(new[name], value.shape, dtype=np.float64, name=text("{name} of new_params", name=name))
    assert_shape(loss, (), name=text("the loss of train_step"))
    assert_shape(norm, (), name=text("the norm of train_step"))
    return new, float(loss), float(norm)


def _backward(solution, params, x, h, states, upstream):
    """The learner's gradients by name."""
    result = solution.rnn_backward(params, x, h, states, upstream)
    assert isinstance(result, dict), "rnn_backward returns a dict of gradients"
    for name in PATHS:
        assert_that(name in result, "the gradients must hold {name}", name=name)
    return result


def _compare_gradients(solution, params, x, h, upstream, when, help):
    states, expected = _gradients(params, x, h, upstream)
    got = _backward(solution, params, x, h, states, upstream)
    for name, path in PATHS.items():
        said = text("the gradient of {name} {when}", name=name, when=when)
        assert_close(got[name], expected[name], tol=TOL, name=said, help=help if name == "b_h" else path)


def _compare_cross_entropy(solution, logits, labels, size, help):
    scores = torch.tensor(logits, requires_grad=True)
    expected = F.cross_entropy(scores, torch.tensor(labels))
    expected.backward()
    result = solution.softmax_cross_entropy(logits, labels)
    loss, gradient = assert_parts(result, ("loss", "gradient"), name="softmax_cross_entropy")
    assert_close(loss, expected.item(), tol=TOL, name=text("the loss for logits up to {size}", size=size), help=help)
    help = text("the loss is right: now its slope by each of the logits; {help}", help=help)
    said = text("the gradient for logits up to {size}", size=size)
    assert_close(gradient, scores.grad.numpy(), tol=TOL, name=said, help=help)


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every state is as large as the one before it, and all of its numbers lie between -1 and 1."""
    for case in SIZES:
        params, x, h = _problem(rng, *case)
        step, states = solution.rnn_step(params, x[:, 0], h), solution.rnn_forward(params, x, h)
        assert_shape(step, h.shape, dtype=np.float64, name=text("the result of rnn_step"))
        help = "batch first, then the steps: states[:, t] is the state after step t"
        assert_shape(states, (*x.shape[:2], h.shape[1]), dtype=np.float64, name="states", help=help)
        for name, value in (("rnn_step", step), ("rnn_forward", states)):
            said = "a state of {name} leaves the range from -1 to 1: it comes from a tanh"
            assert_that(np.abs(value).max() < 1, said, name=name)
            assert_that(np.ptp(value) > 0, "all the numbers of {name} are equal", name=name)


@pytest.mark.value
def test_one_step(solution, rng):
    """One step from any state gives the new state of torch's RNN: a tanh, and no gate."""
    for case in (*CASES, VAST[0]):
        params, x, h = _problem(rng, *case)
        without, x = params | {"b_h": 0 * params["b_h"]}, x[:, -1]
        still, moving, full = _cell(without, x, 0 * h), _cell(without, x, h), _cell(params, x, h)
        help = "with no old state and no bias only x, w_ih and the tanh are left; a gate would show here"
        assert_close(solution.rnn_step(without, x, 0 * h), still, tol=TOL, name=text("a step from zeros"), help=help)
        help = "from zeros it is right: is w_hh the right way round, and is the old state used nowhere else?"
        assert_close(solution.rnn_step(without, x, h), moving, tol=TOL, name=text("a step without bias"), help=help)
        help = "all is right but the bias"
        assert_close(solution.rnn_step(params, x, h), full, tol=TOL, name=text("a step"), help=help)


@pytest.mark.value
def test_whole_sequences(solution, rng):
    """A whole batch gives all the states of torch's RNN, from any initial state."""
    for case in (*CASES, *VAST):
        params, x, h = _problem(rng, *case)
        states, expected = solution.rnn_forward(params, x, h), _states(params, x, h)
        assert_shape(states, expected.shape, dtype=np.float64, name="states")
        help = "states[:, 0] comes from x[:, 0] and the h that was given"
        assert_close(states[:, 0], expected[:, 0], tol=TOL, name="states[:, 0]", help=help)
        help = "the first step is right: what does each step hand to the next?"
        assert_close(states, expected, tol=TOL, name="states", help=help)


@pytest.mark.gradient
def test_back_through_one_step(solution, rng):
    """rnn_backward: on a sequence of one step, all five gradients are those of torch's autograd."""
    for count, _, *others in CASES:
        params, x, h = _problem(rng, count, 1, *others)
        upstream = normal_array(rng, *h.shape)[:, None]
        _compare_gradients(solution, params, x, h, upstream, text("on one step"), PATHS["b_h"])


@pytest.mark.gradient
def test_back_through_time(solution, rng):
    """rnn_backward: on whole sequences too, whether the loss looks at the last state or at every one."""
    for case in (*CASES, *VAST[:2]):
        params, x, h = _problem(rng, *case)
        every = case[-1] * normal_array(rng, *x.shape[:2], h.shape[1])
        last = np.where(np.arange(x.shape[1])[:, None] == x.shape[1] - 1, every, 0.0)
        help = (
            "if one step is right: what step t + 1 sends back to step t, by which way, and that all of it is added up"
        )
        _compare_gradients(solution, params, x, h, last, text("by the last state"), help)
        help = "by the last state alone it is right: what later steps send comes on top of upstream[:, t]"
        _compare_gradients(solution, params, x, h, every, text("by every state"), help)


@pytest.mark.value
def test_cross_entropy(solution, rng):
    """The loss and its gradient are right for every score, even for 1000 and -1000 in one batch."""
    for count, _, _, _, classes, scale in (*CASES, VAST[0], VAST[2]):
        logits, labels = 2 * scale * normal_array(rng, count, classes), rng.integers(0, classes, count)
        logits[-1], labels[-1] = logits[0], classes - 1
        help = text("the mean over the batch: of {count}, not {classes}", count=count, classes=classes)
        _compare_cross_entropy(solution, logits, labels, int(4 * scale), help)
    logits = np.array([[1000.0, 998.0, -1000.0], [-1000.0, -1001.0, -1003.0], [0.5, -2.0, 1.0], [1000.0, 0.0, -1000.0]])
    with np.errstate(all="ignore"):  # a warning about an overflow is no error: the result counts
        for labels in ([0, 1, 2, 0], [1, 2, 0, 2]):
            help = text("what exp gives for 1000, and log for 0; each row has a maximum of its own")
            _compare_cross_entropy(solution, logits, np.array(labels), 1000, help)


@pytest.mark.value
def test_classifier(solution, rng):
    """The logits are the head's answer to the state after the last real step of each sequence."""
    for case in (*CASES, *VAST):
        params, (x, lengths, _) = _params(rng, *case[2:]), _batch(rng, *case)
        oracle, whole = _oracle(params), np.full_like(lengths, case[1])
        with torch.no_grad():
            expected, padded = (_logits(oracle, x, each).numpy() for each in (whole, lengths))
        said = text("logits without padding")
        help = "zeros before the first step, the state after the last, w_out, b_out, no softmax"
        assert_close(solution.classify(params, x, whole), expected, tol=TOL, name=said, help=help)
        said = text("logits with padding")
        help = "without padding it is right: step lengths[n] of sequence n, counted from 1, is its last real one"
        assert_close(solution.classify(params, x, lengths), padded, tol=TOL, name=said, help=help)


@pytest.mark.gradient
def test_training_steps(solution, rng):
    """A dozen steps give the losses of torch's RNN, and its parameters after them."""
    for case, learning_rate in zip((*SIZES, *VAST), (*RATES, 0.5, 0.5, 0.5), strict=True):
        params = mine = theirs = _params(rng, *case[2:])
        losses, expected = [], []
        for step in range(1 if case in VAST else 12):
            batch = *_batch(rng, *case), learning_rate, NO_CLIPPING
            (mine, loss, _), (theirs, wanted, _) = _train(solution, mine, *batch), _torch_step(theirs, *batch)
            losses.append(loss)
            expected.append(wanted)
            if step == 0:
                help = "the loss of the params that were given, before they move; from the last real states"
                assert_close(loss, wanted, tol=TOL, name=text("the loss of one step"), help=help)
                for name, help in UPDATES.items():
                    moved, change = mine[name] - params[name], theirs[name] - params[name]
                    said = text("the change of {name}", name=name)
                    assert_close(moved, change, tol=1e-8, name=said, help=help)
        help = "the first step is right: does each step start from the params that it was given, and from a state of zeros?"
        assert_trajectory(losses, expected, tol=1e-8, name=text("the loss of train_step"), help=help)
        for name in ORACLE:
            said = text("{name} after a dozen steps", name=name)
            assert_close(mine[name], theirs[name], tol=1e-8, name=said, help=help)


@pytest.mark.behaviour
def test_clipping(solution, rng):
    """A gradient with a norm beyond max_norm is shortened to it without turning; any other stays as it is."""
    for case in SIZES:
        params, batch = _params(rng, *case[2:]), _batch(rng, *case)
        norm = _torch_step(params, *batch, 1.0, NO_CLIPPING)[2]
        for share in (3.0, 1.1, 0.9, 0.2):
            given = *batch, 0.7, share * norm
            (new, _, got), (expected, _, _) = _train(solution, params, *given), _torch_step(params, *given)
            help = "one number over all five gradients together, and over no others, before any clipping"
            assert_close(got, norm, tol=TOL, name="norm", help=help)
            help = "one factor for all five gradients, and never one above 1"
            for name in ORACLE:
                change = expected[name] - params[name]
                said = text("the change of {name} with a max_norm of {share} times the norm", name=name, share=share)
                assert_close(new[name] - params[name], change, tol=1e-8, name=said, help=help)
    case = SIZES[0]
    x, lengths, labels = _batch(rng, *case)
    sure = _params(rng, *case[2:]) | {"b_out": np.array([0.0, 2000.0])}
    with np.errstate(all="ignore"):
        new, _, got = _train(solution, sure, x, lengths, np.ones_like(labels), 0.7, 1.0)
    assert_close(got, 0.0, tol=TOL, name=text("norm where every answer is sure and right"))
    for name in ORACLE:
        said = text("{name} after a step with a gradient of zero", name=name)
        assert_close(new[name], sure[name], tol=TOL, name=said)


@pytest.mark.behaviour
def test_padding_never_matters(solution, rng):
    """What stands in the padding, and how much there is of it, changes nothing; the last real step does."""
    for case in SIZES:
        count, steps, features, _, classes, scale = case
        params, (x, lengths, labels) = _params(rng, *case[2:]), _batch(rng, *case)
        logits = solution.classify(params, x, lengths)
        assert_shape(logits, (count, classes), dtype=np.float64, name="logits")
        new, loss, norm = _train(solution, params, x, lengths, labels, 0.5, NO_CLIPPING)
        longer = np.concatenate([x, normal_array(rng, count, 3, features)], axis=1)
        padding = np.arange(steps + 3) >= lengths[:, None]
        other = np.where(padding[:, :, None], 10 * normal_array(rng, *longer.shape), longer)
        for changed in (other[:, :steps], other):
            help = "the state after the last real step has not seen the padding yet"
            again = solution.classify(params, changed, lengths)
            assert_close(again, logits, tol=TOL, name=text("logits with other padding"), help=help)
            moved, same, also = _train(solution, params, changed, lengths, labels, 0.5, NO_CLIPPING)
            assert_close(same, loss, tol=TOL, name=text("the loss with other padding"), help=help)
            help = "no gradient from the padding"
            assert_close(also, norm, tol=TOL, name=text("the norm with other padding"), help=help)
            help = "a state in the padding has no effect on the loss, so its upstream gradient is zero"
            for name in ORACLE:
                said = text("{name} trained with other padding", name=name)
                assert_close(moved[name], new[name], tol=TOL, name=said, help=help)
        x[np.arange(count), lengths - 1] += scale
        reads = (solution.classify(params, x, lengths) != logits).any(axis=1).all()
        assert reads, "another last real step must give other logits"


def _everything(solution, params, x, h, upstream, lengths, labels):
    """What all six functions return, by name, all of it of the right form."""
    states = _states(params, x, h)
    result = solution.softmax_cross_entropy(states[:, 0], labels)
    loss, slope = assert_parts(result, ("loss", "gradient"), name="softmax_cross_entropy")
    new, first, norm = _train(solution, params, x, lengths, labels, 0.1, 1.0)
    back, given = _backward(solution, params, x, h, states, upstream), params | {"x": x, "h": h}
    found = [
        (text("the loss"), loss, ()),
        (text("the loss of train_step"), first, ()),
        (text("the norm of train_step"), norm, ()),
        (text("the gradient of the logits"), slope, h.shape),
        (text("the result of rnn_step"), solution.rnn_step(params, x[:, 0], h), h.shape),
        ("states", solution.rnn_forward(params, x, h), states.shape),
        ("logits", solution.classify(params, x, lengths), (len(x), len(params["b_out"]))),
        *((text("the gradient of {name}", name=name), back[name], given[name].shape) for name in PATHS),
        *((text("{name} of new_params", name=name), new[name], given[name].shape) for name in ORACLE),
    ]
    for name, value, shape in found:
        assert_shape(value, shape, name=name)
    return [(name, value) for name, value, _ in found]


@pytest.mark.behaviour
def test_pure(solution, rng, mutated):
    """Functions leave your arrays alone, and the next call remembers nothing of the one before."""
    for case in (SIZES[0], SIZES[2], SIZES[5]):
        params, _, h = _problem(rng, *case)
        upstream = normal_array(rng, case[0], case[1], case[3])
        batches = [_batch(rng, *case[:4], 2, 1.0) for _ in range(2)]
        for _, lengths, _ in batches:
            lengths[0] = case[1]  # since one step from a state of zeros moves no w_hh, whatever the input
        seen = [_everything(solution, params, x, h, upstream, *rest) for x, *rest in (*batches, batches[0])]
        assert_unchanged(mutated)
        help = "nothing may outlive a call: neither a state nor an array that is filled again"
        for (name, value), (_, other), (_, again) in zip(*seen, strict=True):
            assert_that(np.any(np.asarray(other) != value), "{name} is the same for two different inputs", name=name)
            assert_close(again, value, tol=TOL, name=text("{name}, called again", name=name), help=help)


def _signals(rng, count):
    """Two signals, each A or B, at random places early in noise; the class says which two, and in which order."""
    x = NOISE * rng.normal(size=(count, LONGEST, 2))
    first, second = rng.integers(0, 2, (2, count))
    each, place = np.arange(count), rng.integers(0, EARLIER, (2, count))
    x[each, place[0], first] += 1.0
    x[each, EARLIER + place[1], second] += 1.0
    return x, rng.integers(SHORTEST, LONGEST + 1, count), 2 * first + second


def _last_input(x, lengths, labels):
    """The ablation: the same sequences, of which nothing is shown but the last real step."""
    return x[np.arange(len(x)), lengths - 1][:, None], np.ones_like(lengths), labels


def _right(solution, params, x, lengths, labels):
    logits = solution.classify(params, x, lengths)
    assert_shape(logits, (len(x), len(CLASSES)), dtype=np.float64, name="logits")
    return logits.argmax(axis=1), float(np.mean(logits.argmax(axis=1) == labels))


@pytest.mark.convergence
def test_remembers_the_order(solution, rng, record):
    """Your network learns which two signals it has seen, and in which order, steps after the second one."""
    turn, _ = np.linalg.qr(rng.normal(size=(HIDDEN, HIDDEN)))  # to turn a state neither loses it nor blows it up
    params = blind = _params(rng, 2, HIDDEN, len(CLASSES)) | {"w_hh": turn, "b_h": np.zeros(HIDDEN)}
    unseen, losses, blind_losses, scores = _signals(rng, HELD_OUT), [], [], []
    for step in range(STEPS):
        batch, rate = _signals(rng, BATCH), LEARNING_RATE * (1 - step / STEPS)
        params, loss, _ = _train(solution, params, *batch, rate, MAX_NORM)
        blind, blind_loss, _ = _train(solution, blind, *_last_input(*batch), rate, MAX_NORM)
        losses.append(loss)
        blind_losses.append(blind_loss)
        if step % 30 == 29:
            scores.append(_right(solution, params, *unseen)[1])
    record.curve("loss while learning the order", losses, baseline=math.log(len(CLASSES)), ablation=blind_losses)
    without_memory = _right(solution, blind, *_last_input(*unseen))[1]
    record.curve("accuracy, beside that of a twin which sees the last input alone", scores, baseline=without_memory)
    answers, right = _right(solution, params, *unseen)
    table = np.zeros((len(CLASSES), len(CLASSES)))
    np.add.at(table, (unseen[2], answers), 1)
    record.matrix("signals (rows) and answers (columns)", table, CLASSES)
    x, h = unseen[0], np.zeros((HELD_OUT, HIDDEN))
    upstream = np.zeros((HELD_OUT, LONGEST, HIDDEN))
    upstream[:, -1] = rng.normal(size=(HELD_OUT, HIDDEN))
    reached = _backward(solution, params, x, h, _states(params, x, h), upstream)["x"]
    assert_shape(reached, x.shape, dtype=np.float64, name=text("the gradient of {name}", name="x"))
    record.curve("gradient of the last state that reaches each step", np.sqrt((reached**2).sum(axis=(0, 2))))
    help = "the state must carry the first signal past the second: gradients through every step, the last real state"
    assert_beats(right, BAR, name=text("accuracy on held-out sequences"), help=help)
