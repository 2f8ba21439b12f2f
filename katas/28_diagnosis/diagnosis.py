"""Screening for a rare disease: a loss for the rare, curves that do not hang on how rare, and a cut-off that never saw the test.

    patients -> parts: train -> scaler, network    validation -> cut-off    test -> sensitivity, specificity, interval

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    focal_loss, focal_gradient   cross-entropy that looks less at who is right already, and its slope by formula
    roc_curve, auc               every cut-off at once; the chance that an ill one scores above a healthy one
    choose_cutoff, rates_at      the cut-off that keeps a specificity, and what it does to other patients
    split_patients               three parts, in none of which is a patient of another
    bootstrap_interval           how far the AUC would move with other patients
    screen                       all of it, and nothing from the test in what is fitted

`network` and `fit` are given, and complete: there is nothing to write in them.

Letters in shapes: N rows (visits), P patients, F features, H hidden units, K distinct scores. The first two functions
take torch tensors, the others numpy arrays; labels are int64, 1 is ill and 0 healthy. NumPy and torch are all you need.
Write pure functions: leave every argument as it was.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def focal_loss(logits: Tensor, labels: Tensor, gamma: float, alpha: float) -> Tensor:
    """The mean over all N rows of -weight * (1 - p)^gamma * log p, where p is the chance given to the label that is true.

    p is sigmoid(logit) for the ill and 1 - sigmoid(logit) for the healthy; weight is alpha for the ill and 1 - alpha for
    the healthy. Logits may be in the hundreds, on the wrong side too, where the loss is large and finite.

    logits (N,)  of float32 or float64, at least one
    labels (N,)  int64, 1 or 0
    gamma        a number, at least 0; at 0 this is weighted cross-entropy
    alpha        a number from 0 to 1

    Returns a tensor of shape (), of the logits' dtype.
    loss ()
    """
    raise NotImplementedError("focal_loss: turn each logit towards its label, and stay with logarithms until the end")


def focal_gradient(logits: Tensor, labels: Tensor, gamma: float, alpha: float) -> Tensor:
    """The gradient of focal_loss by the logits, by the formula: finite for logits in the hundreds, for every gamma.

    logits (N,)  of float32 or float64, at least one
    labels (N,)  int64, 1 or 0
    gamma        a number, at least 0
    alpha        a number from 0 to 1

    Returns a tensor of the logits' dtype.
    gradient (N,)
    """
    raise NotImplementedError(
        "focal_gradient: for the ill, by the logit: weight * (1 - p)^gamma * (gamma * p * log p - (1 - p)) / N"
    )


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What every cut-off does, from the one that calls nobody ill to the one that calls everybody.

    A cut-off calls ill whose score is the cut-off or more, so rows of equal score are called together.

    labels (N,)  1 or 0, at least one of each
    scores (N,)  float64, of any size

    Returns (false_rate, true_rate, cutoffs), all float64.
    false_rate (K + 1,)  of the healthy, the share that is called ill: 0 where nobody is called, then one per cut-off
    true_rate (K + 1,)   of the ill, the share that is called ill, likewise
    cutoffs (K,)         the distinct scores, from the largest to the smallest
    """
    raise NotImplementedError("roc_curve: sort by score, count on, and look at the last of each run of equals")


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Of all pairs of an ill and a healthy row, the share in which the ill one scores higher; a tie counts one half.

    labels (N,)  1 or 0, at least one of each
    scores (N,)  float64, of any size
    """
    raise NotImplementedError(
        "auc: sort the healthy, and look each ill one up twice; or the area under the curve above"
    )


def choose_cutoff(labels: np.ndarray, scores: np.ndarray, specificity: float) -> float:
    """The smallest score that keeps the specificity: of the healthy at least this share scores below it.

    labels (N,)  1 or 0, at least one of each
    scores (N,)  float64, of any size
    specificity  a number from 0 to 1

    Returns one of the scores, of an ill or of a healthy row; infinity, which calls nobody, if no score keeps it.
    """
    raise NotImplementedError("choose_cutoff: for each distinct score, how many of the healthy are below it")


def rates_at(labels: np.ndarray, scores: np.ndarray, cutoff: float) -> tuple[float, float]:
    """What a cut-off does to these rows, wherever it was chosen.

    labels (N,)  1 or 0, at least one of each
    scores (N,)  float64, of any size
    cutoff       a number or infinity: ill is called whose score is the cut-off or more

    Returns (sensitivity, specificity): the share of the ill that is called, and of the healthy that is not.
    """
    raise NotImplementedError("rates_at: two means")


def split_patients(
    labels: np.ndarray, patients: np.ndarray, uniforms: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide rows into train, validation and test, so that all visits of a patient are in one part, and each has its ill.

    A patient is ill if any of their rows is. The n ill patients are put in order of their uniforms, the smallest first:
    the first n // 2 go to train, the next n // 4 to validation, the rest to test. The healthy patients likewise.

    labels (N,)    1 or 0
    patients (N,)  int64, any number that names the patient; rows of one need not stand together
    uniforms (P,)  all different; the first belongs to the patient of the smallest number, and so on upward

    Returns (train, validation, test), row numbers in ascending order, int64; a part may be empty.
    """
    raise NotImplementedError("split_patients: divide patients, and only then look for their rows")


