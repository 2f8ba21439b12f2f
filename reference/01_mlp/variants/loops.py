"""One sample at a time: plain loops, outer products, and the textbook form of the sigmoid."""

import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def forward(params, x):
    hidden_rows, output_rows = [], []
    for sample in x:
        hidden = sigmoid(params["w1"].T.dot(sample) + params["b1"])
        hidden_rows.append(hidden)
        output_rows.append(sigmoid(params["w2"].T.dot(hidden) + params["b2"]))
    return np.array(hidden_rows), np.array(output_rows)


def mse_loss(output, y):
    total = 0.0
    for got, wanted in zip(output.ravel(), y.ravel(), strict=True):
        total += (got - wanted) ** 2
    return total / output.size


def backward(params, x, hidden, output, y):
    gradients = {name: np.zeros_like(value) for name, value in params.items()}
    for sample, h, o, target in zip(x, hidden, output, y, strict=True):
        error = 2.0 * (o - target) * o * (1.0 - o)
        back = params["w2"].dot(error) * h * (1.0 - h)
        gradients["w2"] += np.outer(h, error)
        gradients["b2"] += error
        gradients["w1"] += np.outer(sample, back)
        gradients["b1"] += back
    return {name: total / output.size for name, total in gradients.items()}


def train_step(params, x, y, learning_rate):
    hidden, output = forward(params, x)
    gradients = backward(params, x, hidden, output, y)
    moved = {}
    for name in ("w1", "b1", "w2", "b2"):
        moved[name] = params[name] - learning_rate * gradients[name]
    return moved, mse_loss(forward(moved, x)[1], y)


def fit(params, x, y, learning_rate, steps):
    losses = []
    while len(losses) < steps:
        params, loss = train_step(params, x, y, learning_rate)
        losses.append(loss)
    return params, losses
