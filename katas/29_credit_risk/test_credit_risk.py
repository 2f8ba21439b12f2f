"""The suite of kata 29: each piece of a scorecard beside its oracle, labels that must not matter, and a thousand credits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from scipy.stats import ks_2samp
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from grader.checks import (
    assert_beats,
    assert_close,
    assert_parts,
    assert_trajectory,
    assert_unchanged,
    descend,
    normal_array,
    text,
)

LINES = Path(__file__).with_name("german_credit.txt").read_text(encoding="utf-8").splitlines()
CREDITS = np.array([[*map(int, a), int(b), int(c)] for a, b, c, _ in map(str.split, LINES[14:])], dtype=np.float64)
BAD = np.array([int(line[-1]) for line in LINES[14:]])
COUNTS = [4, 5, 10, 5, 5, 4, 3, 4, 3, 3, 0, 0]
# Applicants, bins, smoothing.
BINS = [(9, 4, 0.5), (2, 1, 3.0), (40, 7, 10.0), (6, 11, 1e6), (4, 9, 1e-15), (1201, 5, 1e-3), (7, 5003, 1.0)]
# Applicants, inputs, and how large scores are.
SIZES = [(5, 3, 1), (1, 2, 1), (7, 1, 1), (6, 4, 1000), (4, 5, 60), (1103, 2, 3), (5003, 3, 1), (3, 1103, 1)]
# Applicants, training rows, validation rows, answers of each column.
TABLES = [(60, 31, 17, [3, 0, 5]), (9, 4, 1, [0]), (40, 30, 9, [1, 2, 0, 0, 7]), (70, 8, 50, [12])]
LARGE = (5003, 1203, 60, [4, 0])
TOL, PARTS, CARD = 1e-9, ("loss", "by_x", "by_coef", "by_bias"), ("probability", "cutoff")
BAR = 0.098  # mid-way between .129, the best of 50 means of six splits without correction, and .067, the worst with it


def _labels(rng, count):
    """Labels as a view, of which the first is 1 and the last, if it is another, is 0."""
    labels = rng.integers(0, 2, 2 * count)[::2]
    labels[-1], labels[0] = 0, 1
    return labels


def _view(values):
    """A vector as a view, whose last number is the first one again."""
    room = np.repeat(values, 2)
    room[-2] = room[0]
    return room[::2]


def _table(rng, size):
    """Applicants laid out by columns, labels, and rows of training and validation out of order; answers may be new."""
    count, learnt, chosen, answers = size
    columns = [rng.integers(0, n, count) if n else rng.integers(1, 40, count) * 250.0 for n in answers]
    applicants = np.array(columns, dtype=np.float64).T
    applicants[-1] = applicants[0]
    rows, bad = rng.permutation(count)[::-1], _labels(rng, count)
    bad[rows[:2]] = 0, 1
    return applicants, answers, bad, rows[:learnt], rows[learnt : learnt + chosen]


def _neuron(rng, size):
    """x, coef, bias, labels and weights; the first and the last row are the same."""
    count, inputs, far = size
    x, coef = normal_array(rng, count, inputs), far * normal_array(rng, 2 * inputs)[::2] / inputs**0.5
    x[-1] = x[0]
    return x, coef, 0.7, _labels(rng, count), rng.uniform(0.1, 9, 2 * count)[::2]


def _tensors(given):
    return [torch.tensor(np.array(value), dtype=torch.float64) for value in given]


def _loss(scores, bad, weight):
    """The weighted mean of torch's binary cross-entropy with logits."""
    return F.binary_cross_entropy_with_logits(scores, bad, weight / weight.sum(), reduction="sum")


def _error(p, bad, bins):
    """The expected calibration error, by scikit-learn's curve of bins that are not empty."""
    rates, means = calibration_curve(bad, p, n_bins=bins)
    held = np.histogram(p, bins, (0, 1))[0]
    return float(held[held > 0] @ np.abs(rates - means) / len(p))


def _same(got, expected, names, of, help, tol=TOL):
    """What a function returned is, part by part, what the oracle says."""
    for name, mine, right in zip(names, assert_parts(got, names, name=of), expected, strict=True):
        assert_close(mine, right, tol=tol, name=text("{part} of {function}", part=name, function=of), help=help)


@pytest.mark.value
def test_weight_of_evidence(solution, reference, rng):
    """A bin's weight is ln(share of goods / share of bads); imaginary applicants pull it to 0, and not beyond"""
    help = "goods above, bads below; shares of all goods, of all bads; both smoothed, in the proportion of the labels"
    for count, bins, smoothing in (*2 * BINS, (5003, 1103, 2.0)):
        given = _view(rng.integers(0, bins, count)), _labels(rng, count), bins, smoothing
        got = solution.weight_of_evidence(*given)
        assert_close(got, reference.weight_of_evidence(*given), tol=TOL, name="woe", help=help)
    woe = solution.weight_of_evidence(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0]), 3, 5.0)
    assert_close(woe, np.log([10 / 9, 8 / 9, 1.0]), tol=TOL, name=text("woe of five applicants"), help=help)


