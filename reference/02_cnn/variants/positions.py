"""One stop of the window at a time: plain loops over the positions of the result, and no view of windows at all."""

import math

import numpy as np


def stops(height, width, tall, wide, stride):
    """Where the result has an entry, and the rows and columns of the window that it comes from."""
    for p in range((height - tall) // stride + 1):
        for q in range((width - wide) // stride + 1):
            yield p, q, slice(p * stride, p * stride + tall), slice(q * stride, q * stride + wide)


def surround(x, padding):
    n, c, h, w = x.shape
    padded = np.zeros((n, c, h + 2 * padding, w + 2 * padding))
    padded[:, :, padding : padding + h, padding : padding + w] = x
    return padded


def conv2d(x, w, b, stride=1, padding=0):
    padded = surround(x, padding)
    (_, _, tall, wide), (high, broad) = w.shape, padded.shape[2:]
    out = np.empty((len(x), len(w), (high - tall) // stride + 1, (broad - wide) // stride + 1))
    for p, q, rows, columns in stops(high, broad, tall, wide, stride):
        out[:, :, p, q] = padded[:, :, rows, columns].reshape(len(x), -1) @ w.reshape(len(w), -1).T + b
    return out


def conv2d_backward(upstream, x, w, stride=1, padding=0):
    padded = surround(x, padding)
    d_padded, dw, db = np.zeros_like(padded), np.zeros_like(w), np.zeros(len(w))
    for p, q, rows, columns in stops(*padded.shape[2:], *w.shape[2:], stride):
        error, window = upstream[:, :, p, q], padded[:, :, rows, columns]
        d_padded[:, :, rows, columns] += (error @ w.reshape(len(w), -1)).reshape(window.shape)
        dw += (error.T @ window.reshape(len(x), -1)).reshape(w.shape)
        db += error.sum(axis=0)
    down, across = x.shape[2:]
    return d_padded[:, :, padding:, padding:][:, :, :down, :across], dw, db


def max_pool2d(x, size, stride):
    n, c, h, w = x.shape
    out = np.empty((n, c, (h - size) // stride + 1, (w - size) // stride + 1))
    for p, q, rows, columns in stops(h, w, size, size, stride):
        out[:, :, p, q] = x[:, :, rows, columns].max(axis=(2, 3))
    return out


def max_pool2d_backward(upstream, x, size, stride):
    n, c, h, w = x.shape
    dx = np.zeros((n, c, h, w))
    images, channels = np.ogrid[:n, :c]
    for p, q, rows, columns in stops(h, w, size, size, stride):
        first = x[:, :, rows, columns].reshape(n, c, -1).argmax(axis=2)
        dx[images, channels, p * stride + first // size, q * stride + first % size] += upstream[:, :, p, q]
    return dx


def cross_entropy(logits, labels):
    gradient = np.zeros_like(logits)
    total = 0.0
    for row, (scores, label) in enumerate(zip(logits, labels, strict=True)):
        exponentials = np.exp(scores - np.max(scores))
        total += math.log(exponentials.sum()) + np.max(scores) - scores[label]
        gradient[row] = exponentials / exponentials.sum()
        gradient[row, label] -= 1
    return total / len(labels), gradient / len(labels)


class DigitClassifier:
    def __init__(self, image, filters, kernel, classes, stride=1, padding=0, pool=2):
        self.shape = (filters, image[0], kernel, kernel)
        self.window, self.pool, self.classes = (stride, padding), (pool, pool), classes
        blank = conv2d(np.zeros((1, *image)), np.zeros(self.shape), np.zeros(filters), *self.window)
        self.features = max_pool2d(blank, *self.pool).size

    def initial_params(self, rng):
        seen = math.prod(self.shape[1:])
        return {
            "b2": np.zeros(self.classes),
            "w2": rng.standard_normal((self.features, self.classes)) / self.features**0.5,
            "b1": np.zeros(self.shape[0]),
            "w1": rng.standard_normal(self.shape) * (2 / seen) ** 0.5,
        }

    def forward(self, params, x):
        maps = conv2d(x, params["w1"], params["b1"], *self.window)
        relu = maps.clip(min=0)
        pooled = max_pool2d(relu, *self.pool)
        return relu, pooled, pooled.reshape(len(x), self.features).dot(params["w2"]) + params["b2"]

    def logits(self, params, x):
        return self.forward(params, x)[2]

    def train_step(self, params, x, labels, learning_rate):
        relu, pooled, logits = self.forward(params, x)
        loss, error = cross_entropy(logits, labels)
        back = max_pool2d_backward(error.dot(params["w2"].T).reshape(pooled.shape), relu, *self.pool)
        _, dw, db = conv2d_backward(np.where(relu > 0, back, 0.0), x, params["w1"], *self.window)
        moved = {name: value.copy() for name, value in params.items()}
        moved["w1"] -= learning_rate * dw
        moved["b1"] -= learning_rate * db
        moved["w2"] -= learning_rate * pooled.reshape(len(x), -1).T.dot(error)
        moved["b2"] -= learning_rate * error.sum(axis=0)
        return moved, loss
