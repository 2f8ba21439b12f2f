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
    raise NotImplementedError("predict: look up both rows of each pair, then one sum along D")


def split_by_time(times: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Cut the events at a moment: what is before it is for training, that moment and what follows for the test.

    times (N,)     when each event happened, in any order
    share          where the moment lies: at place floor(share * N) of the sorted times, the first being 0;
                   0 <= share < 1

    Returns (train, test): the numbers of the rows, int64, each in ascending order.
    train (M,)     rows of the events before the moment; events of one time are never divided
    test (N - M,)  all other rows
    """
    raise NotImplementedError("split_by_time: sort to find the moment, then compare every time with it")


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
    raise NotImplementedError("rating_baseline: choose the rows, then three means, each of what the last left over")


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
    raise NotImplementedError(
        "sgd_epoch: copy once; in each turn the error first, and both new vectors from both old ones"
    )


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
    raise NotImplementedError(
        "bpr_loss: find the negatives by counting what is not seen, then a logarithm that cannot overflow"
    )


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
    raise NotImplementedError("ranking_metrics: one stable sort, hits in its order, three sums along the list")


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
