"""Your first neural network: one hidden layer of sigmoids, trained with gradients that you derive yourself.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    sigmoid      one line, and your first green test
    forward      from the inputs to the hidden layer to the outputs
    mse_loss     how wrong the outputs are, as one number
    backward     which way each weight should move: the heart of this kata
    train_step   move every weight a little
    fit          do it again and again, until the network knows XOR

Letters in shapes: N samples, D inputs, H hidden units, K outputs. Every array is float64. NumPy is all you
need. Write pure functions: return new arrays, and leave the ones that you were given as they are.
"""

import numpy as np

Params = dict[str, np.ndarray]  # the weights and biases by name: "w1", "b1", "w2", "b2"


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Squash every number into the range from 0 to 1: 1 / (1 + exp(-z)).

    z (...)  numbers of any size: a z of 1000 gives 1 and a z of -1000 gives 0, never NaN

    Returns an array of the shape of z.
    """
    raise NotImplementedError("sigmoid: start from the formula, then try z = np.array([-1000.0, 1000.0])")


def forward(params: Params, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Send a batch through both layers; each is a matrix product plus a bias, then a sigmoid.

    x (N, D)   inputs, one sample per row
    w1 (D, H)  params["w1"], weights from the inputs to the hidden units
    b1 (H,)    params["b1"], biases of the hidden units
    w2 (H, K)  params["w2"], weights from the hidden units to the outputs
    b2 (K,)    params["b2"], biases of the outputs

    Returns (hidden, output): what the two layers put out, after their sigmoids.
    hidden (N, H)  what the hidden units put out
    output (N, K)  what the network answers
    """
    raise NotImplementedError("forward: hidden comes from x, w1 and b1; output comes from hidden, w2 and b2")


def mse_loss(output: np.ndarray, y: np.ndarray) -> float:
    """The mean squared error: the mean of (output - y)^2 over all N * K entries.

    output (N, K)  what the network answers
    y (N, K)       targets between 0 and 1

    Returns one number.
    """
    raise NotImplementedError("mse_loss: one mean over all entries, samples and outputs alike")


def backward(params: Params, x: np.ndarray, hidden: np.ndarray, output: np.ndarray, y: np.ndarray) -> Params:
    """The gradient of mse_loss with respect to every weight and bias, by the chain rule.

    params         the four arrays, as in forward
    x (N, D)       inputs, one sample per row
    hidden (N, H)  what forward(params, x) returned: no need to compute it again
    output (N, K)  what forward(params, x) returned
    y (N, K)       targets between 0 and 1

    Returns a dict with the names "w1", "b1", "w2", "b2"; each gradient has the shape of its parameter.
    """
    raise NotImplementedError("backward: start at the loss and go back through the output's sigmoid")


def train_step(params: Params, x: np.ndarray, y: np.ndarray, learning_rate: float) -> tuple[Params, float]:
    """One step of gradient descent on the whole batch.

    params         the four arrays, as in forward
    x (N, D)       inputs, one sample per row
    y (N, K)       targets between 0 and 1
    learning_rate  a positive number: every parameter moves by minus learning_rate times its gradient

    Returns (new_params, loss): a new dict with the same four names, and the loss of new_params on x and y.
    """
    raise NotImplementedError("train_step: forward, backward, a new dict, and the loss of that new dict")


def fit(params: Params, x: np.ndarray, y: np.ndarray, learning_rate: float, steps: int) -> tuple[Params, list[float]]:
    """Train on the whole batch, again and again, from the given parameters.

    params         the four arrays, as in forward
    x (N, D)       inputs, one sample per row
    y (N, K)       targets between 0 and 1
    learning_rate  a positive number, the same in every step
    steps          how many steps to take, at least 1

    Returns (new_params, losses): the parameters after the last step, and the loss after each step.
    losses (steps,)  a list; losses[0] is the loss after the first update, losses[-1] that of new_params
    """
    raise NotImplementedError("fit: each step starts from the parameters that the step before it returned")
