"""The suite of kata 10: attention pooling word by word, an LSTM that reads no padding, and reviews that come in pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Normal,
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

# Sentences, words, ids, width of a word, hidden units, attention units, classes; no two are equal in a case.
SIZES = [
    (4, 6, 11, 3, 2, 5, 7),
    (1, 5, 9, 4, 3, 2, 6),
    (3, 7, 13, 2, 5, 4, 8),
    (5, 3, 8, 6, 4, 7, 2),
    (2, 8, 10, 5, 6, 3, 4),
]
TOL, SAME = 1e-8, 1e-9

# The grammar: the <noun> <verb> <0 to 3 adverbs> <adjective> <link> the <noun> <verb> <0 to 3 adverbs> <adjective>; one
# of the two adjectives is good and one is bad, and a negator stands behind one of the two verbs.
GOOD, BAD = ("good", "great", "lovely", "clever"), ("bad", "dull", "awful", "clumsy")
NOUNS, VERBS = ("plot", "cast", "music", "script", "camera", "ending"), ("was", "seemed", "felt")
ADVERBS, NEGATORS = ("really", "truly", "ever", "so", "very", "quite"), ("not", "never", "hardly")
LINKS = ("and", "while", "as", "whereas")
WORDS = ("", "the", *GOOD, *BAD, *NOUNS, *VERBS, *ADVERBS, *NEGATORS, *LINKS)
LONGEST = 2 * 7 + 2

STEPS, PAIRS, POOL, HELD_OUT, WIDTH, HIDDEN, UNITS, LEARNING_RATE = 60, 16, 600, 150, 16, 16, 8, 0.03
BAR = 0.75  # mid-way between any bag of words, exactly 1/2, and the 100 % that a right solution reaches


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _mask(rng, count, length):
    """True in about two places of three, and in at least one of every row."""
    mask = rng.random((count, length)) < 2 / 3
    mask[np.arange(count), rng.integers(0, length, count)] = True
    return torch.from_numpy(mask)


def _sentences(rng, size):
    """Ids with arbitrary ids on padding, and lengths of which one is the longest."""
    count, length, words, *_ = size
    lengths = rng.integers(1, length + 1, count)
    lengths[rng.integers(count)] = length
    return torch.from_numpy(rng.integers(0, words, (count, length))), torch.from_numpy(lengths)


def _pooling_shapes(states, units):
    return {"question": (units,), "project.weight": (units, states), "project.bias": (units,)}


def _shapes(size):
    _, _, words, width, hidden, units, classes = size
    parts = {"weight_ih": (4 * hidden, width), "weight_hh": (4 * hidden, hidden)}
    parts |= {"bias_ih": (4 * hidden,), "bias_hh": (4 * hidden,)}
    shapes = {"token.weight": (words, width)}
    shapes |= {f"lstm.{name}_l0{way}": shape for way in ("", "_reverse") for name, shape in parts.items()}
    shapes |= {f"pooling.{name}": shape for name, shape in _pooling_shapes(2 * hidden, units).items()}
    return shapes | {"head.weight": (classes, 2 * hidden), "head.bias": (classes,)}


def _weights(rng, shapes):
    return {name: _normal(rng, *shape) / (shape[1] ** 0.5 if len(shape) > 1 else 1.5) for name, shape in shapes.items()}


def _make(solution, size, dtype):
    _, _, words, width, hidden, units, classes = size
    model = solution.TextClassifier(words, width, hidden, units, classes, dtype=dtype)
    return assert_state(model, _shapes(size), dtype=dtype, name="TextClassifier")


def _model(solution, rng, size):
    """The learner's model in float64 with given weights, and those weights."""
    model, weights = _make(solution, size, torch.float64), _weights(rng, _shapes(size))
    return load_state(model, weights), weights


def _make_pooling(solution, states, units, dtype):
    pooling = solution.AttentionPooling(states, units, dtype=dtype)
    return assert_state(pooling, _pooling_shapes(states, units), dtype=dtype, name="AttentionPooling")


def _pooling(solution, rng, states, units):
    weights = _weights(rng, _pooling_shapes(states, units))
    return load_state(_make_pooling(solution, states, units, torch.float64), weights), weights


def _attend(states, weights, prefix=""):
    """The pooled vector and the weights of one sentence without padding, states (T, S)."""
    projected = torch.tanh(states @ weights[f"{prefix}project.weight"].T + weights[f"{prefix}project.bias"])
    share = torch.softmax(projected @ weights[f"{prefix}question"], 0)
    return share @ states, share


