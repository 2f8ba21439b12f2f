"""The same from the table of all scores in float64, with one-hot matrices for every count and a list per user."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def _table(model):
    exact = {name: value.double() for name, value in model.items()}
    product = torch.einsum("ud,id->ui", exact["user_vectors"], exact["item_vectors"])
    return product + exact["user_bias"][:, None] + exact["item_bias"][None, :] + exact["mean"]


def predict(model, users, items):
    return _table(model)[users, items].to(model["mean"].dtype)


def split_by_time(times, share):
    order = sorted(times.tolist())
    moment = order[math.floor(share * len(order))]
    train = [row for row, time in enumerate(times.tolist()) if time < moment]
    test = [row for row, time in enumerate(times.tolist()) if time >= moment]
    return torch.tensor(train, dtype=torch.int64), torch.tensor(test, dtype=torch.int64)


def rating_baseline(users, items, ratings, train, shape, damping):
    values = ratings[train].double()
    by_user, by_item = F.one_hot(users[train], shape[0]).double(), F.one_hot(items[train], shape[1]).double()

    def shares(columns, left_over):
        counts = columns.sum(0) + damping
        return columns.T @ left_over / torch.where(counts == 0, 1.0, counts)

    mean = values.sum() / len(values)
    item_bias = shares(by_item, values - mean)
    user_bias = shares(by_user, values - mean - by_item @ item_bias)
    model = {"mean": mean, "user_bias": user_bias, "item_bias": item_bias}
    model |= {"user_vectors": values.new_zeros(shape[0], 0), "item_vectors": values.new_zeros(shape[1], 0)}
    return {name: value.to(ratings.dtype) for name, value in model.items()}


def sgd_epoch(model, users, items, ratings, learning_rate, decay):
    new = {name: value.detach().double().clone() for name, value in model.items()}
    errors = []
    for user, item, rating in zip(users, items, ratings.double(), strict=True):
        before = [new["user_bias"][user], new["item_bias"][item], new["user_vectors"][user], new["item_vectors"][item]]
        before = [value.clone() for value in before]
        error = rating - new["mean"] - before[0] - before[1] - before[2].dot(before[3])
        errors.append(float(error))
        new["item_vectors"][item] += learning_rate * (error * before[2] - decay * before[3])
        new["user_vectors"][user] += learning_rate * (error * before[3] - decay * before[2])
        new["item_bias"][item] += learning_rate * (error - decay * before[1])
        new["user_bias"][user] += learning_rate * (error - decay * before[0])
    return {name: value.to(model[name].dtype) for name, value in new.items()}, errors


def bpr_loss(model, users, items, seen, uniforms):
    left = [(~row).nonzero()[:, 0] for row in seen]
    chosen = zip(users.tolist(), uniforms.tolist(), strict=True)
    negatives = torch.stack([left[user][int(number * len(left[user]))] for user, number in chosen])
    table = _table(model)
    return -F.logsigmoid(table[users, items] - table[users, negatives]).mean().to(model["mean"].dtype)


def ranking_metrics(scores, seen, relevant, k):
    recalls, ndcgs, mrrs = [], [], []
    for row, known, later in zip(scores.tolist(), seen.tolist(), relevant.tolist(), strict=True):
        wanted = {item for item, is_wanted in enumerate(later) if is_wanted}
        if not wanted:
            continue
        shown = sorted((item for item in range(len(row)) if not known[item]), key=lambda item: (-row[item], item))
        places = [place for place, item in enumerate(shown, start=1) if item in wanted]
        gains = [1 / math.log2(place + 1) for place in places if place <= k]
        best = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(wanted)) + 1))
        recalls.append(len(gains) / len(wanted))
        ndcgs.append(sum(gains) / best)
        mrrs.append(1 / places[0])
    return sum(recalls) / len(recalls), sum(ndcgs) / len(ndcgs), sum(mrrs) / len(mrrs)


def fit(model, users, items, seen, batches, uniforms, learning_rate, decay):
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
