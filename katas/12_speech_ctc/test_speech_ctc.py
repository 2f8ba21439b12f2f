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
    assert_beats,
    assert_close,
    assert_drawn,
    assert_gradients,
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    load_state,
    state_of,
    tensors_of,
)

# Clips, frames, features, hidden units, classes and labels of each case; all six differ within a case.
SIZES = [(4, 9, 5, 2, 6, 3), (1, 8, 6, 3, 4, 2), (3, 10, 2, 6, 5, 4), (5, 12, 3, 4, 7, 6), (2, 7, 4, 5, 3, 1)]
EXACT = 1e-9  # relative tolerance where float64 has to agree with itself

SOUNDS = {1: "ab", 2: "ba", 3: "ac", 4: "ca"}  # what each spoken digit is made of
FEATURES, HIDDEN, CLASSES = 13, 24, 5
CLIPS, HELD_OUT, STEPS, BATCH, LEARNING_RATE = 256, 64, 36, 32, 0.06
BAR = 0.1  # wrong labels among those spoken: a right solution makes none, a stretched text 0.2, deaf to order 0.5


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


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


def _needed(text):
    """The fewest frames in which a text can be spoken: each label once, and a blank between equal neighbours."""
    return len(text) + sum(one == two for one, two in itertools.pairwise(text))


def _batch(rng, count, frames, classes, most):
    """Logits (N, T, C), and texts and lengths such that every text fits into its clip and few clips are of length T."""
    targets, target_lengths = _texts(rng, count, classes, most)
    least = [max(1, _needed(row[:length])) for row, length in zip(targets.tolist(), target_lengths, strict=True)]
    input_lengths = torch.tensor([int(rng.integers(low, frames + 1)) for low in least])
    return 1.5 * _normal(rng, count, frames, classes), targets, input_lengths, target_lengths


def _alignments(text, frames):
    """Every path of so many frames that speaks the text: how long each blank and each label lasts, all ways."""
    states = [0, *itertools.chain.from_iterable((label, 0) for label in text)]
    equal = [one == two for one, two in itertools.pairwise(text)]
    least = [0, *itertools.chain.from_iterable((1, int(same)) for same in [*equal, False][: len(text)])]

    def spread(least, frames):
        if len(least) == 1:
            yield from [(frames,)] if frames >= least[0] else []
            return
        for first in range(least[0], frames + 1):
            for rest in spread(least[1:], frames - first):
                yield first, *rest

    for durations in spread(least, frames):
        yield [state for state, duration in zip(states, durations, strict=True) for _ in range(duration)]


def _reached(log_probs, text, frames):
    """Probability (S,) of all paths that have spoken a beginning of the text, by the label or blank they end with."""
    table = np.zeros(2 * len(text) + 1)
    for spoken in range(len(text) + 1):
        for path in _alignments(text[:spoken], frames):
            chance = math.exp(sum(log_probs[t, state].item() for t, state in enumerate(path)))
            table[2 * spoken - (path[-1] != 0)] += chance
    return table


def _step(solution, alpha, labels, log_probs):
    alpha = solution.ctc_step(alpha, labels, log_probs)
    assert isinstance(alpha, torch.Tensor), "ctc_step must return a tensor"
    assert_shape(alpha.exp(), labels.shape, dtype=log_probs.dtype, name="exp(alpha) of ctc_step")
    return alpha


def _loss(solution, log_probs, *texts):
    """The learner's losses, one for each clip; they may be infinite, but not NaN."""
    loss = solution.ctc_loss(log_probs, *texts)
    assert isinstance(loss, torch.Tensor), "ctc_loss must return a tensor"
    shown, name = torch.exp(-loss.detach()), "exp(-loss) of ctc_loss"
    assert_shape(shown, (len(log_probs),), dtype=log_probs.dtype, name=name, help="one loss for each clip, none NaN")
    return loss