class _Oracle(nn.Module):
    """The same network of torch's parts, which reads each sentence alone and without its padding."""

    def __init__(self, size, weights):
        super().__init__()
        _, _, words, width, hidden, _, classes = size
        self.token, self.lstm = nn.Embedding(words, width), nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.head, self.pooling = nn.Linear(2 * hidden, classes), nn.Module()
        self.pooling.project, self.pooling.question = nn.Linear(2 * hidden, size[5]), nn.Parameter(torch.zeros(size[5]))
        self.double().load_state_dict(weights)

    def forward(self, ids, lengths):
        named, logits, shares = dict(self.named_parameters()), [], []
        for row, length in zip(ids, lengths.tolist(), strict=True):
            pooled, share = _attend(self.lstm(self.token(row[None, :length]))[0][0], named, "pooling.")
            logits.append(self.head(pooled))
            shares.append(F.pad(share, (0, ids.shape[1] - length)))
        return torch.stack(logits), torch.stack(shares)


def _answers(model, ids, lengths, dtype=torch.float64):
    logits, weights = assert_parts(model(ids, lengths), ("logits", "weights"), name="TextClassifier.forward")
    classes = len(tensors_of(model, ["head.bias"])["head.bias"])
    assert_shape(logits, (len(ids), classes), dtype=dtype, name="logits", help="one row per sentence")
    assert_shape(weights, tuple(ids.shape), dtype=dtype, name="weights", help="one number per word")
    return logits, weights


@pytest.mark.shape
def test_shapes(solution, rng):
    """Scores and weights have one number per word, pooled vectors and logits one row per sentence"""
    for index, size in enumerate(SIZES):
        count, length, _, _, hidden, units, _ = size
        dtype = (torch.float32, torch.float64)[index % 2]
        states, mask = _normal(rng, count, length, hidden).to(dtype), _mask(rng, count, length)
        parts = (_normal(rng, units, hidden), _normal(rng, units), _normal(rng, units))
        scores = solution.additive_scores(states, *(part.to(dtype) for part in parts))
        assert_shape(scores, (count, length), dtype=dtype, name="scores", help="one number per word")
        assert_shape(solution.masked_softmax(scores, mask), (count, length), dtype=dtype, name="weights")
        pooling = _make_pooling(solution, hidden, units, dtype)
        pooled, weights = assert_parts(pooling(states, mask), ("pooled", "weights"), name="AttentionPooling.forward")
        assert_shape(pooled, (count, hidden), dtype=dtype, name="pooled", help="states are averaged, not projections")
        assert_shape(weights, (count, length), dtype=dtype, name="weights of the pooling")
        model, (ids, lengths) = _make(solution, size, dtype), _sentences(rng, size)
        logits, _ = _answers(model, ids, lengths, dtype)
        assert (logits != _answers(model, (ids + 1) % size[2], lengths, dtype)[0]).any(), "other words, same logits"
    losses = solution.fit(model, ids, lengths, torch.zeros(count, dtype=torch.int64), torch.zeros(3, 2).long(), 0.01)
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"


@pytest.mark.value
def test_additive_scores(solution, rng):
    """A score is the question times the squashed projection of a state, worked out word by word"""
    for count, length, _, _, hidden, units, _ in SIZES:
        states, weight = 2 * _normal(rng, count, length, hidden), _normal(rng, units, hidden)
        bias, question = _normal(rng, units), _normal(rng, units)
        expected = [[torch.dot(question, torch.tanh(weight.mv(h) + bias)) for h in sentence] for sentence in states]
        found = solution.additive_scores(states, weight, bias, question)
        help = "project, add the bias, squash with tanh, multiply by the question, in this order"
        assert_close(found, torch.tensor(expected, dtype=torch.float64), tol=TOL, name="scores", help=help)


@pytest.mark.value
def test_masked_softmax(solution, rng):
    """Weights are a softmax over the words alone: wherever padding stands, whatever it scores, however large scores are"""
    for index, (count, length, *_) in enumerate(SIZES):
        mask = _mask(rng, count, length)
        for scale in (1.0, 300.0):
            scores = scale * _normal(rng, count, length)
            scores[~mask] = scores[~mask].abs() + (1e4 if index % 2 else 0.0)
            expected = np.zeros((count, length))
            for row, words in enumerate(mask.numpy()):
                expected[row, words] = softmax(scores[row].numpy()[words])
            found = solution.masked_softmax(scores, mask)
            help = "True is a word: hide the others' scores before a softmax along the words that cannot overflow"
            assert_close(found, torch.from_numpy(expected), tol=TOL, name="weights", help=help)
            assert (found[~mask] == 0).all(), "padding must weigh exactly 0"
        low = solution.masked_softmax(_normal(rng, count, length) - 1e6, mask)
        help = "scores far below zero are still scores: only padding is hidden"
        assert_close(
            low.sum(1), torch.ones(count).double(), tol=TOL, name="the sum of weights of low scores", help=help
        )


