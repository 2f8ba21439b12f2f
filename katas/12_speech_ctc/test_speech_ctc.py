"""The suite of kata 12: CTC beside every alignment written out and beside torch's own, and digits that are spoken."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Uniform,
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_shape,
    assert_state,
    assert_that,
    assert_trained,
    assert_unchanged,
    load_state,
    normal,
    state_of,
    tensors_of,
    text,
)

# Clips, frames, features, hidden units, classes and labels of each case; all that are not 1 differ within a case.
SIZES = [(4, 9, 5, 2, 6, 3), (1, 8, 6, 3, 4, 2), (3, 10, 2, 6, 5, 4), (5, 12, 3, 4, 7, 6), (2, 1, 4, 5, 3, 1)]
MANY, LONG = (1101, 3, 1, 2, 4, 1), (3, 1101, 1, 2, 4, 5)
BACK = (2, 40, 3, 4, 5, 6)  # for gradients, which must come back from there
SLOWLY = 701  # times as many frames, or clips: with these there are more than 5,000
# Clips, frames, classes and labels: torch's CTC takes any number of them.
CLIPS_OF_TORCH = [(4, 30, 6, 7), (1, 25, 4, 9), (3, 40, 9, 6), (5, 20, 3, 5), (2, 1, 4, 1), (2, 500, 30, 60)]
HUGE = [(5001, 3, 4, 2), (2, 1101, 4, 3), (2, 4, 1201, 2)]
FAR = 100.0  # times what is usual: nothing has a bound that the formula does not give
EXACT = 1e-9  # relative tolerance where float64 has to agree with itself

SOUNDS = {1: "ab", 2: "ba", 3: "ac", 4: "ca"}  # what each spoken digit is made of
FEATURES, HIDDEN, CLASSES = 13, 24, 5
CLIPS, HELD_OUT, STEPS, BATCH, LEARNING_RATE = 256, 64, 36, 32, 0.06
BAR = 0.1  # wrong labels among those spoken: a right solution makes none, a stretched text 0.2, deaf to order 0.5


def _texts(rng, count, classes, most):
    """Texts of up to `most` labels, among them the longest; a label often repeats the one before. Padding is random."""
    targets = rng.integers(1, classes, (count, most))
    for u in range(1, most):
        targets[:, u] = np.where(rng.random(count) < 0.4, targets[:, u - 1], targets[:, u])
    lengths = rng.integers(1, most + 1, count)
    lengths[rng.integers(count)] = most
    padding = np.arange(most) >= lengths[:, None]
    targets[padding] = rng.integers(0, classes, padding.sum())
    return torch.from_numpy(targets), torch.from_numpy(lengths)


def _needed(labels):
    """The fewest frames in which a text can be spoken: each label once, and a blank between equal neighbours."""
    return len(labels) + sum(one == two for one, two in itertools.pairwise(labels))


def _batch(rng, count, frames, classes, most):
    """Logits (N, T, C), and texts and lengths such that every text fits into its clip and few clips are of length T."""
    targets, target_lengths = _texts(rng, count, classes, most)
    least = [max(1, _needed(row[:length])) for row, length in zip(targets.tolist(), target_lengths, strict=True)]
    input_lengths = torch.tensor([int(rng.integers(low, frames + 1)) for low in least])
    given = {"logits": 1.5 * normal(rng, count, frames, classes), "targets": targets}
    return given | {"input_lengths": input_lengths, "target_lengths": target_lengths}


def _alignments(labels, frames):
    """Every path of so many frames that speaks the text: how long each blank and each label lasts, all ways."""
    states = [0, *itertools.chain.from_iterable((label, 0) for label in labels)]
    equal = [one == two for one, two in itertools.pairwise(labels)]
    least = [0, *itertools.chain.from_iterable((1, int(same)) for same in [*equal, False][: len(labels)])]

    def spread(least, frames):
        if len(least) == 1:
            yield from [(frames,)] if frames >= least[0] else []
            return
        for first in range(least[0], frames + 1):
            for rest in spread(least[1:], frames - first):
                yield first, *rest

    for durations in spread(least, frames):
        yield [state for state, duration in zip(states, durations, strict=True) for _ in range(duration)]


def _reached(log_probs, labels, frames):
    """Probability (S,) of all paths that have spoken a beginning of the text, by the label or blank they end with."""
    table = np.zeros(2 * len(labels) + 1)
    for spoken in range(len(labels) + 1):
        for path in _alignments(labels[:spoken], frames):
            chance = math.exp(sum(log_probs[t, state].item() for t, state in enumerate(path)))
            table[2 * spoken - (path[-1] != 0)] += chance
    return table


def _states(targets):
    """What each state speaks, (N, S): a blank before, between and after the labels."""
    labels = torch.zeros(len(targets), 2 * targets.shape[1] + 1, dtype=torch.int64)
    labels[:, 1::2] = targets
    return labels


def _step(solution, alpha, labels, log_probs):
    alpha = solution.ctc_step(alpha, labels, log_probs)
    assert isinstance(alpha, torch.Tensor), "ctc_step must return a tensor"
    assert_shape(alpha.exp(), labels.shape, dtype=log_probs.dtype, name="exp(alpha) of ctc_step")
    return alpha


def _loss(solution, log_probs, *texts):
    """The learner's losses, one for each clip; they may be infinite, but not NaN."""
    loss = solution.ctc_loss(log_probs, *texts)
    assert isinstance(loss, torch.Tensor), "ctc_loss must return a tensor"
    shown, help = torch.exp(-loss.detach()), "one loss for each clip, none NaN"
    assert_shape(shown, (len(log_probs),), dtype=log_probs.dtype, name="exp(-loss) of ctc_loss", help=help)
    return loss