def _torch_loss(log_probs, targets, input_lengths, target_lengths):
    return F.ctc_loss(log_probs.transpose(0, 1), targets, input_lengths, target_lengths, reduction="none")


def _decode(solution, log_probs, input_lengths):
    """The learner's texts as lists of plain ints."""
    texts = solution.greedy_decode(log_probs, input_lengths)
    good = isinstance(texts, list | tuple) and all(isinstance(text, list | tuple) for text in texts)
    assert good and len(texts) == len(log_probs), "greedy_decode must return a list of N lists of labels"
    return [[int(label) for label in text] for text in texts]


def _shapes(features, hidden, classes):
    parts = {"weight_ih": (4 * hidden, features), "weight_hh": (4 * hidden, hidden)}
    parts |= {"bias_ih": (4 * hidden,), "bias_hh": (4 * hidden,)}
    shapes = {f"lstm.{name}_l0{way}": size for way in ("", "_reverse") for name, size in parts.items()}
    return shapes | {"head.weight": (classes, 2 * hidden), "head.bias": (classes,)}


def _make(solution, features, hidden, classes, dtype):
    """The learner's new model, found to hold the parameters that the statement names."""
    model = solution.AcousticModel(features, hidden, classes, dtype=dtype)
    return assert_state(model, _shapes(features, hidden, classes), dtype=dtype, name="AcousticModel")


def _model(solution, rng, features, hidden, classes):
    """The learner's model in float64 with given weights, and torch's layers with the same."""
    model = _make(solution, features, hidden, classes, torch.float64)
    shapes = _shapes(features, hidden, classes)
    weights = {name: _normal(rng, *size) / (size[1] ** 0.5 if len(size) > 1 else 2) for name, size in shapes.items()}
    load_state(model, weights)
    lstm = nn.LSTM(features, hidden, batch_first=True, bidirectional=True, dtype=torch.float64)
    oracle = nn.ModuleDict({"lstm": lstm, "head": nn.Linear(2 * hidden, classes, dtype=torch.float64)})
    oracle.load_state_dict(weights)
    return model, oracle


def _listen(model, x, lengths):
    """The log-probabilities of the learner's model, of the right form."""
    log_probs = model(x, lengths)
    size = (*x.shape[:2], len(tensors_of(model, ["head.bias"])["head.bias"]))
    assert_shape(log_probs, size, dtype=x.dtype, name="log_probs of the model", help="one answer at each frame")
    return log_probs


def _alone(oracle, x, lengths):
    """What torch's layers say of each clip by itself, without its padding; zeros stand on padding."""
    rows = [oracle["head"](oracle["lstm"](clip[None, :length])[0][0]) for clip, length in zip(x, lengths, strict=True)]
    return torch.stack([F.pad(row.log_softmax(1), (0, 0, 0, x.shape[1] - len(row))) for row in rows])


