"""The suite of kata 31: negative sampling beside torch, pairs and draws word by word, and analogies in a small language."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import rv_discrete
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize
from torch.nn import functional as F

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

# Pairs, negatives of each, words, numbers in a vector, and how large scores are.
SIZES = [(5, 3, 11, 4, 1), (1, 4, 6, 3, 1), (7, 1, 3, 5, 1), (4, 6, 9, 2, 1000), (3, 2, 1, 6, 1), (6, 5, 8, 7, 50)]
LARGE = [(5003, 2, 7, 3, 1), (2, 1103, 5, 3, 1), (3, 2, 5003, 4, 1), (2, 3, 6, 1103, 1)]
# Lengths of sentences, and the window.
TEXTS = 2 * [((5, 0, 1, 7, 2), 2), ((4, 6), 1), ((3, 5, 2), 9), ((1,), 3), ((), 2), ((0, 0), 1)] + [((5003,), 2)]
# Questions, words, numbers in a vector, answers to each.
QUESTIONS = [(6, 31, 4, 28), (1, 5, 3, 1), (4, 9, 2, 3), (5, 11, 6, 6), (3, 6, 7, 2)]
TOL = 1e-9
GRADIENTS = ("by_centers", "by_contexts", "by_negatives")

# A language: [time] the <person> <verb> the/his/her <thing> <filler> the <place> [and he/she]. The things of a pair of
# persons tell nothing of he or she, nor the places of a verb of now or then; the rest of a sentence tells nothing else.
LISTS = dict(line.split(maxsplit=1) for line in Path(__file__).with_name("small_language.txt").open(encoding="utf-8"))
LISTS = {name: words.split() for name, words in LISTS.items()}
WORDS = sorted({word for words in LISTS.values() for word in words})
SENTENCES, SIZE = 1000, 24
BAR = 0.82  # mid-way between training without subsampling, 0.66 at best, and the worst of 40 right runs, 0.982


def _ids(rng, words, *shape):
    """Ids as a view, laid out with the axes in reverse and back to front."""
    return rng.integers(0, words, shape[::-1]).T[::-1]


def _vectors(rng, size):
    """What pair_loss is given: the last center is the first one again, and some scores are as far as can be, both ways."""
    pairs, negatives, _, width, far = size
    scale = math.sqrt(far / math.sqrt(width))
    centers, contexts = (scale * normal_array(rng, pairs, width) for _ in range(2))
    others = scale * normal_array(rng, pairs, negatives, width)
    counted = (rng.random((negatives, pairs)) < 2 / 3).T
    centers[-1] = centers[0]
    pull = far * centers[0] / (centers[0] @ centers[0])
    contexts[0], contexts[-1], others[0, 0], others[-1, -1] = -pull, pull, pull, -pull
    counted[0, 0] = counted[-1, -1] = True
    return centers, contexts, others, counted


def _loss(centers, contexts, negatives, counted):
    """The loss of negative sampling as torch's binary cross-entropy with logits."""
    near, random = (centers * contexts).sum(1), (centers[:, None] * negatives).sum(2)
    loss = F.binary_cross_entropy_with_logits(near, torch.ones_like(near), reduction="sum")
    weight = counted.to(random)
    return loss + F.binary_cross_entropy_with_logits(random, torch.zeros_like(random), weight, reduction="sum")


def _batch(rng, size):
    """Two matrices and a batch of ids, in which words stand again and again, and negatives hit their context."""
    pairs, negatives, words, width, far = size
    scale = math.sqrt(far / math.sqrt(width))
    inputs, outputs = (scale * normal_array(rng, words, width) for _ in range(2))
    batch = _ids(rng, words, pairs), _ids(rng, words, pairs), _ids(rng, words, pairs, negatives).copy("F")
    batch[2][0, 0] = batch[1][0]
    return inputs, outputs, *batch


