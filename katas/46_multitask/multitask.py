"""Many tasks, one network: where in the lane, how far behind the car ahead, which sign, from one small picture.

    camera ── first ── second ── squeeze ──┬── offset   metres beside the middle of the lane     often not labelled
                 the trunk, shared         ├── gap      metres beyond the 20 that are wanted     often not labelled
                                           └── sign     one of K classes                         often not labelled

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    weighted_terms     each task's loss by its own uncertainty, which is learnt
    masked_losses      each task's mean over those frames that are labelled for it
    RoadNet            one trunk, three heads, three uncertainties
    project_conflicts  take off each task's gradient what would undo another's (PCGrad)
    step_gradients     all of it together: what every parameter is moved by
    multitask_gain     was it worth it? Beside one network per task, in per cent of that

`fit` is given, and complete: there is nothing to write in it.

The tasks stand in one order everywhere: offset, gap, sign. Letters in shapes: N frames, C channels, Y rows, X columns,
W width, F features, K classes of signs, T tasks, P parameters, S steps, B frames of a step. Where nothing else is said, results
have the dtype of their arguments or weights. Leave every argument as it was. The names of layers and parameters are part
of the task: the suite loads its own weights into them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TRUNK = ("first", "second", "squeeze")  # the layers that all tasks share
FACTORS = (0.5, 0.5, 1.0)  # of offset, gap, sign: one half for squared errors, one for cross-entropy


def weighted_terms(losses: Tensor, log_variances: Tensor, labelled: Tensor) -> Tensor:
    """What each task adds to the loss: factor * exp(-log_variance) * loss + log_variance / 2.

    A task without a label in this batch adds 0, and nothing of it has a gradient: neither its loss nor its log variance.

    losses (3,)         of offset, gap and sign, at least 0
    log_variances (3,)  the logarithm of each task's variance, any number
    labelled (3,)       bool, False where nobody in the batch is labelled for the task

    Returns the terms, with gradients to losses and to log_variances; the factors are FACTORS.
    terms (3,)
    """
    raise NotImplementedError("weighted_terms: the formula, and then nothing at all where there is no label")


def masked_losses(outputs: Sequence[Tensor], targets: Sequence[Tensor], known: Tensor) -> Tensor:
    """Each task's mean loss over the frames that are labelled for it: those alone, and divided by their number.

    Squared errors for offset and gap, cross-entropy in nats for sign. A task for which no frame is labelled has the loss 0.
    What stands where there is no label takes no part, in the loss or in any gradient: it may be NaN in the numbers, and
    no class at all, such as -1, among the signs.

    outputs       (offset, gap, sign), as RoadNet gives them
    offset (N,)   metres
    gap (N,)      metres
    sign (N, K)   unnormalised scores of any size
    targets       (offsets, gaps, signs), what was to be said
    offsets (N,)  metres
    gaps (N,)     metres
    signs (N,)    int64
    known (N, 3)  bool, True where this frame is labelled for this task

    Returns the losses of offset, gap and sign.
    losses (3,)
    """
    raise NotImplementedError("masked_losses: choose the rows of each task first; an empty choice has no mean")


class RoadNet(nn.Module):
    """One trunk that sees, three heads that answer, and how sure each task can be.

    first = nn.Conv2d(C, W, 3, stride=2, padding=1)
    second = nn.Conv2d(W, 2 * W, 3, stride=2, padding=1)
    squeeze = nn.Linear(2 * W * Y4 * X4, F)    Y4 and X4 are Y / 4 and X / 4, rounded up
    offset = nn.Linear(F, 1)
    gap = nn.Linear(F, 1)
    sign = nn.Linear(F, K)
    log_variances = nn.Parameter (3,)          zeros, of offset, gap and sign
    """

    def __init__(
        self,
        channels: int,
        rows: int,
        columns: int,
        width: int,
        features: int,
        classes: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make all of it for C = channels, Y = rows, X = columns, W = width, F = features, K = classes; torch's own first values."""
        super().__init__()
        raise NotImplementedError(
            "RoadNet.__init__: six layers of this dtype, and three zeros that are trained like any weight"
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The trunk once, a relu after each of its three layers, and every head on what it found.

        images (N, C, Y, X)  what the camera saw

        Returns (offset, gap, sign), with no activation after a head.
        offset (N,)  metres
        gap (N,)     metres
        sign (N, K)  unnormalised scores
        """
        raise NotImplementedError("RoadNet.forward: trunk, flat, heads; a head of one number loses its last axis")


def project_conflicts(gradients: Tensor, order: Tensor) -> Tensor:
    """PCGrad: where two tasks pull against each other, each gives up what would undo the other.

    Every row i starts as gradients[i] and meets the other rows j in this order. If its product with gradients[j] is
    negative as it stands by then, its component along gradients[j] is taken off. Rows j are those that were passed in,
    never those that have been projected.

    gradients (T, P)  one row per task, of any size; a row may be all 0
    order (T,)        int64, every task once: the order in which each row meets the others

    Returns the rows afterwards, which nobody differentiates.
    projected (T, P)
    """
    raise NotImplementedError("project_conflicts: two loops; the product is with the row as it stands by now")


def step_gradients(
    model: RoadNet, images: Tensor, targets: Sequence[Tensor], known: Tensor, order: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch, and what every parameter is to be moved by.

    Every task's term has a gradient by the trunk, the layers of TRUNK: all numbers of all its parameters as one row of P. These three
    rows are projected, and their sum is the gradient of the trunk. All other parameters have the plain gradient of the loss.

    images (N, C, Y, X)  what the camera saw
    targets              (offsets, gaps, signs), as in masked_losses
    known (N, 3)         bool, True where a frame is labelled for a task; there may be none at all
    order (3,)           int64, for project_conflicts

    Returns (loss, gradients); no parameter's own .grad is touched.
    loss ()              the sum of the three terms
    gradients            for every name of model.named_parameters(), a tensor of the parameter's shape; 0 where nothing reaches it
    """
    raise NotImplementedError(
        "step_gradients: one gradient per term by everything; project the trunk's part, add up the rest"
    )


def multitask_gain(together: Tensor, alone: Tensor, lower_is_better: Tensor) -> Tensor:
    """By how much one network for all tasks is better than a network for each, in per cent, on average over the tasks.

    A task's gain is (together - alone) / alone, with the sign turned where less is better.

    together (T,)         what the shared network reached, one measure per task
    alone (T,)            what a network of its own reached in each, above 0
    lower_is_better (T,)  bool, True for errors, False for accuracies

    Returns a number as a tensor of shape (): negative where sharing did harm.
    gain ()
    """
    raise NotImplementedError("multitask_gain: relative differences, some turned round, their mean")


def fit(
    model: RoadNet,
    images: Tensor,
    targets: Sequence[Tensor],
    known: Tensor,
    batches: Tensor,
    orders: Tensor,
    learning_rate: float,
) -> list[float]:
    """Given: train the model in place with Adam, and return the loss before each step.

    The rates fall in a straight line to 0; that of the log variances is ten times the others'.

    batches (S, B)  int64, the frames of each step
    orders (S, 3)   int64, the order of each step for project_conflicts
    """
    named = dict(model.named_parameters())
    groups = [{"params": [p for name, p in named.items() if name != "log_variances"]}]
    groups.append({"params": [named["log_variances"]], "lr": 10 * learning_rate})
    optimiser = torch.optim.Adam(groups, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / len(batches))
    losses = []
    for rows, order in zip(batches, orders, strict=True):
        batch = [target[rows] for target in targets]
        loss, gradients = step_gradients(model, images[rows], batch, known[rows], order)
        for name, parameter in named.items():
            parameter.grad = gradients[name]
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    return losses