@pytest.mark.behaviour
def test_sentences_without_words(solution, rng):
    """A row without words gets weights 0, the pooled vector 0 and no gradient, never NaN"""
    for count, length, _, _, hidden, units, _ in SIZES:
        mask, empty = _mask(rng, count + 1, length), int(rng.integers(count + 1))
        mask[empty] = False
        scores = _normal(rng, count + 1, length).requires_grad_()
        weights = solution.masked_softmax(scores, mask)
        help = "a softmax of nothing but -inf is NaN"
        assert_shape(weights, (count + 1, length), dtype=torch.float64, name="weights with an empty row", help=help)
        assert (weights[empty] == 0).all(), "without words there is nothing to share out: weights 0, not 1 / T"
        (gradient,) = torch.autograd.grad((weights * _normal(rng, count + 1, length)).sum(), scores)
        assert torch.isfinite(gradient).all(), "the gradient by the scores is not finite: -inf minus -inf is NaN"
        assert (gradient[~mask] == 0).all(), "padding must send back no gradient"
        pooling, given = _pooling(solution, rng, hidden, units)
        states = _normal(rng, count + 1, length, hidden)
        pooled, _ = assert_parts(pooling(states, mask), ("pooled", "weights"), name="AttentionPooling.forward")
        assert (pooled[empty] == 0).all(), "without words the pooled vector is 0"
        for row in range(count + 1):
            if row != empty:
                expected, _ = _attend(states[row][mask[row]], given)
                assert_close(pooled[row], expected, tol=TOL, name="the pooled vector beside an empty row")


@pytest.mark.value
def test_pooling(solution, rng):
    """The pooled vector is the weighted mean of the states themselves"""
    for count, length, _, _, hidden, units, _ in SIZES:
        pooling, given = _pooling(solution, rng, hidden, units)
        states, mask = 2 * _normal(rng, count, length, hidden), _mask(rng, count, length)
        pooled, weights = assert_parts(pooling(states, mask), ("pooled", "weights"), name="AttentionPooling.forward")
        for row in range(count):
            expected, share = _attend(states[row][mask[row]], given)
            help = "scores of the layer's own project and question, then a softmax over the words"
            assert_close(weights[row][mask[row]], share, tol=TOL, name="weights of the pooling", help=help)
            help = "weights times states, summed over words: neither projections nor a plain average"
            assert_close(pooled[row], expected, tol=TOL, name="pooled", help=help)


@pytest.mark.value
def test_classifier_with_given_weights(solution, rng):
    """With given weights, each sentence of a padded batch is answered as torch's layers answer it alone, without padding"""
    for size in SIZES:
        model, weights = _model(solution, rng, size)
        ids, lengths = _sentences(rng, size)
        expected, share = (value.detach() for value in _Oracle(size, weights)(ids, lengths))
        logits, found = _answers(model, ids, lengths)
        help = "ids looked up in token; both directions of the LSTM, each from a real end; attention over all words"
        assert_close(found, share, tol=TOL, name="weights", help=help)
        help = (
            "the weights are right: does the pooled vector, and nothing else, go through head, with nothing after it?"
        )
        assert_close(logits, expected, tol=TOL, name="logits", help=help)


