"""The suite of kata 08: two scores beside scikit-learn's, and a trial of two spaces on digits that were held out."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import nn

from grader.checks import (
    assert_agrees,
    assert_beats,
    assert_close,
    assert_drawn,
    assert_shape,
    assert_state,
    assert_that,
    assert_trained,
    assert_unchanged,
    layer_laws,
    load_state,
    normal,
    state_of,
    text,
)

# Rows, numbers in a raw row, hidden units, numbers in a code; all four differ within a case.
SIZES = [(4, 9, 6, 3), (1, 7, 5, 2), (3, 11, 8, 5), (6, 8, 10, 4), (1201, 6, 5, 2)]
FAR = 60.0  # times what is near: codes and rebuilt rows in the hundreds
TOL = 1e-9
SCORE_TOL = 1e-4  # float32 on the way to a score is no mistake
HELD_OUT, CODE, HIDDEN, SEEDS = 397, 4, 64, 6
STEPS, BATCH, LEARNING_RATE = 200, 128, 0.03
BAR = 0.5  # mutual information: right ones reach 0.71 with codes of 4 numbers, an untrained encoder 0.34


def _groupings(rng):
    """Pairs of groupings, of many sizes and degrees of agreement, with names that no sum or product tells apart."""
    for rows, groups, found, noise, first, step in (
        (30, 3, 4, 0.5, 0, 10),
        (7, 2, 5, 0.5, 2**60, 1),  # as floats, neighbours are the same number
        (200, 10, 6, 0.1, -2, 1),
        (12, 6, 2, 0.9, -100, 100),
        (50, 4, 4, 1, -2000, 1000),
        (5001, 7, 9, 0.4, 3, 1),
    ):
        truth = rng.integers(0, groups, rows)
        clusters = np.where(rng.random(rows) < noise, rng.integers(0, found, rows), truth % found)
        yield torch.from_numpy(truth - 1), torch.from_numpy(first + step * rng.permutation(found)[clusters])


def _score(solution, name, labels, clusters):
    """One of the learner's two scores."""
    value = getattr(solution, name)(labels, clusters)
    kind = type(value).__name__
    assert_that(isinstance(value, float), "{name} must return a Python float, not {kind}", name=name, kind=kind)
    return value


def _shapes(raw, hidden, code):
    sizes = {"look": (hidden, raw), "squeeze": (code, hidden), "unfold": (hidden, code), "paint": (raw, hidden)}
    return {f"{name}.weight": size for name, size in sizes.items()} | {f"{k}.bias": v[:1] for k, v in sizes.items()}


def _make(solution, *sizes, dtype=torch.float32):
    """The learner's new model, found to hold the eight tensors that the statement names."""
    return assert_state(solution.Autoencoder(*sizes, dtype=dtype), _shapes(*sizes), dtype=dtype, name="Autoencoder")


def _pair(solution, rng, sizes, scale=1.0):
    """The learner's model in float64 and an oracle of four layers, with the same given weights."""
    shapes = _shapes(*sizes)
    weights = {name: scale * normal(rng, *size) / size[-1] ** 0.5 for name, size in shapes.items()}
    layers = {name.split(".")[0]: shape[::-1] for name, shape in shapes.items() if len(shape) > 1}
    oracle = nn.ModuleDict({name: nn.Linear(*shape, dtype=torch.float64) for name, shape in layers.items()})
    return load_state(_make(solution, *sizes, dtype=torch.float64), weights), load_state(oracle, weights)


def _encode(oracle, x):
    return oracle["squeeze"](torch.tanh(oracle["look"](x)))


def _forward(oracle, x):
    return oracle["paint"](torch.tanh(oracle["unfold"](_encode(oracle, x))))


def _steps(oracle, adam, rows, batches, rates):
    """The oracle's loss at each step, for which Adam is given the step's rate."""
    for chosen, rate in zip(batches, rates, strict=True):
        adam.param_groups[0]["lr"] = rate
        yield (_forward(oracle, rows[chosen]) - rows[chosen]).square().sum() / len(chosen)


