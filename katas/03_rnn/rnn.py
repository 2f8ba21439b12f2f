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
    raise NotImplementedError("rnn_step: each row of the weights makes one new unit; then the tanh")


def rnn_forward(params: Arrays, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Run along the batch: each step starts from the state that the step before it left.

    params       as in rnn_step
    x (N, T, D)  inputs, batch first, T at least 1
    h (N, H)     state before the first step, not always zero

    Returns all the states.
    states (N, T, H)  states[:, t] is the state after step t, counted from 0
    """
    raise NotImplementedError("rnn_forward: loop over the steps, axis 1, and keep every state")


def rnn_backward(params: Arrays, x: np.ndarray, h: np.ndarray, states: np.ndarray, upstream: np.ndarray) -> Arrays:
    """Back-propagation through time: the gradient of a loss that may look at every state.

    params              as in rnn_step
    x (N, T, D)         inputs, as given to rnn_forward
    h (N, H)            state before the first step, as given to rnn_forward
    states (N, T, H)    what rnn_forward(params, x, h) returned: no need to compute it again
    upstream (N, T, H)  how the loss depends on each state directly; what goes by way of later states is yours to add

    Returns a dict with the names "w_ih", "w_hh", "b_h", "x" and "h"; each gradient has the shape of its array.
    """
    raise NotImplementedError("rnn_backward: go from the last step to the first, and carry a gradient along")


def softmax_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean over the batch of -log(softmax(logits)[label]), with the natural logarithm, and its gradient.

    logits (N, K)  scores of any size: 1000 and -1000 in one batch give no NaN and no infinity
    labels (N,)    the right classes, each from 0 to K - 1

    Returns (loss, gradient): one number, and how it depends on each of the logits.
    gradient (N, K)  the gradient of loss by logits
    """
    raise NotImplementedError("softmax_cross_entropy: take each row's maximum off first; the softmax is the same")


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
    raise NotImplementedError("classify: rnn_forward, one state per sequence, and a linear layer")


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
    raise NotImplementedError("train_step: forward, loss, back to the state that was read, through time, clip, move")
