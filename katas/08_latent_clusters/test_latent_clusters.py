"""The suite of kata 08: two scores beside scikit-learn's, and a trial of two spaces on digits that were held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import nn
from torch.nn import functional as F

from grader.checks import (
    assert_beats,
    assert_close,
    assert_drawn,
    assert_gradients,
    assert_shape,
    assert_state,
    assert_trajectory,
    assert_unchanged,
    layer_laws,
    load_state,
    state_of,
    tensors_of,
)

# Rows, numbers in a raw row, hidden units, numbers in a code; all four differ within a case.
SIZES = [(4, 9, 6, 3), (1, 7, 5, 2), (3, 11, 8, 5), (6, 8, 10, 4), (2, 12, 7, 6)]
LAYERS = ("look", "squeeze", "unfold", "paint")
TOL = 1e-9
SCORE_TOL = 1e-4  # float32 on the way to a score is no mistake
HELD_OUT, CODE, HIDDEN, SEEDS = 397, 4, 64, 6
STEPS, BATCH, LEARNING_RATE = 200, 128, 0.03
BAR = 0.5  # mutual information: right ones reach 0.71 with codes of 4 numbers, an untrained encoder 0.34


def _normal(rng, *shape):
    """Standard normal float64 numbers, laid out column by column, so never contiguous beyond one axis."""
    return torch.from_numpy(rng.normal(size=shape[::-1])).permute(*reversed(range(len(shape))))


def _groupings(rng):
    """Pairs of groupings, of many sizes and degrees of agreement, with names that no sum or product tells apart."""
    for rows, groups, found, noise, first, step in (
        (30, 3, 4, 0.5, 0, 10),
        (7, 2, 5, 0.5, 2**60, 1),  # as floats, neighbours are the same number
        (200, 10, 6, 0.1, -2, 1),
        (12, 6, 2, 0.9, -100, 100),
        (50, 4, 4, 1, -2000, 1000),
    ):
        truth = rng.integers(0, groups, rows)
        clusters = np.where(rng.random(rows) < noise, rng.integers(0, found, rows), truth % found)
        yield torch.from_numpy(truth - 1), torch.from_numpy(first + step * rng.permutation(found)[clusters])


def _score(function, labels, clusters, name):
    value = function(labels, clusters)
    assert isinstance(value, float), f"{name} must return a Python float, not {type(value).__name__}"
    return value


def _shapes(raw, hidden, code):
    sizes = dict(zip(LAYERS, ((hidden, raw), (code, hidden), (hidden, code), (raw, hidden)), strict=True))
    return {f"{name}.weight": size for name, size in sizes.items()} | {f"{k}.bias": v[:1] for k, v in sizes.items()}


def _make(solution, raw, hidden, code, dtype):
    """The learner's new model, found to hold the eight tensors that the statement names."""
    model = solution.Autoencoder(raw, hidden, code, dtype=dtype)
    return assert_state(model, _shapes(raw, hidden, code), dtype=dtype, name="Autoencoder")


def _model(solution, rng, raw, hidden, code):
    """The learner's model in float64 with given weights, and those weights."""
    model = _make(solution, raw, hidden, code, torch.float64)
    weights = {name: _normal(rng, *size) / size[-1] ** 0.5 for name, size in _shapes(raw, hidden, code).items()}
    return load_state(model, weights), weights


