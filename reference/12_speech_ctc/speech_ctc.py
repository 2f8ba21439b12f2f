"""Speech recognition without alignment: a model that says when it hears what, taught by texts that do not say when.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    greedy_decode   from one answer per frame to a text: the warm-up
    log_sum         add probabilities that only exist as logarithms, and some of which are zero
    ctc_step        one frame of the forward algorithm: the heart of this kata
    ctc_loss        every alignment of every clip at once, each clip and each text as long as it is
    AcousticModel   a bidirectional LSTM that reads the clip and answers at every frame
    fit             spoken digits: training on clips and texts alone

Letters in shapes: N clips in a batch and M in all, T frames, D features of a frame, C classes, U labels of a text,
S = 2U + 1 states. Class 0 is the blank, the classes from 1 to C - 1 are the labels. All logarithms are natural.
Results have the dtype of their arguments. Leave every argument as it was. The names of layers are part of the task: the
suite loads its own weights into them.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

BLANK = 0


def greedy_decode(log_probs: Tensor, input_lengths: Tensor) -> list[list[int]]:
    """The text of the best path: the likeliest class of each frame, runs of one class merged, then blanks dropped.

    log_probs (N, T, C)  log-probabilities of the classes at each frame; no two are equal where it matters
    input_lengths (N,)   int64, frames of each clip, from 1 to T; what comes after them is padding

    Returns a list of N texts. Each is a list of labels, whole numbers from 1 to C - 1, and may be empty.
    """
    # BEGIN SOLUTION: first the path, then its runs, then no blanks: the order matters
    texts = []
    for path, length in zip(log_probs.argmax(dim=2).tolist(), input_lengths.tolist(), strict=True):
        path = path[:length]
        starts = [label for label, before in zip(path, [BLANK, *path], strict=False) if label != before]
        texts.append([label for label in starts if label != BLANK])
    return texts
    # END SOLUTION


def log_sum(values: Tensor, dim: int) -> Tensor:
    """The logarithm of a sum of numbers that are given by their logarithms: log(sum(exp(values))) along one axis.

    values (...)  of any shape and size: a thousand as well as minus a thousand; -inf is the logarithm of 0
    dim           the axis that goes, from 0 up, or from -1 down

    Returns a tensor without that axis, through which gradients flow. Where all terms are -inf, so is the sum, and
    its gradient is 0. The gradient is never NaN.
    """
    # BEGIN SOLUTION: torch.logsumexp is nearly it; ask for its gradient at [-inf, -inf]
    impossible = (values == -math.inf).all(dim, keepdim=True)
    sums = torch.logsumexp(values.masked_fill(impossible, 0.0), dim)
    return sums.masked_fill(impossible.squeeze(dim), -math.inf)
    # END SOLUTION


def ctc_step(alpha: Tensor, labels: Tensor, log_probs: Tensor) -> Tensor:
    """Hear one more frame: where every path can be now, given where it can have been before.

    alpha (N, S)      log-probability of all paths that stand in each state before the frame; -inf where there is none
    labels (N, S)     int64, the class that each state speaks: blank, a label, blank, a label, ..., blank
    log_probs (N, C)  log-probabilities of the classes at this frame

    A path stays in its state or moves on by one. It moves on by two only over a blank that stands between two
    different labels: two equal labels need the blank, else their runs would merge.

    Returns the same after the frame.
    alpha (N, S)      -inf in states that no path can have reached
    """
    # BEGIN SOLUTION: shift alpha by one and by two states, then log_sum, then what this frame says
    one_back, two_back = (F.pad(alpha, (back, 0), value=-math.inf)[:, :-back] for back in (1, 2))
    label_before = F.pad(labels, (2, 0), value=BLANK)[:, :-2]
    two_back = torch.where(labels != label_before, two_back, -math.inf)
    arrived = log_sum(torch.stack([alpha, one_back, two_back]), dim=0)
    return arrived + log_probs.gather(1, labels)
    # END SOLUTION


def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """Minus the log-probability of each text: the sum over all alignments, with nothing averaged or divided.

    log_probs (N, T, C)  log-probabilities of the classes at each frame, finite; may be a view that is not contiguous
    targets (N, U)       int64, the texts: labels from 1 to C - 1, then padding from 0 to C - 1; U may be 0
    input_lengths (N,)   int64, frames of each clip, from 1 to T
    target_lengths (N,)  int64, labels of each text, from 0 to U; repeated labels are allowed

    Padding, of frames and of texts, reaches neither loss nor gradient. A text that cannot fit into its clip has the
    loss +inf, and then its gradient is 0, and that of the other clips is as if it were not there.

    Returns one loss for each clip, in nats.
    loss (N,)            never negative, +inf if the text cannot be spoken in so few frames
    """
    # BEGIN SOLUTION: blanks around the labels, a start, one ctc_step a frame, two states to end in
    count, most = targets.shape
    labels = torch.full((count, 2 * most + 1), BLANK)
    labels[:, 1::2] = targets
    alpha = log_probs.new_full(labels.shape, -math.inf)
    alpha[:, 0] = 0.0
    for t in range(log_probs.shape[1]):
        running = (t < input_lengths)[:, None]
        alpha = torch.where(running, ctc_step(alpha, labels, log_probs[:, t]), alpha)
    states = torch.arange(labels.shape[1])
    last = 2 * target_lengths[:, None]
    ends = (states == last) | (states == last - 1)
    return -log_sum(torch.where(ends, alpha, -math.inf), dim=1)
    # END SOLUTION


class AcousticModel(nn.Module):
    """Reads a clip in both directions, and answers at every frame.

    self.lstm is an nn.LSTM, one bidirectional layer with H units in each direction; self.head is an nn.Linear from
    their outputs, side by side, to the classes. There are no other parameters; first values as these layers draw them.

    head.weight (C, 2H)  from both directions to the classes
    head.bias (C,)       its bias
    """

    def __init__(self, features: int, hidden_size: int, classes: int, dtype: torch.dtype = torch.float32) -> None:
        """Make both layers for D = features, H = hidden_size and C = classes, all parameters of this dtype."""
        super().__init__()
        # BEGIN SOLUTION: one nn.LSTM and one nn.Linear, with dtype passed on
        self.lstm = nn.LSTM(features, hidden_size, batch_first=True, bidirectional=True, dtype=dtype)
        self.head = nn.Linear(2 * hidden_size, classes, dtype=dtype)
        # END SOLUTION

    def forward(self, x: Tensor, input_lengths: Tensor) -> Tensor:
        """Listen to every clip of the batch, from its first frame and from its own last frame.

        x (N, T, D)          features; clip n fills the first input_lengths[n] frames, the rest is padding, finite
        input_lengths (N,)   int64, from 1 to T, in any order

        Padding reaches no real frame. On padding the result may be any finite numbers.

        Returns one distribution for each frame.
        log_probs (N, T, C)  log-probabilities of the classes
        """
        # BEGIN SOLUTION: the backward direction must not begin in the padding
        packed = pack_padded_sequence(x, input_lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.head(outputs).log_softmax(dim=2)
        # END SOLUTION


def fit(
    model: AcousticModel,
    x: Tensor,
    input_lengths: Tensor,
    targets: Tensor,
    target_lengths: Tensor,
    batches: Tensor,
    learning_rate: float,
) -> list[float]:
    """Train the model in place by Adam, torch's default settings but for the learning rate, one step for each batch.

    model                the AcousticModel to train
    x (M, T, D)          features of all clips, padded
    input_lengths (M,)   int64, frames of each
    targets (M, U)       int64, texts of all clips, padded
    target_lengths (M,)  int64, labels of each; every text fits into its clip
    batches (B, N)       int64, the rows of these four that step b trains on
    learning_rate        a positive number

    The loss of a batch is the mean of ctc_loss over its clips.

    Returns a list of numbers.
    losses (B,)          loss of each step's batch, before that step's update
    """
    # BEGIN SOLUTION: one optimiser, then for each row of batches: forward, loss, clear, backward, step
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for rows in batches:
        log_probs = model(x[rows], input_lengths[rows])
        loss = ctc_loss(log_probs, targets[rows], input_lengths[rows], target_lengths[rows]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
    # END SOLUTION
