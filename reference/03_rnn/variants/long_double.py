"""Long double inside and float64 outside; the past is kept as a tape of functions, each of which knows its way back."""

import numpy as np

WIDE = np.longdouble


def widened(arrays):
    return {name: np.asarray(value, dtype=WIDE) for name, value in arrays.items()}


def narrowed(arrays):
    return {name: np.asarray(value, dtype=np.float64) for name, value in arrays.items()}


def step(params, x, h):
    state = np.tanh(np.matmul(params["w_ih"], x.T) + np.matmul(params["w_hh"], h.T) + params["b_h"].reshape(-1, 1)).T

    def back(gradient, totals):
        inner = (gradient - gradient * state * state).T
        totals["b_h"] = totals["b_h"] + inner @ np.ones(len(x), dtype=WIDE)
        totals["w_ih"] = totals["w_ih"] + inner @ x
        totals["w_hh"] = totals["w_hh"] + inner @ h
        return (params["w_ih"].T @ inner).T, (params["w_hh"].T @ inner).T

    return state, back


def play(params, x, h):
    states, tape = [], []
    for t in range(x.shape[1]):
        h, back = step(params, x[:, t], h)
        states.append(h)
        tape.append(back)
    return states, tape


def rewind(params, tape, upstream):
    totals = {name: 0 * params[name] for name in ("b_h", "w_ih", "w_hh")}
    carried, inputs = 0, []
    for back, direct in zip(reversed(tape), reversed(upstream), strict=True):
        reached, carried = back(direct + carried, totals)
        inputs.append(reached)
    return totals | {"x": np.stack(inputs[::-1], axis=1), "h": carried}


def rnn_step(params, x, h):
    return step(widened(params), x.astype(WIDE), h.astype(WIDE))[0].astype(np.float64)


def rnn_forward(params, x, h):
    states, _ = play(widened(params), x.astype(WIDE), h.astype(WIDE))
    return np.stack(states, axis=1).astype(np.float64)


def rnn_backward(params, x, h, states, upstream):
    wide = widened(params)
    _, tape = play(wide, x.astype(WIDE), h.astype(WIDE))
    return narrowed(rewind(wide, tape, [upstream[:, t] for t in range(x.shape[1])]))


def entropy(logits, labels):
    odds = np.exp(logits - np.amax(logits, 1)[:, None])
    odds = odds / odds.sum(1)[:, None]
    picked = np.equal.outer(labels, np.arange(logits.shape[1]))
    return -np.log(odds[picked]).sum() / len(labels), (odds - picked) / len(labels)


def softmax_cross_entropy(logits, labels):
    loss, gradient = entropy(np.asarray(logits, dtype=WIDE), labels)
    return np.float64(loss), gradient.astype(np.float64)


def head(params, states, lengths):
    last = np.stack([states[length - 1][n] for n, length in enumerate(lengths)])
    return last, last @ params["w_out"].T + params["b_out"]


def classify(params, x, lengths):
    wide = widened(params)
    states, _ = play(wide, x.astype(WIDE), np.zeros((len(x), len(wide["b_h"])), dtype=WIDE))
    return head(wide, states, lengths)[1].astype(np.float64)


def train_step(params, x, lengths, labels, learning_rate, max_norm):
    wide = widened(params)
    states, tape = play(wide, x.astype(WIDE), np.zeros((len(x), len(wide["b_h"])), dtype=WIDE))
    last, logits = head(wide, states, lengths)
    loss, delta = entropy(logits, labels)
    reached = delta @ wide["w_out"]
    upstream = [reached * (np.asarray(lengths) == t + 1)[:, None] for t in range(len(states))]
    found = rewind(wide, tape, upstream)
    found |= {"w_out": delta.T @ last, "b_out": delta.T @ np.ones(len(x), dtype=WIDE)}
    norm = np.sqrt(np.sum([np.vdot(found[name], found[name]) for name in wide]))
    factor = max_norm / norm if norm > max_norm else 1
    moved = {name: wide[name] - learning_rate * factor * found[name] for name in wide}
    return narrowed(moved), np.float64(loss), np.float64(norm)
