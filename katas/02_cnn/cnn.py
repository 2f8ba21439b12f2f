"""A convolutional network in NumPy: the sliding filter and its way back, then a classifier of handwritten digits.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    conv2d               a filter slides over the image: at every stop one weighted sum
    conv2d_backward      which pixels, which weights and which bias answer for the error: the heart of this kata
    max_pool2d           of every window only the largest entry goes on
    max_pool2d_backward  and only that entry hears of the error
    cross_entropy        logits in; the loss and its gradient out, safe for numbers of any size
    DigitClassifier      convolution, ReLU, max-pool, a linear layer: weights to start from, and a step to train them

Letters in shapes: N images, C channels of H rows and W columns; F filters of R rows and S columns; P rows and Q columns
of the result; K classes. Every array is float64, labels are int64. NumPy is all you need. Write pure functions: return
new arrays, and leave the ones that you were given as they are.
"""

import numpy as np

Params = dict[str, np.ndarray]  # the weights and biases by name: "w1", "b1", "w2", "b2"


def conv2d(x: np.ndarray, w: np.ndarray, b: np.ndarray, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Slide every filter over every image.

    x (N, C, H, W)  images; may be a view that is not contiguous
    w (F, C, R, S)  filters, as they are: not flipped
    b (F,)          one bias per filter
    stride          how many pixels the window moves from stop to stop, at least 1, the same down and across
    padding         how many rows and columns of zeros surround the image on each of its four sides, at least 0

    P = (H + 2 * padding - R) // stride + 1, and Q likewise from W and S: windows never hang over the edge, so the
    last rows and columns may be part of none. H + 2 * padding >= R, and W + 2 * padding >= S.

    Returns one map per filter.
    out (N, F, P, Q)  out[n, f, p, q] = b[f] + sum of w[f] * the window that begins at row p * stride, column q * stride
    """
    raise NotImplementedError("conv2d: surround x with zeros, then take one weighted sum per stop of the window")


def conv2d_backward(
    upstream: np.ndarray, x: np.ndarray, w: np.ndarray, stride: int = 1, padding: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of a loss by the three arrays that conv2d was given.

    upstream (N, F, P, Q)  the gradient of the loss by out, the result of conv2d
    x (N, C, H, W)         images, as conv2d was given them
    w (F, C, R, S)         filters, likewise
    stride, padding        likewise

    Returns (dx, dw, db).
    dx (N, C, H, W)  zero for a pixel that no window reached
    dw (F, C, R, S)  summed over the images, not averaged
    db (F,)          likewise
    """
    raise NotImplementedError("conv2d_backward: every stop adds to dw what it saw, and to dx what its weights were")


def max_pool2d(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """The largest entry of every window, channel by channel, without padding.

    x (N, C, H, W)  maps of any sign
    size            rows and columns of a window, at least 1 and at most H and W
    stride          how far the window moves, at least 1: windows overlap below size, and leave gaps above it

    P = (H - size) // stride + 1, and Q likewise from W.

    Returns what is left.
    out (N, C, P, Q)  the window of out[n, c, p, q] begins at row p * stride, column q * stride
    """
    raise NotImplementedError("max_pool2d: the same windows as in conv2d, each of them one channel deep")


def max_pool2d_backward(upstream: np.ndarray, x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """The gradient of a loss by the maps that max_pool2d was given.

    upstream (N, C, P, Q)  the gradient of the loss by out, the result of max_pool2d
    x (N, C, H, W)         maps, as max_pool2d was given them
    size, stride           likewise

    Each window sends its whole gradient to its largest entry. Where several entries are equal and largest, it goes
    to the first of them: the uppermost row, and in that row the leftmost column.

    Returns dx.
    dx (N, C, H, W)  an entry that is the largest of several windows gets the sum of theirs; of none, zero
    """
    raise NotImplementedError("max_pool2d_backward: find every window's winner; windows may share one")


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """How surprised the network is by the right classes: the mean of -log softmax(logits) at the labels.

    logits (N, K)  one score per class, any real numbers; the softmax is taken here, and only here
    labels (N,)    int64, the right class of each image, from 0 to K - 1

    Exact for large logits too: [[1000, 0]] with label 1 has the loss 1000.

    Returns (loss, gradient).
    loss             one number, the mean over the N images, in nats
    gradient (N, K)  the gradient of that loss by the logits
    """
    raise NotImplementedError("cross_entropy: take each row's largest logit off first, then log-sum-exp")


class DigitClassifier:
    """Convolution, ReLU, max-pool (windows side by side: stride = size), flatten, linear layer. It holds sizes only.

    The weights travel as a dict, `params`, of four arrays:

    w1 (F, C, R, R)  filters
    b1 (F,)          their biases
    w2 (D, K)        from the D pooled numbers of an image to the logits
    b2 (K,)          biases of the logits

    An image is flattened filter by filter, each of them row by row: reshape does so. D follows from the other sizes.
    """

    def __init__(
        self,
        image: tuple[int, int, int],
        filters: int,
        kernel: int,
        classes: int,
        stride: int = 1,
        padding: int = 0,
        pool: int = 2,
    ) -> None:
        """Note the sizes: image is (C, H, W), filters F, kernel R = S, classes K; stride and padding of the convolution."""
        self.image, self.filters, self.kernel, self.classes = image, filters, kernel, classes
        self.stride, self.padding, self.pool = stride, padding, pool

    def initial_params(self, rng: np.random.Generator) -> Params:
        """Weights to start from: independent draws from rng with mean zero, and biases of zero.

        rng  a numpy Generator, the only source of randomness

        The standard deviation is sqrt(2 / (C * R * R)) in w1, since half of what ReLU is given is lost, and
        sqrt(1 / D) in w2. Normal or uniform draws, as you like.

        Returns a new dict with the names "w1", "b1", "w2", "b2".
        """
        raise NotImplementedError("DigitClassifier.initial_params: work out D, then draw one number per weight")

    def logits(self, params: Params, x: np.ndarray) -> np.ndarray:
        """The network's answer: unnormalised scores, no softmax.

        params          the four arrays
        x (N, C, H, W)  images

        Returns one row per image.
        logits (N, K)  the largest is the answer
        """
        raise NotImplementedError("DigitClassifier.logits: convolution, ReLU, max-pool, flatten, linear layer")

    def train_step(
        self, params: Params, x: np.ndarray, labels: np.ndarray, learning_rate: float
    ) -> tuple[Params, float]:
        """One step of gradient descent on the cross-entropy of a batch.

        params          the four arrays
        x (N, C, H, W)  images
        labels (N,)     int64, the right class of each image, from 0 to K - 1
        learning_rate   a positive number: every parameter moves by minus learning_rate times its gradient

        Returns (new_params, loss): a new dict with the same four names, and the loss of params, before the step.
        """
        raise NotImplementedError("DigitClassifier.train_step: forwards, then backwards layer by layer")
