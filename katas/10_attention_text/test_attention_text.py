"""The suite of kata 10: attention pooling word by word, an LSTM that reads no padding, and reviews that come in pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    Uniform,
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_parts,
    assert_shape,
    assert_state,
    assert_trained,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    text,
)

# Sentences, words, ids, width of a word, hidden units, attention units, classes; no two are equal in a case.
SIZES = [(4, 6, 11, 3, 2, 5, 7), (1, 5, 9, 4, 3, 2, 6), (3, 7, 13, 2, 5, 4, 8), (5, 1, 8, 6, 4, 7, 2)]
LARGE = [(1101, 2, 7, 5, 1, 3, 4), (2, 1101, 7, 5, 1, 3, 4)]
# Sentences, words, numbers in a state, attention units.
STATES = [(4, 6, 2, 5), (1, 5, 3, 2), (3, 7, 5, 4), (5, 1, 4, 7), (2, 5001, 1, 3), (5001, 2, 1, 3)]
# Training sentences, steps, sentences of each, by how much the head's weights are larger, the model.
TRAININGS = [(6, 15, 5, 1, SIZES[0]), (6, 15, 5, 100, SIZES[0]), (9, 12, 4, 1, SIZES[2]), (1, 1, 1, 1, SIZES[3])]
TRAININGS += [(1101, 1, 2, 1, LARGE[1])]
TOL, SAME = 1e-8, 1e-9
POOLED, ANSWERS = ("pooled", "weights"), ("logits", "weights")

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


def _mask(rng, count, length, empty=()):
    """True in about two places of three, and in at least one of every row but the empty ones; everywhere in the first."""
    mask = rng.random((count, length)) < 2 / 3
    mask[np.arange(count), rng.integers(0, length, count)] = True
    mask[0] = True
    mask[list(empty)] = False
    return torch.from_numpy(mask)


def _sentences(rng, count, length, words):
    """Ids with arbitrary ids on padding, and lengths of which one is the longest."""
    lengths = rng.integers(1, length + 1, count)
    lengths[rng.integers(count)] = length
    return torch.from_numpy(rng.integers(0, words, (count, length))), torch.from_numpy(lengths)


def _scales(count, length):
    """By how much numbers are larger: near ones and far ones, and where there are many of them far ones alone."""
    return (1, 50) if count + length < 1000 else (50,)


def _scores_inputs(rng, count, length, states, units, far=1.0):
    parts = {"states": 2 * far * normal(rng, count, length, states), "weight": normal(rng, units, states)}
    return parts | {"bias": normal(rng, units), "question": far * normal(rng, units)}


def _scores(states, weight, bias, question):
    return (question * torch.tanh(states @ weight.T + bias)).sum(-1)


def _softmax(scores, mask):
    """A softmax that never meets padding: of a sparse matrix, which has entries where words stand and nowhere else."""
    words = torch.sparse_coo_tensor(mask.nonzero().T, scores[mask], scores.shape, check_invariants=True)
    return torch.sparse.softmax(words.coalesce(), 1).to_dense()


class _Pooling(nn.Module):
    """AttentionPooling of the functions above."""

    def __init__(self, states, units):
        super().__init__()
        self.project, self.question = nn.Linear(states, units), nn.Parameter(torch.zeros(units))
        self.double()

    def forward(self, states, mask):
        weights = _softmax(_scores(states, self.project.weight, self.project.bias, self.question), mask)
        return (weights[:, :, None] * states).sum(1), weights


class _Classifier(nn.Module):
    """The same network of torch's parts, which reads sentences of one length together, and none of the padding."""

    def __init__(self, size):
        super().__init__()
        _, _, words, width, hidden, units, classes = size
        self.token, self.lstm = nn.Embedding(words, width), nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.pooling, self.head = _Pooling(2 * hidden, units), nn.Linear(2 * hidden, classes)
        self.double()

    def forward(self, ids, lengths):
        places, logits, weights = [], [], []
        for length in lengths.unique().tolist():
            places.append((lengths == length).nonzero()[:, 0])
            states, _ = self.lstm(self.token(ids[places[-1], :length]))
            pooled, share = self.pooling(states, torch.ones(states.shape[:2], dtype=torch.bool))
            logits.append(self.head(pooled))
            weights.append(F.pad(share, (0, ids.shape[1] - length)))
        order = torch.cat(places).argsort()
        return torch.cat(logits)[order], torch.cat(weights)[order]


def _pooling_shapes(states, units):
    return {"question": (units,), "project.weight": (units, states), "project.bias": (units,)}