@pytest.mark.value
def test_encode(solution, reference, rng):
    """Every answer and every amount becomes the weight of its bin, as the training rows alone have it"""
    help = "quartiles, counts, labels of training rows; an amount on an edge is above it; an answer not seen weighs 0"
    for size in (*3 * TABLES, LARGE):
        *given, _ = _table(rng, size)
        assert_close(solution.encode(*given), reference.encode(*given), tol=TOL, name="x", help=help)


@pytest.mark.value
def test_neuron_loss(solution, rng):
    """The loss is the weighted mean of the cross-entropy, however large scores are"""
    help = "log(1 + exp(-s)) for a bad one, log(1 + exp(s)) for a good one; times weights, by the sum of the weights"
    for size in 2 * SIZES:
        given = _neuron(rng, size)
        x, coef, bias, *rest = _tensors(given)
        loss = _loss(x @ coef + bias, *rest).item()
        assert_close(solution.neuron_loss(*given)[0], loss, tol=TOL, name="loss", help=help)


@pytest.mark.gradient
def test_neuron_gradients(solution, rng):
    """neuron_loss: the gradients by inputs, weights and bias are right"""
    help = "by the score: weight / sum of weights * (sigma(s) - label); then what the score is made of"
    for size in 2 * SIZES:
        given = _neuron(rng, size)
        *leaves, bad, weight = _tensors(given)
        x, coef, bias = (leaf.requires_grad_() for leaf in leaves)
        slopes = torch.autograd.grad(_loss(x @ coef + bias, bad, weight), (x, coef, bias))
        for name, got, slope in zip(PARTS[1:], solution.neuron_loss(*given)[1:], slopes, strict=True):
            assert_close(got, slope.numpy() if slope.ndim else slope.item(), tol=TOL, name=name, help=help)


def _scores(x, leaf):
    units = torch.tanh(x @ leaf["inner"] + leaf["offset"]) if "inner" in leaf else x
    return units @ leaf["coef"] + leaf["bias"]


@pytest.mark.value
def test_train(solution, rng):
    """A dozen steps on your gradients are torch's, the last weights scikit-learn's, and a weight of 3 is three rows"""
    sizes = *2 * SIZES[:1], *SIZES[:3], (12, 4, 1), SIZES[6], (9, 2, 1)
    for size, hidden, far in zip(sizes, (0, 0, 3, 2, 1, 5, 0, 0), (1, 1, 1, 1, 1, 1, 1, 300), strict=True):
        x, _, _, bad, weight = _neuron(rng, size)
        given = far * x, bad, 60 * weight
        start, _ = solution.train(*given, hidden=hidden, steps=0, seed=4)
        params, losses = solution.train(*given, hidden=hidden, steps=12, seed=4)
        leaf = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
        groups = [{"params": [each], "weight_decay": 0.01 * (name in ("coef", "inner"))} for name, each in leaf.items()]
        sgd, (inputs, *rest) = torch.optim.SGD(groups, lr=1.0, momentum=0.9), _tensors(given)
        expected = descend((_loss(_scores(inputs, leaf), *rest) for _ in range(12)), sgd)
        assert_trajectory(losses, expected, tol=1e-8, name=text("the loss of train"))
        for name, each in leaf.items():
            what = text("{name} after 12 steps", name=name)
            assert_close(params[name], each.detach().numpy(), tol=1e-7, name=what)
        for rows in (normal_array(rng, 1, size[1]), 1000 * normal_array(rng, 5003, size[1])):
            right = torch.sigmoid(_scores(torch.tensor(rows), leaf)).detach().numpy()
            assert_close(solution.predict(rows, params), right, tol=1e-7, name=text("p after 12 steps"))
    x, bad, times = normal_array(rng, 90, 4), _labels(rng, 90), rng.integers(1, 5, 90)
    model = LogisticRegression(C=100 / times.sum(), solver="newton-cholesky", tol=1e-10)
    expected = model.fit(x, bad, sample_weight=times).predict_proba(x)[:, 1]
    often = np.repeat(x, times, axis=0), np.repeat(bad, times), np.ones(times.sum())
    for name, rows in ((text("p of weighted rows"), (x, bad, times * 1.0)), (text("p of repeated rows"), often)):
        assert_close(solution.predict(x, solution.train(*rows)[0]), expected, tol=1e-6, name=name)