def _of_logits(loss):
    """A loss of log-probabilities as one of logits, whose log-probabilities are handed on as a view."""
    return lambda logits, **texts: loss(as_view(logits.log_softmax(2)), *texts.values())


def _torch_loss(log_probs, targets, input_lengths, target_lengths):
    return F.ctc_loss(log_probs.transpose(0, 1), targets, input_lengths, target_lengths, reduction="none")


def _decode(solution, log_probs, input_lengths):
    """The learner's texts as lists of plain ints."""
    texts = solution.greedy_decode(log_probs, input_lengths)
    good = isinstance(texts, list | tuple) and all(isinstance(each, list | tuple) for each in texts)
    assert good and len(texts) == len(log_probs), "greedy_decode must return a list of N lists of labels"
    return [[int(label) for label in each] for each in texts]


class Oracle(nn.Module):
    """torch's layers, which hear each clip by itself and without its padding; zeros stand on padding."""

    def __init__(self, features, hidden, classes):
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, batch_first=True, bidirectional=True, dtype=torch.float64)
        self.head = nn.Linear(2 * hidden, classes, dtype=torch.float64)

    def forward(self, x, input_lengths):
        rows = [self.head(self.lstm(clip[None, :length])[0][0]) for clip, length in zip(x, input_lengths, strict=True)]
        return torch.stack([F.pad(row.log_softmax(1), (0, 0, 0, x.shape[1] - len(row))) for row in rows])


def _shapes(*sizes):
    return {name: tuple(parameter.shape) for name, parameter in Oracle(*sizes).named_parameters()}


NAMES = tuple(_shapes(1, 1, 1))


def _make(solution, *sizes, dtype=torch.float64):
    """The learner's new model, found to hold the parameters that the statement names."""
    return assert_state(solution.AcousticModel(*sizes, dtype=dtype), _shapes(*sizes), dtype=dtype, name="AcousticModel")


def _models(solution, rng, *sizes, far=1.0):
    """The learner's model in float64, and the oracle with the same weights; far: how much larger the head's are."""
    shapes = _shapes(*sizes)
    weights = {name: normal(rng, *size) / (size[1] ** 0.5 if len(size) > 1 else 2) for name, size in shapes.items()}
    weights["head.weight"] *= far
    return load_state(_make(solution, *sizes), weights), load_state(Oracle(*sizes), weights)


def _clips(rng, count, frames, features):
    """Clips of any length, whose padding is loud."""
    lengths, x = torch.from_numpy(rng.integers(1, frames + 1, count)), normal(rng, count, frames, features)
    return {"x": torch.where(_real(frames, lengths), x, 10 * x), "input_lengths": lengths}


def _real(frames, input_lengths):
    return (torch.arange(frames) < input_lengths[:, None])[:, :, None]


