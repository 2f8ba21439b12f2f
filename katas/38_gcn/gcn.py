"""Graph convolution: a club of thirty-four splits, two of them have said where they go, and friendships tell the rest.

    friends, and nothing else            who goes with whom
    0-1  0-2  0-31  ...  32-33           0: side 0   33: side 1   all others: ?

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    normalised_edges  who hears whom, and how loudly: D^-1/2 (A + I) D^-1/2, without a matrix
    propagate         everyone hears their friends: a sum over entries, never over all pairs
    GraphConvolution  propagate(x @ weight) + bias
    GCN               two of them, so that friends of friends are heard
    masked_loss       learn from those whose side is known
    roughness         how much is left to tell people apart by, after each propagation

`fit` is given, and complete: there is nothing to write in it.

Letters in shapes: N members, E pairs, M entries of the sparse matrix, F features of a member, H hidden units, K sides,
D depth. Where nothing else is said, results have the dtype of their arguments or weights. Leave every argument as it was.
The names of layers and parameters are part of the task: the suite loads its own weights into them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def normalised_edges(edges: Tensor, members: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """D^-1/2 (A + I) D^-1/2 as a list of its entries that are not 0: friendships both ways, and everyone with themselves.

    A[i, j] is 1 where i and j are friends, however often and in whichever order the pair is listed, else 0; a member
    listed with themselves adds nothing to that. The degrees D are the row sums of A + I.

    edges (E, 2)  int64, pairs of members; there may be none
    members       N, at least 1: members are 0 ... N - 1, and some may have no friend at all

    Returns (index, weights), the entries in any order, each place once.
    index (2, M)  int64: row 0 is who hears, row 1 is who is heard
    weights (M,)  1 / sqrt(D[who hears] * D[who is heard]), of the dtype that is asked for
    """
    raise NotImplementedError(
        "normalised_edges: both directions and the self-loops, each place once; then degrees; then weights"
    )


def propagate(x: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Multiply by a sparse matrix: everyone adds up what they hear, each voice by its weight.

    It does so for any matrix, also one that is not symmetric: places may repeat, and then add up. Time and memory grow
    with N F + M F, never with N N.

    x (N, F)      what each member says
    index (2, M)  int64: entry m is heard by index[0, m] from index[1, m]; there may be none
    weights (M,)  how loudly

    Returns the sums, 0 for who hears nobody; gradients reach x and weights.
    heard (N, F)  heard[i] = sum of weights[m] * x[index[1, m]] over the entries m with index[0, m] = i
    """
    raise NotImplementedError("propagate: gather what is heard, weigh it, and add it up where it is heard")


class GraphConvolution(nn.Module):
    """propagate(x @ weight) + bias.

    weight = nn.Parameter (F, H)  drawn uniformly between -sqrt(6 / (F + H)) and sqrt(6 / (F + H))
    bias = nn.Parameter (H,)      zeros; added after the propagation, so that it is the same for everyone
    """

    def __init__(self, features: int, outputs: int, dtype: torch.dtype = torch.float32) -> None:
        """Make both for F = features and H = outputs, of this dtype."""
        super().__init__()
        raise NotImplementedError("GraphConvolution.__init__: two parameters")

    def forward(self, x: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        """One linear map for everyone, and then everyone hears their friends.

        x (N, F)      features of each member
        index (2, M)  int64, entries of a sparse matrix
        weights (M,)  their values

        Returns one row per member.
        hidden (N, H)
        """
        raise NotImplementedError("GraphConvolution.forward: map, propagate, add the bias")


class GCN(nn.Module):
    """second(relu(first(x))), where each of the two propagates.

    first = GraphConvolution(F, H)
    second = GraphConvolution(H, K)
    """

    def __init__(self, features: int, hidden_size: int, classes: int, dtype: torch.dtype = torch.float32) -> None:
        """Make both layers for F = features, H = hidden_size and K = classes, of this dtype."""
        super().__init__()
        raise NotImplementedError("GCN.__init__: two layers of this dtype")

    def forward(self, x: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        """Answer for every member at once.

        x (N, F)      features of each member; the identity where nothing is known of anyone
        index (2, M)  int64, entries of a sparse matrix
        weights (M,)  their values

        Returns unnormalised scores, no softmax.
        logits (N, K)  one row per member
        """
        raise NotImplementedError("GCN.forward: layer, relu, layer")


def masked_loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """The mean cross-entropy in nats over the members whose side is known: those alone, and divided by their number.

    logits (N, K)  unnormalised scores of any size
    labels (N,)    int64, sides; where none is known stands any number at all, such as -1
    known (N,)     bool, True where the side is known, at least once

    Returns a number as a tensor of shape ().
    loss ()
    """
    raise NotImplementedError("masked_loss: choose the rows first")


def roughness(x: Tensor, index: Tensor, weights: Tensor, depth: int) -> Tensor:
    """What propagation has left to smooth away, before it and after each of `depth` propagations, nothing learnt.

    With P the matrix of the entries, and x_0 = x, x_k = P x_(k-1): the roughness of x_k is 1 - sum(x_k * P x_k) / sum(x_k * x_k),
    the sums over members and features. It is 0 where all members are alike but for the root of their degree.

    x (N, F)      features of each member, not all 0
    index (2, M)  int64, the entries of normalised_edges
    weights (M,)  their values
    depth         D, at least 0

    Returns a measure, which nobody differentiates.
    rough (D + 1,)
    """
    raise NotImplementedError("roughness: one more propagation than there are depths, each used twice")


def fit(
    model: GCN,
    x: Tensor,
    index: Tensor,
    weights: Tensor,
    labels: Tensor,
    known: Tensor,
    steps: int,
    learning_rate: float,
) -> list[float]:
    """Given: train the model in place with Adam, every step on the whole network, and return the loss before each."""
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(steps):
        loss = masked_loss(model(x, index, weights), labels, known)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