@pytest.mark.value
def test_ks_and_gini(solution, rng):
    """KS is the distance of two distribution functions, Gini the pairs in order minus those out of order; a tie is neither"""
    help = "shares at or below each score, so sort first; a tie of a bad and a good one adds nothing to Gini"
    sizes = (12, 4, 1.0), (2, 9, 1.0), (30, 1, 5.0), (25, 10**6, 1e9), (1201, 30, 0.1), (5003, 10**6, 1e-6)
    for count, levels, far in 3 * sizes:
        bad, score = _labels(rng, count), _view(rng.integers(-levels, levels, count) * far)
        score += rng.choice([-0.5, 0.0, 0.5, 2.0]) * levels * far * bad
        ks = ks_2samp(score[bad == 0], score[bad == 1], method=("exact", "asymp")[count > 2]).statistic
        expected = float(ks), float(2 * roc_auc_score(bad, score) - 1)
        _same(solution.ks_and_gini(score, bad), expected, ("ks", "gini"), "ks_and_gini", help)


@pytest.mark.value
def test_calibration_error(solution, rng):
    """In each bin the mean probability beside the share of bads, and bins count as much as they hold"""
    help = "the bin is floor(p * B), and 1 belongs to the last; means within a bin, then a mean over applicants"
    for count, bins in 3 * [(7, 3), (1, 4), (40, 10), (9, 1), (1201, 6), (5003, 1103)]:
        bad, p = _view(rng.integers(0, 2, count)), _view(rng.beta(0.5, 1, count))
        assert_close(solution.calibration_error(p, bad, bins), _error(p, bad, bins), tol=TOL, name="error", help=help)
    got = solution.calibration_error(np.array([0.0, 0.25, 1.0, 0.75]), np.array([1, 0, 0, 1]), 4)
    assert_close(got, 0.5, tol=TOL, name=text("the error at the ends of bins"), help=help)


@pytest.mark.value
def test_correct_prior(solution, rng):
    """The logit moves by logit(true) - logit(trained): exactly what the weights of a class had moved it by"""
    help = "odds times true / trained, by (1 - true) / (1 - trained); not the probability times a factor"
    for count in 2 * (5, 1, 40, 1201, 5003):
        for trained, true in ((0.5, 0.3), (0.3, 0.3), (0.02, 0.9), (0.6, 1e-4)):
            p = _view(rng.beta(0.6, 0.7, count))
            expected = expit(logit(p) + logit(true) - logit(trained))
            assert_close(solution.correct_prior(p, trained, true), expected, tol=TOL, name="corrected", help=help)
    ends = solution.correct_prior(np.array([0.0, 1.0, 1e-12]), 0.5, 0.25)
    assert_close(ends, np.array([0.0, 1.0, 1e-12 / 3]), tol=TOL, name=text("corrected, of 0 and 1"), help=help)
    bads, goods = rng.integers(1, 50, (2, 8))
    heavy = goods.sum() / bads.sum()
    got = solution.correct_prior(heavy * bads / (heavy * bads + goods), 0.5, 1 / (1 + heavy))
    assert_close(got, bads / (bads + goods), tol=TOL, name=text("corrected, of weighted shares"), help=help)


@pytest.mark.value
def test_best_cutoff(solution, reference, rng):
    """The cut-off of least cost, a probability of someone or 2; of equal costs the highest"""
    help = "who has the cut-off or more is refused; bads below it cost `missed`, goods from it on `refused`; by N"
    for count, levels in 3 * [(6, 4), (1, 8), (30, 10**6), (50, 8), (1201, 32), (5003, 10**6)]:
        p, bad = _view(rng.integers(0, levels + 1, count) / levels), _labels(rng, count)
        bad[rng.random(count) < rng.random()] = int(rng.integers(2))
        for costs in ((5.0, 1.0), (1.0, 1.0), (0.5, 8.0), (100.0, 250.0), (0.0, 1.0), (1.0, 0.0)):
            expected = reference.best_cutoff(p, bad, *costs)
            _same(solution.best_cutoff(p, bad, *costs), expected, ("cutoff", "cost"), "best_cutoff", help)


@pytest.mark.value
def test_scorecard(solution, reference, rng):
    """Encoded, trained on balanced weights, corrected, cut: probabilities of all rows, with a hidden layer and without"""
    help = "bads weigh goods / bads; from 1/2 to the share of bads in training; rounded; a cut-off from validation rows"
    for place, size in enumerate((*2 * TABLES, LARGE)):
        given = (*_table(rng, size), (3, 0, 1)[place % 3])
        _same(solution.scorecard(*given), reference.scorecard(*given), CARD, "scorecard", help, tol=1e-8)


