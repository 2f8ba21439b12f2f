"""The textbook's way back: spread the upstream gradient out by the stride, and convolve it with the turned filters."""

import numpy as np


def shifts(x, tall, wide, stride):
    """For every place in the window, what it sees at each of its stops."""
    high, broad = x.shape[2:]
    for r in range(tall):
        for s in range(wide):
            yield r, s, x[:, :, r : high - tall + r + 1 : stride, s : broad - wide + s + 1 : stride]


def conv2d(x, w, b, stride=1, padding=0):
    padded = np.pad(x, [(0, 0)] * 2 + [(padding, padding)] * 2)
    maps = 0.0
    for r, s, seen in shifts(padded, *w.shape[2:], stride):
        maps = maps + np.tensordot(w[:, :, r, s], seen, axes=(1, 1))
    return np.swapaxes(maps, 0, 1) + b.reshape(1, -1, 1, 1)


def conv2d_backward(upstream, x, w, stride=1, padding=0):
    (n, _, high, broad), (filters, channels, tall, wide), (rows, columns) = x.shape, w.shape, upstream.shape[2:]
    padded = np.pad(x, [(0, 0)] * 2 + [(padding, padding)] * 2)
    dw = np.empty(w.shape)
    for r, s, seen in shifts(padded, tall, wide, stride):
        dw[:, :, r, s] = np.tensordot(upstream, seen, axes=((0, 2, 3), (0, 2, 3)))
    spread = np.zeros((n, filters, high + 2 * padding + tall - 1, broad + 2 * padding + wide - 1))
    spread[:, :, tall - 1 :, wide - 1 :][:, :, : rows * stride : stride, : columns * stride : stride] = upstream
    turned = np.flip(w, (2, 3)).swapaxes(0, 1)
    d_padded = conv2d(spread, turned, np.zeros(channels))
    return d_padded[:, :, padding : padding + high, padding : padding + broad], dw, np.einsum("nfhw->f", upstream)


def max_pool2d(x, size, stride):
    out = None
    for _, _, seen in shifts(x, size, size, stride):
        out = seen.copy() if out is None else np.maximum(out, seen)
    return out


def max_pool2d_backward(upstream, x, size, stride):
    largest, rest, dx = max_pool2d(x, size, stride), upstream.copy(), np.zeros(x.shape)
    targets = shifts(dx, size, size, stride)
    for (_, _, seen), (_, _, target) in zip(shifts(x, size, size, stride), targets, strict=True):
        target += np.where(seen == largest, rest, 0.0)
        rest[seen == largest] = 0.0  # what has found its first winner is gone
    return dx


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(logits, labels):
    n = logits.shape[0]
    picked = np.take_along_axis(logits, labels[:, None], axis=1)
    gaps = logits - picked
    largest = gaps.max(axis=1)
    losses = largest + np.log(np.exp(gaps - largest[:, None]).sum(axis=1))
    gradient = softmax(logits)
    np.put_along_axis(gradient, labels[:, None], np.take_along_axis(gradient, labels[:, None], 1) - 1, axis=1)
    return losses.sum() / n, gradient / n


class DigitClassifier:
    def __init__(self, image, filters, kernel, classes, stride=1, padding=0, pool=2):
        self.image, self.filters, self.kernel, self.classes = image, filters, kernel, classes
        self.conv, self.pool = (stride, padding), (pool, pool)

    def initial_params(self, rng):
        shape = self.filters, self.image[0], self.kernel, self.kernel
        w1 = rng.normal(0.0, np.sqrt(2.0 / (shape[1] * shape[2] * shape[3])), shape)
        b1 = np.zeros(self.filters)
        wide = self.pooled({"w1": w1, "b1": b1}, np.zeros((1, *self.image)))[1].size
        w2 = rng.normal(0.0, np.sqrt(1.0 / wide), (wide, self.classes))
        return {"w1": w1, "b1": b1, "w2": w2, "b2": np.zeros(self.classes)}

    def pooled(self, params, x):
        maps = conv2d(x, params["w1"], params["b1"], *self.conv)
        return maps, max_pool2d(maps * (maps > 0), *self.pool)

    def logits(self, params, x):
        _, pooled = self.pooled(params, x)
        return np.einsum("nd,dk->nk", pooled.reshape(len(x), -1), params["w2"]) + params["b2"]

    def train_step(self, params, x, labels, learning_rate):
        maps, pooled = self.pooled(params, x)
        flat = pooled.reshape(len(x), -1)
        loss, error = cross_entropy(flat @ params["w2"] + params["b2"], labels)
        new = dict(params)
        new["b2"] = params["b2"] - learning_rate * error.sum(0)
        new["w2"] = params["w2"] - learning_rate * flat.T @ error
        back = max_pool2d_backward((error @ params["w2"].T).reshape(pooled.shape), maps * (maps > 0), *self.pool)
        back[maps <= 0] = 0
        _, dw, db = conv2d_backward(back, x, params["w1"], *self.conv)
        new["w1"], new["b1"] = params["w1"] - learning_rate * dw, params["b1"] - learning_rate * db
        return new, float(loss)
