"""One sequence at a time, cut to its own length, so that there is no padding at all; outer products and plain loops."""

import numpy as np


def rnn_step(params, x, h):
    return np.array([run(params, one[None], old)[1] for one, old in zip(x, h, strict=True)])


def run(params, inputs, h):
    states = [h]
    for one in inputs @ params["w_ih"].T + params["b_h"]:
        states.append(np.tanh(one + params["w_hh"].dot(states[-1])))
    return np.array(states)


def rnn_forward(params, x, h):
    return np.array([run(params, inputs, old)[1:] for inputs, old in zip(x, h, strict=True)])


def back(params, inputs, states, upstream):
    deltas, delta = [], np.zeros(len(params["b_h"]))
    for state, direct in zip(states[:0:-1], upstream[::-1], strict=True):
        delta = (direct + params["w_hh"].T.dot(delta)) * (1 - state * state)
        deltas.insert(0, delta)
    deltas = np.array(deltas)
    return {
        "b_h": deltas.sum(axis=0),
        "w_ih": deltas.T.dot(inputs),
        "w_hh": deltas.T.dot(states[:-1]),
        "x": deltas.dot(params["w_ih"]),
        "h": params["w_hh"].T.dot(delta),
    }


def rnn_backward(params, x, h, states, upstream):
    parts = []
    for n in range(len(x)):
        parts.append(back(params, x[n], np.vstack([h[n : n + 1], states[n]]), upstream[n]))
    total = {name: np.sum([part[name] for part in parts], axis=0) for name in ("b_h", "w_ih", "w_hh")}
    return total | {name: np.array([part[name] for part in parts]) for name in ("x", "h")}


def softmax_cross_entropy(logits, labels):
    loss, gradient = 0.0, np.zeros_like(logits)
    for n, (row, label) in enumerate(zip(logits, labels, strict=True)):
        row = row - row[label]
        top = max(0.0, row.max())
        loss += top + np.log(np.exp(row - top).sum())
        gradient[n] = np.exp(row - top) / np.exp(row - top).sum()
        gradient[n, label] -= 1
    return loss / len(labels), gradient / len(labels)


def classify(params, x, lengths):
    zeros = np.zeros(len(params["b_h"]))
    last = [run(params, inputs[:length], zeros)[-1] for inputs, length in zip(x, lengths, strict=True)]
    return np.array([params["w_out"].dot(state) + params["b_out"] for state in last])


def train_step(params, x, lengths, labels, learning_rate, max_norm):
    total, loss = {name: np.zeros_like(value) for name, value in params.items()}, 0.0
    for inputs, length, label in zip(x, lengths, labels, strict=True):
        states = run(params, inputs[:length], np.zeros(len(params["b_h"])))
        mine, delta = softmax_cross_entropy((params["w_out"].dot(states[-1]) + params["b_out"])[None], [label])
        upstream = np.zeros((length, len(params["b_h"])))
        upstream[-1] = delta[0].dot(params["w_out"])
        parts = back(params, inputs[:length], states, upstream)
        parts.update(w_out=np.outer(delta[0], states[-1]), b_out=delta[0])
        for name in total:
            total[name] += parts[name] / len(x)
        loss += mine / len(x)
    norm = sum(np.square(gradient).sum() for gradient in total.values()) ** 0.5
    if norm > max_norm:
        total = {name: gradient * (max_norm / norm) for name, gradient in total.items()}
    return {name: params[name] - learning_rate * total[name] for name in params}, loss, norm
