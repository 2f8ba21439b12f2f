"""The suite of kata 28: a loss beside torch's, curves beside scikit-learn's, and real masses of which few are malignant."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from grader.checks import (
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_parts,
    assert_raises,
    assert_that,
    assert_trajectory,
    assert_unchanged,
    descend,
    normal,
    normal_array,
    text,
)

DATA = json.loads(Path(__file__).with_name("breast_masses.json").read_text(encoding="utf-8"))
TOL = 1e-10
PARTS, REPORT = ("train", "validation", "test"), ("scores", "cutoff", "sensitivity", "specificity")
FOCUS = [(2.0, 0.25), (0.0, 0.6), (0.5, 0.9), (1.0, 1.0), (5.0, 0.0), (3.5, 0.75)]  # gamma, alpha
SIZES = (7, 1, 70, 2, 1103, 5003)
# Rows, how far scores are spread, where they are; they are rounded, so that many tie.
SCORED = 2 * (
    (9, 1.0, 0.0),
    (2, 3.0, -2.0),
    (70, 10.0, 2.0**27),
    (1103, 1.0, -300.0),
    (5003, 1000.0, 7.0),
    (30, 0.1, 0.0),
)
# Patients, visits of each at most, resamples, level.
DRAWN = 2 * [(9, 3, 40, 0.9), (60, 1, 60, 0.5), (2, 4, 60, 0.95), (12, 2, 1, 0.99), (30, 2, 12, 0.7)]
DRAWN += [(2600, 3, 2, 0.8), (40, 3, 1200, 0.95)]
# Rows, features, hidden units, specificity, gamma, alpha, steps, learning rate, how far x is from zero.
SCREENED = [
    (40, 3, 4, 0.8, 2.0, 0.25, 12, 0.05, 0.0),
    (64, 1, 2, 0.0, 0.0, 0.5, 12, 0.02, 500.0),
    (1201, 2, 3, 0.77, 0.5, 0.9, 3, 0.1, -60.0),
    (50, 4, 1, 0.85, 2.0, 1.0, 1, 0.05, 7.0),
    (44, 2, 5, 0.6, 3.0, 0.0, 15, 0.0, 0.0),
    (40, 3, 4, 0.8, 1.0, 0.3, 2, 0.05, 2.0),
]
COHORTS, ILL, VISITS, NOISE, HIDDEN, STEPS, RATE, KEPT = 8, 24, 3, 0.05, 6, 60, 0.05, 0.9
BAR = 0.84  # mean of sensitivity and specificity: right ones have 0.90 on average, a cut-off at chance one half 0.79


def _weight(labels, alpha, dtype):
    return torch.tensor([1 - alpha, alpha], dtype=dtype)[labels]


def _loss(logits, labels, gamma, alpha):
    """By torch's cross-entropy of each row: what is left of p = exp(-cross-entropy) is the focus."""
    each = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
    return (_weight(labels, alpha, logits.dtype) * (-torch.expm1(-each)) ** gamma * each).mean()


def _slope(logits, labels, gamma, alpha):
    """torch's own gradient of the loss above."""
    with torch.enable_grad():
        leaf = logits.detach().clone().requires_grad_()
        return torch.autograd.grad(_loss(leaf, labels, gamma, alpha), leaf)[0]


def _logits(rng, count):
    """Logits and labels; with more than one row the last is the first again."""
    logits, labels = 3 * normal(rng, count), torch.from_numpy(rng.integers(0, 2, count))
    logits[-1], labels[-1] = logits[0], labels[0]
    return {"logits": logits, "labels": labels}


def _far(rng, count, alpha, dtype):
    """Logits in the hundreds and the labels; then loss and gradient, whatever gamma is: wrong rows have all, right ones none."""
    logits = torch.from_numpy(rng.choice([-1.0, 1.0], count) * rng.uniform(110, 900, count)).to(dtype)
    labels = torch.from_numpy(rng.integers(0, 2, count))
    weight, wrong = _weight(labels, alpha, dtype), (logits > 0) != (labels == 1)
    return logits, labels, (weight * wrong * logits.abs()).mean(), weight * wrong * logits.sign() / count