def _descend(inputs, outputs, batches, rate):
    """Steps down torch's gradients over (centers, contexts, negatives): both matrices after them, losses before each."""
    both, losses = [torch.tensor(each.copy(), requires_grad=True) for each in (inputs, outputs)], []
    for centers, contexts, negatives in (tuple(torch.tensor(ids.copy()) for ids in batch) for batch in batches):
        looked_up = (F.embedding(ids, both[i]) for ids, i in ((centers, 0), (contexts, 1), (negatives, 1)))
        losses.append(_loss(*looked_up, negatives != contexts[:, None]))
        slopes = torch.autograd.grad(losses[-1], both)
        both = [(each - rate * slope).detach().requires_grad_() for each, slope in zip(both, slopes, strict=True)]
    return *(each.detach().numpy() for each in both), [loss.item() for loss in losses]


def _step(solution, inputs, outputs, batch, rate):
    """What the learner's train_step returns, of the right form."""
    result = solution.train_step(inputs, outputs, *batch, rate)
    new_inputs, new_outputs, loss = assert_parts(result, ("new_inputs", "new_outputs", "loss"), name="train_step")
    for name, new, old in (("new_inputs", new_inputs, inputs), ("new_outputs", new_outputs, outputs)):
        assert_shape(new, old.shape, dtype=np.float64, name=name)
    assert_shape(loss, (), name="loss")
    return new_inputs, new_outputs, float(loss)


def _text(rng, lengths, words):
    """Sentences of these lengths, each a view into the text."""
    whole = _ids(rng, words, sum(lengths))
    return np.split(whole, np.cumsum(lengths)[:-1]) if lengths else []


def _joined(sentences, lengths, name):
    """The words of a list of sentences one after another; the list and the lengths must be right."""
    arrays = isinstance(sentences, list | tuple) and all(np.ndim(each) == 1 for each in sentences)
    assert_that(arrays, "{name} must be a list of arrays", name=name)
    said = "{name} must hold {wanted} sentences, not {found}: an empty one stays"
    assert_that(len(sentences) == len(lengths), said, name=name, wanted=len(lengths), found=len(sentences))
    for place, (sentence, length) in enumerate(zip(sentences, lengths, strict=True)):
        said = "sentence {place} must keep {wanted} words, not {found}"
        assert_that(len(sentence) == length, said, place=place, wanted=length, found=len(sentence))
    return np.concatenate([np.asarray(each) for each in sentences if len(each)] or [np.zeros(0, np.int64)])


@pytest.mark.shape
def test_shapes(solution, rng):
    """Gradients have the shapes of the vectors, a step returns two matrices and a number, and ids are whole numbers"""
    for size in SIZES:
        given = _vectors(rng, size)
        parts = assert_parts(solution.pair_loss(*given), ("loss", *GRADIENTS), name="pair_loss")
        assert_shape(parts[0], (), name="loss")
        for name, got, vectors in zip(GRADIENTS, parts[1:], given, strict=False):
            assert_shape(got, vectors.shape, dtype=np.float64, name=name)
        assert np.ptp(parts[1]) > 0, "all the entries of by_centers are equal"
        inputs, outputs, *batch = _batch(rng, size)
        _step(solution, inputs, outputs, batch, 0.1)
        counts, uniforms = rng.integers(1, 9, size[2]), rng.random(size[1::-1])
        assert_shape(solution.draw_negatives(counts, uniforms), uniforms.shape, dtype=np.int64, name="ids")


@pytest.mark.value
def test_pair_loss(solution, rng):
    """The loss is small where true pairs score high and random ones low, however large scores are"""
    help = "log sigma of the true score, log sigma of minus a random one; a sum over all; log(exp(-1000)) is not finite"
    for size in 2 * SIZES + LARGE:
        given = _vectors(rng, size)
        expected = _loss(*map(torch.tensor, given)).item()
        assert_close(solution.pair_loss(*given)[0], expected, tol=TOL, name="loss", help=help)


