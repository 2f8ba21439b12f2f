"""Who is who in a video: tracks that follow people from frame to frame, and a network that sees which way they go.

    camera -> a detector's points, frame by frame -> track -> who was where, under one name
                                   short clips of people -> ClipNet -> what they do

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    predict, update   the Kalman filter: where a person should be by now, and what a detection tells
    costs             how badly each detection fits each track
    match             the one choice of pairs that is cheapest for all together
    track             a whole video: tracks are born, named, left alone, and die
    idf1              how well names were kept: the score that the field reports
    conv3d, ClipNet   filters that reach over space and time

Letters in shapes: N tracks, S numbers of a state, M numbers of a detection, D detections, P parts of a video (its frames);
B clips, C channels, T frames, H x W pixels, F filters of I x J x L (frames, rows, columns), K classes. Tracks are in float64, names
and rows in int64; ClipNet has a dtype of its own. Everything but `match`, `track` and `idf1` carries gradients. Leave every
argument as it was. The names of layers are part of the task: the suite loads its own weights into them, and trains them.
"""

import numpy as np
import torch
from torch import Tensor, nn

NOBODY = -1  # no detection, no track, no person

# The world of `track`, in metres. A state is a person's x, y and how far they walk in a frame along both; a detection is an x, y.
MOTION = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64)
WANDER = torch.diag(torch.tensor([0.0, 0, 0.01, 0.01], dtype=torch.float64))  # a speed changes by about 0.1 in a frame
SENSOR = torch.eye(2, 4, dtype=torch.float64)  # speeds are not seen
BLUR = torch.eye(2, dtype=torch.float64)  # a detection is off by about 1, as the wind shakes the camera
BIRTH = torch.eye(4, dtype=torch.float64)  # a new track: its place is off by about 1, its speed, taken for 0, too