def bootstrap_interval(
    labels: np.ndarray, scores: np.ndarray, patients: np.ndarray, resamples: int, seed: int, level: float
) -> tuple[float, float]:
    """A percentile interval of the AUC: as many patients are drawn again and again, with replacement, and bring all their rows.

    The draws are np.random.default_rng(seed).integers(0, P, (resamples, P)), one resample in a row: 0 stands for the
    patient of the smallest number, and so on upward; who is drawn twice brings their rows twice. A resample that lacks
    the ill or the healthy has no AUC and is left out; the others count.

    labels (N,)    1 or 0
    scores (N,)    float64, of any size
    patients (N,)  int64, any number that names the patient; rows of one need not stand together
    resamples      how many are drawn, at least 1
    seed           an int, at least 0
    level          the share of AUCs between the ends, above 0 and below 1, such as 0.95

    Returns (low, high): np.quantile of the AUCs at (1 - level) / 2 and at (1 + level) / 2. ValueError if none is left.
    """
    raise NotImplementedError(
        "bootstrap_interval: the rows of each patient first; then for each resample the rows of who was drawn"
    )


def network(weights: list[Tensor], x: Tensor) -> Tensor:
    """Given: a logit for each row of x (N, F); weights are (F, H), (H,), (H,) and ()."""
    into, bias, out, offset = weights
    return torch.tanh(x @ into + bias) @ out + offset


def fit(
    weights: list[Tensor], x: Tensor, labels: Tensor, gamma: float, alpha: float, steps: int, learning_rate: float
) -> tuple[list[Tensor], list[float]]:
    """Given: train with Adam on all rows, by your gradient and nothing else; returns new weights, and your loss before each step."""
    trained = [weight.clone().requires_grad_() for weight in weights]
    optimiser = torch.optim.Adam(trained, lr=learning_rate)
    losses = []
    for _ in range(steps):
        logits = network(trained, x)
        optimiser.zero_grad()
        logits.backward(focal_gradient(logits.detach(), labels, gamma, alpha))
        optimiser.step()
        losses.append(focal_loss(logits.detach(), labels, gamma, alpha).item())
    return [weight.detach() for weight in trained], losses


def screen(
    weights: list[Tensor],
    x: np.ndarray,
    labels: np.ndarray,
    parts: tuple[np.ndarray, np.ndarray, np.ndarray],
    specificity: float,
    gamma: float,
    alpha: float,
    steps: int,
    learning_rate: float,
) -> tuple[np.ndarray, float, float, float]:
    """Fit on the training rows, choose the cut-off on the validation rows, and report what it does to the test rows.

    Each column of x has its mean taken away and is divided by its standard deviation (np.std), both of the training
    rows alone. `fit` makes new weights from the training rows; the scores are the logits of `network`.

    weights        for network: float64 tensors (F, H), (H,), (H,) and ()
    x (N, F)       float64, as measured; no column is constant in the training rows
    labels (N,)    1 or 0, at least one of each in validation and in test
    parts          (train, validation, test): row numbers; a row may be in none of them
    specificity    to be kept on the validation rows, from 0 to 1
    gamma, alpha, steps, learning_rate  for fit

    Returns (scores, cutoff, sensitivity, specificity); the last two are those of the test rows.
    scores (N,)    float64, of every row, in no part or in one
    """
    raise NotImplementedError(
        "screen: what is fitted sees training rows, the cut-off sees validation rows, the report sees test rows"
    )