@pytest.mark.behaviour
def test_labels_that_must_not_matter(solution, reference, rng):
    """Test rows change nothing but their own probabilities, and labels of validation rows the cut-off alone"""
    help = "which rows, and whose labels, does each line see?"
    for size in (TABLES[0], TABLES[2], (300, 140, 60, [4, 0, 9])):
        applicants, answers, bad, *rows = _table(rng, size)
        seen, moved, flipped, strange = np.concatenate(rows), applicants.copy(), bad.copy(), 1 - bad
        unseen = np.setdiff1d(np.arange(len(bad)), seen)
        moved[unseen] = moved[rows[0][0]] * np.where(np.array(answers) == 0, 1e3, 1)
        flipped[unseen], strange[rows[0]] = 1 - bad[unseen], bad[rows[0]]
        probability, cutoff = reference.scorecard(applicants, answers, bad, *rows)
        x = reference.encode(applicants, answers, bad, rows[0])
        for table, labels in ((applicants, flipped), (moved, bad), (moved, flipped)):
            got = assert_parts(solution.scorecard(table, answers, labels, *rows), CARD, name="scorecard")
            _same((got[0][seen], got[1]), (probability[seen], cutoff), CARD, "scorecard", help, tol=1e-8)
            got = solution.encode(table, answers, labels, rows[0])[seen]
            assert_close(got, x[seen], tol=TOL, name=text("x of rows that are no test rows"), help=help)
        expected = probability, reference.scorecard(applicants, answers, strange, *rows)[1]
        _same(solution.scorecard(applicants, answers, strange, *rows), expected, CARD, "scorecard", help, tol=1e-8)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments stay as they were, and the order of applicants does not matter"""
    for size in SIZES[:5]:
        neuron, table, p, bins = _neuron(rng, size), _table(rng, TABLES[0]), rng.random(20), rng.integers(0, 4, 20)
        bad = _labels(rng, 20)
        for name, once, again in (
            ("weight_of_evidence", (bins, bad, 4, 1.0), (bins[::-1], bad[::-1], 4, 1.0)),
            ("ks_and_gini", (p, bad), (p[::-1], bad[::-1])),
            ("calibration_error", (p, bad, 5), (p[::-1], bad[::-1], 5)),
            ("best_cutoff", (p, bad, 5.0, 1.0), (p[::-1], bad[::-1], 5.0, 1.0)),
            ("correct_prior", (p, 0.5, 0.2), (p, 0.5, 0.2)),
            ("neuron_loss", neuron, neuron),
            ("encode", table[:4], table[:4]),
            ("scorecard", table, table),
        ):
            both = [getattr(solution, name)(*each) for each in (once, again)]
            for one, other in zip(*(each if isinstance(each, tuple) else (each,) for each in both), strict=True):
                assert_close(other, one, tol=TOL, name=text("{name}, of the same applicants again", name=name))
        params, _ = solution.train(neuron[0], *neuron[3:], hidden=2, steps=2)
        first, again = (solution.predict(neuron[0], params) for _ in range(2))
        assert_close(again, first, tol=TOL, name=text("p of the same applicants again"))
    assert_unchanged(mutated)


@pytest.mark.convergence
def test_german_credit(solution, rng, record):
    """On a thousand real credits your 20 % means about 20 %"""
    rows = []
    for _ in range(6):
        training, validation, test = np.split(rng.permutation(len(BAD)), [500, 700])
        for hidden in (8, 0):
            card = solution.scorecard(CREDITS, COUNTS, BAD, training, validation, hidden)
            p, bad = card[0][test], BAD[test]
            costs = [float(np.mean(np.where(p < cutoff, 5 * bad, 1 - bad))) for cutoff in (card[1], 1 / 6, 0)]
            rows.append((*solution.ks_and_gini(p, bad), _error(p, bad, 5), *costs))
    layer, neuron = np.array(rows, dtype=np.float64).reshape(6, 2, -1).mean(axis=0)
    lines = [f"{units}: {np.array2string(mean, precision=3)}" for units, mean in ((0, neuron), (8, layer))]
    name = "hidden units, then of six splits KS, Gini, calibration error, cost at your cut-off, at 1/6, with everyone refused"
    record.text(name, "\n".join(lines))
    levels = np.linspace(0, 1, 51)
    below = [float(np.mean(p[bad == 0] < level) - np.mean(p[bad == 1] < level)) for level in levels]
    record.curve("goods below each probability minus bads below it: the peak is KS", below)
    spent = [float(np.mean(np.where(p < level, 5 * bad, 1 - bad))) for level in levels]
    record.curve("cost per applicant at each cut-off, beside that of refusing everyone", spent, baseline=spent[0])
    rates = calibration_curve(bad, p, n_bins=5)[0].tolist()
    record.curve("share of bads, from the lowest fifth of probabilities to the highest", rates)
    help = "did the prior come back after the weights?"
    assert_beats(neuron[2], BAR, name=text("the calibration error"), higher=False, help=help)
