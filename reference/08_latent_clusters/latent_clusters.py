"""Clusters in raw pixels and in a latent space: which finds the digits better, and how sure are you?

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    adjusted_rand_index            how far two groupings agree about pairs, with luck taken off
    normalised_mutual_information  how much of one grouping the other one tells
    Autoencoder                    a network that learns short codes
    cluster_held_out               k-means that learns from some rows and sorts others
    compare                        both spaces, the same trial, several seeds
    winner                         which space is better, if the seeds allow to say so

Letters in shapes: N rows that are sorted, M training rows, D numbers in a raw row, H hidden units, Z numbers in a code,
S seeds, B training steps. Labels and clusters are names: any int64 numbers, of which only equality counts. Leave every
argument as it was. For k-means, import scikit-learn's KMeans; the two scores are yours to write: float32 on the way to
them is exact enough, and those of scikit-learn are refused.
"""

import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn


def adjusted_rand_index(labels: Tensor, clusters: Tensor) -> float:
    """Of all pairs of rows, how many are together in both groupings: 0 as many as by luck, 1 all that could be.

    labels (N,)    int64, the true group of each row, N at least 2 and at most 100,000
    clusters (N,)  int64, the cluster of each row

    With pairs(n) = n (n - 1) / 2: A sums pairs(size) over the labels' groups, B over the clusters, C over the cells
    of the table that counts rows of each label in each cluster. Luck is A B / pairs(N), the most there can be is
    (A + B) / 2, and the index is (C - luck) / (most - luck).

    Returns a Python float, at most 1, negative if worse than luck. If most equals luck, both groupings are trivial in
    the same way (one group each, or each row its own), and the index is 1.
    """

    # BEGIN SOLUTION: count the table with one unique over pairs of names; mind that A times B is large
    def pairs(names: Tensor) -> float:
        sizes = names.unique(dim=0, return_counts=True)[1].double()
        return (sizes * (sizes - 1) / 2).sum().item()

    a, b, both = pairs(labels), pairs(clusters), pairs(torch.stack([labels, clusters], dim=1))
    luck = a * b / (len(labels) * (len(labels) - 1) / 2)
    most = (a + b) / 2
    return 1.0 if most == luck else (both - luck) / (most - luck)
    # END SOLUTION


def normalised_mutual_information(labels: Tensor, clusters: Tensor) -> float:
    """The information that both groupings share, over the mean of what each of them holds.

    labels (N,)    int64, the true group of each row, N at least 1
    clusters (N,)  int64, the cluster of each row

    With p the share of rows in a group and H = -sum p log p: H(labels) + H(clusters) - H(both), over half of
    H(labels) + H(clusters), where H(both) is that of the pairs (label, cluster).

    Returns a Python float from 0 to 1. If both groupings have a single group, it is 1.
    """

    # BEGIN SOLUTION: three entropies
    def entropy(names: Tensor) -> float:
        shares = names.unique(dim=0, return_counts=True)[1].double() / len(names)
        return -(shares * shares.log()).sum().item()

    first, second = entropy(labels), entropy(clusters)
    if first + second == 0:
        return 1.0
    shared = first + second - entropy(torch.stack([labels, clusters], dim=1))
    return max(0.0, 2 * shared / (first + second))
    # END SOLUTION


