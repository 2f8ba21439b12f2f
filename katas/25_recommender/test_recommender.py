"""The suite of kata 25: scores, steps and lists beside torch's autograd, scipy and scikit-learn; then what comes next."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from sklearn.metrics import ndcg_score
from torch.nn import functional as F

from grader.checks import (
    as_view,
    assert_agrees,
    assert_beats,
    assert_close,
    assert_parts,
    assert_shape,
    assert_that,
    assert_trajectory,
    assert_unchanged,
    normal,
    text,
)

# Users, items, numbers in a vector, events: users and items differ, either way round.
SIZES = [
    (4, 7, 3, 6),
    (8, 5, 2, 9),
    (1, 6, 4, 3),
    (5, 2, 1, 1),
    (3, 9, 0, 5),
    (70, 90, 66, 4),
    (1203, 3, 2, 7),
    (2, 1303, 1, 8),
]
SIZES += [(6, 4, 2, 5003)]
NAMES = ("mean", "user_bias", "item_bias", "user_vectors", "item_vectors")
MOVED = NAMES[2:]
METRICS = ("recall", "ndcg", "mrr")
FAR, TOL, SAME = 40.0, 1e-8, 1e-9
LOOK_UP = "mean, the user's bias by user, the item's by item, and one product of the two vectors, summed along D"
PAIRWISE = (
    "which score is to be above which, and what does the logarithm do far from zero? which items may be negatives?"
)

# The world of the last test: what is taken on a day hangs on taste, which drifts, and on what is new that day.
USERS, ITEMS, GENRES, DAYS, A_DAY, SHARE, SHOWN = 200, 120, 4, 60, 0.5, 0.8, 10
STEPS, BATCH, WIDTH, LEARNING_RATE, DECAY = 160, 256, 8, 0.05, 0.3
BAR = 0.27  # recall@10: biases alone reach 0.09 to 0.18 on 50 seeds, right ones 0.36 to 0.48


def _shapes(size):
    users, items, width, _ = size
    shapes = (), (users,), (items,), (users, width), (items, width)
    return dict(zip(NAMES, shapes, strict=True))


def _model(rng, size, far=1.0):
    """A model of which no tensor is zero; scores are of order `far`, around a mean of 3 or so."""
    model = {name: far * normal(rng, *shape) / max(size[2], 1) ** 0.25 for name, shape in _shapes(size).items()}
    return model | {"mean": torch.tensor(far * rng.uniform(2, 4), dtype=torch.float64)}


def _pairs(rng, size):
    """Users and items of so many events; where there are several, the last is the first again."""
    users, items = (torch.from_numpy(rng.integers(0, count, size[3])) for count in size[:2])
    users[-1], items[-1] = users[0], items[0]
    return {"users": users, "items": items}


def _with_model(function):
    """The same function with the tensors of its model as arguments of their own."""

    def call(mean, user_bias, item_bias, user_vectors, item_vectors, **others):
        model = dict(zip(NAMES, (mean, user_bias, item_bias, user_vectors, item_vectors), strict=True))
        return function(model, **others)

    return call


def _table(model):
    """The scores of all users and items."""
    product = torch.einsum("ud,id->ui", model["user_vectors"], model["item_vectors"])
    return model["mean"] + model["user_bias"][:, None] + model["item_bias"] + product


def _predict(model, users, items):
    return _table(model)[users, items]


def _seen(rng, users, items):
    """What each user has taken: every user leaves something, one leaves a single item, another took nothing."""
    seen = rng.random((users, items)) < rng.uniform(0.1, 0.8, (users, 1))
    seen[rng.integers(users)] = False
    seen[rng.integers(users)] = True
    seen[np.arange(users), rng.integers(0, items, users)] = False
    return torch.from_numpy(np.asfortranarray(seen))


def _bpr_inputs(rng, size):
    uniforms = torch.from_numpy(rng.random(size[3]))
    uniforms[:2] = torch.tensor([1 - 2.0**-53, 0.0], dtype=torch.float64)[: size[3]]
    uniforms[-1] = uniforms[0]
    return _pairs(rng, size) | {"seen": _seen(rng, *size[:2]), "uniforms": uniforms}


def _bpr(model, users, items, seen, uniforms):
    left = [np.flatnonzero(~row) for row in seen.numpy()]
    negatives = [
        left[user][int(number * len(left[user]))]
        for user, number in zip(users.tolist(), uniforms.tolist(), strict=True)
    ]
    table = _table(model)
    return -F.logsigmoid(table[users, items] - table[users, negatives]).mean()


def _checked(model, size, dtype, name):
    """The dict that a function returned, found to be a model of these shapes."""
    assert_that(isinstance(model, dict), "{name} must return a model as a dict", name=name)
    assert_that(set(NAMES) <= set(model), "the model of {name} must have the keys {keys}", name=name, keys=list(NAMES))
    for key, shape in _shapes(size).items():
        assert_shape(model[key], shape, dtype=dtype, name=text("{key} of {name}", key=key, name=name))
    return {key: model[key].detach() for key in NAMES}


def _result(result, size, steps, name, dtype=torch.float64):
    """(new_model, numbers) of sgd_epoch or fit, both of the right form."""
    model, numbers = assert_parts(result, ("new_model", "numbers"), name=name)
    assert_that(isinstance(numbers, list), "{name} must return a list beside the model", name=name)
    said = "{name} must return {steps} numbers, not {found}"
    assert_that(len(numbers) == steps, said, name=name, steps=steps, found=len(numbers))
    assert_that(all(isinstance(each, float) for each in numbers), "{name} must return Python floats", name=name)
    return _checked(model, size, dtype, name), numbers


def _epoch(solution, model, size, *arguments):
    return _result(solution.sgd_epoch(model, *arguments), size, size[3], "sgd_epoch", model["mean"].dtype)


def _ranked(solution, *arguments):
    return assert_parts(solution.ranking_metrics(*arguments), METRICS, name="ranking_metrics")


def _same_model(model, expected, name, help, tol=TOL):
    for key in NAMES:
        what = text("{key} of {name}", key=key, name=name)
        assert_close(model[key], expected[key].detach(), tol=tol, name=what, help=help)


@pytest.mark.shape
def test_shapes(solution, rng):
    """Every result has the stated shape and dtype, for one event and for several"""
    for index, size in enumerate(SIZES[:-1]):
        dtype, (users, items, _, count) = (torch.float32, torch.float64)[index % 2], size
        model = {name: value.to(dtype) for name, value in _model(rng, size).items()}
        pairs, given = _pairs(rng, size), _bpr_inputs(rng, size)
        assert_shape(solution.predict(model, **pairs), (count,), dtype=dtype, name="scores")
        assert_shape(solution.bpr_loss(model, **given), (), dtype=dtype, name="bpr_loss")
        ratings, rows = normal(rng, count).to(dtype), torch.arange(count)
        found = solution.rating_baseline(**pairs, ratings=ratings, train=rows, shape=(users, items), damping=2.0)
        _checked(found, (users, items, 0, count), dtype, "rating_baseline")
        _epoch(solution, model, size, *pairs.values(), ratings, 0.1, 0.1)
        parts = assert_parts(solution.split_by_time(ratings, 0.4), ("train", "test"), name="split_by_time")
        for name, part in zip(("train", "test"), parts, strict=True):
            assert_shape(part, (len(part),), dtype=torch.int64, name=name)
        metrics = _ranked(solution, _table(model), given["seen"], ~given["seen"], 3)
        assert all(isinstance(each, float) for each in metrics), "ranking_metrics must return Python floats"


@pytest.mark.value
def test_predict(solution, rng):
    """A score is the mean, two biases and the product of two vectors, for any pairs in any order"""
    for size in SIZES * 2:
        for far in (1.0, FAR):
            inputs = _model(rng, size, far) | _pairs(rng, size)
            both = _with_model(solution.predict), _with_model(_predict)
            assert_agrees(*both, inputs, rng, tol=TOL, name="scores", help=LOOK_UP, gradients=False)


@pytest.mark.value
def test_split_by_time(solution, rng):
    """What is before the moment is for training, all else for the test, and one moment is never divided"""
    for count, kinds in ((8, 5), (40, 7), (13, 13), (1, 1), (6003, 900), (64, 1)) * 2:
        for share in (0.0, 0.25, 0.5, 0.75, float(rng.uniform(0.1, 0.9)), 0.999):
            times = torch.from_numpy(rng.integers(-kinds, kinds, count) / 8.0 + 1.8e9)
            moment = sorted(times.tolist())[int(share * count)]
            train, test = (
                [i for i, t in enumerate(times.tolist()) if (t < moment) is early] for early in (True, False)
            )
            parts = assert_parts(solution.split_by_time(as_view(times), share), ("train", "test"), name="split_by_time")
            help = text(
                "share {share} of {count} times: is the past in train, in row order, up to a moment?",
                share=share,
                count=count,
            )
            for name, part, rows in zip(("train", "test"), parts, (train, test), strict=True):
                assert_close(part, torch.tensor(rows, dtype=torch.int64), name=name, help=help)


def _damped(groups, values, size, damping):
    """The damped means as least squares: a column per group, and a row of its own that asks each mean to be zero."""
    there, columns = np.unique(groups, return_inverse=True)
    rows = np.concatenate([np.eye(len(there))[columns], np.sqrt(damping) * np.eye(len(there))])
    means = np.zeros(size)
    means[there] = np.linalg.lstsq(rows, np.concatenate([values, np.zeros(len(there))]), rcond=None)[0]
    return means


@pytest.mark.value
def test_rating_baseline(solution, rng):
    """Mean and damped biases come from training rows alone, and who has no ratings gets 0"""
    for users, items, count in (
        (5, 8, 30),
        (5, 8, 30),
        (9, 4, 25),
        (1, 3, 7),
        (6, 7, 1),
        (1203, 1303, 9),
        (12, 3, 5003),
    ):
        for damping, more, far in ((0.0, 6, 1), (1.0, 0, 1), (7.5, 8, 100)):
            size = (users, items, 0, count + more)
            pairs, ratings = _pairs(rng, size), far * (3 + 1.5 * normal(rng, count + more))
            train = torch.from_numpy(rng.permutation(count + more)[:count])
            u, i, r = (value[train].numpy() for value in (pairs["users"], pairs["items"], ratings))
            item_bias = _damped(i, r - r.mean(), items, damping)
            user_bias = _damped(u, r - r.mean() - item_bias[i], users, damping)
            given = [as_view(value) for value in (*pairs.values(), ratings, train)]
            found = solution.rating_baseline(*given, (users, items), damping)
            found = _checked(found, size, torch.float64, "rating_baseline")
            for name, right in zip(NAMES, (np.array(r.mean()), user_bias, item_bias), strict=False):
                help = "training rows only; each mean is of what the earlier ones leave over, and knows its own count"
                assert_close(found[name], torch.from_numpy(right), tol=TOL, name=name, help=help)


@pytest.mark.value
def test_sgd_epoch(solution, rng):
    """One pass of gradients by hand makes the errors and the model that autograd makes, rating by rating"""
    for size in (*SIZES[:-1], (3, 2, 2, 30), (4, 3, 2, 1203)):
        for far in (1.0, 30.0)[: 1 if size[3] > 1000 else 2]:
            model, pairs, count = _model(rng, size), _pairs(rng, size), size[3]
            ratings, decay = 3 * far + far * normal(rng, count), float(rng.uniform(0.02, 0.2))
            rate = float(rng.uniform(0.02, 0.05)) / far * (size[3] != 5)  # nothing moves, or nothing decays
            decay *= size[3] != 6
            oracle, expected = {name: value.clone() for name, value in model.items()}, []
            for user, item, rating in zip(*(value.tolist() for value in (*pairs.values(), ratings)), strict=True):
                places = list(zip(NAMES[1:], (user, item) * 2, strict=True))
                rows = [oracle[name][place].clone().requires_grad_() for name, place in places]
                error = rating - oracle["mean"] - rows[0] - rows[1] - torch.dot(rows[2], rows[3])
                loss = (error**2 + decay * sum(row.square().sum() for row in rows)) / 2
                for (name, place), slope in zip(places, torch.autograd.grad(loss, rows), strict=True):
                    oracle[name][place] -= rate * slope
                expected.append(error.item())
            given = [as_view(value) for value in (*pairs.values(), ratings)]
            new, errors = _epoch(solution, model, size, *given, rate, decay)
            help = (
                "the error before the update; then both vectors from both old ones; decay on all four, the mean stays"
            )
            assert_trajectory(errors, expected, tol=TOL, name=text("errors of sgd_epoch"), help=help)
            _same_model(new, oracle, "sgd_epoch", help)


@pytest.mark.value
def test_bpr_loss(solution, rng):
    """The loss is the mean of -log sigmoid of how far an item is above its negative, however far that is"""
    for size in SIZES:
        for far in (1.0, FAR):
            inputs = _model(rng, size, far) | _bpr_inputs(rng, size)
            both = _with_model(solution.bpr_loss), _with_model(_bpr)
            assert_agrees(*both, inputs, rng, tol=TOL, name="bpr_loss", help=PAIRWISE, gradients=False)


@pytest.mark.behaviour
def test_negatives(solution, rng):
    """A negative is never an item that the user has taken, and every other one has its turn"""
    for users, items in ((3, 8), (7, 5), (2, 12)):
        seen = _seen(rng, users, items)
        model = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in _shapes((users, items, 1, 1)).items()}
        model["item_bias"] = 50.0 * torch.arange(1, items + 1)
        model["item_bias"][0] = 0.0
        for user in range(users):
            left = (~seen[user]).nonzero()[:, 0].tolist()
            uniforms = (torch.arange(len(left)) + 0.5).double() / len(left)
            drawn = []
            for number in uniforms:
                pair = torch.tensor([user]), torch.tensor([0])
                loss = solution.bpr_loss(model, *pair, seen, number[None])
                drawn.append(max(0, round(float(loss.detach()) / 50) - 1))
            said = "a user who has not seen items {left} was given {drawn} as negatives"
            assert_that(drawn == left, said, left=left, drawn=drawn, help=PAIRWISE)


@pytest.mark.gradient
def test_gradients(solution, rng):
    """Gradients of scores and of the loss reach every tensor, through both items of a pair, near and far"""
    for size in SIZES:
        for far in (1.0, FAR):
            model = _model(rng, size, far)
            both = _with_model(solution.predict), _with_model(_predict)
            assert_agrees(*both, model | _pairs(rng, size), rng, tol=TOL, name="scores", help=LOOK_UP)
            both = _with_model(solution.bpr_loss), _with_model(_bpr)
            given, fixed = model | _bpr_inputs(rng, size), ("mean", "user_bias", "uniforms")
            assert_agrees(*both, given, rng, fixed=fixed, tol=TOL, name="bpr_loss", help=PAIRWISE)


def _metrics(scores, seen, relevant, k):
    """Mean recall, NDCG and MRR over the users who have a relevant item, from ranks: what was seen comes last."""
    rows = relevant.any(dim=1).numpy()
    hits = relevant.numpy()[rows]
    ranks = rankdata(np.where(seen.numpy(), np.inf, -scores.numpy())[rows], method="ordinal", axis=1)
    recall = (hits & (ranks <= k)).sum(1) / hits.sum(1)
    first = np.where(hits, ranks, np.inf).min(1)
    return recall.mean(), ndcg_score(hits, -ranks, k=k, ignore_ties=True), (1 / first).mean()


@pytest.mark.value
def test_ranking_metrics(solution, rng):
    """Recall, NDCG and MRR of lists without what was seen, at ties and beyond the end, over users with a relevant item"""
    for users, items, k in (
        (6, 9, 3),
        (4, 11, 1),
        (7, 5, 40),
        (1, 8, 2),
        (90, 70, 5),
        (3, 1203, 80),
        (5, 2, 2),
        (5003, 4, 3),
    ):
        for near, far in ((1.0, False), (1e6, False), (1e6, True)):
            scores, seen = near * normal(rng, users, items) + (1e9 if far else -3), _seen(rng, users, items)
            scores = scores.round(decimals=0 if near > 1 else 1)
            scores[:, : items // 2] = scores[:, items - items // 2 :]
            scores[seen] += near
            relevant = ~seen & torch.from_numpy(rng.random((users, items)) < 0.3)
            relevant[rng.integers(users)] = False
            if far and k == 2:  # everything is new to everybody, and right
                seen[:], relevant[:] = False, True
            relevant[0] = ~seen[0]
            for table in (scores, seen, relevant)[: 3 * (users > 1)]:
                table[-1] = table[0]
            found = _ranked(solution, *map(as_view, (scores, seen, relevant)), k)
            help = text(
                "{k} places, {items} items: what was seen is out, a tie by number, and who counts?", k=k, items=items
            )
            for name, mine, right in zip(METRICS, found, _metrics(scores, seen, relevant, k), strict=True):
                assert_close(mine, float(right), tol=TOL, name=name, help=help)


@pytest.mark.value
def test_fit(solution, rng):
    """From a given model, the loop makes the losses of a dozen steps and the model after them"""
    cases = [(SIZES[0], 12), (SIZES[0], 12), (SIZES[1], 66), (SIZES[4], 3), (SIZES[3], 1), (SIZES[7], 4)]
    for size, steps in (*cases, ((1203, 3, 2, 1203), 5)):
        model, given = _model(rng, size, FAR if steps == 5 else 1.0), _bpr_inputs(rng, size)
        rows, numbers = torch.from_numpy(rng.integers(0, size[3], (steps, 4))), torch.from_numpy(rng.random((steps, 4)))
        pairs = given["users"], given["items"]
        rate, decay = 0.03 * (steps != 3), 0.2 * (steps > 1)
        result = solution.fit(model, *map(as_view, (*pairs, given["seen"], rows, numbers)), rate, decay)
        new, losses = _result(result, size, steps, "fit")
        oracle, expected = {name: value.clone().requires_grad_(name in MOVED) for name, value in model.items()}, []
        adam = torch.optim.AdamW([oracle[name] for name in MOVED], lr=rate, weight_decay=decay)
        for chosen, uniforms in zip(rows, numbers, strict=True):
            loss = _bpr(oracle, *(value[chosen] for value in pairs), given["seen"], uniforms)
            expected.append(loss.item())
            adam.zero_grad()
            loss.backward()
            adam.step()
        help = "fit is given: does it call your bpr_loss and predict, as it stands in the stub?"
        assert_trajectory(losses, expected, tol=TOL, name="bpr_loss", help=help)
        _same_model(new, oracle, "fit", help, tol=1e-6)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """No call changes its arguments, and an answer depends on its own pair alone"""
    for size in SIZES[:3]:
        model, given, count = _model(rng, size), _bpr_inputs(rng, size), size[3]
        pairs, ratings, rows = {key: given[key] for key in ("users", "items")}, normal(rng, count), torch.arange(count)
        together, order = solution.predict(model, **pairs), torch.from_numpy(rng.permutation(count))
        for chosen in (order, order[:1]):
            alone = solution.predict(model, given["users"][chosen], given["items"][chosen])
            assert_close(alone, together[chosen], tol=SAME, name="scores", help="an answer must stay with its own pair")
        solution.split_by_time(ratings, 0.5)
        solution.rating_baseline(**pairs, ratings=ratings, train=rows, shape=size[:2], damping=1.0)
        _epoch(solution, model, size, *pairs.values(), ratings, 0.1, 0.1)
        solution.bpr_loss(model, **given)
        solution.fit(model, *pairs.values(), given["seen"], rows[None], given["uniforms"][None], 0.1, 0.1)
        _ranked(solution, _table(model), given["seen"], ~given["seen"], 2)
    assert_unchanged(mutated)


def _events(rng):
    """Who took what when: (N,) each, shuffled. New items appear and fade, tastes turn, nothing is taken twice."""
    items = rng.normal(size=(ITEMS, GENRES))
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    once, later = rng.normal(size=(2, USERS, GENRES))
    appears = np.where(rng.random(ITEMS) < 0.4, -rng.exponential(20, ITEMS), rng.uniform(0, 45, ITEMS))
    appeal, activity = rng.normal(size=ITEMS), np.minimum(A_DAY * rng.lognormal(-0.25, 0.7, USERS), 2 * A_DAY)
    taken, events = np.zeros((USERS, ITEMS), bool), []
    for day in range(DAYS):
        taste = once * np.cos(0.01 * day) + later * np.sin(0.01 * day)
        taste /= np.linalg.norm(taste, axis=1, keepdims=True)
        wish = appeal - np.maximum(day - appears, 0) / 90 + 6 * taste @ items.T + rng.gumbel(size=taken.shape)
        wish[taken | (appears > day)] = -np.inf
        first, counts = np.argsort(-wish, axis=1), np.minimum(rng.poisson(activity), np.isfinite(wish).sum(1))
        rows = np.repeat(np.arange(USERS), counts)
        chosen = np.concatenate([row[:count] for row, count in zip(first, counts, strict=True)])
        taken[rows, chosen] = True
        events += zip(rows, chosen, day + rng.random(len(rows)), strict=True)
    users, chosen, times = zip(*(events[i] for i in rng.permutation(len(events))), strict=True)
    return torch.tensor(np.array(users)), torch.tensor(np.array(chosen)), torch.tensor(np.array(times))


@pytest.mark.convergence
def test_beats_the_bestsellers(solution, rng, record):
    """Trained on the past, it finds what users take next, as no list that is the same for everybody does"""
    users, items, times = _events(rng)
    train, test = assert_parts(solution.split_by_time(times, SHARE), ("train", "test"), name="split_by_time")
    seen, relevant = (torch.zeros(USERS, ITEMS, dtype=torch.bool) for _ in range(2))
    seen[users[train], items[train]], relevant[users[test], items[test]] = True, True
    batches = torch.from_numpy(rng.integers(0, len(train), (STEPS, BATCH)))
    uniforms, table, curves = torch.from_numpy(rng.random((STEPS, BATCH))), {}, {}
    last_week = train[times[train] > times[train].max() - 7]
    for name, rows in (("bestsellers", train), ("bestsellers of the last week", last_week)):
        table[name] = torch.bincount(items[rows], minlength=ITEMS).double().expand(USERS, -1)
    for name, width in (("biases alone", 0), ("vectors", WIDTH)):
        start = {key: 0.1 * normal(rng, *shape).float() for key, shape in _shapes((USERS, ITEMS, width, 0)).items()}
        result = solution.fit(start, users[train], items[train], seen, batches, uniforms, LEARNING_RATE, DECAY)
        model, curves[name] = _result(result, (USERS, ITEMS, width, 0), STEPS, "fit", torch.float32)
        pairs = torch.cartesian_prod(torch.arange(USERS), torch.arange(ITEMS))
        table[name] = solution.predict(model, *pairs.T).detach().double().reshape(USERS, ITEMS)
    record.curve("bpr_loss, beside biases alone", curves["vectors"], ablation=curves["biases alone"])
    found = {name: _metrics(scores, seen, relevant, SHOWN) for name, scores in table.items()}
    lines = [f"recall {r:.3f}  NDCG {n:.3f}  MRR {m:.3f}  {name}" for name, (r, n, m) in found.items()]
    record.text("the last fifth of the events, 10 items shown", "\n".join(lines))
    help = "without a product of vectors everybody is shown one list: do they train, and on the past alone?"
    assert_beats(found["vectors"][0], BAR, name="recall@10 of what users take next", help=help)