def _compare(solution, rng, *, gradients):
    """The learner's networks against the oracle's, near zero and far from it; a thousand rows in values alone."""
    help = "linear, tanh, linear, twice; nothing follows the code or the output, and nothing cuts the graph"
    for count, *sizes in SIZES[: -1 if gradients else None]:
        for scale in (1.0, FAR):
            model, oracle = _pair(solution, rng, sizes, scale)
            inputs, names = {"x": scale * normal(rng, count, sizes[0])}, list(_shapes(*sizes))
            more = {"modules": (model, oracle), "parameters": names, "gradients": gradients, "tol": TOL, "help": help}
            encode, forward = partial(_encode, oracle), partial(_forward, oracle)
            assert_agrees(model.encode, encode, inputs, rng, name=text("the codes"), **more)
            assert_agrees(model, forward, inputs, rng, name=text("the rebuilt rows"), **more)


def _blobs(rng, count, size, groups=4):
    """Rows around so many centres, and the centre of each; an average row is far from zero. Never contiguous."""
    centres = 4 * rng.normal(size=(groups, size)) + 3
    labels = rng.permutation(np.arange(count) % groups)
    rows = centres[labels] + rng.normal(size=(count, size))
    return torch.from_numpy(np.asfortranarray(rows)), torch.from_numpy(labels)


def _found(training, held_out, clusters, seed):
    """What scikit-learn's k-means says."""
    training, held_out = (np.ascontiguousarray(rows.numpy()) for rows in (training, held_out))
    return KMeans(clusters, n_init=1, random_state=seed).fit(training).predict(held_out)


def _clusters(solution, training, held_out, clusters, seed):
    found = solution.cluster_held_out(training, held_out, clusters, seed)
    help = "one cluster for each held-out row"
    assert_shape(found, (len(held_out),), dtype=torch.int64, name=text("the clusters"), help=help)
    assert found.min() >= 0 and found.max() < clusters, "clusters are numbered from 0 to clusters - 1"
    return found


@pytest.mark.shape
def test_shapes(solution, rng):
    """Codes, rebuilt rows, clusters and scores have the stated shapes and dtypes"""
    for index, (count, raw, hidden, code) in enumerate(SIZES):
        dtype = (torch.float32, torch.float64)[index % 2]
        model, x = _make(solution, raw, hidden, code, dtype=dtype), normal(rng, count, raw).to(dtype)
        assert_shape(model.encode(x), (count, code), dtype=dtype, name=text("the codes"))
        assert_shape(model(x), (count, raw), dtype=dtype, name=text("the rebuilt rows"))
        assert (model(x) != model(x + 1)).any(), "two different rows are rebuilt in the same way"
        training = normal(rng, 12, raw).to(dtype)
        _clusters(solution, training.double(), x.double(), 3, index)
        scores = solution.compare(model, training, x.repeat(2, 1), torch.arange(2 * count) % 2, 3, [1, 2, 5])
        both = isinstance(scores, dict) and set(scores) == {"raw", "latent"}
        assert both, 'compare returns {"raw": ..., "latent": ...}'
        for name, value in scores.items():
            help = "a row for each seed, with the adjusted Rand index and the normalised mutual information"
            assert_shape(value, (3, 2), dtype=torch.float64, name=name, help=help)
            assert not value.requires_grad, "scores carry no graph"
    losses = model.fit(training, torch.zeros(3, 2, dtype=torch.int64), [0.01, 0.02, 0.01])
    assert isinstance(losses, list) and len(losses) == 3, "fit must return a list with one loss per step"
    assert all(isinstance(loss, float) for loss in losses), "fit must return Python floats, not tensors"