def _heard(model):
    """What a model says of real frames, and zeros on padding, where it may say anything."""

    def hear(x, input_lengths):
        log_probs = model(x, input_lengths)
        size = (*x.shape[:2], len(tensors_of(model, ["head.bias"])["head.bias"]))
        assert_shape(log_probs, size, dtype=x.dtype, name="log_probs", help="one answer at each frame")
        return torch.where(_real(x.shape[1], input_lengths), log_probs, 0.0)

    return hear


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one clip and for several; the model answers at every frame."""
    for index, (count, frames, features, hidden, classes, most) in enumerate(SIZES[:4]):
        dtype = (torch.float32, torch.float64)[index % 2]
        logits, *texts = _batch(rng, count, frames, classes, most).values()
        log_probs, labels = logits.to(dtype).log_softmax(2), _states(texts[0])
        assert_shape(solution.log_sum(log_probs, 1), (count, classes), dtype=dtype, name="log_sum")
        _step(solution, torch.zeros(labels.shape, dtype=dtype), labels, log_probs[:, 1])
        loss = _loss(solution, log_probs, *texts)
        assert_shape(loss, (count,), dtype=dtype, name="loss of ctc_loss")
        assert (loss > 0).all(), "a loss is minus the logarithm of a probability, so it cannot be negative"
        _decode(solution, log_probs, texts[1])
        model = _make(solution, features, hidden, classes, dtype=dtype)
        answers = _heard(model)(normal(rng, count, frames, features).to(dtype), torch.full((count,), frames))
        chances = answers.exp().sum(2)
        help = "log_softmax over the classes, which are the last axis"
        assert_close(chances, torch.ones_like(chances), tol=1e-4, name="probabilities at a frame, summed", help=help)
        assert (answers[:, 1:] != answers[:, :-1]).any(), "the model gives the same answer at every frame of a clip"


@pytest.mark.value
def test_greedy_decode(solution, rng):
    """The best path is read as a text: runs merge first, then blanks go, and padding is not read at all."""
    for count, frames, _, _, classes, most in (*SIZES, *SIZES):
        _, targets, _, target_lengths = _batch(rng, count, frames, classes, most).values()
        target_lengths[1:][-1:] = 0
        texts = [row[:length] for row, length in zip(targets.tolist(), target_lengths, strict=True)]
        least = [max(1, _needed(spoken)) for spoken in texts]
        lengths = [int(rng.integers(low, min(low + 3, frames) + 1)) for low in least]
        paths = torch.from_numpy(rng.integers(0, classes, (count, frames)))
        for path, spoken, length in zip(paths, texts, lengths, strict=True):
            ways = list(_alignments(spoken, length))
            path[:length] = torch.tensor(ways[rng.integers(len(ways))])
            path[length : length + 1] = 1 + path[length - 1] % (classes - 1)
        scores = normal(rng, count, frames, classes).clamp(-4, 4) + 9 * F.one_hot(paths, classes)
        log_probs, lengths = as_view(scores.log_softmax(2)), torch.tensor(lengths)
        _assert_decoded(_decode(solution, log_probs, lengths), texts)
    _assert_decoded(_decode(solution, log_probs.repeat_interleave(5001, 1), lengths * 5001), texts)
    _assert_decoded(_decode(solution, log_probs.repeat(5001, 1, 1), lengths.repeat(5001)), texts * 5001)
    best = F.one_hot(torch.tensor([[2, 0, 1, 2], [1, 1, 0, 1], [1, 0, 2, 2]]), 3).double()
    heard = _decode(solution, (4 * best).log_softmax(2), torch.tensor([3, 4, 1]))
    assert heard == [[2, 1], [1, 1], [1]], "a clip that begins with the label that the clip before ended with loses it"


def _assert_decoded(heard, texts):
    help = "in each clip's own frames, merge runs first, then drop the blanks"
    for found, spoken in zip(heard, texts, strict=True):
        counts = {"count": len(spoken), "found": len(found)}
        assert_that(found == spoken, "{count} labels are spoken, other ones decoded: {found}", help=help, **counts)


@pytest.mark.value
def test_log_sum(solution, rng):
    """Sums of probabilities are right at any size, and where all are zero the result is -inf with gradient 0."""
    sizes = ((5, (), 0), (3, (4,), 0), (4, (3,), 1), (5, (2, 3), 1), (4, (3, 2), -1), (2, (3, 5), -3), (1, (2, 3), 2))
    for terms, rest, dim in (*sizes, (3, (5001,), 1), (5001, (3,), 0)):
        values, size = rng.normal(size=(terms, *rest)) + rng.choice([-1000.0, 0.0, 1000.0]), math.prod(rest)
        dead = (rng.permutation(size) < size // 2).reshape(rest)  # the sums that have no term at all
        lost = rng.random(values.shape) < 0.3
        lost[0] = False
        values = np.moveaxis(np.where(lost | dead, -math.inf, values), 0, dim)
        expected, dead = torch.tensor(logsumexp(values, axis=dim)), torch.tensor(dead)
        values = torch.from_numpy(values).requires_grad_()
        result = solution.log_sum(values, dim)
        assert isinstance(result, torch.Tensor), "log_sum must return a tensor"
        help = text("the axis {dim} goes", dim=dim)
        assert_shape(result.detach().exp().clamp(max=1), tuple(expected.shape), name="exp(log_sum)", help=help)
        help = "subtract the largest term before exp, and add it again after log"
        assert_close(result[~dead], expected[~dead], tol=EXACT, name="log_sum", help=help)
        assert (result[dead] == -math.inf).all(), "a sum of no terms but -inf must be -inf"
        upstream = torch.tensor(rng.normal(size=rest))
        (gradient,) = torch.autograd.grad(result, values, upstream)
        share = torch.exp(values.detach() - torch.where(dead, 0.0, expected).unsqueeze(dim))
        help = "where all terms are -inf, -inf minus -inf is NaN: mask these terms before the sum, not only the result"
        want = share * upstream.unsqueeze(dim)
        assert_close(gradient, want, tol=EXACT, name="gradient of log_sum", help=help)


@pytest.mark.value
def test_one_frame(solution, rng):
    """From frame to frame, each state holds the probability of all paths that end there, written out one by one."""
    help = "the sum of all ways in: stay, one on, two on over a blank between different labels; then this frame"
    for count, most, classes, frames in ((3, 2, 4, 5), (1, 3, 3, 6), (4, 3, 2, 5), (2, 1, 1201, 4), (5, 3, 4, 6)):
        log_probs = (1.5 * normal(rng, count, frames, classes)).log_softmax(2)
        targets = _texts(rng, count, classes, most)[0].clamp(min=1)
        labels, pairs = _states(targets), list(zip(log_probs, targets.tolist(), strict=True))
        tables = [torch.tensor(np.stack([_reached(*pair, t) for pair in pairs])) for t in range(1, frames + 1)]
        for t, (before, after) in enumerate(itertools.pairwise(tables), 1):
            given = [as_view(value) for value in (before.log(), labels, log_probs[:, t])]
            alpha = _step(solution, *given)
            assert_close(alpha.exp(), after, tol=EXACT, name="exp(alpha)", help=help)
            assert (alpha[after == 0] < -1e4).all(), "a state that no path can have reached must hold -inf"
            far = _step(solution, given[0] - 2000, *given[1:])
            said = "the probabilities are far below the smallest float: never leave the logarithms"
            assert_close((far + 2000).exp(), after, tol=EXACT, name="exp(alpha) after 2000 nats", help=said)
    many = _step(solution, *(value.repeat(1001, 1) for value in given))
    assert_close(many.exp(), after.repeat(1001, 1), tol=EXACT, name="exp(alpha)", help=help)


@pytest.mark.value
def test_every_alignment(solution, rng):
    """The loss is that of all alignments, written out one by one; the chances of all possible texts add up to 1."""
    help = "where a path starts and ends, by each clip's own lengths; blank is 0, and parts equal labels; no division"
    for count, most, classes, frames in (
        (4, 3, 3, 7),
        (1, 2, 4, 5),
        (3, 3, 2, 6),
        (5, 2, 5, 4),
        (6, 4, 4, 7),
        (2, 1, 3, 1),
    ):
        logits, targets, *lengths = _batch(rng, count, frames, classes, most).values()
        log_probs, expected = logits.log_softmax(2), []
        for clip, row, t, u in zip(log_probs, targets.tolist(), *lengths, strict=True):
            table = _reached(clip, row[:u], int(t))
            expected.append(-math.log(table[-1] + table[-2]))
        loss = _loss(solution, log_probs, targets, *lengths)
        assert_close(loss, torch.tensor(expected, dtype=torch.float64), tol=EXACT, name="loss", help=help)
    texts = [list(labels) for length in range(5) for labels in itertools.product((1, 2), repeat=length)]
    targets = torch.tensor([labels + [1] * (4 - len(labels)) for labels in texts])
    log_probs = normal(rng, 1, 4, 3).log_softmax(2).expand(len(texts), 4, 3)
    lengths = torch.tensor([len(labels) for labels in texts])
    total = torch.exp(-_loss(solution, log_probs, targets, torch.full_like(lengths, 4), lengths)).sum().item()
    help = "the empty text has one path, of blanks; a text that needs more frames than there are has none"
    assert_close(total, 1.0, tol=EXACT, name="probability of all texts together", help=help)


@pytest.mark.value
def test_long_clips(solution, rng):
    """Long clips, of unequal lengths and up to 1,101 frames, have the loss and the gradient of torch's CTC."""
    learner, oracle = (_of_logits(loss) for loss in (lambda *given: _loss(solution, *given), _torch_loss))
    help = "each clip by itself; of many frames the probability is far below the smallest float; is anything NaN?"
    for size, far in (*((size, 1.0) for size in CLIPS_OF_TORCH), ((5, 5, 4, 2), 12.0)):  # nats beyond 50 at a frame
        given = _batch(rng, *size)
        given["logits"] = far * given["logits"]
        assert_agrees(learner, oracle, given, rng, gradients=False, tol=EXACT, name="loss", help=help)
        assert_agrees(learner, oracle, given, rng, tol=1e-7, name="loss of logits", help=help)
    for size in HUGE:
        given = _batch(rng, *size)
        given["input_lengths"][0] = size[1]
        assert_close(learner(**given), oracle(**given), tol=EXACT, name="loss", help=help)