def _shapes(size):
    _, _, words, width, hidden, units, classes = size
    lstm = {"weight_ih": (4 * hidden, width), "weight_hh": (4 * hidden, hidden)}
    lstm |= dict.fromkeys(("bias_ih", "bias_hh"), (4 * hidden,))
    shapes = {f"lstm.{name}_l0{way}": shape for way in ("", "_reverse") for name, shape in lstm.items()}
    shapes |= {f"pooling.{name}": shape for name, shape in _pooling_shapes(2 * hidden, units).items()}
    return shapes | {"token.weight": (words, width), "head.weight": (classes, 2 * hidden), "head.bias": (classes,)}


def _make(solution, size, dtype):
    model = solution.TextClassifier(*size[2:], dtype=dtype)
    return assert_state(model, _shapes(size), dtype=dtype, name="TextClassifier")


def _make_pooling(solution, states, units, dtype):
    pooling = solution.AttentionPooling(states, units, dtype=dtype)
    return assert_state(pooling, _pooling_shapes(states, units), dtype=dtype, name="AttentionPooling")


def _alike(rng, shapes, *modules):
    """The modules with the same weights, which lead to numbers of order one; no bias is zero."""
    scales = {name: shape[1] ** -0.5 if len(shape) > 1 else 2 / 3 for name, shape in shapes.items()}
    weights = {name: scales[name] * normal(rng, *shape) for name, shape in shapes.items()}
    return [load_state(module, weights) for module in modules]


def _poolings(solution, rng, states, units):
    """The learner's pooling and the oracle's, with the same weights."""
    learner = _make_pooling(solution, states, units, torch.float64)
    return _alike(rng, _pooling_shapes(states, units), learner, _Pooling(states, units))


def _classifiers(solution, rng, size, far=1):
    """The learner's classifier and the oracle's, with the same weights; logits are `far` times as large."""
    both = _alike(rng, _shapes(size), _make(solution, size, torch.float64), _Classifier(size))
    with torch.no_grad():
        for module in both:
            module.head.weight *= far
    return both


def _answers(model, ids, lengths, dtype=torch.float64):
    logits, weights = assert_parts(model(ids, lengths), ANSWERS, name="TextClassifier.forward")
    classes = len(state_of(model, ["head.bias"])["head.bias"])
    assert_shape(logits, (len(ids), classes), dtype=dtype, name="logits", help="one row per sentence")
    assert_shape(weights, tuple(ids.shape), dtype=dtype, name="weights", help="one number per word")
    return logits.detach(), weights.detach()


@pytest.mark.shape
def test_shapes(solution, rng):
    """Scores and weights have one number per word, pooled vectors and logits one row per sentence"""
    for index, size in enumerate(SIZES):
        count, length, words, _, states, units, _ = size
        dtype = (torch.float32, torch.float64)[index % 2]
        inputs = {key: value.to(dtype) for key, value in _scores_inputs(rng, count, length, states, units).items()}
        mask = _mask(rng, count, length)
        scores = solution.additive_scores(**inputs)
        assert_shape(scores, (count, length), dtype=dtype, name="scores", help="one number per word")
        assert_shape(solution.masked_softmax(scores, mask), (count, length), dtype=dtype, name="weights")
        pooling = _make_pooling(solution, states, units, dtype)
        pooled, weights = assert_parts(pooling(inputs["states"], mask), POOLED, name="AttentionPooling.forward")
        assert_shape(pooled, (count, states), dtype=dtype, name="pooled", help="states are averaged, not projections")
        assert_shape(weights, (count, length), dtype=dtype, name="weights")
        model, (ids, lengths) = _make(solution, size, dtype), _sentences(rng, count, length, words)
        logits, _ = _answers(model, ids, lengths, dtype)
        assert (logits != _answers(model, (ids + 1) % words, lengths, dtype)[0]).any(), "other words, same logits"
    losses = solution.fit(model, ids, lengths, torch.zeros(count, dtype=torch.int64), torch.zeros(3, 2).long(), 0.01)
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"


@pytest.mark.value
def test_additive_scores(solution, rng):
    """A score is the question times the squashed projection of a state, of any size"""
    help = "project, add the bias, squash with tanh, multiply by the question, in this order"
    agree = {"tol": TOL, "name": "scores", "help": help, "gradients": False}
    for sizes in STATES:
        for far in _scales(*sizes[:2]):
            assert_agrees(solution.additive_scores, _scores, _scores_inputs(rng, *sizes, far), rng, **agree)


