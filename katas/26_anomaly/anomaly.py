"""Anomaly detection: a network that has seen only what is normal reads each new row, and what it cannot restore is strange.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    row_errors          how strange each row is: a score for every row, not one for all
    split_rows          who trains, who sets the alarm, who is judged: three parts, and anomalies in the last alone
    pca_errors          the baseline that has to be beaten: what principal components leave of a row
    alarm_level         a level that normal rows exceed at a stated rate, from normal rows that trained nothing
    precision_recall    what the alarms are worth
    average_precision   what the order of the scores is worth, at all levels together
    Denoiser            a narrow network that restores rows of which some columns were blanked
    detect              all of it: scale, train, set the level, judge; nothing of the judged rows reaches back

Letters in shapes: N rows of D columns, M normal rows that train, V normal rows held out; H hidden units, Z numbers in a
code; S training steps of B rows. A score is high where a row is strange. Results have the dtype of their arguments or
weights; what is said to be a float is a Python float of full precision. Leave every argument as it was, the model of fit
and detect aside.
"""

import math

import torch
from torch import Tensor, nn


def row_errors(output: Tensor, x: Tensor) -> Tensor:
    """The mean over columns of the squared difference, row by row: the score of each row.

    output (N, D)  what was made of each row
    x (N, D)       the rows

    Returns scores through which gradients reach both arguments.
    scores (N,)    0 where a row was restored exactly
    """
    raise NotImplementedError("row_errors: square, and one mean per row")


def split_rows(anomalous: Tensor, order: Tensor, train: int, held: int) -> tuple[Tensor, Tensor, Tensor]:
    """Deal rows out: walking along `order`, the first M normal rows train, the next V are held out, all others are judged.

    anomalous (N,)  bool, True where a row is an anomaly
    order (N,)      int64, each row once, in a random order
    train, held     M and V, at least 0

    Returns three tensors of row numbers, int64, each in the order in which they stand in `order`.
    training (M,)   normal rows
    held_out (V,)   normal rows
    judged (J,)     the other normal rows and every anomaly, wherever it stands in `order`: J = N - M - V
    Raises ValueError where there are fewer than M + V normal rows.
    """
    raise NotImplementedError(
        "split_rows: normal rows in their order, two cuts, and what is left in the order that it had"
    )


def pca_errors(normal: Tensor, x: Tensor, rank: int) -> Tensor:
    """What principal component analysis of the normal rows leaves of each row of x: its row_errors.

    Nobody trains a linear autoencoder of a code of this size to a lower error on `normal`. Rank 0 restores the mean.

    normal (M, D)  the rows that make mean and components
    x (N, D)       the rows to judge, by that mean and those components
    rank           components of largest variance that are kept, at least 0, less than M and at most D

    Returns scores, which nobody differentiates; exact, no randomised decomposition.
    scores (N,)    0 where rank is D
    """
    raise NotImplementedError("pca_errors: centre both by one mean, decompose one of them, project the other")


def alarm_level(held: Tensor, rate: float) -> float:
    """The level that one more normal row exceeds with a chance of at most `rate`, whatever the law of the scores is.

    One more normal row is as likely to come first, second, ... or last among the V + 1. So the level is the k-th smallest
    of the held-out scores, k = ceil((V + 1) * (1 - rate)), and a row raises the alarm where its score is above the level.

    held (V,)  scores of normal rows that trained nothing, in any order; V may be 0
    rate       false alarms that are put up with, 0 to 1

    Returns a float: infinity where k is more than V, minus infinity where it is 0.
    """
    raise NotImplementedError("alarm_level: sort, and mind both ends")


def precision_recall(scores: Tensor, anomalous: Tensor, level: float) -> tuple[float, float]:
    """Precision and recall of the alarms, which are the rows whose score is above the level.

    scores (N,)     of the judged rows
    anomalous (N,)  bool
    level           may be infinite

    Returns two floats.
    precision       the share of anomalies among the alarms; 0 where there is no alarm
    recall          the share of alarms among the anomalies; 0 where there is no anomaly
    """
    raise NotImplementedError("precision_recall: three counts, two shares")


def average_precision(scores: Tensor, anomalous: Tensor) -> float:
    """The sum over levels, from the highest down, of precision times what recall has gained since the level before.

    The levels are the distinct scores, and at each of them all rows with this score or a higher one raise the alarm: rows
    with equal scores come in together, in whichever order they stand.

    scores (N,)     of the judged rows, finite, of any size
    anomalous (N,)  bool, at least one True

    Returns a float: 1 where every anomaly scores higher than every normal row.
    """
    raise NotImplementedError(
        "average_precision: sort, count anomalies from the top, keep the last place of each run of equals"
    )


class Denoiser(nn.Module):
    """leave(relu(open(code(relu(enter(blanked x)))))): rows go through a narrow code, and in training some columns are blank.

    enter = nn.Linear(D, H)
    code = nn.Linear(H, Z)    nothing follows the code
    open = nn.Linear(Z, H)
    leave = nn.Linear(H, D)   nothing follows the output

    In training mode every number of x is blanked (set to 0) with the chance `blank`, each by itself and anew at every
    call, and the others are divided by 1 - blank; where blank is 1, all are 0. In evaluation mode x stays as it is.
    """

    def __init__(
        self, columns: int, hidden: int, code: int, blank: float = 0.2, dtype: torch.dtype = torch.float32
    ) -> None:
        """Make the layers for D = columns, H = hidden and Z = code, of this dtype; blank is 0 to 1."""
        super().__init__()
        raise NotImplementedError("Denoiser.__init__: torch has a layer that blanks; then four linear ones")

    def forward(self, x: Tensor) -> Tensor:
        """Restore rows.

        x (N, D)       rows; those of normal training data have mean 0

        Returns what the network makes of them, through which gradients reach x and every parameter.
        output (N, D)  any real numbers
        """
        raise NotImplementedError("Denoiser.forward: blank the input alone; two relus")


def fit(model: Denoiser, x: Tensor, batches: Tensor, learning_rate: float) -> list[float]:
    """Given: train the model in place with Adam to restore rows of x, and return the loss of each step.

    x (M, D)        the rows to learn, scaled
    batches (S, B)  int64: the rows of each step

    Every step takes the mean of row_errors. The model is left in training mode.
    """
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for rows in batches:
        loss = row_errors(model(x[rows]), x[rows]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def detect(
    model: Denoiser, normal: Tensor, held: Tensor, x: Tensor, batches: Tensor, learning_rate: float, rate: float
) -> tuple[Tensor, float]:
    """Train on the normal rows, set the level by the held-out ones, and score the rows that are to be judged.

    Everything is scaled by what the rows of `normal` alone say: each column less its mean, and all of them divided by one
    number, the root of the mean over rows and columns of the squared rest (by 1, where that is 0).

    normal (M, D)   normal rows, all that training may see, by `fit`
    held (V, D)     more normal rows, for alarm_level
    x (N, D)        rows to judge: what one of them is, and how many there are, changes nothing for another
    batches (S, B), learning_rate  as in fit; S may be 0

    Returns (scores, level), and leaves the model trained and in evaluation mode, in which it scores.
    scores (N,)     row_errors of x, scaled; without a graph
    level           alarm_level of the held-out rows at this rate, a float
    """
    raise NotImplementedError("detect: two numbers from normal, fit, evaluation mode, then held and x by the same road")