@pytest.mark.gradient
def test_pair_gradients(solution, rng):
    """pair_loss: the gradients by centers, contexts and negatives are right"""
    help = "what each score is made of, the sign of its push, and negatives that take no part"
    for size in 2 * SIZES + LARGE:
        given = _vectors(rng, size)
        *leaves, counted = (torch.tensor(each) for each in given)
        _loss(*(leaf.requires_grad_() for leaf in leaves), counted).backward()
        for name, got, leaf in zip(GRADIENTS, solution.pair_loss(*given)[1:], leaves, strict=True):
            assert_close(got, leaf.grad.numpy(), tol=TOL, name=name, help=help)


@pytest.mark.gradient
def test_train_step(solution, rng):
    """A step moves every vector by all the gradients of the places where its word stands"""
    help = "equal ids add up; inputs for centers, outputs for the rest; a negative that is the context takes no part"
    for size in 2 * SIZES + LARGE:
        inputs, outputs, *batch = _batch(rng, size)
        rate = float(rng.uniform(0.05, 2)) * (size[0] != 7)
        expected = _descend(inputs, outputs, [batch], rate)
        got = _step(solution, inputs, outputs, batch, rate)
        for name, mine, right, old in zip(("inputs", "outputs"), got, expected, (inputs, outputs), strict=False):
            assert_close(mine - old, right - old, tol=1e-8, name=text("the change of {name}", name=name), help=help)


@pytest.mark.value
def test_training(solution, rng):
    """The losses of a dozen steps are those before each step, and agree with torch's"""
    for size in SIZES[:4]:
        inputs, outputs, *_ = _batch(rng, size)
        batches = [_batch(rng, size)[2:] for _ in range(12)]
        expected = _descend(inputs, outputs, batches, 0.05)
        losses = []
        for batch in batches:
            inputs, outputs, loss = _step(solution, inputs, outputs, batch, 0.05)
            losses.append(loss)
        assert_trajectory(losses, expected[2], tol=1e-7, name=text("the loss of train_step"))


@pytest.mark.value
def test_pairs(solution, reference, rng):
    """Every word is paired with all its neighbours in the window, of its own sentence alone, in order"""
    help = "the window reaches as far to the right as to the left; a place is left out, not a word; no pair is lost"
    for lengths, window in [*TEXTS, (5003 * (1,), 1)]:
        sentences = _text(rng, lengths, 6)
        expected = reference.skip_gram_pairs(sentences, window)
        got = assert_parts(solution.skip_gram_pairs(sentences, window), ("centers", "contexts"), name="skip_gram_pairs")
        for name, mine, right in zip(("centers", "contexts"), got, expected, strict=True):
            assert_close(mine, right, tol=TOL, name=name, help=help)


@pytest.mark.value
def test_subsample(solution, rng):
    """Words are kept with the square root of threshold over share, place by place, and in order"""
    help = (
        "kept where the uniform number is below the probability; the share of all words, whatever stands in this list"
    )
    name = text("the words that subsample keeps")
    sizes = zip(TEXTS, [9, 9, 1, 4, 2, 6, 9, 1, 3, 9, 3, 6, 5003], 6 * [4] + 7 * [10**6], strict=True)
    for (lengths, _), words, most in sizes:
        for threshold in (0.0, 0.1, 3.0) if len(lengths) > 1 else (0.01,):
            sentences, uniforms = _text(rng, lengths, words), [rng.random(2 * length)[::2] for length in lengths]
            counts = rng.integers(1, most, 2 * words + 2)[::2] * (np.arange(words + 1) < words)
            counts = counts[: words + len(lengths) % 2]  # with a word that never occurs, or without
            fine = [u * u * counts[s] < threshold * counts.sum() for s, u in zip(sentences, uniforms, strict=True)]
            expected = [each[kept] for each, kept in zip(sentences, fine, strict=True)]
            got = solution.subsample(sentences, counts, threshold, uniforms)
            wanted = [len(each) for each in expected]
            assert_close(_joined(got, wanted, name), _joined(expected, wanted, name), tol=TOL, name=name, help=help)
    sentences, uniforms = [np.array([0, 1, 2, 3])], [np.array([0.49, 0.5, 0.51, 0.0])]
    got = solution.subsample(sentences, np.array([5, 5, 5, 5]), 0.0625, uniforms)  # each is kept with probability 1/2
    assert_close(_joined(got, [2], name), np.array([0, 3]), tol=TOL, name=name, help=help)