@pytest.mark.value
def test_adjusted_rand_index(solution, rng):
    """The index is scikit-learn's, whatever the groups are called and however many there are"""
    score = partial(_score, solution, "adjusted_rand_index")
    for labels, clusters in _groupings(rng):
        expected = adjusted_rand_score(labels, clusters)
        help = "pairs of each group, cluster and cell, named by any numbers; luck A B / pairs(N), most (A + B) / 2"
        assert_close(score(labels, clusters), expected, tol=SCORE_TOL, name="adjusted_rand_index", help=help)
    many = torch.from_numpy(rng.random(100_000) < 0.2).long()  # one group in five: A and B above 3e9 each
    other = torch.where(torch.from_numpy(rng.random(100_000) < 0.1), 1 - many, many)
    help = "right for few rows: A times B is beyond 2^63 here, so multiply in floating point"
    expected, name = adjusted_rand_score(many, other), text("adjusted_rand_index of 100,000 rows")
    assert_close(score(many, other), expected, tol=SCORE_TOL, name=name, help=help)
    alone, together = torch.arange(6), torch.zeros(6, dtype=torch.int64)
    for rows in (6, 2):
        for first, second, expected in ((alone, alone + 9, 1.0), (together, together + 3, 1.0), (alone, together, 0.0)):
            name = text("adjusted_rand_index of trivial groupings")
            found = score(first[:rows], second[:rows])
            assert_close(found, expected, tol=SCORE_TOL, name=name, help="0 / 0 is 1 here")


@pytest.mark.value
def test_normalised_mutual_information(solution, rng):
    """The shared information is scikit-learn's, also where a grouping says nothing"""
    score = partial(_score, solution, "normalised_mutual_information")
    for labels, clusters in _groupings(rng):
        expected = normalized_mutual_info_score(labels, clusters)
        help = "entropies of labels, clusters and pairs of them, named by any numbers; over the mean of the first two"
        found = score(labels, clusters)
        assert_close(found, expected, tol=SCORE_TOL, name="normalised_mutual_information", help=help)
    one, two, crossed = torch.zeros(4, dtype=torch.int64), torch.tensor([0, 0, 5, 5]), torch.tensor([0, 5, 0, 5])
    same = (one, one + 2), (one[:1], two[3:]), (two, 5 - two)
    nothing = (one, two), (two, one), (two, crossed)
    for pairs, expected in ((same, 1.0), (nothing, 0.0)):
        for first, second in pairs:
            found = score(first, second)
            assert_that(
                abs(found - expected) < 1e-9,
                "normalised_mutual_information of trivial groupings: {expected} is right, yours is {found:.6g}",
                expected=expected,
                found=found,
            )


@pytest.mark.behaviour
def test_luck_and_names(solution, rng):
    """Clusters drawn at random score nothing on average, and new names for the clusters change no score"""
    luck = []
    for _ in range(30):
        labels, clusters = (torch.from_numpy(rng.integers(0, 10, 120)) for _ in range(2))
        luck.append(_score(solution, "adjusted_rand_index", labels, clusters))
    assert_that(
        abs(np.mean(luck)) < 0.02,
        "random clusters must have an index of 0 on average, found {mean:.3f}",
        mean=float(np.mean(luck)),
        help="is luck taken off above the line?",
    )
    for labels, clusters in list(_groupings(rng))[:-1]:
        names = torch.from_numpy(rng.permutation(2000)) - 900
        number_of_cluster, number_of_label = (group.unique(return_inverse=True)[1] for group in (clusters, labels))
        far = [(number - 5) * 2**60 for number in (number_of_label, number_of_cluster)]  # sums and products run over
        for name in ("adjusted_rand_index", "normalised_mutual_information"):
            score = partial(_score, solution, name)
            expected, same = score(labels, clusters), partial(assert_close, tol=SCORE_TOL)
            help, called = "a cluster's number is a name: cluster 3 has nothing to do with label 3", {"name": name}
            told = text("{name} after the clusters are renamed", **called)
            same(score(labels, names[number_of_cluster]), expected, name=told, help=help)
            help = "labels and clusters are names of any size: no sum or product of two names tells a pair of them"
            same(score(*far), expected, name=text("{name} of names far apart", **called), help=help)
            told = text("{name} with labels and clusters exchanged", **called)
            same(score(clusters, labels), expected, name=told)
            told = text("{name} of the labels themselves under other names", **called)
            same(score(labels, names[number_of_label]), 1.0, name=told)


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights, codes and rebuilt rows are those of the stated network"""
    _compare(solution, rng, gradients=False)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the rows and every parameter"""
    _compare(solution, rng, gradients=True)


