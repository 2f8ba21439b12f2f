"""The same with numpy wherever no gradient is asked for, and masks of infinities where the reference counts."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

KEYS = ("mean", "user_bias", "item_bias", "user_vectors", "item_vectors")


def predict(model, users, items):
    p, q = F.embedding(users, model["user_vectors"]), F.embedding(items, model["item_vectors"])
    biases = model["user_bias"].take(users) + model["item_bias"].take(items)
    return torch.einsum("nd,nd->n", p, q) + (biases + model["mean"])


def split_by_time(times, share):
    clock = times.numpy()
    moment = np.sort(clock)[int(share * clock.size)]
    return torch.from_numpy(np.flatnonzero(clock < moment)), torch.from_numpy(np.flatnonzero(clock >= moment))


def rating_baseline(users, items, ratings, train, shape, damping):
    u, i, r = (value.numpy()[train.numpy()] for value in (users, items, ratings))
    mean = r.mean()
    left = r - mean
    item_bias, item_counts = np.zeros(shape[1], r.dtype), np.zeros(shape[1])
    np.add.at(item_bias, i, left)
    np.add.at(item_counts, i, 1)
    item_bias[item_counts > 0] /= (item_counts + damping)[item_counts > 0].astype(r.dtype)
    left = left - item_bias[i]
    user_bias, user_counts = np.zeros(shape[0], r.dtype), np.zeros(shape[0])
    np.add.at(user_bias, u, left)
    np.add.at(user_counts, u, 1)
    user_bias[user_counts > 0] /= (user_counts + damping)[user_counts > 0].astype(r.dtype)
    return {
        "mean": torch.tensor(mean),
        "user_bias": torch.from_numpy(user_bias),
        "item_bias": torch.from_numpy(item_bias),
        "user_vectors": torch.zeros(shape[0], 0, dtype=ratings.dtype),
        "item_vectors": torch.zeros(shape[1], 0, dtype=ratings.dtype),
    }


def sgd_epoch(model, users, items, ratings, learning_rate, decay):
    mean, b, c, P, Q = (model[key].detach().numpy().copy() for key in KEYS)
    errors = []
    for u, i, r in zip(users.numpy(), items.numpy(), ratings.numpy(), strict=True):
        error = r - (mean + b[u] + c[i] + P[u] @ Q[i])
        b[u] += learning_rate * (error - decay * b[u])
        c[i] += learning_rate * (error - decay * c[i])
        P[u], Q[i] = (
            P[u] + learning_rate * (error * Q[i] - decay * P[u]),
            Q[i] + learning_rate * (error * P[u] - decay * Q[i]),
        )
        errors.append(float(error))
    parts = (torch.tensor(mean), *(torch.from_numpy(value) for value in (b, c, P, Q)))
    return dict(zip(KEYS, parts, strict=True)), errors


def bpr_loss(model, users, items, seen, uniforms):
    first_free = torch.argsort(seen.long(), dim=1, stable=True)
    counts = seen.shape[1] - seen.sum(1)
    negatives = first_free[users, torch.floor(uniforms * counts[users]).long()]
    gaps = predict(model, users, items) - predict(model, users, negatives)
    return torch.logaddexp(torch.zeros_like(gaps), -gaps).mean()


def ranking_metrics(scores, seen, relevant, k):
    ahead = np.where(seen.numpy(), np.inf, -scores.numpy().astype(float))
    found = []
    for row, later in zip(ahead, relevant.numpy(), strict=True):
        if later.any():
            hits = later[np.argsort(row, kind="stable")]
            gains = 1 / np.log2(np.arange(len(hits)) + 2)
            ideal = gains[: min(k, hits.sum())].sum()
            found.append((hits[:k].sum() / hits.sum(), (hits * gains)[:k].sum() / ideal, 1 / (1 + np.argmax(hits))))
    return tuple(float(value) for value in np.mean(found, axis=0))


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