def _layer(weights, name, value):
    return F.linear(value, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _encode(weights, x):
    return _layer(weights, "squeeze", torch.tanh(_layer(weights, "look", x)))


def _forward(weights, x):
    return _layer(weights, "paint", torch.tanh(_layer(weights, "unfold", _encode(weights, x))))


def _blobs(rng, count, size, groups=4):
    """Rows around so many centres, and the centre of each; an average row is far from zero."""
    centres = 4 * rng.normal(size=(groups, size)) + 3
    labels = rng.permutation(np.arange(count) % groups)
    return torch.from_numpy(centres[labels] + rng.normal(size=(count, size))), torch.from_numpy(labels)


def _found(training, held_out, clusters, seed):
    """What scikit-learn's k-means says."""
    kmeans = KMeans(clusters, n_init=1, random_state=seed).fit(training.numpy())
    return kmeans.predict(np.ascontiguousarray(held_out.numpy()))


def _clusters(solution, training, held_out, clusters, seed):
    found = solution.cluster_held_out(training, held_out, clusters, seed)
    help = "one cluster for each held-out row"
    assert_shape(found, (len(held_out),), dtype=torch.int64, name="the clusters", help=help)
    return found


@pytest.mark.shape
def test_shapes(solution, rng):
    """Codes, rebuilt rows, clusters and scores have the stated shapes and dtypes"""
    for index, (count, raw, hidden, code) in enumerate(SIZES):
        dtype = (torch.float32, torch.float64)[index % 2]
        model, x = _make(solution, raw, hidden, code, dtype), _normal(rng, count, raw).to(dtype)
        assert_shape(model.encode(x), (count, code), dtype=dtype, name="the codes")
        assert_shape(model(x), (count, raw), dtype=dtype, name="the rebuilt rows")
        assert (model(x) != model(x + 1)).any(), "two different rows are rebuilt in the same way"
        training = _normal(rng, 12, raw).to(dtype)
        found = _clusters(solution, training.double(), x.double(), 3, index)
        assert found.min() >= 0 and found.max() < 3, "clusters are numbered from 0 to clusters - 1"
        scores = solution.compare(model, training, x.repeat(2, 1), torch.arange(2 * count) % 2, 3, [1, 2, 5])
        assert isinstance(scores, dict) and set(scores) == {"raw", "latent"}, (
            'compare returns {"raw": ..., "latent": ...}'
        )
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
    for labels, clusters in _groupings(rng):
        expected = adjusted_rand_score(labels, clusters)
        found = _score(solution.adjusted_rand_index, labels, clusters, "adjusted_rand_index")
        help = "pairs of each group, cluster and cell, named by any numbers; luck A B / pairs(N), most (A + B) / 2"
        assert_close(found, expected, tol=SCORE_TOL, name="adjusted_rand_index", help=help)
    many = torch.from_numpy(rng.random(100_000) < 0.2).long()  # one group in five: A and B above 3e9 each
    other = torch.where(torch.from_numpy(rng.random(100_000) < 0.1), 1 - many, many)
    found = _score(solution.adjusted_rand_index, many, other, "adjusted_rand_index")
    help = "right for few rows: A times B is beyond 2^63 here, so multiply in floating point"
    expected = adjusted_rand_score(many, other)
    assert_close(found, expected, tol=SCORE_TOL, name="adjusted_rand_index of 100,000 rows", help=help)
    alone, together = torch.arange(6), torch.zeros(6, dtype=torch.int64)
    for first, second, expected in ((alone, alone + 9, 1.0), (together, together + 3, 1.0), (alone, together, 0.0)):
        found = _score(solution.adjusted_rand_index, first, second, "adjusted_rand_index")
        assert_close(
            found, expected, tol=SCORE_TOL, name="adjusted_rand_index of trivial groupings", help="0 / 0 is 1 here"
        )


@pytest.mark.value
def test_normalised_mutual_information(solution, rng):
    """The shared information is scikit-learn's, also where a grouping says nothing"""
    for labels, clusters in _groupings(rng):
        expected = normalized_mutual_info_score(labels, clusters)
        found = _score(solution.normalised_mutual_information, labels, clusters, "normalised_mutual_information")
        help = "entropies of labels, clusters and pairs of them, named by any numbers; over the mean of the first two"
        assert_close(found, expected, tol=SCORE_TOL, name="normalised_mutual_information", help=help)
    one, two = torch.zeros(4, dtype=torch.int64), torch.tensor([0, 0, 5, 5])
    crossed = torch.tensor([0, 5, 0, 5])
    for first, second, expected in (
        (one, one + 2, 1.0), (one[:1], two[3:], 1.0), (one, two, 0.0), (two, one, 0.0), (two, 5 - two, 1.0),
        (two, crossed, 0.0),
    ):  # fmt: skip
        found = _score(solution.normalised_mutual_information, first, second, "normalised_mutual_information")
        name = "normalised_mutual_information of trivial groupings"
        assert abs(found - expected) < 1e-9, f"{name}: {expected} is right, yours is {found:.6g}"


@pytest.mark.behaviour
def test_luck_and_names(solution, rng):
    """Clusters drawn at random score nothing on average, and new names for the clusters change no score"""
    luck = []
    for _ in range(30):
        labels, clusters = (torch.from_numpy(rng.integers(0, 10, 120)) for _ in range(2))
        luck.append(_score(solution.adjusted_rand_index, labels, clusters, "adjusted_rand_index"))
    told = "random clusters must have an index of 0 on average"
    assert abs(np.mean(luck)) < 0.02, f"{told}, found {np.mean(luck):.3f}: is luck taken off above the line?"
    for labels, clusters in _groupings(rng):
        names = torch.from_numpy(rng.permutation(2000)) - 900
        number_of_cluster, number_of_label = (group.unique(return_inverse=True)[1] for group in (clusters, labels))
        for function, name in (
            (solution.adjusted_rand_index, "adjusted_rand_index"),
            (solution.normalised_mutual_information, "normalised_mutual_information"),
        ):
            score = _score(function, labels, clusters, name)
            help = "a cluster's number is a name: cluster 3 has nothing to do with label 3"
            renamed = _score(function, labels, names[number_of_cluster], name)
            assert_close(renamed, score, tol=SCORE_TOL, name=f"{name} after the clusters are renamed", help=help)
            far = (
                (number - 5) * 2**60 for number in (number_of_label, number_of_cluster)
            )  # sums and products run over
            help = "labels and clusters are names of any size: no sum or product of two names tells a pair of them"
            assert_close(
                _score(function, *far, name), score, tol=SCORE_TOL, name=f"{name} of names far apart", help=help
            )
            turned = _score(function, clusters, labels, name)
            assert_close(turned, score, tol=SCORE_TOL, name=f"{name} with labels and clusters exchanged")
            best = _score(function, labels, names[number_of_label], name)
            assert_close(best, 1.0, tol=SCORE_TOL, name=f"{name} of the labels themselves under other names")


@pytest.mark.value
def test_network_with_given_weights(solution, rng):
    """With given weights, codes and rebuilt rows are those of the stated network"""
    for count, raw, hidden, code in SIZES:
        model, weights = _model(solution, rng, raw, hidden, code)
        x, help = 2 * _normal(rng, count, raw), "linear, tanh, linear, twice; nothing follows the code or the output"
        assert_close(model.encode(x), _encode(weights, x), tol=TOL, name="the codes", help=help)
        assert_close(model(x), _forward(weights, x), tol=TOL, name="the rebuilt rows", help=help)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients reach the rows and every parameter"""
    for size in ((3, 5, 4, 2), (1, 4, 3, 2)):
        model, weights = _model(solution, rng, *size[1:])

        def both(x, model=model):
            return model.encode(x), model(x)

        inputs, parameters = {"x": _normal(rng, *size[:2])}, tensors_of(model, weights)
        help = "encode and forward must not cut the graph; compare does that"
        assert_gradients(both, inputs, rng, parameters=parameters, name="gradient of the network", help=help)


@pytest.mark.value
def test_three_training_steps(solution, rng):
    """From given weights, batches and rates, the first three losses and the weights after them are the right ones"""
    for count, raw, hidden, code in SIZES:
        model, weights = _model(solution, rng, raw, hidden, code)
        rows, batches = _normal(rng, 13, raw), torch.from_numpy(rng.integers(0, 13, (3, count)))
        rates = [float(rate) for rate in rng.uniform(0.02, 0.06, 3) * [1, 2, 0.5]]
        losses, expected = model.fit(rows, batches, rates), []
        for tensor in weights.values():
            tensor.requires_grad_()
        adam = torch.optim.Adam(weights.values())
        for chosen, rate in zip(batches, rates, strict=True):
            x = rows[chosen]
            loss = F.mse_loss(_forward(weights, x), x) * raw
            for tensor, slope in zip(weights.values(), torch.autograd.grad(loss, list(weights.values())), strict=True):
                tensor.grad = slope
            adam.param_groups[0]["lr"] = rate
            adam.step()
            expected.append(loss.item())
        help = "a sum over the numbers of a row, a mean over rows, before the update; from step 2 on also rate and gradients"
        assert_trajectory(losses, expected, name="loss", help=help)
        help = "the losses agree: the rate of each step, one Adam throughout, gradients cleared, all layers"
        for name, tensor in state_of(model, weights).items():
            assert_close(tensor, weights[name].detach(), name=f"{name} after three steps", help=help)


@pytest.mark.value
def test_cluster_held_out(solution, rng):
    """Held-out rows are sorted as scikit-learn's k-means sorts them that has seen the training rows and nothing else"""
    # With more clusters than groups, every start ends elsewhere: the best of several is not the one that was asked for.
    many = (150, 2, 15, 60), (120, 3, 12, 50), (140, 4, 14, 40), (110, 2, 11, 30)
    for index, (rows, size, groups, asked) in enumerate(((60, 3, 4, 30), (25, 5, 3, 1), (40, 4, 2, 7), *many)):
        training, _ = _blobs(rng, rows, size, min(groups, 4))
        held_out = _normal(rng, asked, size) * 4 + 4
        found = _clusters(solution, training, held_out, groups, index)
        expected = _found(training, held_out, groups, index)
        agreement = adjusted_rand_score(expected, found) if asked > 1 else float(found[0] == expected[0])
        told = f"held-out rows ({asked}) in {groups} clusters agree with scikit-learn's by an index of {agreement:.2f}"
        assert agreement == 1, f"{told}: fit the training rows with n_init=1 and this seed, then predict the others"


@pytest.mark.value
def test_compare(solution, rng):
    """Each space has a k-means of its own, fitted on its training rows and asked about its own held-out rows"""
    for raw, hidden, code in ((6, 7, 3), (4, 9, 4), (9, 5, 2)):
        model, weights = _model(solution, rng, raw, hidden, code)
        rows, labels = _blobs(rng, 130, raw)
        training, held_out, truth, seeds = rows[50:], rows[:50], labels[:50], [3, 0, 11]
        scores = solution.compare(model, training, held_out, truth, 4, seeds)
        spaces = {"raw": (training, held_out), "latent": (_encode(weights, training), _encode(weights, held_out))}
        for name, space in spaces.items():
            attempts = [_found(*space, 4, seed) for seed in seeds]
            pairs = [(adjusted_rand_score(truth, a), normalized_mutual_info_score(truth, a)) for a in attempts]
            expected, help = (
                torch.tensor(pairs, dtype=torch.float64),
                f"in the {name} space: fit, predict, then score; seed by seed",
            )
            assert_shape(scores[name], (3, 2), dtype=torch.float64, name=name)
            assert_close(
                scores[name][:, 0], expected[:, 0], tol=SCORE_TOL, name=f"{name}: adjusted Rand index", help=help
            )
            assert_close(
                scores[name][:, 1], expected[:, 1], tol=SCORE_TOL, name=f"{name}: mutual information", help=help
            )
    rows, labels = _blobs(rng, 120, 3)
    rows = (rows + 20_000).float()  # far from zero, where squared distances of float32 have no digits left
    model = _make(solution, 3, 5, 2, torch.float32)
    look = state_of(model, ["look.weight"])["look.weight"]
    load_state(model, {"look.bias": -20_000 * look.sum(1)})  # codes that differ
    scores = solution.compare(model, rows[50:], rows[:50], labels[:50], 4, [7])
    expected = adjusted_rand_score(labels[:50], _found(rows[50:].double(), rows[:50].double(), 4, 7))
    help = "k-means is given float64, whatever the model's dtype"
    assert_close(scores["raw"][0, 0].item(), expected, tol=SCORE_TOL, name="raw: index of float32 rows", help=help)


@pytest.mark.value
def test_winner(solution, rng):
    """A difference counts only beyond twice its standard error, whichever space it favours"""
    for seeds in (2, 3, 5, 8, 20):
        shape = rng.normal(size=seeds)
        shape = (shape - shape.mean()) / shape.std(ddof=1)  # mean 0, standard deviation 1
        for wide, narrow in ((0.05, 0.02), (0.01, 0.04)):
            error = ((wide**2 + narrow**2) / seeds) ** 0.5
            for times in (-4.0, -2.02, -1.98, -0.5, 0.0, 0.5, 1.98, 2.02, 4.0):
                raw = torch.from_numpy(0.6 + times * error + wide * shape)
                latent = torch.from_numpy(0.6 + narrow * rng.permutation(shape))
                expected = "undecided" if abs(times) < 2 else "raw" if times > 0 else "latent"
                found = solution.winner(raw, latent)
                ahead = "latent" if times < 0 else "raw"
                told = f"{seeds} seeds, {ahead} ahead by {abs(times):.2f} standard errors: {expected!r}, not {found!r}"
                assert found == expected, (
                    f"{told}; is the error that of a difference of means, and S - 1 below the line?"
                )
    for raw, latent, expected in ((0.75, 0.5, "raw"), (0.5, 0.75, "latent"), (0.5, 0.5, "undecided")):
        found = solution.winner(torch.full((4,), raw).double(), torch.full((4,), latent).double())
        told = f"4 seeds that all score {raw} in the raw space and {latent} in the latent one"
        assert found == expected, f"{told}: {expected!r}, not {found!r}; the standard error is 0 here"


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """Arguments and the model stay as they were, and a trial repeated with the same seeds has the same scores"""
    model, weights = _model(solution, rng, 6, 5, 2)
    rows, labels = _blobs(rng, 90, 6)
    first, again = (solution.compare(model, rows[30:], rows[:30], labels[:30], 4, [4, 7]) for _ in range(2))
    for name, value in first.items():
        assert_close(
            again[name], value, tol=TOL, name=f"{name}, when the trial is repeated", help="use the given seeds"
        )
    solution.cluster_held_out(rows[30:], rows[:30], 4, 1)
    solution.adjusted_rand_index(labels, labels.flip(0))
    solution.normalised_mutual_information(labels, labels.flip(0))
    solution.winner(first["raw"][:, 0], first["latent"][:, 0])
    for name, value in state_of(model, weights).items():
        assert torch.equal(value, weights[name]), f"{name} has changed, and there was no training"
    alone = [_clusters(solution, rows[30:], rows[n : n + 1], 4, 1).item() for n in range(5)]
    together = _clusters(solution, rows[30:], rows[:5], 4, 1).tolist()
    assert alone == together, "a held-out row is sorted otherwise when it is alone: k-means must not see held-out rows"
    model.fit(rows, torch.zeros(2, 3, dtype=torch.int64), [0.01, 0.01])
    assert_unchanged(mutated)
    laws, help = layer_laws(_shapes(40, 30, 20)), "as nn.Linear draws: uniform, within 1 / sqrt(inputs of the layer)"
    assert_drawn(lambda: _make(solution, 40, 30, 20, torch.float32), laws, name="Autoencoder", help=help)


@pytest.mark.convergence
def test_digits_in_two_spaces(solution, rng, record):
    """Codes of four numbers group held-out digits far better than those of an untrained encoder, and nearly as pixels do"""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = rng.permutation(len(data.data))
    ink, labels = torch.from_numpy(data.data[order]), torch.from_numpy(data.target[order])
    mean = ink[HELD_OUT:].mean(0)
    rows = ((ink - mean) / ((ink[HELD_OUT:] - mean) ** 2).mean() ** 0.5).float()
    model = _make(solution, 64, HIDDEN, CODE, torch.float32)
    batches = torch.from_numpy(rng.integers(HELD_OUT, len(rows), (STEPS, BATCH)))
    losses = model.fit(rows, batches, [LEARNING_RATE * (1 - step / STEPS) for step in range(STEPS)])
    record.curve("squared distance to the rebuilt digit", losses, baseline=64.0)
    seeds = [int(seed) for seed in rng.integers(0, 10_000, SEEDS)]
    training, held_out, truth = rows[HELD_OUT:], rows[:HELD_OUT], labels[:HELD_OUT]
    scores = solution.compare(model, training, held_out, truth, 10, seeds)
    codes = {name: model.encode(value).detach().double() for name, value in (("fit", training), ("ask", held_out))}
    found = _found(codes["fit"], codes["ask"], 10, seeds[0])
    table = np.zeros((10, 10))
    np.add.at(table, (truth.numpy(), found), 1)
    record.matrix("digits (rows) and the latent clusters that hold them", table, [str(digit) for digit in range(10)])
    lines = [
        f"{name:<7} ARI {v[:, 0].mean():.3f} ± {v[:, 0].std():.3f}   NMI {v[:, 1].mean():.3f} ± {v[:, 1].std():.3f}"
        for name, v in scores.items()
    ]
    lines.append(
        f"on this split, by the adjusted Rand index: {solution.winner(scores['raw'][:, 0], scores['latent'][:, 0])}"
    )
    record.text("raw pixels (64 numbers) against codes (4 numbers)", "\n".join(lines))
    score = np.mean(
        [normalized_mutual_info_score(truth, _found(codes["fit"], codes["ask"], 10, seed)) for seed in seeds]
    )
    claimed, told = scores["latent"][:, 1].mean().item(), "mutual information in the latent space"
    assert abs(claimed - score) < 0.02, f"compare reports {claimed:.3f} of {told}, your codes give {score:.3f}"
    help = "does the encoder train, and are the codes of training and held-out rows made by the same model?"
    assert_beats(score, BAR, name="normalised mutual information in the latent space", help=help)