def _speak(rng, count):
    """Clips (N, T, 13) of one to three digits, each of two sounds of one or two frames, with a pause between them.

    A sound is a cosine over the features, a pause is silence, and there is noise. Of the texts 40 % go on with the
    digit that was spoken last.
    """
    waves = 2.5 * np.cos(np.pi * np.outer(np.arange(4), np.arange(FEATURES) + 0.5) / FEATURES)
    waves[0] = 0.0
    targets, lengths = _texts(rng, count, CLASSES, 3)
    heard = []
    for text, length in zip(targets.tolist(), lengths, strict=True):
        spoken = [0] * int(rng.integers(1, 3))
        for digit in text[:length]:
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


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one clip and for several; the model answers at every frame."""
    for index, (count, frames, features, hidden, classes, most) in enumerate(SIZES):
        dtype = (torch.float32, torch.float64)[index % 2]
        logits, *texts = _batch(rng, count, frames, classes, most)
        log_probs = logits.to(dtype).log_softmax(2)
        sums = solution.log_sum(log_probs, 1)
        assert_shape(sums, (count, classes), dtype=dtype, name="the result of log_sum")
        alpha, labels = torch.zeros(count, 2 * most + 1, dtype=dtype), torch.zeros(count, 2 * most + 1).long()
        labels[:, 1::2] = texts[0]
        _step(solution, alpha, labels, log_probs[:, 1])
        loss = _loss(solution, log_probs, *texts)
        assert_shape(loss, (count,), dtype=dtype, name="loss of ctc_loss")
        assert (loss > 0).all(), "a loss is minus the logarithm of a probability, so it cannot be negative"
        _decode(solution, log_probs, texts[1])
        model = _make(solution, features, hidden, classes, dtype)
        answers = _listen(model, _normal(rng, count, frames, features).to(dtype), torch.full((count,), frames))
        chances = answers.exp().sum(2)
        help = "log_softmax over the classes, which are the last axis"
        assert_close(chances, torch.ones_like(chances), tol=1e-4, name="probabilities at a frame, summed", help=help)
        assert (answers[:, 1:] != answers[:, :-1]).any(), "the model gives the same answer at every frame of a clip"


@pytest.mark.value
def test_greedy_decode(solution, rng):
    """The best path is read as a text: runs merge first, then blanks go, and padding is not read at all."""
    for count, frames, _, _, classes, most in SIZES:
        scores, targets, _, target_lengths = _batch(rng, count + 1, frames, classes, most)
        target_lengths[-1] = 0
        texts = [row[:length] for row, length in zip(targets.tolist(), target_lengths, strict=True)]
        lengths = []
        for clip, text in zip(scores, texts, strict=True):
            least = max(1, _needed(text))
            length = int(rng.integers(least, min(least + 3, frames) + 1))
            paths = list(_alignments(text, length))
            path = paths[rng.integers(len(paths))]
            path += [1 + path[-1] % (classes - 1), *rng.integers(0, classes, frames)]
            for frame, state in zip(clip, path, strict=False):
                best = int(frame.argmax())
                frame[best], frame[state] = frame[state].item(), frame[best].item()
            lengths.append(length)
        heard = _decode(solution, scores.log_softmax(2), torch.tensor(lengths))
        for text, expected in zip(heard, texts, strict=True):
            doubled = any(one == two for one, two in itertools.pairwise(expected))
            kind = "with the same label twice in a row" if doubled else "of no labels" if not expected else "of labels"
            told = f"a text {kind}, decoded to {len(text)} labels where {len(expected)} are spoken"
            assert text == expected, f"{told}: in each clip's own frames, merge runs first, then drop the blanks"
    best = F.one_hot(torch.tensor([[2, 0, 1, 2], [1, 1, 0, 1], [1, 0, 2, 2]]), 3).double()
    heard = _decode(solution, (4 * best).log_softmax(2), torch.tensor([3, 4, 1]))
    assert heard == [[2, 1], [1, 1], [1]], "a clip that begins with the label that the clip before ended with loses it"


@pytest.mark.value
def test_log_sum(solution, rng):
    """Sums of probabilities are right at any size, and where all are zero the result is -inf with gradient 0."""
    for terms, rest, dim in ((5, (), 0), (3, (4,), 0), (4, (3,), 1), (5, (2, 3), 1), (4, (3, 2), -1), (2, (3, 5), -3)):
        values, size = rng.normal(size=(terms, *rest)) + rng.choice([-1000.0, 0.0, 1000.0]), math.prod(rest)
        dead = (rng.permutation(size) < size // 2).reshape(rest)  # the sums that have no term at all
        lost = rng.random(values.shape) < 0.3
        lost[0] = False
        values = np.moveaxis(np.where(lost | dead, -math.inf, values), 0, dim)
        expected, dead = torch.tensor(logsumexp(values, axis=dim)), torch.tensor(dead)
        values = torch.from_numpy(values).requires_grad_()
        result = solution.log_sum(values, dim)
        assert isinstance(result, torch.Tensor), "log_sum must return a tensor"
        told = f"log_sum over axis {dim} of {tuple(values.shape)} must have the shape {tuple(expected.shape)}"
        assert result.shape == expected.shape, f"{told}, found {tuple(result.shape)}"
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
    for count, most, classes, frames in ((3, 2, 4, 5), (1, 3, 3, 6), (4, 3, 2, 5), (2, 1, 5, 4), (5, 3, 4, 6)):
        log_probs = (1.5 * _normal(rng, count, frames, classes)).log_softmax(2)
        targets = _texts(rng, count, classes, most)[0].clamp(min=1).tolist()
        labels = torch.tensor([[0, *itertools.chain.from_iterable((label, 0) for label in text)] for text in targets])
        pairs = list(zip(log_probs, targets, strict=True))
        tables = [torch.tensor(np.stack([_reached(*pair, t) for pair in pairs])) for t in range(1, frames + 1)]
        for t, (before, after) in enumerate(itertools.pairwise(tables), 1):
            alpha = _step(solution, before.log(), labels, log_probs[:, t])
            help = "the sum of all ways in: stay, one on, two on over a blank between different labels; then this frame"
            assert_close(alpha.exp(), after, tol=EXACT, name="exp(alpha)", help=help)
            never = after == 0
            assert (alpha[never] < -1e4).all(), "a state that no path can have reached must hold -inf"
            far = _step(solution, before.log() - 2000, labels, log_probs[:, t])
            help = "the probabilities are far below the smallest float: never leave the logarithms"
            assert_close((far + 2000).exp(), after, tol=EXACT, name="exp(alpha) after 2000 nats", help=help)


@pytest.mark.value
def test_every_alignment(solution, rng):
    """The loss is that of all alignments, written out one by one; the chances of all possible texts add up to 1."""
    for count, most, classes, frames in ((4, 3, 3, 7), (1, 2, 4, 5), (3, 3, 2, 6), (5, 2, 5, 4), (6, 4, 4, 7)):
        logits, targets, input_lengths, target_lengths = _batch(rng, count, frames, classes, most)
        log_probs, expected = logits.log_softmax(2), []
        for clip, row, t, u in zip(log_probs, targets.tolist(), input_lengths, target_lengths, strict=True):
            table = _reached(clip, row[:u], int(t))
            expected.append(-math.log(table[-1] + table[-2]))
        loss = _loss(solution, log_probs, targets, input_lengths, target_lengths)
        help = (
            "where a path starts and ends, by each clip's own lengths; blank is 0, and parts equal labels; no division"
        )
        assert_close(loss, torch.tensor(expected, dtype=torch.float64), tol=EXACT, name="loss", help=help)
    texts = [list(text) for length in range(5) for text in itertools.product((1, 2), repeat=length)]
    targets = torch.tensor([text + [1] * (4 - len(text)) for text in texts])
    log_probs = _normal(rng, 1, 4, 3).log_softmax(2).expand(len(texts), 4, 3)
    lengths = torch.tensor([len(text) for text in texts])
    loss = _loss(solution, log_probs, targets, torch.full_like(lengths, 4), lengths)
    total = torch.exp(-loss).sum().item()
    help = "the empty text has one path, of blanks; a text that needs more frames than there are has none"
    assert_close(total, 1.0, tol=EXACT, name="probability of all texts together", help=help)


@pytest.mark.value
def test_long_clips(solution, rng):
    """Long clips, up to 500 frames and of unequal lengths, have the loss and the gradient of torch's CTC."""
    for count, frames, classes, most in ((4, 30, 6, 7), (1, 25, 4, 9), (3, 40, 9, 6), (5, 20, 3, 5), (2, 500, 30, 60)):
        logits, targets, input_lengths, target_lengths = _batch(rng, count, frames, classes, most)
        if frames == 500:
            input_lengths[0], logits = frames, 2 * logits
        pair = [(targets, input_lengths, target_lengths)] * 2
        weights, found = torch.from_numpy(rng.uniform(0.5, 2, count)), []
        for function, texts in zip((lambda *args: _loss(solution, *args), _torch_loss), pair, strict=True):
            free = logits.clone().requires_grad_()
            loss = function(free.log_softmax(2), *texts)
            found.append((loss, *torch.autograd.grad((loss * weights).sum(), free)))
        (loss, gradient), (expected, slope) = found
        help = "at 500 frames a probability is far below the smallest float" if frames == 500 else "each clip by itself"
        assert_close(loss, expected.detach(), tol=EXACT, name=f"loss at {frames} frames", help=help)
        help = "is it NaN? look at log_sum where all terms are -inf; is it not zero on padding?"
        assert_close(gradient, slope, tol=1e-7, name=f"gradient of the logits at {frames} frames", help=help)