@pytest.mark.behaviour
def test_padding_and_order(solution, rng):
    """Neither padding nor neighbours change an answer, and the order of words does; sums of weights are 1"""
    for size in SIZES:
        count, length, words, *_ = size
        model, _ = _model(solution, rng, size)
        ids, lengths = _sentences(rng, size)
        logits, weights = _answers(model, ids, lengths)
        ones = torch.ones(count, dtype=torch.float64)
        assert_close(weights.sum(1), ones, tol=TOL, name="the weights of a sentence, summed")
        longer = torch.cat([ids, torch.from_numpy(rng.integers(0, words, (count, 3)))], 1)
        padding = torch.arange(length + 3) >= lengths[:, None]
        longer = torch.where(padding, (longer + 1) % words, longer)
        again, wider = _answers(model, longer, lengths)
        help = "where does padding get in: into the softmax, into the backward direction, or into a mean?"
        assert_close(again, logits.detach(), tol=SAME, name="logits with more and other padding", help=help)
        assert_close(
            wider[:, :length], weights.detach(), tol=SAME, name="weights with more and other padding", help=help
        )
        order = torch.from_numpy(rng.permutation(count))
        shuffled, _ = _answers(model, ids[order], lengths[order])
        help = "what does a sentence hear of its neighbours? are results put back in the order of the batch?"
        assert_close(shuffled, logits[order].detach(), tol=SAME, name="logits of the shuffled batch", help=help)
        row = int(lengths.argmax())
        turned = ids[row : row + 1, : lengths[row]].flip(1)
        turned[0, 0] = (turned[0, -1] + 1) % words
        back, _ = _answers(model, turned.flip(1), lengths[row : row + 1])
        front, _ = _answers(model, turned, lengths[row : row + 1])
        assert (back - front).abs().max() > 1e-9, (
            "the same words in reverse get the same logits: does the LSTM read them?"
        )


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach states, scores and every parameter"""
    small = 3, 4, 7, 2, 2, 3, 2
    count, length, _, _, hidden, units, _ = small
    parts = {"states": _normal(rng, count, length, hidden), "weight": _normal(rng, units, hidden)}
    parts |= {"bias": _normal(rng, units), "question": _normal(rng, units)}

    def scores(states, weight, bias, question):
        return solution.additive_scores(states, weight, bias, question)

    mask = _mask(rng, count, length)

    def share(scores):
        return solution.masked_softmax(scores, mask)

    help = "nothing may cut the graph: no detach, no .data, no no_grad"
    assert_gradients(scores, parts, rng, name="gradient of additive_scores", help=help)
    assert_gradients(share, {"scores": _normal(rng, count, length)}, rng, name="gradient of masked_softmax", help=help)
    pooling, own = _pooling(solution, rng, hidden, units)

    def pool(states):
        return assert_parts(pooling(states, mask), ("pooled", "weights"), name="AttentionPooling.forward")

    inputs, parameters = {"states": parts["states"]}, tensors_of(pooling, own)
    assert_gradients(pool, inputs, rng, parameters=parameters, name="gradient of the pooling", help=help)
    for size in (small, SIZES[0], SIZES[2]):
        model, weights = _model(solution, rng, size)
        ids, lengths = _sentences(rng, size)
        ids[:, 0] = 0  # a word like any other
        oracle, upstream = _Oracle(size, weights), _normal(rng, size[0], size[6])
        (oracle(ids, lengths)[0] * upstream).sum().backward()
        (_answers(model, ids, lengths)[0] * upstream).sum().backward()
        expected = dict(oracle.named_parameters())
        for name, value in tensors_of(model, weights).items():
            assert value.grad is not None, f"no gradient reaches {name}: is something detached?"
            told = "the id 0 is a word and learns like any other" if name == "token.weight" else help
            assert_close(value.grad, expected[name].grad, name=f"gradient of {name}", help=told)


@pytest.mark.value
def test_three_training_steps(solution, rng):
    """From given weights, three steps of fit have the right losses, and the weights after them"""
    for size in SIZES[:4]:
        model, weights = _model(solution, rng, size)
        ids, lengths = _sentences(rng, (6, *size[1:]))
        labels = torch.from_numpy(rng.integers(0, size[6], 6))
        batches, rate = torch.from_numpy(rng.integers(0, 6, (3, size[0] + 1))), float(rng.uniform(0.01, 0.03))
        losses = solution.fit(model, ids, lengths, labels, batches, rate)
        oracle, expected = _Oracle(size, weights), []
        adam = torch.optim.Adam(oracle.parameters(), lr=rate)
        for rows in batches:
            loss = F.cross_entropy(oracle(ids[rows], lengths[rows])[0], labels[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
            expected.append(loss.item())
        help = "raw logits into the cross-entropy, before the update; from step 2 on the rate, cleared gradients, all trained"
        assert_trajectory(losses, expected, name="cross-entropy", help=help)
        wanted, help = oracle.state_dict(), "Adam made once with the given rate, gradients cleared, everything trained"
        for name, value in state_of(model, weights).items():
            assert_close(value, wanted[name], tol=1e-5, name=f"{name} after three steps", help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and weights stay as they were, an answer repeats, and first values are drawn as stated"""
    for size in SIZES[:3]:
        count, length, _, _, hidden, units, _ = size
        model, weights = _model(solution, rng, size)
        ids, lengths = _sentences(rng, size)
        first, _ = _answers(model, ids, lengths)
        _answers(model, *_sentences(rng, size))
        again, _ = _answers(model, ids, lengths)
        assert_close(again, first.detach(), tol=SAME, name="logits, asked again", help="state outlives a call")
        pooling, _ = _pooling(solution, rng, hidden, units)
        states, mask = _normal(rng, count, length, hidden), _mask(rng, count, length)
        pooling(states, mask)
        scores = solution.additive_scores(states, _normal(rng, units, hidden), _normal(rng, units), _normal(rng, units))
        solution.masked_softmax(scores.detach(), mask)
        for name, value in state_of(model, weights).items():
            assert_close(value, weights[name], tol=SAME, name=f"{name} after the calls")
    solution.fit(model, ids, lengths, torch.zeros(count, dtype=torch.int64), torch.zeros(2, 2).long(), 0.01)
    assert_unchanged(mutated, but=["model of fit"])
    hidden, units = 50, 200
    size = 1, 1, 150, 20, hidden, units, 160
    bounds = {"lstm": hidden**-0.5, "head": (2 * hidden) ** -0.5, "pooling": (2 * hidden) ** -0.5}
    laws = {name: Uniform(bounds[name.split(".")[0]]) for name in _shapes(size) if name != "token.weight"}
    laws |= {"token.weight": Normal(1.0), "pooling.question": Uniform(units**-0.5)}
    help = "as torch's layers draw them, of S = 2H = 100 and A = 200"
    assert_drawn(lambda: _make(solution, size, torch.float32), laws, name="TextClassifier", help=help)
    token = state_of(_make(solution, size, torch.float32), laws)["token.weight"]
    assert (token != 0).any(dim=1).all(), "every word starts with a vector of its own, and id 0 is a word too"