@pytest.mark.behaviour
def test_empty_and_impossible(solution, rng):
    """An empty text costs its blanks; one that cannot fit costs infinity, has no gradient, and disturbs no other."""
    for classes in (2, 3, 5, 7, 4):
        other = 1 + (1 + classes) % max(1, classes - 1)
        texts = [[], [1, 1], [1, 1], [other], [1, other, 1], [1], [other, other, other]]
        lengths = [5, 3, 2, 1, 2, 6, 4]
        fits = [_needed(labels) <= length for labels, length in zip(texts, lengths, strict=True)]
        targets = torch.tensor([labels + rng.integers(0, classes, 3 - len(labels)).tolist() for labels in texts])
        sizes = torch.tensor(lengths), torch.tensor([len(labels) for labels in texts])
        logits = normal(rng, len(texts), 6, classes).requires_grad_()
        log_probs = logits.log_softmax(2)
        chances = [
            sum(clip[range(length), path].sum().exp() for path in _alignments(labels, length))
            for clip, labels, length, fit in zip(log_probs, texts, lengths, fits, strict=True)
            if fit
        ]
        expected = -torch.stack(chances).log()
        loss = _loss(solution, log_probs, targets, *sizes)
        for value, labels, length, fit in zip(loss.tolist(), texts, lengths, fits, strict=True):
            assert_that(
                fit or value == math.inf,
                "a text that needs {needed} frames, and has {length}, must have the loss +inf, found {loss:.6g}",
                needed=_needed(labels),
                length=length,
                loss=value,
            )
        possible = torch.tensor(fits)
        help = "an empty text ends in one state, not in two; one that just fits has a single path"
        assert_close(loss[possible], expected.detach(), tol=EXACT, name="loss of the texts that fit", help=help)
        (slope,) = torch.autograd.grad(expected.sum(), logits, retain_graph=True)
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        help = "a text that cannot fit gets a gradient of 0, and must not turn that of its neighbours into NaN"
        assert_close(gradient, slope, tol=EXACT, name="gradient of the logits", help=help)
        nothing = targets[:, :0], sizes[0], torch.zeros_like(sizes[1])
        silent = -torch.stack([clip[:length, 0].sum() for clip, length in zip(log_probs, lengths, strict=True)])
        loss = _loss(solution, log_probs.detach(), *nothing)
        assert_close(loss, silent.detach(), tol=EXACT, name="loss of empty texts, U = 0", help="only blanks, one path")