@pytest.mark.value
def test_masked_softmax(solution, rng):
    """Weights are a softmax over the words alone: wherever padding stands, whatever it scores, however large scores are"""
    help = "True is a word: hide the others' scores before a softmax along the words that cannot overflow"
    agree = {"tol": TOL, "name": "weights", "help": help, "gradients": False}
    for index, (count, length, *_) in enumerate(STATES):
        mask = _mask(rng, count, length)
        for scale, shift in ((1, 0), (300, 0), (1, -1e6)) if index < 4 else ((300, 0),):
            scores = scale * normal(rng, count, length) + shift
            scores[~mask] = scores[~mask].abs() + (1e4 if index % 2 else 0.0)
            assert_agrees(solution.masked_softmax, _softmax, {"scores": scores, "mask": mask}, rng, **agree)
            assert (solution.masked_softmax(scores, mask)[~mask] == 0).all(), "padding must weigh exactly 0"


@pytest.mark.behaviour
def test_sentences_without_words(solution, rng):
    """A row without words gets weights 0, the pooled vector 0 and no gradient, never NaN"""
    help = "a softmax of nothing but -inf is NaN, and so is its gradient; without words there is nothing to share out"
    for count, length, states, units in STATES[:4]:
        for empty in ([int(rng.integers(count + 1))], range(count + 1)):
            mask = _mask(rng, count + 1, length, empty)
            inputs = {"scores": normal(rng, count + 1, length), "mask": mask}
            assert_agrees(solution.masked_softmax, _softmax, inputs, rng, tol=TOL, name="weights", help=help)
            both, inputs = _poolings(solution, rng, states, units), {"states": normal(rng, count + 1, length, states)}
            assert_agrees(*both, inputs | {"mask": mask}, rng, modules=both, tol=TOL, name=POOLED, help=help)


@pytest.mark.value
def test_pooling(solution, rng):
    """The pooled vector is the weighted mean of the states themselves"""
    help = "weights are those of the layer's own project and question; they weigh states, not projections"
    for count, length, states, units in STATES:
        both = _poolings(solution, rng, states, units)
        for far in _scales(count, length):
            inputs = {"states": far * normal(rng, count, length, states), "mask": _mask(rng, count, length)}
            assert_agrees(*both, inputs, rng, modules=both, tol=TOL, name=POOLED, help=help, gradients=False)


@pytest.mark.value
def test_classifier_with_given_weights(solution, rng):
    """With given weights, each sentence of a padded batch is answered as torch's layers answer it without padding"""
    help = (
        "ids looked up in token; both directions of the LSTM, each from a real end; attention over all words; "
        "the pooled vector, and nothing else, through head, with nothing after it"
    )
    for size in SIZES + LARGE:
        for far in _scales(*size[:2]):
            both = _classifiers(solution, rng, size, 2 * far)
            inputs = dict(zip(("ids", "lengths"), _sentences(rng, *size[:3]), strict=True))
            assert_agrees(*both, inputs, rng, modules=both, tol=TOL, name=ANSWERS, help=help, gradients=False)