def _pair(rng):
    """Two sentences of the same words, of which one is praise: the negator stands in the one or the other clause."""
    adjectives = [rng.choice(GOOD), rng.choice(BAD)]
    rng.shuffle(adjectives)
    negator, link, adverbs = rng.choice(NEGATORS), rng.choice(LINKS), rng.integers(0, 4, 2)
    openings = [["the", rng.choice(NOUNS), rng.choice(VERBS)] for _ in range(2)]
    between = [list(rng.choice(ADVERBS, count)) for count in adverbs]
    for negated in (0, 1):
        words = []
        for clause in (0, 1):
            words += openings[clause] + ([negator] if clause == negated else []) + between[clause]
            words += [adjectives[clause]] + ([link] if clause == 0 else [])
        yield words, int(adjectives[negated] in BAD)


def _reviews(rng, pairs):
    """Ids, lengths and labels of so many pairs; the two sentences of a pair are neighbours."""
    rows = [row for _ in range(pairs) for row in _pair(rng)]
    ids = torch.zeros(len(rows), LONGEST, dtype=torch.int64)
    for place, (words, _) in zip(ids, rows, strict=True):
        place[: len(words)] = torch.tensor([WORDS.index(word) for word in words])
    lengths = torch.tensor([len(words) for words, _ in rows])
    return ids, lengths, torch.tensor([label for _, label in rows]), [words for words, _ in rows]


@pytest.mark.convergence
def test_pairs_of_reviews(solution, rng, record):
    """Trained on pairs of sentences that have the same words, it tells praise from the rest, as no bag of words can"""
    ids, lengths, labels, _ = _reviews(rng, POOL)
    model = _make(solution, (1, 1, len(WORDS), WIDTH, HIDDEN, UNITS, 2), torch.float32)
    chosen = 2 * rng.integers(0, POOL, (STEPS, PAIRS))
    batches = torch.from_numpy(np.concatenate([chosen, chosen + 1], axis=1))
    losses = solution.fit(model, ids, lengths, labels, batches, LEARNING_RATE)
    assert isinstance(losses, list) and len(losses) == STEPS, "fit must return a list with one loss per step"
    record.curve("cross-entropy in nats, beside any bag of words", losses, baseline=math.log(2))
    ids, lengths, labels, sentences = _reviews(rng, HELD_OUT)
    bags = [sorted(sentence) for sentence in sentences]
    assert bags[::2] == bags[1::2] and (labels[::2] != labels[1::2]).all()  # what makes every bag of words fail
    logits, weights = (value.detach() for value in _answers(model, ids, lengths, torch.float32))
    lines = []
    for sentence, share in zip(sentences[:6], weights.tolist(), strict=False):
        lines.append(" ".join(f"{word}:{100 * part:.0f}" for word, part in zip(sentence, share, strict=False)))
    record.text("where it looks, in per cent", "\n".join(lines))
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    help = "a bag of words gets exactly half: does the LSTM read in order, and does its state reach the head?"
    assert_beats(accuracy, BAR, name="accuracy on new pairs", help=help)