class Autoencoder(nn.Module):
    """encode = squeeze(tanh(look(x))), and the way back, output = paint(tanh(unfold(code))). Nothing follows the code.

    The parameters have the names, shapes and default first values of nn.Linear; there are no others.

    look.weight (H, D)     from a raw row to the hidden layer
    look.bias (H,)         its bias
    squeeze.weight (Z, H)  from there to the code
    squeeze.bias (Z,)      its bias
    unfold.weight (H, Z)   from the code to the hidden layer of the way back
    unfold.bias (H,)       its bias
    paint.weight (D, H)    from there to the row again
    paint.bias (D,)        its bias
    """

    def __init__(self, raw_size: int, hidden_size: int, code_size: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the four layers for D = raw_size, H = hidden_size and Z = code_size, all of this dtype."""
        super().__init__()
        # BEGIN SOLUTION: four nn.Linear, with dtype passed on
        self.look = nn.Linear(raw_size, hidden_size, dtype=dtype)
        self.squeeze = nn.Linear(hidden_size, code_size, dtype=dtype)
        self.unfold = nn.Linear(code_size, hidden_size, dtype=dtype)
        self.paint = nn.Linear(hidden_size, raw_size, dtype=dtype)
        # END SOLUTION

    def encode(self, x: Tensor) -> Tensor:
        """The code of each row.

        x (N, D)     raw rows

        Returns the codes, any real numbers.
        code (N, Z)  one per row
        """
        # BEGIN SOLUTION: two layers, one tanh
        return self.squeeze(torch.tanh(self.look(x)))
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """Encode, and rebuild.

        x (N, D)       raw rows

        Returns the rebuilt rows, through which gradients reach x and every parameter.
        output (N, D)  any real numbers
        """
        # BEGIN SOLUTION: two more layers behind the code
        return self.paint(torch.tanh(self.unfold(self.encode(x))))
        # END SOLUTION

    def fit(self, rows: Tensor, batches: Tensor, learning_rates: list[float]) -> list[float]:
        """Train in place with one torch.optim.Adam, defaults but for the learning rate, one step per batch.

        rows (M, D)          training rows
        batches (B, N)       int64: step b rebuilds rows[batches[b]] ...
        learning_rates (B,)  ... and moves with learning_rates[b], a list of B Python floats

        Returns a list of B Python floats.
        losses (B,)          the squared distance between row and rebuilt row, summed over D, averaged over the batch,
                             before that step's update
        """
        # BEGIN SOLUTION: one optimiser; in each step its rate, loss, gradients, update
        optimiser = torch.optim.Adam(self.parameters())
        losses = []
        for chosen, rate in zip(batches, learning_rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate
            x = rows[chosen]
            loss = ((self(x) - x) ** 2).sum(dim=1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses
        # END SOLUTION


def cluster_held_out(training: Tensor, held_out: Tensor, clusters: int, seed: int) -> Tensor:
    """Learn clusters from the training rows, and say to which of them each held-out row belongs.

    training (M, D)  rows to learn from, float64; M at least `clusters`
    held_out (N, D)  rows to sort, float64, which k-means has not seen; N may be 1
    clusters         how many clusters
    seed             for KMeans(clusters, n_init=1, random_state=seed), so that a seed is one honest attempt

    Returns the cluster of each held-out row.
    found (N,)       int64, from 0 to clusters - 1
    """
    # BEGIN SOLUTION: fit on some rows, predict others
    kmeans = KMeans(clusters, n_init=1, random_state=seed).fit(training.numpy())
    return torch.from_numpy(kmeans.predict(held_out.numpy())).long()
    # END SOLUTION


def compare(
    model: Autoencoder, training: Tensor, held_out: Tensor, labels: Tensor, clusters: int, seeds: list[int]
) -> dict[str, Tensor]:
    """The same trial in both spaces: k-means on raw rows for raw rows, and another k-means on codes for codes.

    model            gives the codes of training and held-out rows
    training (M, D)  raw rows to learn from, of the model's dtype
    held_out (N, D)  raw rows to sort
    labels (N,)      int64, their true groups, of which k-means knows nothing
    clusters         how many clusters, in both spaces
    seeds            S whole numbers; each is one attempt in each space

    Both spaces are given to k-means as float64.

    Returns {"raw": ..., "latent": ...}, two float64 tensors that carry no graph.
    raw (S, 2)       adjusted_rand_index and normalised_mutual_information of each attempt, in this order
    latent (S, 2)    the same in the latent space
    """
    # BEGIN SOLUTION: codes without a graph, then the same few lines for either space
    with torch.no_grad():
        spaces = {"raw": (training, held_out), "latent": (model.encode(training), model.encode(held_out))}
    scores = {}
    for name, (known, asked) in spaces.items():
        attempts = [cluster_held_out(known.double(), asked.double(), clusters, seed) for seed in seeds]
        pairs = [(adjusted_rand_index(labels, a), normalised_mutual_information(labels, a)) for a in attempts]
        scores[name] = torch.tensor(pairs, dtype=torch.float64)
    return scores
    # END SOLUTION


def winner(raw: Tensor, latent: Tensor) -> str:
    """Which space has the better mean score, if the difference is more than twice its standard error.

    raw (S,)     float64, one score per attempt, S at least 2
    latent (S,)  float64, likewise; attempts of the two spaces have nothing to do with each other

    The standard error of the difference of two means is sqrt(variance(raw) / S + variance(latent) / S), each variance
    with S - 1 below the line.

    Returns "raw", "latent", or "undecided" if the difference is not above two standard errors.
    """
    # BEGIN SOLUTION: difference of means, its standard error, three answers
    difference = (raw.mean() - latent.mean()).item()
    error = ((raw.var() + latent.var()) / len(raw)).sqrt().item()
    if abs(difference) <= 2 * error:
        return "undecided"
    return "raw" if difference > 0 else "latent"
    # END SOLUTION