@pytest.mark.behaviour
def test_empty_and_impossible(solution, rng):
    """An empty text costs its blanks; one that cannot fit costs infinity, has no gradient, and disturbs no other."""
    for classes in (2, 3, 5, 7, 4):
        other = 1 + (1 + classes) % max(1, classes - 1)
        texts = [[], [1, 1], [1, 1], [other], [1, other, 1], [1], [other, other, other]]
        lengths = [5, 3, 2, 1, 2, 6, 4]
        fits = [_needed(text) <= length for text, length in zip(texts, lengths, strict=True)]
        targets = torch.tensor([text + rng.integers(0, classes, 3 - len(text)).tolist() for text in texts])
        sizes = torch.tensor(lengths), torch.tensor([len(text) for text in texts])
        logits = _normal(rng, len(texts), 6, classes).requires_grad_()
        log_probs = logits.log_softmax(2)
        chances = [
            sum(clip[range(length), path].sum().exp() for path in _alignments(text, length))
            for clip, text, length, fit in zip(log_probs, texts, lengths, fits, strict=True)
            if fit
        ]
        expected = -torch.stack(chances).log()
        loss = _loss(solution, log_probs, targets, *sizes)
        for value, text, length, fit in zip(loss.tolist(), texts, lengths, fits, strict=True):
            if not fit:
                told = f"{len(text)} labels, {_needed(text)} frames needed, {length} there"
                assert value == math.inf, f"a text that cannot fit ({told}) must have the loss +inf, found {value:g}"
        possible = torch.tensor(fits)
        help = "an empty text ends in one state, not in two; one that just fits has a single path"
        assert_close(loss[possible], expected.detach(), tol=EXACT, name="loss of the texts that fit", help=help)
        (slope,) = torch.autograd.grad(expected.sum(), logits, retain_graph=True)
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        help = "a text that cannot fit gets a gradient of 0, and must not turn that of its neighbours into NaN"
        assert_close(gradient, slope, tol=EXACT, name="gradient of the logits", help=help)
        count = len(texts)
        nothing = torch.zeros(count, 0, dtype=torch.int64), sizes[0], torch.zeros(count, dtype=torch.int64)
        silent = -torch.stack([clip[:length, 0].sum() for clip, length in zip(log_probs, lengths, strict=True)])
        loss = _loss(solution, log_probs.detach(), *nothing)
        assert_close(loss, silent.detach(), tol=EXACT, name="loss of empty texts, U = 0", help="only blanks, one path")