@pytest.mark.value
def test_draw_negatives(solution, rng):
    """Words are drawn by their counts to the power of 3/4, and exactly where their part of the line begins and ends"""
    help = "powers, their sum, cumulative sums; then the first part that ends beyond the uniform number"
    for words in 2 * (7, 2, 1, 86, 5003):
        counts = np.floor(10 ** rng.uniform(0, 9, 2 * words))[::2].astype(np.int64)
        counts[rng.permutation(words)[1 : 1 + words // 3]] = 0
        shares = counts**0.75 / np.sum(counts**0.75)
        uniforms = rng.random((3, 5, 70)).T
        expected = rv_discrete(values=(np.arange(words), shares)).ppf(uniforms).astype(np.int64)
        assert_close(solution.draw_negatives(counts, uniforms), expected, tol=TOL, name="ids", help=help)
    edge = np.nextafter(1, 0)  # the largest number below 1: ten tenths, added up, are no more
    for counts, uniforms, right in (
        ([0, 16, 16, 0, 16, 16], [0.0, 0.2, 0.25, 0.5, 0.75, 0.8, edge], [1, 1, 2, 4, 5, 5, 5]),
        ([81, 0, 0, 81], [0.0, 0.4, 0.5, edge], [0, 0, 3, 3]),
        (10 * [7] + [0, 0], [0.0, 0.05, 0.25, 0.95, edge], [0, 0, 2, 9, 9]),
        ([5, 0, 5, 5, 5, 5, 5], [0.5 - 1e-9, 0.5 + 1e-9, edge], [3, 4, 6]),
        ([7, 7, 7], [1 / 3 - 1e-9, 1 / 3 + 1e-9, 2 / 3 - 1e-9, 2 / 3 + 1e-9], [0, 1, 1, 2]),
    ):
        got, name = solution.draw_negatives(np.array(counts), np.array(uniforms)), text("ids at the ends of parts")
        help = "which end belongs to a part, words of count 0, and rounding"
        assert_close(got, np.array(right), tol=TOL, name=name, help=help)


def _answers(vectors, questions, k):
    """The k nearest words of each question by scikit-learn's cosines, its own words left out."""
    units = normalize(vectors)
    cosines = cosine_similarity(units[questions[:, 1]] - units[questions[:, 0]] + units[questions[:, 2]], units)
    for row, own in zip(cosines, questions, strict=True):
        row[own] = -2.0
    return np.argsort(-cosines, axis=1)[:, :k]


@pytest.mark.value
def test_analogies(solution, rng):
    """Answers are the words nearest to b - a + c by cosine, nearest first, and never one of the question"""
    help = "vectors of length 1 before the sum; b - a + c, not a - b + c; cosine; the question's own words left out"
    for count, words, width, k in 2 * QUESTIONS + [
        (3, 5003, 5, 2),
        (5003, 7, 3, 4),
        (2, 4, 1103, 1),
        (2, 5003, 3, 5000),
    ]:
        vectors = normal_array(rng, words, width) * rng.uniform(0.1, 100, (words, 1))
        questions = _ids(rng, words, count, 3).copy("F")
        questions[-1] = questions[-1, 0]
        vectors[np.setdiff1d(np.arange(words), questions)[:1]] = 0.0
        expected = _answers(vectors, questions, k)
        assert_close(solution.analogies(vectors, questions, k), expected, tol=TOL, name="ids", help=help)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments stay as they were, a call repeats itself, and the order of a batch does not matter"""
    for size in SIZES:
        inputs, outputs, *batch = _batch(rng, size)
        first = _step(solution, inputs, outputs, batch, 0.1)
        _step(solution, inputs, outputs, _batch(rng, size)[2:], 0.1)
        again = _step(solution, inputs, outputs, [ids[::-1] for ids in batch], 0.1)
        for name, one, other in zip(("new_inputs", "new_outputs", "loss"), first, again, strict=True):
            assert_close(other, one, tol=1e-8, name=text("{name} of the batch turned round", name=name))
        solution.pair_loss(*_vectors(rng, size))
    for lengths, window in TEXTS[:4]:
        sentences, counts = _text(rng, lengths, 6), rng.integers(1, 9, 6)
        solution.skip_gram_pairs(sentences, window)
        solution.subsample(sentences, counts, 0.1, [rng.random(length) for length in lengths])
        solution.draw_negatives(counts, rng.random(5))
        solution.analogies(normal_array(rng, 6, 3), _ids(rng, 6, 2, 3), 2)
    sentences, counts = _text(rng, 6 * (5,), 6), rng.integers(1, 9, 6)
    first, again = (solution.train(sentences, counts, 3, threshold=0.5, batch=20, seed=1)[0] for _ in range(2))
    assert_close(again, first, tol=TOL, name=text("vectors, trained again with the same seed"))
    assert_unchanged(mutated)


def _language(rng):
    """Sentences as arrays of ids."""
    for _ in range(SENTENCES):
        pair, verb, who, when, *chance = *rng.integers(0, 8, 2), *rng.integers(0, 2, 2), *rng.random(3)
        words = [LISTS["times"][2 * when + rng.integers(2)]] if chance[0] < 0.7 else []
        words += ["the", LISTS["persons"][2 * pair + who], LISTS["verbs"][2 * verb + when]]
        words += [LISTS["owners"][who] if chance[1] < 0.7 else "the", LISTS["things"][3 * pair + rng.integers(3)]]
        words += [rng.choice(LISTS["fillers"]), "the", LISTS["places"][2 * verb + rng.integers(2)]]
        words += ["and", LISTS["pronouns"][who]] if chance[2] < 0.5 else []
        yield np.array([WORDS.index(word) for word in words])


@pytest.mark.convergence
def test_analogies_of_a_language(solution, rng, record):
    """Your vectors solve analogies of a small language, which as many counts for each word do not"""
    sentences = list(_language(rng))
    counts = np.bincount(np.concatenate(sentences), minlength=len(WORDS))
    questions = [
        [kind[2 * i + turn], kind[2 * i + 1 - turn], kind[2 * j + turn], kind[2 * j + 1 - turn]]
        for kind in (LISTS["persons"], LISTS["verbs"])
        for i in range(8)
        for j in range(8)
        for turn in range(2)
        if i != j
    ]
    asked = np.array([[WORDS.index(word) for word in question] for question in questions])
    vectors, losses = solution.train(sentences, counts, SIZE, seed=int(rng.integers(2**31)))
    record.curve("loss per pair, beside that of a coin", losses, baseline=4 * math.log(2))
    assert_shape(vectors, (len(WORDS), SIZE), dtype=np.float64, name="vectors")
    answers = _answers(vectors, asked[:, :3], 3)
    lines = [
        " ".join((a, ":", b, "=", c, ":", *(WORDS[i] for i in row)))
        for (a, b, c, _), row in zip(questions, answers, strict=True)
    ]
    record.text("three answers to each, the nearest first", "\n".join(lines[:: len(lines) // 16]))
    help = "true pairs pulled together, random ones pushed apart, and words that are everywhere mostly dropped"
    assert_beats(np.mean(answers[:, 0] == asked[:, 3]), BAR, name=text("the share of analogies solved"), help=help)
    neighbours = np.zeros((len(WORDS), len(WORDS)))
    for sentence in sentences:
        for step in range(1, 4):
            np.add.at(neighbours, (sentence[step:], sentence[:-step]), 1)
    neighbours += neighbours.T
    columns = np.argsort(-counts)[:SIZE]  # counts of equal size: the neighbours that occur most often
    assert np.mean(_answers(neighbours[:, columns], asked[:, :3], 1)[:, 0] == asked[:, 3]) < BAR