@pytest.mark.behaviour
def test_padding_and_order(solution, rng):
    """Neither padding nor neighbours change an answer, and the order of words does; sums of weights are 1"""
    for size in SIZES[:3]:
        count, length, words, *_ = size
        model, _ = _classifiers(solution, rng, size)
        ids, lengths = _sentences(rng, count, length, words)
        logits, weights = _answers(model, ids, lengths)
        ones = torch.ones(count, dtype=torch.float64)
        assert_close(weights.sum(1), ones, tol=TOL, name="the weights of a sentence, summed")
        longer = torch.cat([ids, torch.from_numpy(rng.integers(0, words, (count, 3)))], 1)
        padding = torch.arange(length + 3) >= lengths[:, None]
        again, wider = _answers(model, torch.where(padding, (longer + 1) % words, longer), lengths)
        help = "where does padding get in: into the softmax, into the backward direction, or into a mean?"
        assert_close(again, logits, tol=SAME, name="logits with more and other padding", help=help)
        assert_close(wider[:, :length], weights, tol=SAME, name="weights with more and other padding", help=help)
        order = torch.from_numpy(rng.permutation(count))
        shuffled, _ = _answers(model, ids[order], lengths[order])
        help = "what does a sentence hear of its neighbours? are results put back in the order of the batch?"
        assert_close(shuffled, logits[order], tol=SAME, name="logits of the shuffled batch", help=help)
        row = int(lengths.argmax())
        turned, whole = ids[row : row + 1].flip(1), lengths[row : row + 1]
        turned[0, 0] = (turned[0, -1] + 1) % words
        difference = _answers(model, turned.flip(1), whole)[0] - _answers(model, turned, whole)[0]
        assert difference.abs().max() > 1e-9, "the same words in reverse get the same logits: does the LSTM read them?"


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach states, scores and every parameter, through every word"""
    help = (
        "nothing may cut the graph: no detach, no .data, no no_grad; and the id 0 is a word that learns like any other"
    )
    agree = {"tol": TOL, "help": help}
    for count, length, states, units in STATES[:-1]:
        mask = _mask(rng, count, length)
        for far in _scales(count, length):
            inputs = _scores_inputs(rng, count, length, states, units, far)
            assert_agrees(solution.additive_scores, _scores, inputs, rng, name="scores", **agree)
            inputs = {"scores": far * normal(rng, count, length), "mask": mask}
            assert_agrees(solution.masked_softmax, _softmax, inputs, rng, name="weights", **agree)
            both, names = _poolings(solution, rng, states, units), list(_pooling_shapes(states, units))
            inputs = {"states": far * normal(rng, count, length, states), "mask": mask}
            assert_agrees(*both, inputs, rng, modules=both, parameters=names, name=POOLED, **agree)
    for size in SIZES + LARGE[1:]:
        both, (ids, lengths) = _classifiers(solution, rng, size), _sentences(rng, *size[:3])
        ids[:, 0] = 0
        inputs, names = {"ids": ids, "lengths": lengths}, list(_shapes(size))
        assert_agrees(*both, inputs, rng, modules=both, parameters=names, name=ANSWERS, **agree)


@pytest.mark.value
def test_training(solution, rng):
    """From given weights, fifteen steps of fit have the right losses, and the weights after them"""
    help = (
        "raw logits into the cross-entropy, the loss before the update; one Adam with the given rate, gradients cleared, "
        "everything trained, a sentence that a batch names twice counted twice"
    )
    for count, steps, batch, far, size in TRAININGS:
        model, oracle = _classifiers(solution, rng, size, far)
        model.train(steps != 12)
        ids, lengths = _sentences(rng, count, *size[1:3])
        labels = torch.from_numpy(rng.integers(0, size[6], count))
        batches, rate = torch.from_numpy(rng.integers(0, count, (steps, batch))), float(rng.uniform(0.01, 0.03))
        losses = solution.fit(model, *map(as_view, (ids, lengths, labels, batches)), rate)
        assert model.training or steps == 12, "fit must leave the model in the mode that it was in"
        adam = torch.optim.Adam(oracle.parameters(), lr=rate)
        wanted = (F.cross_entropy(oracle(ids[rows], lengths[rows])[0], labels[rows]) for rows in batches)
        trained = {"parameters": list(_shapes(size)), "name": "cross-entropy", "help": help}
        assert_trained(losses, model, oracle, wanted, adam, **trained)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and weights stay as they were, an answer repeats, and first values are drawn as stated"""
    for size in SIZES[:3]:
        count, length, words, _, states, units, _ = size
        model, oracle = _classifiers(solution, rng, size)
        ids, lengths = _sentences(rng, count, length, words)
        first, _ = _answers(model, ids, lengths)
        _answers(model, *_sentences(rng, count, length, words))
        again, _ = _answers(model, ids, lengths)
        assert_close(again, first, tol=SAME, name="logits, asked again", help="state outlives a call")
        pooling, other = _poolings(solution, rng, states, units)
        inputs, mask = _scores_inputs(rng, count, length, states, units), _mask(rng, count, length)
        pooling(inputs["states"], mask)
        solution.masked_softmax(solution.additive_scores(**inputs), mask)
        for learner, given in ((model, oracle), (pooling, other)):
            for name, value in given.state_dict().items():
                assert_close(
                    state_of(learner, [name])[name], value, tol=SAME, name=text("{name} after the calls", name=name)
                )
    solution.fit(model, ids, lengths, torch.zeros(count, dtype=torch.int64), torch.zeros(2, 2).long(), 0.01)
    assert_unchanged(mutated, but=["model of fit"])
    hidden, units = 50, 200
    size = 1, 1, 150, 20, hidden, units, 160
    shapes = _shapes(size)
    layers = [name for name in shapes if not name.startswith("lstm") and name != "pooling.question"]
    laws = layer_laws({name: shapes[name] for name in layers}, embeddings=["token"])
    laws |= {name: Uniform(hidden**-0.5) for name in shapes if name.startswith("lstm")}
    laws |= {"pooling.question": Uniform(units**-0.5)}
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