def cheapest(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Given to you: as many pairs as the shorter side allows, each row and column once, with the least sum.

    cost (R, Q)   finite numbers, of any sign; R or Q may be 0

    Returns (rows, columns) of the pairs, rows ascending, as scipy.optimize.linear_sum_assignment does (take that, if you
    like: there it is fast). One row after another looks for the cheapest chain of exchanges that ends at a free column.
    """
    if len(cost) > cost.shape[1]:
        columns, rows = cheapest(cost.T)
        order = rows.argsort()
        return rows[order], columns[order]
    table = cost.detach().numpy()
    column_of, row_of = np.full(table.shape[0], -1), np.full(table.shape[1], -1)
    by_row, by_column = np.zeros(table.shape[0]), np.zeros(table.shape[1])  # prices: no pair is cheaper than their sum
    for row in range(len(table)):
        length, came_from = np.full(table.shape[1], np.inf), np.full(table.shape[1], -1)
        reached, here, so_far = np.zeros(table.shape[1], dtype=bool), row, 0.0
        while here >= 0:
            onward = so_far + table[here] - by_row[here] - by_column
            shorter = ~reached & (onward < length)
            length[shorter], came_from[shorter] = onward[shorter], here
            column = int(np.where(reached, np.inf, length).argmin())
            so_far, here = length[column], row_of[column]
            reached[column] = here >= 0
        saved = so_far - length[reached]
        by_column[reached] -= saved
        by_row[row_of[reached]] += saved
        by_row[row] += so_far
        while column >= 0:
            here = came_from[column]
            row_of[column] = here
            column, column_of[here] = column_of[here], column
    return torch.arange(len(table)), torch.from_numpy(column_of)


def predict(mean: Tensor, covariance: Tensor, motion: Tensor, wander: Tensor) -> tuple[Tensor, Tensor]:
    """One frame later: motion mean, and motion covariance motion^T + wander.

    mean (N, S)             where each track is believed to be, a state a row
    covariance (N, S, S)    how unsure that is
    motion (S, S)           a state times this is the state one frame later
    wander (S, S)           the covariance of what is added to it by chance

    Returns (mean, covariance) one frame later, of the same shapes.
    """
    # BEGIN SOLUTION: both sides of a covariance are multiplied
    return mean @ motion.T, motion @ covariance @ motion.T + wander
    # END SOLUTION


def update(mean: Tensor, covariance: Tensor, seen: Tensor, sensor: Tensor, blur: Tensor) -> tuple[Tensor, Tensor]:
    """What a detection of each track tells of its state.

    mean (N, S), covariance (N, S, S)   before the detection
    seen (N, M)                         the detection of each track
    sensor (M, S)                       a state times this is what should be seen
    blur (M, M)                         the covariance of what is added to it by chance

    Returns (mean, covariance) of the state, given the detection, of the same shapes.
    """
    # BEGIN SOLUTION: the gain says how far to follow the surprise, and by how much doubt shrinks
    reach = covariance @ sensor.T
    gain = torch.linalg.solve(sensor @ reach + blur, reach.mT).mT
    surprise = seen - mean @ sensor.T
    return mean + (gain @ surprise[:, :, None])[:, :, 0], covariance - gain @ reach.mT
    # END SOLUTION


def costs(mean: Tensor, covariance: Tensor, detections: Tensor, sensor: Tensor, blur: Tensor) -> Tensor:
    """How badly each detection fits each track: minus the logarithm of its density, if it were that track's.

    The density is normal, around sensor mean, with the covariance sensor covariance sensor^T + blur.

    mean (N, S), covariance (N, S, S)   the tracks, predicted
    detections (D, M)                   what is seen
    sensor (M, S), blur (M, M)          as in update

    Returns natural logarithms, low where a detection fits, and below 0 where densities are above 1. N and D may be 0.
    table (N, D)   rows are tracks
    """
    # BEGIN SOLUTION: the squared distance in units of the doubt, and what the doubt itself costs
    doubt = sensor @ covariance @ sensor.T + blur
    surprise = detections - (mean @ sensor.T)[:, None]
    squared = (surprise * torch.linalg.solve(doubt, surprise.mT).mT).sum(dim=2)
    return (squared + torch.logdet(2 * torch.pi * doubt)[:, None]) / 2
    # END SOLUTION


def match(table: Tensor, limit: float) -> Tensor:
    """Give tracks their detections: of all choices the one whose sum is least, where a track left alone costs `limit`.

    A choice is any number of pairs of a track and a detection, each at most once, all of them cheaper than `limit`.

    table (N, D)   the cost of each pair; N or D may be 0; no two choices are equally cheap
    limit          a number of either sign

    Returns for each track the row of its detection, or NOBODY: int64.
    matches (N,)
    """
    # BEGIN SOLUTION: what is dearer than being alone shall cost as much as being alone
    rows, columns = cheapest(table.clamp(max=limit))
    matches = torch.full((len(table),), NOBODY)
    matches[rows] = torch.where(table[rows, columns] < limit, columns, NOBODY)
    return matches
    # END SOLUTION


def track(frames: list[Tensor], limit: float, max_age: int, min_hits: int) -> list[Tensor]:
    """Follow everyone through a video. In each frame, in this order:

    1. every living track is predicted (MOTION, WANDER), and matched by its costs (SENSOR, BLUR) and `limit`;
    2. those with a detection are updated with it; those that have had none for more than `max_age` frames on end die;
    3. every detection without a track begins one, there, at speed 0, with the covariance BIRTH. Tracks are numbered from 0
       in the order of their births, detections of one frame in the order of their rows, and no number comes twice.

    frames     P frames, each detections (D, 2), where D may differ and may be 0
    limit      as in match
    max_age    0: a track dies in the first frame without a detection
    min_hits   a detection is given the number of its track if it is the track's min_hits-th or a later one, else NOBODY;
               at least 1

    Returns a list of P tensors of names.
    names (D,)   int64
    """
    # BEGIN SOLUTION: keep means and covariances of living tracks in two tensors, and what is counted beside them
    mean, covariance = BIRTH.new_zeros(0, 4), BIRTH.new_zeros(0, 4, 4)
    number, age, hits = (torch.zeros(0, dtype=torch.int64) for _ in range(3))
    born, answers = 0, []
    for detections in frames:
        mean, covariance = predict(mean, covariance, MOTION, WANDER)
        matches = match(costs(mean, covariance, detections, SENSOR, BLUR), limit)
        found = matches != NOBODY
        seen = detections[matches[found]]
        mean[found], covariance[found] = update(mean[found], covariance[found], seen, SENSOR, BLUR)
        age, hits = torch.where(found, 0, age + 1), hits + found.long()

        lone = torch.ones(len(detections), dtype=torch.bool)
        lone[matches[found]] = False
        new = int(lone.sum())
        names = torch.full((len(detections),), NOBODY)
        names[matches[found]] = torch.where(hits[found] >= min_hits, number[found], NOBODY)
        names[lone] = torch.arange(born, born + new) if min_hits <= 1 else NOBODY
        answers.append(names)

        alive = age <= max_age
        start = torch.cat([detections[lone], torch.zeros_like(detections[lone])], dim=1)
        mean = torch.cat([mean[alive], start])
        covariance = torch.cat([covariance[alive], BIRTH.expand(new, 4, 4)])
        number = torch.cat([number[alive], torch.arange(born, born + new)])
        age = torch.cat([age[alive], torch.zeros(new, dtype=torch.int64)])
        hits = torch.cat([hits[alive], torch.ones(new, dtype=torch.int64)])
        born += new
    return answers
    # END SOLUTION


def idf1(people: Tensor, names: Tensor) -> float:
    """How well names were kept: each person is given one name at most for the whole video, and each name to one person at
    most, so that as many detections as possible are right. Then 2 right / (detections of people + detections named).

    people (D,)   who each detection of a video really is: a number from 0 up, of any size; NOBODY for a false alarm
    names (D,)    what it was named, as in track; NOBODY for none. At least one entry of both together is not NOBODY

    Returns a number from 0 to 1.
    """
    # BEGIN SOLUTION: a table of who was named what how often, and the best choice in it
    both = (people != NOBODY) & (names != NOBODY)
    who, person = people[both].unique(return_inverse=True)
    what, name = names[both].unique(return_inverse=True)
    table = torch.zeros(len(who), len(what), dtype=torch.float64)
    table.index_put_((person, name), torch.ones(len(person), dtype=torch.float64), accumulate=True)
    right = table[cheapest(-table)].sum()
    return float(2 * right / ((people != NOBODY).sum() + (names != NOBODY).sum()))
    # END SOLUTION


def conv3d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A filter that reaches over frames, rows and columns: bias + sum over c, i, j, l of weight[c, i, j, l] *
    x[c, t + i, y + j, x + l]. No padding, stride 1.

    x (B, C, T, H, W)         clips, channels before frames
    weight (F, C, I, J, L)    F filters of I frames, J rows and L columns, none larger than the clip
    bias (F,)                 one number per filter

    Returns what every filter finds at every place where it fits.
    y (B, F, T - I + 1, H - J + 1, W - L + 1)
    """
    # BEGIN SOLUTION: cut out all windows, then one product
    windows = x
    for axis, size in enumerate(weight.shape[2:], start=2):
        windows = windows.unfold(axis, size, 1)
    return torch.einsum("bcthwijl,fcijl->bfthw", windows, weight) + bias[:, None, None, None]
    # END SOLUTION


class ClipNet(nn.Module):
    """head(the mean over frames, rows and columns of relu(conv3d(clips))).

    conv = nn.Conv3d(C, F, (I, J, L))    holds the weights; the work is done by your conv3d
    head = nn.Linear(F, K)
    """

    def __init__(
        self, channels: int, filters: int, size: tuple[int, int, int], classes: int, dtype: torch.dtype = torch.float32
    ) -> None:
        """Make both layers for C, F, (I, J, L) and K, of this dtype."""
        super().__init__()
        # BEGIN SOLUTION: two layers
        self.conv = nn.Conv3d(channels, filters, size, dtype=dtype)
        self.head = nn.Linear(filters, classes, dtype=dtype)
        # END SOLUTION

    def forward(self, clips: Tensor) -> Tensor:
        """One logit per class: no softmax.

        clips (B, T, C, H, W)   as videos are read: frame by frame, each with its channels

        logits (B, K)
        """
        # BEGIN SOLUTION: channels before frames, filters, relu, one mean per filter, head
        found = conv3d(clips.transpose(1, 2), self.conv.weight, self.conv.bias)
        return self.head(found.relu().mean(dim=(2, 3, 4)))
        # END SOLUTION
