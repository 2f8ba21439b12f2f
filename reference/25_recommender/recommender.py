"""A recommender: a vector for each user and each item, trained on what came before, judged on what came after.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    predict          the score of a user and an item: three biases and a product of two vectors
    split_by_time    what was known at a moment, and what was still to come
    rating_baseline  the best that can be said of ratings without vectors: means that know how few they rest on
    sgd_epoch        one pass over ratings, with gradients by hand
    bpr_loss         not how many stars, but what comes first: what a user took above what they left alone
    ranking_metrics  recall, NDCG and MRR of the lists that users are shown

The loop, fit, is written for you at the end. Letters in shapes: U users, I items, D numbers in a vector, N events,
M events to train on, S steps. A model is a dict of tensors, whose keys predict lists. Users and items are
numbered from 0, ids are int64. Results have the dtype of the model. Leave every argument as it was.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def predict(model: dict[str, Tensor], users: Tensor, items: Tensor) -> Tensor:
    """The score of each pair of a user and an item: mean + user bias + item bias + the product of their vectors.

    model                a dict with these five keys:
    mean ()              one number for all
    user_bias (U,)       how far each user's scores are above it
    item_bias (I,)       how far each item's are
    user_vectors (U, D)  the taste of each user; D may be 0
    item_vectors (I, D)  the character of each item
    users (N,)           a user for each pair, in any order
    items (N,)           and the item that goes with it

    Returns the scores, through which gradients reach every tensor of the model.
    scores (N,)          one number per pair
    """
    # BEGIN SOLUTION: look up both rows of each pair, then one sum along D
    products = (model["user_vectors"][users] * model["item_vectors"][items]).sum(dim=1)
    return model["mean"] + model["user_bias"][users] + model["item_bias"][items] + products
    # END SOLUTION


def split_by_time(times: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Cut the events at a moment: what is before it is for training, that moment and what follows for the test.

    times (N,)     when each event happened, in any order
    share          where the moment lies: at place floor(share * N) of the sorted times, the first being 0;
                   0 <= share < 1

    Returns (train, test): the numbers of the rows, int64, each in ascending order.
    train (M,)     rows of the events before the moment; events of one time are never divided
    test (N - M,)  all other rows
    """
    # BEGIN SOLUTION: sort to find the moment, then compare every time with it
    moment = times.sort().values[int(share * len(times))]
    before = times < moment
    return before.nonzero()[:, 0], (~before).nonzero()[:, 0]
    # END SOLUTION


def rating_baseline(
    users: Tensor, items: Tensor, ratings: Tensor, train: Tensor, shape: tuple[int, int], damping: float
) -> dict[str, Tensor]:
    """The model without vectors, from the rows in train alone: the mean, and damped means of what it leaves over.

    users (N,)       who rated ...
    items (N,)       ... what ...
    ratings (N,)     ... and how; what nobody rated is no rating
    train (M,)       the rows to learn from, at least one, none of them twice
    shape            (U, I); some users and items may have no rating
    damping          >= 0: so many more ratings of 0 left over are counted in each mean of the two biases

    Returns a model whose vectors have D = 0, with the dtype of ratings.
    mean ()          mean of the training ratings
    item_bias (I,)   for each item, sum of (rating - mean) / (its ratings + damping); 0 without ratings
    user_bias (U,)   for each user, sum of (rating - mean - item bias) / (their ratings + damping); 0 without ratings
    """
    # BEGIN SOLUTION: choose the rows, then three means, each of what the last left over
    users, items, ratings = users[train], items[train], ratings[train]

    def damped_means(values: Tensor, groups: Tensor, size: int) -> Tensor:
        sums = ratings.new_zeros(size).index_add(0, groups, values)
        counts = torch.bincount(groups, minlength=size) + damping
        return torch.where(counts > 0, sums / counts, 0.0).to(ratings.dtype)

    mean = ratings.mean()
    item_bias = damped_means(ratings - mean, items, shape[1])
    user_bias = damped_means(ratings - mean - item_bias[items], users, shape[0])
    vectors = {"user_vectors": ratings.new_zeros(shape[0], 0), "item_vectors": ratings.new_zeros(shape[1], 0)}
    return {"mean": mean, "user_bias": user_bias, "item_bias": item_bias} | vectors
    # END SOLUTION


def sgd_epoch(
    model: dict[str, Tensor], users: Tensor, items: Tensor, ratings: Tensor, learning_rate: float, decay: float
) -> tuple[dict[str, Tensor], list[float]]:
    """One pass over the ratings in the given order, each of which moves the biases and vectors of its own pair.

    With error = rating - predict, everything on the right as it was before this rating, p and q the pair's vectors:
    user bias += learning_rate * (error - decay * user bias), the item's likewise,
    p += learning_rate * (error * q - decay * p), and q += learning_rate * (error * p - decay * q). The mean stays.

    model            the model to begin with, which is left as it was
    users (M,)       who rated ...
    items (M,)       ... what ...
    ratings (M,)     ... and how
    learning_rate    how far a rating moves what it meets
    decay            how strongly biases and vectors are drawn to zero

    Returns (new_model, errors): a model of the same shapes, and a list of M Python floats.
    errors (M,)      rating minus prediction, before the rating moved anything
    """
    # BEGIN SOLUTION: copy once; in each turn the error first, and both new vectors from both old ones
    new, errors = {name: value.detach().clone() for name, value in model.items()}, []
    for user, item, rating in zip(users.tolist(), items.tolist(), ratings.tolist(), strict=True):
        p, q = new["user_vectors"][user].clone(), new["item_vectors"][item].clone()
        bias, other = new["user_bias"][user].clone(), new["item_bias"][item].clone()
        error = rating - (new["mean"] + bias + other + p @ q)
        new["user_bias"][user] = bias + learning_rate * (error - decay * bias)
        new["item_bias"][item] = other + learning_rate * (error - decay * other)
        new["user_vectors"][user] = p + learning_rate * (error * q - decay * p)
        new["item_vectors"][item] = q + learning_rate * (error * p - decay * q)
        errors.append(error.item())
    return new, errors
    # END SOLUTION


