"""A recurrent network in NumPy: one step used again and again, and gradients that travel back through time.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    rnn_step               one step: the new state is made from the input and the old state
    rnn_forward            the same step, with the same weights, along a whole sequence
    rnn_backward           back-propagation through time: the heart of this kata
    softmax_cross_entropy  how wrong the scores are, and which way they should move
    classify               one answer per sequence, from the state after its last real step
    train_step             all of it together: follow the gradient, but never take too long a step

Letters in shapes: N sequences, T steps, D features of one step, H hidden units, K classes. Numbers are float64, lengths
and labels int64. Write pure functions: return new arrays, and leave the ones that you were given as they are.
"""

import numpy as np

Arrays = dict[str, np.ndarray]  # arrays by name; the parameters are "w_ih", "w_hh", "b_h", "w_out" and "b_out"


def rnn_step(params: Arrays, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Take one step with every sequence of the batch: tanh(w_ih x + w_hh h + b_h), and nothing more.

    w_ih (H, D)  params["w_ih"], weights from the input to the state
    w_hh (H, H)  params["w_hh"], weights from the old state, its columns, to the new state, its rows
    b_h (H,)     params["b_h"], biases of the state
    x (N, D)     input of this step
    h (N, H)     state before the step

    Returns the state after the step, an array of the shape of h.
    """
    # BEGIN SOLUTION: each row of the weights makes one new unit; then the tanh
    return np.tanh(x @ params["w_ih"].T + h @ params["w_hh"].T + params["b_h"])
    # END SOLUTION


def rnn_forward(params: Arrays, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Run along the batch: each step starts from the state that the step before it left.

    params       as in rnn_step
    x (N, T, D)  inputs, batch first, T at least 1
    h (N, H)     state before the first step, not always zero

    Returns all the states.
    states (N, T, H)  states[:, t] is the state after step t, counted from 0
    """
    # BEGIN SOLUTION: loop over the steps, axis 1, and keep every state
    states = []
    for t in range(x.shape[1]):
        h = rnn_step(params, x[:, t], h)
        states.append(h)
    return np.stack(states, axis=1)
    # END SOLUTION


def rnn_backward(params: Arrays, x: np.ndarray, h: np.ndarray, states: np.ndarray, upstream: np.ndarray) -> Arrays:
    """Back-propagation through time: the gradient of a loss that may look at every state.

    params              as in rnn_step
    x (N, T, D)         inputs, as given to rnn_forward
    h (N, H)            state before the first step, as given to rnn_forward
    states (N, T, H)    what rnn_forward(params, x, h) returned: no need to compute it again
    upstream (N, T, H)  how the loss depends on each state directly; what goes by way of later states is yours to add

    Returns a dict with the names "w_ih", "w_hh", "b_h", "x" and "h"; each gradient has the shape of its array.
    """
    # BEGIN SOLUTION: go from the last step to the first, and carry a gradient along
    gradients = {name: np.zeros_like(params[name]) for name in ("w_ih", "w_hh", "b_h")}
    gradients["x"] = np.empty_like(x)
    carried = np.zeros_like(h)  # how the loss depends on the state by way of later states
    for t in reversed(range(x.shape[1])):
        before = states[:, t - 1] if t > 0 else h
        delta = (upstream[:, t] + carried) * (1.0 - states[:, t] ** 2)
        gradients["w_ih"] += delta.T @ x[:, t]
        gradients["w_hh"] += delta.T @ before
        gradients["b_h"] += delta.sum(axis=0)
        gradients["x"][:, t] = delta @ params["w_ih"]
        carried = delta @ params["w_hh"]
    gradients["h"] = carried
    return gradients
    # END SOLUTION


def softmax_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean over the batch of -log(softmax(logits)[label]), with the natural logarithm, and its gradient.

    logits (N, K)  scores of any size: 1000 and -1000 in one batch give no NaN and no infinity
    labels (N,)    the right classes, each from 0 to K - 1

    Returns (loss, gradient): one number, and how it depends on each of the logits.
    gradient (N, K)  the gradient of loss by logits
    """
    # BEGIN SOLUTION: take each row's maximum off first; the softmax is the same
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    loss = -log_probabilities[rows, labels].mean()
    gradient = np.exp(log_probabilities)
    gradient[rows, labels] -= 1.0
    return float(loss), gradient / len(labels)
    # END SOLUTION


def classify(params: Arrays, x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Read every sequence from a state of zeros, and answer from the state after its last real step.

    params         as in rnn_step, and two more:
    w_out (K, H)   params["w_out"], weights from that state to the logits
    b_out (K,)     params["b_out"], biases of the logits
    x (N, T, D)    inputs; sequence n fills its first lengths[n] steps, the rest is padding: any finite numbers
    lengths (N,)   each from 1 to T, in any order

    Returns unnormalised scores: no softmax.
    logits (N, K)  one row per sequence
    """
    # BEGIN SOLUTION: rnn_forward, one state per sequence, and a linear layer
    states = rnn_forward(params, x, np.zeros((len(x), len(params["w_hh"]))))
    last = states[np.arange(len(x)), lengths - 1]
    return last @ params["w_out"].T + params["b_out"]
    # END SOLUTION


def train_step(
    params: Arrays, x: np.ndarray, lengths: np.ndarray, labels: np.ndarray, learning_rate: float, max_norm: float
) -> tuple[Arrays, float, float]:
    """One step of gradient descent on the cross-entropy of classify, with the gradient clipped by its norm.

    params         all five arrays, as in classify
    x (N, T, D)    inputs, padded as in classify
    lengths (N,)   each from 1 to T, in any order
    labels (N,)    the right classes, each from 0 to K - 1
    learning_rate  a positive number
    max_norm       a positive number: a gradient whose norm is larger is shortened to it, and any other left as it is

    Returns (new_params, loss, norm): a new dict with the same five names; the loss of the params that were given;
    and the norm of the gradient before it was clipped: one number, the root of the sum of all the squares in the five
    gradients together.
    """
    # BEGIN SOLUTION: forward, loss, back to the state that was read, through time, clip, move
    h, rows, ends = np.zeros((len(x), len(params["w_hh"]))), np.arange(len(x)), lengths - 1
    states = rnn_forward(params, x, h)
    last = states[rows, ends]
    loss, delta = softmax_cross_entropy(last @ params["w_out"].T + params["b_out"], labels)
    upstream = np.zeros_like(states)
    upstream[rows, ends] = delta @ params["w_out"]
    gradients = rnn_backward(params, x, h, states, upstream)
    gradients |= {"w_out": delta.T @ last, "b_out": delta.sum(axis=0)}
    norm = float(np.sqrt(sum((gradients[name] ** 2).sum() for name in params)))
    scale = max_norm / norm if norm > max_norm else 1.0
    return {name: params[name] - learning_rate * scale * gradients[name] for name in params}, loss, norm
    # END SOLUTION