@pytest.mark.value
def test_model_with_given_weights(solution, rng):
    """With given weights, each clip of a padded batch is heard as torch's layers hear it alone, without padding."""
    help = "the backward direction starts at each clip's own last frame; log_softmax over classes, at far logits too"
    cases = [*((size, 1.0) for size in (*SIZES, MANY, LONG)), *((size, 4000.0) for size in SIZES)]
    for (count, frames, *sizes, _), far in cases:
        models, given = _models(solution, rng, *sizes, far=far), _clips(rng, count, frames, sizes[0])
        model, oracle = models
        options = {"modules": models, "gradients": False, "tol": EXACT, "help": help}
        assert_agrees(_heard(model), oracle, given, rng, name="log_probs on real frames", **options)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients of the loss reach the features and all parameters, from any frame of a clip, as the loss itself says."""
    help = "nothing may cut the graph: no detach, no .data, no .item(), no no_grad"
    for size, far in ((SIZES[0], 1.0), (SIZES[1], 1.0), (SIZES[4], 1.0), (BACK, 1.0), (SIZES[0], FAR)):
        count, frames, *sizes, most = size
        texts, models = _batch(rng, count, frames, sizes[-1], most), _models(solution, rng, *sizes)
        given = {"x": far * normal(rng, count, frames, sizes[0]), "input_lengths": texts["input_lengths"]}
        model, oracle = models
        options = {"modules": models, "parameters": NAMES, "help": help}
        assert_agrees(_heard(model), oracle, given, rng, name="log_probs on real frames", **options)
        given |= {name: texts[name] for name in ("targets", "target_lengths")}

        def learner(x, input_lengths, targets, target_lengths, model=model):
            return _loss(solution, model(x, input_lengths), targets, input_lengths, target_lengths)

        def truth(x, input_lengths, targets, target_lengths, oracle=oracle):
            return _torch_loss(oracle(x, input_lengths), targets, input_lengths, target_lengths)

        assert_agrees(learner, truth, given, rng, name="loss", **options)


@pytest.mark.gradient
def test_training_steps(solution, rng):
    """From given weights, a dozen steps of fit have the losses of torch's CTC and Adam, and the weights after them."""
    # clips, steps and clips of a batch
    for size, clips, steps, rows in (
        (SIZES[0], 7, 12, 4),
        (SIZES[2], 7, 12, 3),
        (SIZES[4], 1, 3, 2),
        (LONG, 1101, 1, 2),
    ):
        _, frames, *sizes, most = size
        model, oracle = _models(solution, rng, *sizes)
        x, (_, targets, *lengths) = (
            normal(rng, clips, frames, sizes[0]),
            _batch(rng, clips, frames, sizes[-1], most).values(),
        )
        batches = torch.from_numpy(rng.integers(0, clips, (rows, steps))).T
        batches[:, -1] = batches[:, 0]  # a batch may name a row twice, which then counts twice
        rate = float(rng.uniform(0.02, 0.08))
        model.train(rows != 3)
        losses = solution.fit(model, x, lengths[0], as_view(targets), lengths[1], batches, rate)

        def truth(oracle=oracle, x=x, targets=targets, lengths=lengths, batches=batches):
            for rows in batches:
                log_probs = oracle(x[rows], lengths[0][rows])
                yield _torch_loss(log_probs, targets[rows], *(length[rows] for length in lengths)).mean()

        adam = torch.optim.Adam(oracle.parameters(), lr=rate)
        help = "the mean ctc_loss of the batch; from step 2 on the update too: one Adam, gradients cleared at each step"
        assert_trained(losses, model, oracle, truth(), adam, parameters=NAMES, weights_tol=1e-6, help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """A call changes neither its arguments nor the model, the next remembers nothing of it, and new models are drawn."""
    for count, frames, *sizes, most in SIZES[:3]:
        model, _ = _models(solution, rng, *sizes)
        before, seen = state_of(model, NAMES), []
        first, second = (
            (normal(rng, count, frames, sizes[0]), *_batch(rng, count, frames, sizes[-1], most).values())
            for _ in range(2)
        )
        for x, logits, *texts in (first, second, first):
            log_probs, labels = logits.log_softmax(2), _states(texts[0])
            _step(solution, normal(rng, *labels.shape), labels, log_probs[:, 0])
            solution.log_sum(torch.cat([log_probs, torch.full_like(log_probs, -math.inf)]), 2)
            _decode(solution, log_probs, texts[1])
            answers = _heard(model)(x, texts[1])
            seen.append({"ctc_loss": _loss(solution, log_probs, *texts), "log_probs": answers})
        assert_unchanged(mutated, but=["model of fit"])
        for name, value in seen[0].items():
            assert_that((value != seen[1][name]).any(), "two different inputs give the same {name}", name=name)
            said = text("{name} of the same call made again", name=name)
            assert_close(seen[2][name], value.detach(), tol=EXACT, name=said, help="state outlives a call")
        for name, value in state_of(model, NAMES).items():
            assert_close(value, before[name], tol=EXACT, name=text("{name} after three calls", name=name))
        x, _, targets, *lengths = first
        solution.fit(model, x, lengths[0], targets, lengths[1], torch.zeros(1, 2).long(), 0.01)
        assert_unchanged(mutated, but=["model of fit"])
    sizes = 20, 25, 30
    laws = {name: Uniform((25 if name.startswith("lstm") else 50) ** -0.5) for name in NAMES}
    help = "as nn.LSTM and nn.Linear draw them"
    assert_drawn(lambda: _make(solution, *sizes, dtype=torch.float32), laws, name="AcousticModel", help=help)


@pytest.mark.convergence
def test_spoken_digits(solution, rng, record):
    """Trained on clips and texts alone, the model writes down digits that it has never heard."""
    x, *texts = _speak(rng, CLIPS)
    model = _make(solution, FEATURES, HIDDEN, CLASSES, dtype=torch.float32)
    batches = torch.from_numpy(rng.integers(0, CLIPS, (STEPS, BATCH)))
    losses = solution.fit(model, x, *texts, batches, LEARNING_RATE)
    share = texts[2].sum() / texts[0].sum()  # labels per frame: all that can be said without listening
    deaf = torch.cat([1 - share[None], (share / (CLASSES - 1)).expand(CLASSES - 1)]).log()
    baseline = _torch_loss(deaf.expand(*x.shape[:2], CLASSES), texts[1], texts[0], texts[2]).mean().item()
    record.curve("nats per clip, beside a deaf model", losses, baseline=baseline)

    x, frames, targets, lengths = _speak(rng, HELD_OUT)
    answers = _heard(model)(x, frames).detach()
    heard = _decode(solution, answers, frames)
    spoken = [row[:length] for row, length in zip(targets.tolist(), lengths, strict=True)]
    longest = int(lengths.argmax())
    labels = ["-", *map(str, SOUNDS)]
    chances = answers[longest, : frames[longest]].exp().T
    record.matrix("what is heard at each frame of the longest text", chances, labels)
    lines = [f"{one!s:<12} → {two}" for one, two in zip(spoken[:12], heard, strict=False)]
    record.text("held-out clips: spoken → heard", "\n".join(lines))
    wrong = sum(map(_errors, heard, spoken)) / sum(map(len, spoken))
    help = "one text per clip, not one label per frame; equal digits in a row need a blank; each digit is two sounds"
    assert_beats(wrong, BAR, name="labels wrong on held-out clips", higher=False, help=help)


def _speak(rng, count):
    """Clips (N, T, 13) of one to three digits, each of two sounds of one or two frames, with a pause between them.

    A sound is a cosine over the features, a pause is silence, and there is noise. Of the texts 40 % go on with the
    digit that was spoken last.
    """
    waves = 2.5 * np.cos(np.pi * np.outer(np.arange(4), np.arange(FEATURES) + 0.5) / FEATURES)
    waves[0] = 0.0
    targets, lengths = _texts(rng, count, CLASSES, 3)
    heard = []
    for labels, length in zip(targets.tolist(), lengths, strict=True):
        spoken = [0] * int(rng.integers(1, 3))
        for digit in labels[:length]:
            for sound in SOUNDS[digit]:
                spoken += ["_abc".index(sound)] * int(rng.integers(1, 3))
            spoken.append(0)
        heard.append(spoken)
    frames = torch.tensor([len(spoken) for spoken in heard])
    x = np.stack([waves[spoken + [0] * (int(frames.max()) - len(spoken))] for spoken in heard])
    return torch.from_numpy(x + 0.3 * rng.normal(size=x.shape)).float(), frames, targets, lengths


def _errors(heard, spoken):
    """Labels that were added, lost or changed: the edit distance between two texts."""
    row = list(range(len(spoken) + 1))
    for i, one in enumerate(heard, 1):
        before, row = row, [i]
        for j, two in enumerate(spoken, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (one != two)))
    return row[-1]