def bpr_loss(model: dict[str, Tensor], users: Tensor, items: Tensor, seen: Tensor, uniforms: Tensor) -> Tensor:
    """Bayesian personalised ranking: each item that a user took shall score above one that they left alone.

    The negative of event n is drawn by uniforms[n] from the items that its user has not seen, in ascending order:
    of c such items, the one at place floor(uniforms[n] * c), the first being 0.

    model            a model, as in predict
    users (N,)       who took ...
    items (N,)       ... what
    seen (U, I)      bool: True where a user has taken an item; each user in users has an item not seen
    uniforms (N,)    float64 numbers in [0, 1)

    Returns the mean over the events of -log sigmoid(score of the item - score of the negative), finite for scores of
    any size; gradients reach biases and vectors of both items.
    loss ()          log 2 where both score alike
    """
    # BEGIN SOLUTION: find the negatives by counting what is not seen, then a logarithm that cannot overflow
    free = ~seen[users]
    places = (uniforms * free.sum(dim=1)).long()
    reached = free.cumsum(dim=1) > places[:, None]
    negatives = reached.int().argmax(dim=1)
    return F.softplus(predict(model, users, negatives) - predict(model, users, items)).mean()
    # END SOLUTION


def ranking_metrics(scores: Tensor, seen: Tensor, relevant: Tensor, k: int) -> tuple[float, float, float]:
    """Recall@k, NDCG@k and MRR of every user's list: the items not seen, highest score first, smaller number at a tie.

    scores (U, I)    any finite numbers
    seen (U, I)      bool: True where the item is known to the user, and not in the list
    relevant (U, I)  bool: True where the user took it later; never where seen, and somewhere for one user at least
    k                length of the list that is shown, at least 1; it may be more than I

    With r = 1, 2, ... the place in the list, for each user who has a relevant item:
    recall           relevant items among the first k / relevant items
    ndcg             sum of 1 / log2(r + 1) over relevant items among the first k / the same sum of the best list
    mrr              1 / r of the first relevant item, in the whole list

    Returns (recall, ndcg, mrr), three Python floats: means over these users. Others do not count.
    """
    # BEGIN SOLUTION: one stable sort, hits in its order, three sums along the list
    rows = relevant.any(dim=1)
    order = scores.masked_fill(seen, -torch.inf)[rows].sort(dim=1, descending=True, stable=True).indices
    hits = relevant[rows].gather(1, order).double()
    count = hits.sum(dim=1)
    places = torch.arange(1, hits.shape[1] + 1, dtype=torch.float64)
    gains = (1 / torch.log2(places + 1))[:k]
    best = gains.cumsum(0)[count.long().clamp(max=len(gains)) - 1]
    recall = hits[:, :k].sum(dim=1) / count
    ndcg = (hits[:, :k] * gains).sum(dim=1) / best
    mrr = (hits / places).amax(dim=1)
    return recall.mean().item(), ndcg.mean().item(), mrr.mean().item()
    # END SOLUTION


def fit(
    model: dict[str, Tensor],
    users: Tensor,
    items: Tensor,
    seen: Tensor,
    batches: Tensor,
    uniforms: Tensor,
    learning_rate: float,
    decay: float,
) -> tuple[dict[str, Tensor], list[float]]:
    """Written for you: train item biases and vectors by bpr_loss with one torch.optim.AdamW, one step per batch.

    model            where to begin
    users (M,)       who took ...
    items (M,)       ... what
    seen (U, I)      bool, as in bpr_loss
    batches (S, N)   int64: step s is trained on the events batches[s] ...
    uniforms (S, N)  ... with negatives drawn by uniforms[s]
    learning_rate    of AdamW
    decay            its weight_decay

    Returns (new_model, losses): a model of the same shapes, and a list of S Python floats.
    losses (S,)      bpr_loss of each step, before its update
    """
    new = {name: value.detach().clone() for name, value in model.items()}
    moving = [new[name].requires_grad_() for name in ("item_bias", "user_vectors", "item_vectors")]
    optimiser = torch.optim.AdamW(moving, lr=learning_rate, weight_decay=decay)
    losses = []
    for rows, numbers in zip(batches, uniforms, strict=True):
        loss = bpr_loss(new, users[rows], items[rows], seen, numbers)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return {name: value.detach() for name, value in new.items()}, losses