@pytest.mark.value
def test_training_steps(solution, rng):
    """From given weights, batches and rates, every loss of fit and the weights at the end are the right ones"""
    help = "from step 1 a sum over D, a mean over rows; from step 2 the step's rate, cleared gradients; later one Adam"
    cases = [(*sizes, 13, 12) for sizes in SIZES[:-1]]  # rows in a batch, D, H, Z, M, steps
    cases += [(2, 5, 4, 3, 1, 1), *2 * [(3, 5, 4, 2, 1300, 2)]]
    for index, (count, *sizes, known, steps) in enumerate(cases):
        model, oracle = _pair(solution, rng, sizes)
        rows, batches = 5 * normal(rng, known, sizes[0]), torch.from_numpy(rng.integers(0, known, (count, steps)).T)
        rates = [float(rate) for rate in rng.uniform(0.02, 0.12, steps)]
        rates[3:4] = [0.0] * (steps > 3)
        model.train(index % 2 > 0)
        losses = model.fit(rows, batches, list(rates))
        adam = torch.optim.Adam(oracle.parameters())
        expected, names = _steps(oracle, adam, rows, batches, rates), list(_shapes(*sizes))
        assert_trained(losses, model, oracle, expected, adam, parameters=names, weights_tol=1e-6, help=help)


@pytest.mark.value
def test_cluster_held_out(solution, rng):
    """Held-out rows are sorted as scikit-learn's k-means sorts them that has seen the training rows and nothing else"""
    # With more clusters than groups, every start ends elsewhere: the best of several is not the one that was asked for.
    many = (150, 2, 15, 60), (120, 3, 12, 50), (140, 4, 14, 40), (110, 2, 11, 30)
    ends = (9, 3, 1, 4), (1, 4, 1, 5), (6, 3, 6, 20), (60, 4, 4, 20), (5001, 3, 4, 30)  # 1, M or D clusters; many rows
    for index, (rows, size, clusters, asked) in enumerate(((60, 3, 4, 30), (25, 5, 3, 1), (40, 4, 2, 7), *many, *ends)):
        training, _ = _blobs(rng, rows, size, min(clusters, 4))
        held_out = normal(rng, asked, size) * 4 + 4
        found = _clusters(solution, training, held_out, clusters, index)
        expected = _found(training, held_out, clusters, index)
        agreement = adjusted_rand_score(expected, found) if asked > 1 else float(found[0] == expected[0])
        seen = {"asked": asked, "clusters": clusters, "agreement": float(agreement)}
        assert_that(
            agreement == 1,
            "held-out rows ({asked}) in {clusters} clusters agree with scikit-learn's by an index of {agreement:.2f}",
            help="fit the training rows with n_init=1 and this seed, then predict the others",
            **seen,
        )


