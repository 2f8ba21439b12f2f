"""Channels last inside: one matrix of patches from index tables, one product, and np.add.at for the way back."""

import numpy as np


def places(height, width, tall, wide, stride):
    """Rows and columns, each (P * Q, R * S), of what every window covers."""
    top, left = np.mgrid[0 : height - tall + 1 : stride, 0 : width - wide + 1 : stride].reshape(2, -1, 1)
    down, across = np.mgrid[:tall, :wide].reshape(2, 1, -1)
    return top + down, left + across


def frame(x, padding):
    return np.pad(x.transpose(0, 2, 3, 1), [(0, 0), (padding, padding), (padding, padding), (0, 0)])


def patches(x, w, stride, padding):
    framed = frame(x, padding)
    where = places(*framed.shape[1:3], *w.shape[2:], stride)
    return framed, where, framed[:, *where]  # (N, P * Q, R * S, C)


def conv2d(x, w, b, stride=1, padding=0):
    framed, _, seen = patches(x, w, stride, padding)
    rows, columns = ((n - k) // stride + 1 for n, k in zip(framed.shape[1:3], w.shape[2:], strict=True))
    out = seen.reshape(*seen.shape[:2], -1) @ w.transpose(2, 3, 1, 0).reshape(-1, len(w)) + b
    return np.moveaxis(out.reshape(len(x), rows, columns, len(w)), 3, 1)


def conv2d_backward(upstream, x, w, stride=1, padding=0):
    framed, where, seen = patches(x, w, stride, padding)
    filters, channels, tall, wide = w.shape
    error = upstream.transpose(0, 2, 3, 1).reshape(len(x), -1, filters)
    dw = np.einsum("npf,npkc->fck", error, seen, optimize=True).reshape(w.shape)
    d_framed = np.zeros(framed.shape)
    parts = np.einsum("npf,fck->npkc", error, w.reshape(filters, channels, tall * wide), optimize=True)
    np.add.at(d_framed, (slice(None), *where), parts)
    dx = d_framed[:, padding : framed.shape[1] - padding, padding : framed.shape[2] - padding]
    return dx.transpose(0, 3, 1, 2), dw, error.sum(axis=(0, 1))


def max_pool2d(x, size, stride):
    rows, columns = places(*x.shape[2:], size, size, stride)
    tall, wide = ((n - size) // stride + 1 for n in x.shape[2:])
    return x[:, :, rows, columns].max(axis=3).reshape(*x.shape[:2], tall, wide)


def max_pool2d_backward(upstream, x, size, stride):
    rows, columns = places(*x.shape[2:], size, size, stride)
    first = np.argmax(x[:, :, rows, columns], axis=3)
    window = np.arange(len(rows))
    n, c = np.ogrid[: x.shape[0], : x.shape[1]]
    dx = np.zeros(x.shape)
    landing = n[:, :, None], c[:, :, None], rows[window, first], columns[window, first]
    np.add.at(dx, landing, upstream.reshape(first.shape))
    return dx


def cross_entropy(logits, labels):
    one_hot = np.eye(logits.shape[1])[labels]
    log_sum = np.logaddexp.reduce(logits, axis=1)
    loss = np.mean(log_sum - (logits * one_hot).sum(axis=1))
    return loss, (np.exp(logits - log_sum[:, None]) - one_hot) / len(logits)


class DigitClassifier:
    def __init__(self, image, filters, kernel, classes, stride=1, padding=0, pool=2):
        channels, *sides = image
        self.kernels = filters, channels, kernel, kernel
        self.options, self.pool, self.classes = {"stride": stride, "padding": padding}, pool, classes
        self.sides = [((side + 2 * padding - kernel) // stride + 1 - pool) // pool + 1 for side in sides]

    def initial_params(self, rng):
        features, fan_in = self.kernels[0] * self.sides[0] * self.sides[1], np.prod(self.kernels[1:])
        first, second = np.sqrt(6 / fan_in), np.sqrt(3 / features)  # a uniform draw's bound is sqrt(3) deviations
        w1 = rng.uniform(-first, first, self.kernels)
        w2 = rng.uniform(-second, second, (features, self.classes))
        return {"w1": w1, "b1": np.zeros(len(w1)), "w2": w2, "b2": np.zeros(self.classes)}

    def logits(self, params, x):
        maps = conv2d(x, params["w1"], params["b1"], **self.options)
        pooled = np.maximum(max_pool2d(maps, self.pool, self.pool), 0)  # ReLU may as well come after the pool
        return pooled.reshape(len(x), len(params["w2"])) @ params["w2"] + params["b2"]

    def train_step(self, params, x, labels, learning_rate):
        maps = conv2d(x, params["w1"], params["b1"], **self.options)
        largest = max_pool2d(maps, self.pool, self.pool)
        flat = np.maximum(largest, 0).reshape(len(x), -1)
        loss, d_logits = cross_entropy(flat @ params["w2"] + params["b2"], labels)
        d_largest = (d_logits @ params["w2"].T).reshape(largest.shape) * np.heaviside(largest, 0.0)
        d_maps = max_pool2d_backward(d_largest, maps, self.pool, self.pool)
        d_w1, d_b1 = conv2d_backward(d_maps, x, params["w1"], **self.options)[1:]
        downhill = {"w1": d_w1, "b1": d_b1, "w2": flat.T @ d_logits, "b2": d_logits.sum(axis=0)}
        return {name: params[name] - learning_rate * downhill[name] for name in sorted(params)}, loss
