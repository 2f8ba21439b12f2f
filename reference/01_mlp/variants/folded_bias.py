"""Samples in columns, and each bias folded into its weight matrix: a last row that multiplies a 1."""

import numpy as np


def sigmoid(z):
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def with_one(columns):
    return np.concatenate([columns, np.ones((1, columns.shape[1]))])


def fold(params):
    return np.vstack([params["w1"], params["b1"]]), np.vstack([params["w2"], params["b2"]])


def unfold(first, second):
    return {"w1": first[:-1], "b1": first[-1], "w2": second[:-1], "b2": second[-1]}


def forward(params, x):
    first, second = fold(params)
    hidden = sigmoid(first.T @ with_one(x.T))
    return hidden.T, sigmoid(second.T @ with_one(hidden)).T


def mse_loss(output, y):
    error = (output - y).ravel()
    return error @ error / len(error)


def backward(params, x, hidden, output, y):
    _, second = fold(params)
    outer = (output - y).T * (output - output**2).T * (2 / output.size)
    inner = (second @ outer)[:-1] * (hidden - hidden**2).T
    return unfold(with_one(x.T) @ inner.T, with_one(hidden.T) @ outer.T)


def train_step(params, x, y, learning_rate):
    gradients = fold(backward(params, x, *forward(params, x), y))
    first, second = (p - learning_rate * g for p, g in zip(fold(params), gradients, strict=True))
    new_params = unfold(first, second)
    return new_params, mse_loss(forward(new_params, x)[1], y)


def fit(params, x, y, learning_rate, steps):
    losses = np.empty(steps)
    for step in range(steps):
        params, losses[step] = train_step(params, x, y, learning_rate)
    return params, losses