def _view(rows):
    """The same numbers as every second row, from the last to the first, of a larger array."""
    wide = np.zeros((2 * len(rows), *rows.shape[1:]), rows.dtype)
    wide[1::2] = rows[::-1]
    return wide[::-2]


def _scored(rng, count, spread, middle):
    """Labels, of which few are ill, and scores that are larger for them on the whole; many are equal."""
    labels = (rng.random(count) < 0.2).astype(np.int64)
    labels[rng.permutation(count)[:2]] = 0, 1
    return labels, middle + spread * np.round(rng.normal(size=count) + labels, 1)


def _cutoff(labels, scores, specificity):
    """By scikit-learn's curve: the last of its points that keeps the specificity."""
    false, _, cutoffs = metrics.roc_curve(labels, scores, drop_intermediate=False)
    return float(cutoffs[1 - false >= specificity - 1e-12][-1])


def _visits(rng, patients, most):
    """Rows of patients in any order: labels, the same for all visits of a patient, and the patients' numbers."""
    place = rng.permutation(np.repeat(np.arange(patients), rng.integers(1, most + 1, patients)))
    ill = rng.permutation(np.arange(patients) < max(1, patients // 8)).astype(np.int64)
    return ill[place], (2**40 * np.cumsum(rng.integers(1, 9, patients)) - 2**50)[place]


def _interval(labels, scores, patients, resamples, seed, level):
    """Without a single resample: every pair counts as often as both its patients were drawn. None where none has an AUC."""
    names, place = np.unique(patients, return_inverse=True)
    draws = np.random.default_rng(seed).integers(0, len(names), (resamples, len(names)))
    times = np.stack([np.bincount(draw, minlength=len(names)) for draw in draws])[:, place]
    ill, healthy, above = (
        times[:, labels == 1],
        times[:, labels == 0],
        scores[labels == 1][:, None] - scores[labels == 0],
    )
    pairs = ill.sum(1) * healthy.sum(1)
    found = (ill @ (np.sign(above) / 2 + 0.5) * healthy).sum(1)[pairs > 0] / pairs[pairs > 0]
    return [float(np.quantile(found, share)) for share in ((1 - level) / 2, (1 + level) / 2)] if found.size else None


def _problem(rng, rows, features, hidden, middle=0.0):
    """Weights, x, labels, and parts that leave some rows out; some training rows are there twice."""
    shapes = {(features, hidden): features**-0.5, (hidden,): 0.5, (hidden, 1): hidden**-0.5, (): 0.3}
    into, bias, out, offset = (size * normal(rng, *shape) for shape, size in shapes.items())
    x, labels = middle + normal_array(rng, rows, features), np.arange(rows) % 4 // 3
    x[:, 0] += labels
    order = rng.permutation(rows // 4)[:, None] * 4 + np.arange(4)  # each block of four has one who is ill
    half, quarter = len(order) // 2, len(order) // 4
    parts = order[:half].ravel(), order[half : half + quarter].ravel(), order[half + quarter : -1].ravel()
    x[parts[0][4:8]] = x[parts[0][:4]]
    return [into, bias, out[:, 0], offset + max(0.0, middle / 5)], x, labels, parts


def _screened(weights, x, labels, parts, specificity, gamma, alpha, steps, rate):
    """By scikit-learn's scaler and curve, and by autograd: scores, cut-off, both rates; and the losses."""
    train, validation, test = parts
    scaled = torch.from_numpy(StandardScaler().fit(x[train]).transform(x))
    into, bias, out, offset = trained = [weight.clone().requires_grad_() for weight in weights]
    score = lambda rows: torch.addmv(offset, torch.addmm(bias, rows, into).tanh(), out)  # noqa: E731
    given = torch.from_numpy(labels[train]), gamma, alpha
    losses = descend((_loss(score(scaled[train]), *given) for _ in range(steps)), torch.optim.Adam(trained, lr=rate))
    scores = score(scaled).detach().numpy()
    cutoff = _cutoff(labels[validation], scores[validation], specificity)
    ill, called = labels[test] == 1, scores[test] >= cutoff
    return [scores, cutoff, float(called[ill].mean()), float(1 - called[~ill].mean())], losses


def _compare(result, names, expected, whose, help, tol=TOL):
    """The parts of a result, by number, and of whom they are."""
    parts = assert_parts(result, names, name=whose)
    for name, got, want in zip(names, parts, expected, strict=True):
        assert_close(got, want, tol=tol, name=text("{part} of {whose}", part=name, whose=whose), help=help)
    return parts


@pytest.mark.value
def test_focal_loss(solution, rng):
    """The loss is the weighted, focused cross-entropy of each row, and their mean"""
    help = "p is the chance of the true label: (1 - p)^gamma, alpha for the ill and 1 - alpha for the healthy; over N"
    for count, (gamma, alpha) in itertools.product(SIZES, FOCUS):
        inputs = _logits(rng, count) | {"gamma": gamma, "alpha": alpha}
        name = text("loss of {count} rows, gamma {gamma}, alpha {alpha}", count=count, gamma=gamma, alpha=alpha)
        assert_agrees(solution.focal_loss, _loss, inputs, rng, gradients=False, tol=TOL, name=name, help=help)


@pytest.mark.gradient
def test_focal_gradient(solution, rng):
    """The formula's gradient is that of autograd, and at gamma 0 that of weighted cross-entropy"""
    help = "the slope of (1 - p)^gamma and that of log p, each times the other; then the sign, the weight, 1 / N"
    for count, (gamma, alpha) in itertools.product(SIZES, FOCUS):
        inputs = _logits(rng, count) | {"gamma": gamma, "alpha": alpha}
        name = text("gradient of {count} rows, gamma {gamma}, alpha {alpha}", count=count, gamma=gamma, alpha=alpha)
        assert_agrees(solution.focal_gradient, _slope, inputs, rng, gradients=False, tol=TOL, name=name, help=help)
    logits, labels = _logits(rng, 50).values()
    plain, found = (torch.sigmoid(logits) - labels) / 100, solution.focal_gradient(logits, labels, 0.0, 0.5)
    assert_close(found, plain, tol=TOL, name=text("gradient at gamma 0 and alpha one half"))


@pytest.mark.value
def test_far_logits(solution, rng):
    """Logits in the hundreds have the right loss and gradient, in float32 too"""
    help = "log(sigmoid(-800)) is log(0), and 0 to a negative power is infinite: stay with logarithms"
    floats = (torch.float64, TOL), (torch.float32, 1e-5)
    for (dtype, tol), (gamma, alpha), count in itertools.product(floats, FOCUS, (9, 1, 400)):
        logits, labels, loss, slope = _far(rng, count, alpha, dtype)
        for function, wanted in ((solution.focal_loss, loss), (solution.focal_gradient, slope)):
            name = text("{function} of far logits, gamma {gamma}", function=function.__name__, gamma=gamma)
            assert_close(function(logits, labels, gamma, alpha), wanted, tol=tol, name=name, help=help)


@pytest.mark.value
def test_roc_curve(solution, rng):
    """The curve is scikit-learn's, with every tie in one step and both corners"""
    help = "equal scores are one step; the first point is (0, 0) and has no cut-off; shares of the healthy, of the ill"
    for case in SCORED:
        labels, scores = _scored(rng, *case)
        false, true, cutoffs = metrics.roc_curve(labels, scores, drop_intermediate=False)
        curve = solution.roc_curve(_view(labels), _view(scores))
        _compare(curve, ("false_rate", "true_rate", "cutoffs"), (false, true, cutoffs[1:]), "roc_curve", help)


@pytest.mark.value
def test_auc(solution, rng):
    """The AUC is the share of pairs in the right order, a tie one half"""
    for labels, scores, expected, said in (
        ([1, 0], [2.0, 1.0], 1.0, text("one pair in order")),
        ([1, 0], [1.0, 2.0], 0.0, text("one pair out of order")),
        ([0, 1, 0, 1, 0], [5.0] * 5, 0.5, text("equal scores")),
        ([1, 0, 0, 1], [3.0, 3.0, 1.0, 0.0], 0.375, text("one tie, one right, two wrong")),
    ):
        found = solution.auc(np.array(labels), np.array(scores))
        assert_close(found, expected, tol=TOL, name=text("auc of {said}", said=said))
    for case in SCORED:
        labels, scores = _scored(rng, *case)
        expected = float(metrics.roc_auc_score(labels, scores))
        assert_close(
            solution.auc(_view(labels), _view(scores)), expected, tol=TOL, name="auc", help="ties count one half"
        )


@pytest.mark.value
def test_choose_cutoff(solution, rng):
    """The cut-off is the smallest score that keeps the specificity, at ties and at the border too"""
    for labels, scores, specificity, expected, said in (
        ([0, 0, 0, 0, 1], [1.0, 2.0, 3.0, 4.0, 3.5], 0.75, 3.5, text("a score of the ill one")),
        ([0, 0, 0, 0, 1], [1.0, 2.0, 3.0, 4.0, 9.0], 0.75, 4.0, text("a score of a healthy one")),
        ([0, 0, 0, 0, 1], [1.0, 2.0, 2.0, 2.0, 0.0], 0.5, math.inf, text("a tie of three that would all be called")),
        ([0, 0, 1], [-700.0, 800.0, 800.0], 1.0, math.inf, text("nobody may be called")),
        ([0, 1, 1], [40.0, 50.0, 60.0], 1.0, 50.0, text("no false alarm, both found")),
        ([0, 1, 1], [40.0, 50.0, 30.0], 0.0, 30.0, text("no specificity to keep")),
    ):
        found = solution.choose_cutoff(np.array(labels), np.array(scores), specificity)
        claim = "the cut-off is {found} where it should be {expected}: {said}"
        close = found == expected or (math.isfinite(expected) and math.isclose(found, expected, rel_tol=TOL))
        assert_that(close, claim, found=float(found), expected=expected, said=said)
    help = "of the healthy at least this share must score below the cut-off, not at it"
    for case, specificity in itertools.product(SCORED, (float(rng.uniform(0.3, 0.99)), 0.0, 0.913)):
        labels, scores = _scored(rng, *case)
        scores[rng.choice(np.flatnonzero(labels == 1))] = scores.max() + 1  # so that some score keeps it
        found, name = (
            solution.choose_cutoff(_view(labels), _view(scores), specificity),
            text("cut-off that keeps {share}", share=specificity),
        )
        assert_close(found, _cutoff(labels, scores, specificity), tol=1e-12, name=name, help=help)


@pytest.mark.value
def test_rates_at(solution, rng):
    """Sensitivity is of the ill, specificity of the healthy, and who scores the cut-off is called"""
    help = "divide by the ill, by the healthy; called is whose score is the cut-off or more"
    for case in SCORED:
        labels, scores = _scored(rng, *case)
        for cutoff in (float(rng.choice(scores)), 0.0, math.inf):
            (spared, alarms), (missed, found) = metrics.confusion_matrix(
                labels, scores >= cutoff, labels=[0, 1]
            ).tolist()
            expected = found / (missed + found), spared / (spared + alarms)
            rates = solution.rates_at(_view(labels), _view(scores), cutoff)
            _compare(rates, ("sensitivity", "specificity"), expected, text("cut-off {cutoff}", cutoff=cutoff), help)


@pytest.mark.value
def test_split_patients(solution, reference, rng):
    """No patient is in two parts, every row is in one, and the ill are shared out as the healthy are"""
    help = "ill if any row is; n // 2, n // 4 and the rest of the ill, and of the healthy, by their uniforms"
    for patients, most in 2 * ((9, 3), (1, 1), (80, 4), (2, 2), (21, 5), (7, 1)) + ((1300, 1), (5003, 1)):
        labels, names = _visits(rng, patients, most)
        labels[rng.random(len(labels)) < 0.2] = 0  # an ill patient may have visits without a finding
        given = _view(labels), _view(names), _view(rng.random(patients))
        whose, expected = text("{patients} patients", patients=patients), reference.split_patients(*given)
        parts = _compare(solution.split_patients(*given), PARTS, expected, whose, help)
        for one, other in itertools.combinations(range(3), 2):
            both = np.intersect1d(names[parts[one]], names[parts[other]])
            claim = "{count} patients are in {one} and in {other}: the network knows them already"
            assert_that(not len(both), claim, count=len(both), one=PARTS[one], other=PARTS[other])


@pytest.mark.value
def test_bootstrap_interval(solution, rng):
    """Patients are drawn as stated, bring all their rows, and a draw without an AUC is left out"""
    help = "draw patients, not rows; who is drawn twice counts twice; quantiles of the AUCs that are left"
    for patients, most, resamples, level in DRAWN:
        labels, names = _visits(rng, patients, most)
        scores, seed = np.round(rng.normal(size=len(labels)) + labels, 1) * 40 + 2.0**27, patients
        while (expected := _interval(labels, scores, names, resamples, seed, level)) is None:
            seed += 1
        ends = solution.bootstrap_interval(_view(labels), _view(scores), _view(names), resamples, seed, level)
        whose = text("{resamples} resamples of {patients} patients", resamples=resamples, patients=patients)
        _compare(ends, ("low", "high"), expected, whose, help)
    two = np.array([0, 1]), np.array([0.3, 0.2]), np.array([5, 4])
    seed = next(each for each in range(99) if _interval(*two, 1, each, 0.9) is None)
    assert_raises(ValueError, solution.bootstrap_interval, *two, 1, seed, 0.9)


@pytest.mark.value
def test_screen(solution, rng):
    """The training's scaler and network, the validation's cut-off, and the rates of the test"""
    help = "mean and np.std of the training rows; fit on them alone; cut-off of the validation rows; rates of the test"
    for rows, features, hidden, *settings, middle in 2 * SCREENED:
        weights, x, labels, parts = given = _problem(rng, rows, features, hidden, middle)
        expected, losses = _screened(*given, *settings)
        result = solution.screen([*map(as_view, weights)], _view(x), _view(labels), parts, *settings)
        _compare(result, REPORT, expected, "screen", help, tol=1e-6)
        scaled = torch.from_numpy(StandardScaler().fit_transform(x[parts[0]]))
        trained, found = solution.fit(weights, scaled, torch.from_numpy(labels[parts[0]]), *settings[1:])
        assert_trajectory(
            found, losses, name=text("loss of fit"), help="fit is given: its loss is yours, and so its steps"
        )
        score = solution.network(trained, scaled).numpy()
        assert_close(score, expected[0][parts[0]], tol=1e-6, name=text("logits of the fitted network"))


@pytest.mark.behaviour
def test_nothing_leaks(solution, rng):
    """Test rows and test labels change neither a score nor the cut-off, and validation rows change no score"""
    for rows, features, hidden, *settings, middle in SCREENED[:3]:
        weights, x, labels, parts = _problem(rng, rows, features, hidden, middle)
        (scores, cutoff, *_), _ = _screened(weights, x, labels, parts, *settings)
        for part, what in itertools.product((1, 2), ("x", "labels")):
            turned = {"x": x.copy(), "labels": labels.copy()}
            turned[what][parts[part]] = 3 * x[parts[part]][::-1] + 1 if what == "x" else 1 - labels[parts[part]]
            result = solution.screen(weights, *turned.values(), parts, *settings)
            after, others = assert_parts(result, REPORT, name="screen"), np.arange(rows)
            others = np.setdiff1d(others, parts[part]) if what == "x" else others
            said = {"what": what, "part": PARTS[part]}
            name = text("scores of other rows, once {what} of {part} rows is another", **said)
            assert_close(after[0][others], scores[others], tol=1e-6, name=name, help="what has fit been given?")
            if part == 2:
                name = text("cut-off, once {what} of {part} rows is another", **said)
                assert_close(after[1], cutoff, tol=1e-6, name=name, help="what has choose_cutoff been given?")


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """No call changes its arguments, and the same call gives the same answer again"""
    labels, names = _visits(rng, 30, 3)
    scores, logits = rng.normal(size=len(labels)), _logits(rng, 8)
    given = _problem(rng, 40, 3, 4)
    for name, arguments in {
        "focal_loss": (*logits.values(), 2.0, 0.3),
        "focal_gradient": (*logits.values(), 2.0, 0.3),
        "roc_curve": (labels, scores),
        "auc": (labels, scores),
        "choose_cutoff": (labels, scores, 0.0),
        "rates_at": (labels, scores, 0.2),
        "split_patients": (labels, names, rng.random(30)),
        "bootstrap_interval": (labels, scores, names, 20, 3, 0.9),
        "screen": (*given, *SCREENED[0][3:8]),
    }.items():
        first, again = (getattr(solution, name)(*arguments) for _ in range(2))
        pairs = zip(first, again, strict=True) if isinstance(first, tuple | list) else [(first, again)]
        for one, other in pairs:
            assert_close(other, one, tol=TOL, name=text("{name} of a repeated call", name=name))
    expected = float(metrics.roc_auc_score(labels, scores))
    assert_close(solution.auc(labels, scores), expected, tol=TOL, name=text("auc after all of this"))
    assert_unchanged(mutated)


def _cohort(rng):
    """All whose mass was benign and ILL of the others, each measured one to VISITS times; and then the others, for the test alone."""
    masses, malignant = np.array(DATA["masses"]), np.array(DATA["malignant"])
    times = rng.integers(1, VISITS + 1, len(masses))
    patients = np.repeat(np.arange(len(masses)), times)
    x = masses[patients] * np.exp(NOISE * rng.normal(size=(len(patients), masses.shape[1])))
    spare = np.isin(patients, rng.permutation(np.flatnonzero(malignant))[ILL:])
    order = np.argsort(spare, kind="stable")
    return x[order], malignant[patients][order], patients[order], int((~spare).sum())


@pytest.mark.convergence
def test_a_rare_disease(solution, rng, record):
    """Trained where one in sixteen is ill, the screen finds those whom it has never seen and spares the healthy"""
    reached = []
    for _ in range(COHORTS):
        x, labels, patients, count = _cohort(rng)
        uniforms = rng.random(len(np.unique(patients[:count])))
        train, validation, test = solution.split_patients(labels[:count], patients[:count], uniforms)
        parts = train, validation, np.append(test, np.arange(count, len(x)))
        weights, *_ = _problem(rng, 40, 3, HIDDEN)
        result = solution.screen(weights, x, labels, parts, KEPT, 2.0, 0.25, STEPS, RATE)
        scores, cutoff, *rates = assert_parts(result, REPORT, name="screen")
        reached.append(rates)
    tested, found = labels[parts[2]], scores[parts[2]]
    false, true, _ = assert_parts(
        solution.roc_curve(tested, found), ("false_rate", "true_rate", "cutoffs"), name="roc_curve"
    )
    record.curve(
        "Test: share of the ill found, by share of the healthy called, 0 to 1",
        np.interp(np.linspace(0, 1, 51), false, true),
        0.5,
    )
    counts = [[int(((tested == true) & ((found >= cutoff) == said)).sum()) for said in (0, 1)] for true in (0, 1)]
    record.matrix("Test rows: truth down, called across, 0 healthy and 1 ill", counts, ["0", "1"])
    low, high = solution.bootstrap_interval(tested, found, patients[parts[2]], 200, 0, 0.95)
    shares = {one_in: rates[0] / (rates[0] + (one_in - 1) * (1 - rates[1])) for one_in in (3, 16, 200)}
    lines = [f"{solution.auc(tested, found):.3f}  ({low:.3f}, {high:.3f})"]
    lines += [f"1 : {one_in}  {100 * share:.0f} %" for one_in, share in shares.items()]
    record.text("AUC and its interval; where so many are ill, the share of those called who are", "\n".join(lines))
    name = text("mean of sensitivity and specificity on the test rows")
    assert_beats(float(np.mean(reached)), BAR, name=name, help="which cut-off calls the rare ill?")