@pytest.mark.value
def test_model_with_given_weights(solution, rng):
    """With given weights, each clip of a padded batch is heard as torch's layers hear it alone, without padding."""
    for count, frames, features, hidden, classes, _ in SIZES:
        model, oracle = _model(solution, rng, features, hidden, classes)
        lengths = torch.from_numpy(rng.integers(1, frames, count))
        real = (torch.arange(frames) < lengths[:, None])[:, :, None]
        x = torch.where(real, 1, 10) * _normal(rng, count, frames, features)
        with torch.no_grad():
            expected = _alone(oracle, x, lengths)
        found = torch.where(real, _listen(model, x, lengths), 0.0)
        help = "the backward direction starts at each clip's own last frame; then head, then log_softmax over classes"
        assert_close(found, expected, tol=EXACT, name="log_probs on real frames", help=help)
        model.eval()
        far = load_state(model, {"head.weight": 4000 * state_of(model, ["head.weight"])["head.weight"]})
        oracle["head"].weight.data *= 4000
        with torch.no_grad():
            expected = _alone(oracle, x, lengths)
        found = torch.where(real, _listen(far, x, lengths), 0.0)
        help = "the logarithm of a softmax is lost where the softmax is 0: log_softmax is not, in either mode"
        assert_close(found, expected, tol=EXACT, name="log_probs of far logits", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients of the loss reach every logit, the features and all parameters, as the loss itself says."""
    for count, frames, features, hidden, classes, most in ((2, 5, 4, 2, 3, 2), (1, 4, 3, 4, 5, 2)):
        logits, *texts = _batch(rng, count, frames, classes, most)

        def run(logits, texts=texts):
            return _loss(solution, logits.log_softmax(2), *texts)

        loss, help = run(logits), "nothing may cut the graph: no detach, no .data, no .item(), no no_grad"
        assert_close(loss, _torch_loss(logits.log_softmax(2), *texts), tol=EXACT, name="loss")
        assert_gradients(run, {"logits": logits}, rng, name="gradient of ctc_loss", help=help)
        model, oracle = _model(solution, rng, features, hidden, classes)
        x = _normal(rng, count, frames, features).requires_grad_()
        loss = _loss(solution, _listen(model, x, texts[1]), *texts).sum()
        truth = _torch_loss(_alone(oracle, x, texts[1]), *texts).sum()
        expected = torch.autograd.grad(truth, [x, *oracle.parameters()])
        named = tensors_of(model, _shapes(features, hidden, classes))  # in torch's own order
        found = torch.autograd.grad(loss, [x, *named.values()], allow_unused=True)
        for name, value, want in zip(["x", *named], found, expected, strict=True):
            assert value is not None, f"no gradient of the loss reaches {name}: is something detached?"
            assert_close(value, want, name=f"gradient of {name}", help=help)


@pytest.mark.gradient
def test_three_training_steps(solution, rng):
    """From given weights, three steps of fit have the losses of torch's CTC and Adam, and the weights after them."""
    for count, frames, features, hidden, classes, most in SIZES[:3]:
        model, oracle = _model(solution, rng, features, hidden, classes)
        x = _normal(rng, 7, frames, features)
        _, targets, input_lengths, target_lengths = _batch(rng, 7, frames, classes, most)
        data = input_lengths, targets, target_lengths
        batches = torch.from_numpy(rng.integers(0, 7, (3, count)))
        batches[:, -1] = batches[:, 0]  # a batch may name a row twice, which then counts twice
        rate = float(rng.uniform(0.02, 0.08))
        losses = solution.fit(model, x, *data, batches, rate)
        adam, expected = torch.optim.Adam(oracle.parameters(), lr=rate), []
        for rows in batches:
            log_probs = _alone(oracle, x[rows], input_lengths[rows])
            loss = _torch_loss(log_probs, targets[rows], input_lengths[rows], target_lengths[rows]).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            expected.append(loss.item())
        help = "mean ctc_loss of the batch: a text per clip, no label for any frame; from step 2 on the update too"
        assert_trajectory(losses, expected, help=help)
        trained = oracle.state_dict()
        for name, value in state_of(model, trained).items():
            help = "Adam made once, gradients cleared at every step, an update after every batch"
            assert_close(value, trained[name], name=f"{name} after three steps", help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """A call changes neither its arguments nor the model, the next remembers nothing of it, and new models are drawn."""
    for count, frames, features, hidden, classes, most in SIZES[:3]:
        model, oracle = _model(solution, rng, features, hidden, classes)
        first, second = (
            (_normal(rng, count, frames, features), *_batch(rng, count, frames, classes, most)) for _ in range(2)
        )
        seen = []
        for x, logits, *texts in (first, second, first):
            log_probs = logits.log_softmax(2)
            alpha, labels = _normal(rng, count, classes), torch.zeros(count, classes).long()
            _step(solution, alpha, labels, log_probs[:, 0])
            solution.log_sum(torch.cat([log_probs, torch.full_like(log_probs, -math.inf)]), 2)
            _decode(solution, log_probs, texts[1])
            answers = _listen(model, x, texts[1])
            seen.append((_loss(solution, log_probs, *texts), _loss(solution, answers, *texts)))
        assert_unchanged(mutated, but=["model of fit"])
        for value, other, again, name in zip(*seen, ("ctc_loss", "ctc_loss of the model"), strict=True):
            assert (value != other).any(), f"two different inputs give the same {name}"
            assert_close(again, value.detach(), tol=EXACT, name=f"{name}, called again", help="state outlives a call")
        for name, value in oracle.state_dict().items():
            assert_close(state_of(model, [name])[name], value, tol=EXACT, name=f"{name} after three calls")
        x, _, targets, input_lengths, target_lengths = first
        solution.fit(model, x, input_lengths, targets, target_lengths, torch.zeros(1, 2).long(), 0.01)
        assert_unchanged(mutated, but=["model of fit"])
    features, hidden, classes = 20, 25, 30
    bounds = {"lstm": hidden**-0.5, "head": (2 * hidden) ** -0.5}
    laws = {name: Uniform(bounds[name.split(".")[0]]) for name in _shapes(features, hidden, classes)}
    help = "as nn.LSTM and nn.Linear draw them"
    assert_drawn(
        lambda: _make(solution, features, hidden, classes, torch.float32), laws, name="AcousticModel", help=help
    )


@pytest.mark.convergence
def test_spoken_digits(solution, rng, record):
    """Trained on clips and texts alone, the model writes down digits that it has never heard."""
    x, *texts = _speak(rng, CLIPS)
    model = _make(solution, FEATURES, HIDDEN, CLASSES, torch.float32)
    batches = torch.from_numpy(rng.integers(0, CLIPS, (STEPS, BATCH)))
    losses = solution.fit(model, x, *texts, batches, LEARNING_RATE)
    share = texts[2].sum() / texts[0].sum()  # labels per frame: all that can be said without listening
    deaf = torch.cat([1 - share[None], (share / (CLASSES - 1)).expand(CLASSES - 1)]).log()
    baseline = _torch_loss(deaf.expand(*x.shape[:2], CLASSES), texts[1], texts[0], texts[2]).mean().item()
    record.curve("nats per clip, beside a deaf model", losses, baseline=baseline)

    x, frames, targets, lengths = _speak(rng, HELD_OUT)
    answers = _listen(model, x, frames).detach()
    heard = _decode(solution, answers, frames)
    spoken = [row[:length] for row, length in zip(targets.tolist(), lengths, strict=True)]
    longest = int(lengths.argmax())
    labels = ["blank", *map(str, SOUNDS)]
    chances = answers[longest, : frames[longest]].exp().T
    record.matrix(f"what is heard at each frame of {spoken[longest]}", chances, labels)
    lines = [f"spoken {one!s:<12} heard {two}" for one, two in zip(spoken[:12], heard, strict=False)]
    record.text("held-out clips", "\n".join(lines))
    wrong = sum(map(_errors, heard, spoken)) / sum(map(len, spoken))
    help = "one text per clip, not one label per frame; equal digits in a row need a blank; each digit is two sounds"
    assert_beats(wrong, BAR, name="labels wrong on held-out clips", higher=False, help=help)
