"""Steps first inside, [x, h, 1] times one matrix, einsum for every product, and masks where others index."""

import numpy as np

NAMES = ("w_ih", "w_hh", "b_h", "w_out", "b_out")


def fold(params):
    return np.concatenate([params["w_ih"], params["w_hh"], params["b_h"][:, None]], axis=1)


def joined(x, h):
    return np.concatenate([x, h, np.ones((*x.shape[:-1], 1))], axis=-1)


def rnn_step(params, x, h):
    return np.tanh(np.einsum("nj,ij->ni", joined(x, h), fold(params)))


def rnn_forward(params, x, h):
    states = np.empty((x.shape[1], *h.shape))
    for t, inputs in enumerate(np.moveaxis(x, 1, 0)):
        states[t] = rnn_step(params, inputs, states[t - 1] if t else h)
    return states.swapaxes(0, 1)


def rnn_backward(params, x, h, states, upstream):
    features, before = x.shape[2], np.concatenate([h[:, None], states[:, :-1]], axis=1)
    deltas = np.array(upstream)
    for t in range(x.shape[1] - 1, -1, -1):
        deltas[:, t] *= 1 - np.square(states[:, t])
        if t:
            deltas[:, t - 1] += np.einsum("ni,ij->nj", deltas[:, t], params["w_hh"])
    folded = np.einsum("nti,ntj->ij", deltas, joined(x, before))
    return {
        "h": np.einsum("ni,ij->nj", deltas[:, 0], params["w_hh"]),
        "x": np.einsum("nti,ij->ntj", deltas, params["w_ih"]),
        "b_h": folded[:, -1],
        "w_hh": folded[:, features:-1],
        "w_ih": folded[:, :features],
    }


def softmax_cross_entropy(logits, labels):
    target = np.eye(logits.shape[1])[labels]
    normaliser = np.logaddexp.reduce(logits, axis=1, keepdims=True)
    loss = np.einsum("nk,nk->", target, normaliser - logits) / len(logits)
    return loss, (np.exp(logits - normaliser) - target) / len(logits)


def read(params, x, lengths):
    h = np.zeros((x.shape[0], params["b_h"].size))
    states = rnn_forward(params, x, h)
    mask = (np.arange(1, x.shape[1] + 1) == np.asarray(lengths)[:, None]).astype(x.dtype)
    return h, states, mask, np.einsum("nt,nth->nh", mask, states)


def classify(params, x, lengths):
    return np.einsum("nh,kh->nk", read(params, x, lengths)[-1], params["w_out"]) + params["b_out"]


def train_step(params, x, lengths, labels, learning_rate, max_norm):
    h, states, mask, last = read(params, x, lengths)
    loss, delta = softmax_cross_entropy(np.einsum("nh,kh->nk", last, params["w_out"]) + params["b_out"], labels)
    upstream = np.einsum("nt,nk,kh->nth", mask, delta, params["w_out"])
    gradients = rnn_backward(params, x, h, states, upstream)
    gradients.update(w_out=np.einsum("nk,nh->kh", delta, last), b_out=np.einsum("nk->k", delta))
    norm = np.linalg.norm([np.linalg.norm(gradients[name]) for name in NAMES])
    rate = learning_rate * max_norm / max(norm, max_norm)
    return {name: params[name] - rate * gradients[name] for name in NAMES}, loss, norm