@pytest.mark.value
def test_compare(solution, rng):
    """Each space has a k-means of its own, fitted on its training rows and asked about its own held-out rows"""
    cases = [(6, 7, 3, 80, 4), (4, 9, 4, 80, 4), (9, 5, 2, 80, 4), (3, 5, 2, 1, 1), (5, 6, 2, 1200, 3)]  # D, H, Z, M
    for index, (*sizes, known, clusters) in enumerate(cases + 4 * [(4, 5, 2, 20, 2), (5, 4, 3, 16, 3)]):
        model, oracle = _pair(solution, rng, sizes)
        rows, labels = _blobs(rng, known + 50, sizes[0])
        training, held_out, truth, seeds = rows[50:], rows[:50], labels[:50], [3, 0, 11][: 1 + 2 * (index < 3)]
        model.train(index % 2 > 0)
        scores = solution.compare(model, training, held_out, truth, clusters, list(seeds))
        assert index % 2 or not model.training, "compare leaves a model in training mode that came in evaluation mode"
        with torch.no_grad():
            spaces = {"raw": (training, held_out), "latent": (_encode(oracle, training), _encode(oracle, held_out))}
        for name, space in spaces.items():
            attempts = [_found(*space, clusters, seed) for seed in seeds]
            pairs = [(adjusted_rand_score(truth, a), normalized_mutual_info_score(truth, a)) for a in attempts]
            expected = torch.tensor(pairs, dtype=torch.float64)
            help = text("in the {name} space: fit, predict, then score; seed by seed", name=name)
            assert_shape(scores[name], (len(seeds), 2), dtype=torch.float64, name=name)
            both = text("{name}: adjusted Rand index", name=name), text("{name}: mutual information", name=name)
            for found, want, told in zip(scores[name].T, expected.T, both, strict=True):
                assert_close(found, want, tol=SCORE_TOL, name=told, help=help)
    rows, labels = _blobs(rng, 120, 3)
    rows = (rows + 20_000).float()  # far from zero, where squared distances of float32 have no digits left
    model = _make(solution, 3, 5, 2)
    look = state_of(model, ["look.weight"])["look.weight"]
    load_state(model, {"look.bias": -20_000 * look.sum(1)})  # codes that differ
    scores = solution.compare(model, rows[50:], rows[:50], labels[:50], 4, [7])
    expected = adjusted_rand_score(labels[:50], _found(rows[50:].double(), rows[:50].double(), 4, 7))
    help, name = "k-means is given float64, whatever the model's dtype", text("raw: index of float32 rows")
    assert_close(scores["raw"][0, 0].item(), expected, tol=SCORE_TOL, name=name, help=help)


@pytest.mark.value
def test_winner(solution, rng):
    """A difference counts only beyond twice its standard error, whichever space it favours"""
    help = "is the error that of a difference of means, and S - 1 below the line?"
    for seeds in (2, 3, 5, 8, 20, 5001):
        shape = rng.normal(size=seeds)
        shape = (shape - shape.mean()) / shape.std(ddof=1)  # mean 0, standard deviation 1
        for wide, narrow in ((0.05, 0.02), (0.01, 0.04)):
            error = ((wide**2 + narrow**2) / seeds) ** 0.5
            for times in (-4.0, -2.02, -1.98, -0.5, 0.0, 0.5, 1.98, 2.02, 4.0):
                raw = torch.from_numpy(0.6 + times * error + wide * shape)
                latent = torch.from_numpy(0.6 + narrow * rng.permutation(shape))
                expected = "undecided" if abs(times) < 2 else "raw" if times > 0 else "latent"
                found, ahead = solution.winner(raw, latent), "latent" if times < 0 else "raw"
                seen = {"seeds": seeds, "ahead": ahead, "times": abs(times), "expected": expected, "found": str(found)}
                assert_that(
                    found == expected,
                    "{seeds} seeds, {ahead} ahead by {times:.2f} standard errors: {expected}, not {found}",
                    help=help,
                    **seen,
                )
    for raw, latent, expected in ((0.75, 0.5, "raw"), (0.5, 0.75, "latent"), (0.5, 0.5, "undecided")):
        found = solution.winner(torch.full((4,), raw).double(), torch.full((4,), latent).double())
        seen = {"raw": raw, "latent": latent, "expected": expected, "found": str(found)}
        assert_that(
            found == expected,
            "4 seeds that all score {raw} in the raw space and {latent} in the latent one: {expected}, not {found}",
            help="the standard error is 0 here",
            **seen,
        )


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and the model stay as they were, and a trial repeated with the same seeds has the same scores"""
    model, _ = _pair(solution, rng, (6, 5, 2))
    before, (rows, labels) = state_of(model, _shapes(6, 5, 2)), _blobs(rng, 90, 6)
    first, again = (solution.compare(model, rows[30:], rows[:30], labels[:30], 4, [4, 7]) for _ in range(2))
    for name, value in first.items():
        told = text("{name}, when the trial is repeated", name=name)
        assert_close(again[name], value, tol=TOL, name=told, help="use the given seeds")
    solution.cluster_held_out(rows[30:], rows[:30], 4, 1)
    solution.adjusted_rand_index(labels, labels.flip(0))
    solution.normalised_mutual_information(labels, labels.flip(0))
    solution.winner(first["raw"][:, 0], first["latent"][:, 0])
    model.encode(rows)
    model(rows)
    for name, value in state_of(model, before).items():
        assert_that(torch.equal(value, before[name]), "{name} has changed, and there was no training", name=name)
    alone = [_clusters(solution, rows[30:], rows[n : n + 1], 4, 1).item() for n in range(5)]
    together = _clusters(solution, rows[30:], rows[:5], 4, 1).tolist()
    assert alone == together, "a held-out row is sorted otherwise when it is alone: k-means must not see held-out rows"
    model.fit(rows, torch.zeros(2, 3, dtype=torch.int64), [0.01, 0.01])
    assert_unchanged(mutated)
    laws, help = layer_laws(_shapes(40, 30, 20)), "as nn.Linear draws: uniform, within 1 / sqrt(inputs of the layer)"
    assert_drawn(lambda: _make(solution, 40, 30, 20), laws, name="Autoencoder", help=help)


@pytest.mark.convergence
def test_digits_in_two_spaces(solution, rng, record):
    """Codes of four numbers group held-out digits far better than those of an untrained encoder, and nearly as pixels do"""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = rng.permutation(len(data.data))
    ink, labels = torch.from_numpy(data.data[order]), torch.from_numpy(data.target[order])
    mean = ink[HELD_OUT:].mean(0)
    rows = ((ink - mean) / ((ink[HELD_OUT:] - mean) ** 2).mean() ** 0.5).float()
    model = _make(solution, 64, HIDDEN, CODE)
    batches = torch.from_numpy(rng.integers(HELD_OUT, len(rows), (STEPS, BATCH)))
    losses = model.fit(rows, batches, [LEARNING_RATE * (1 - step / STEPS) for step in range(STEPS)])
    record.curve("squared distance to the rebuilt digit", losses, baseline=64.0)
    seeds = [int(seed) for seed in rng.integers(0, 10_000, SEEDS)]
    training, held_out, truth = rows[HELD_OUT:], rows[:HELD_OUT], labels[:HELD_OUT]
    scores = solution.compare(model, training, held_out, truth, 10, seeds)
    codes = {name: model.encode(value).detach().double() for name, value in (("fit", training), ("ask", held_out))}
    table = np.zeros((10, 10))
    np.add.at(table, (truth.numpy(), _found(codes["fit"], codes["ask"], 10, seeds[0])), 1)
    record.matrix("digits (rows) and the latent clusters that hold them", table, [str(digit) for digit in range(10)])
    lines = [
        f"{name:<7} ARI {v[:, 0].mean():.3f} ± {v[:, 0].std():.3f}   NMI {v[:, 1].mean():.3f} ± {v[:, 1].std():.3f}"
        for name, v in scores.items()
    ]
    lines.append(
        f"on this split, by the adjusted Rand index: {solution.winner(scores['raw'][:, 0], scores['latent'][:, 0])}"
    )
    record.text("raw pixels (64 numbers) against codes (4 numbers)", "\n".join(lines))
    attempts = [_found(codes["fit"], codes["ask"], 10, seed) for seed in seeds]
    score = float(np.mean([normalized_mutual_info_score(truth, each) for each in attempts]))
    claimed = scores["latent"][:, 1].mean().item()
    assert_that(
        abs(claimed - score) < 0.02,
        "compare reports {claimed:.3f} of mutual information in the latent space, your codes give {score:.3f}",
        claimed=claimed,
        score=score,
    )
    help = "does the encoder train, and are the codes of training and held-out rows made by the same model?"
    assert_beats(score, BAR, name=text("normalised mutual information in the latent space"), help=help)
