"""Motifs in DNA: a filter that reads both strands, and the letters that it has learnt to look for.

    5' ...A C C A C C A G G G G G C A... 3'      a site of the protein CTCF, on the strand that was written down
    5' ...T G C C C C C T G G T G G T... 3'      the same site, on the strand that was not

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    one_hot, reverse_complement   letters to numbers, and the other strand
    scan                          the score of every window, on both strands, by the same filters
    MotifNet                      the best window of each filter, and what follows from it
    motif_counts                  which letters stand where a filter fired
    log_odds                      counts to bits, and no letter is impossible
    split                         held-out molecules that training has not seen from behind

Letters in shapes: N sequences, L letters of each, K filters, W letters of a filter, P = L - W + 1 windows. Window p begins
at letter p. Bases are in the order A, C, G, T everywhere. Results have the dtype of their arguments or weights. Leave every
argument as it was. The names of layers are part of the task: the suite loads its own weights into them, and trains them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def one_hot(sequences: list[str]) -> Tensor:
    """Letters to numbers: 1 in the row of the base and 0 elsewhere.

    sequences   strings of A, C, G, T and N, at least one, all of one length; small letters, by which genomes mark repeats,
                mean the same. N is a base that nobody could read: it has 0 in all four rows

    Returns float32 numbers. Raises ValueError on any other letter, and on sequences of different lengths.
    x (N, 4, L)   rows A, C, G, T
    """
    raise NotImplementedError("one_hot: find each letter's row; a letter without one is N or an error")


def reverse_complement(x: Tensor) -> Tensor:
    """The other strand, read in its own direction: its first letter is the partner of the last one (A of T, C of G).

    x (N, 4, L)        one-hot letters, or any numbers in their place

    Returns a tensor of the same shape and dtype.
    other (N, 4, L)    for ACCN it is NGGT
    """
    raise NotImplementedError("reverse_complement: two axes turn round")


def scan(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The score of every window on both strands: bias + sum over bases b and places i of weight[b, i] * window[b, i].

    x (N, 4, L)            one-hot letters, or any numbers in their place
    weight (K, 4, W)       filters, W <= L
    bias (K,)              one number per filter, for both strands

    Returns scores of windows as they are written (strand 0), and of their reverse complements (strand 1).
    scores (N, K, 2, P)    both strands of place p are of the same letters of x, p to p + W - 1
    """
    raise NotImplementedError("scan: who turns the filter round need not turn the sequence")


class MotifNet(nn.Module):
    """head(relu(the best score of each filter, over both strands and all windows)).

    filters = nn.Conv1d(4, K, W)
    head = nn.Linear(K, 1)
    """

    def __init__(self, filters: int, width: int, dtype: torch.dtype = torch.float32) -> None:
        """Make both layers for K = filters and W = width, of this dtype."""
        super().__init__()
        raise NotImplementedError("MotifNet.__init__: two layers")

    def forward(self, x: Tensor) -> Tensor:
        """One logit per sequence, the same for its reverse complement: no sigmoid.

        x (N, 4, L)    one-hot letters, or any numbers in their place

        logits (N,)    above 0 where a site is likelier than none
        """
        raise NotImplementedError("MotifNet.forward: scan, the best of each filter, relu, head")


def motif_counts(x: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Which bases stand where each filter fired: at most one window of a sequence, its best on either strand.

    x (N, 4, L)            one-hot letters
    scores (N, K, 2, P)    of scan; no two windows of a filter in a sequence tie, unless they hold the same letters
    threshold              a best window counts if its score is above this number, and not if it is equal

    Returns how often each base stood at each place of the windows that count, read on the strand that scored.
    counts (K, 4, W)       W = L - P + 1; N counts for no base
    """
    raise NotImplementedError(
        "motif_counts: find strand and place of each best window, turn what was read on strand 1, add up"
    )


def log_odds(counts: Tensor, background: Tensor, pseudocount: float) -> Tensor:
    """The position weight matrix in bits: how much likelier a base is at a place of a site than anywhere.

    counts (K, 4, W)    how often each base stood at each place; a place may have fewer than others, or none
    background (4,)     how frequent each base is anywhere: positive, their sum is 1
    pseudocount         a positive number: imagined observations per place, shared out like the background

    Returns log2 of frequency / background, where frequency = (counts + pseudocount * background) / (sum + pseudocount),
    and the sum is that of the four counts of the same place. It is never infinite; 0 where nothing was counted.
    bits (K, 4, W)      a filter of scan that needs no training
    """
    raise NotImplementedError("log_odds: imagined observations first, then frequencies, then the logarithm")


def split(sequences: list[str], order: Tensor, held_out: int) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows to test on, without a molecule that is in both.

    Two sequences are of one molecule if they are equal, or one is the reverse complement of the other, in small letters or
    capital ones. Molecules are asked for in the order in which `order` first names one of their rows. The first `held_out`
    of them are tested on, with all of their rows, and the others are trained on.

    sequences    N strings of A, C, G, T and N, of any lengths
    order (N,)   int64, each row once
    held_out     how many molecules to test on, from 0 up; all of them, if there are fewer

    Returns (train, test): int64, rows in ascending order.
    """
    raise NotImplementedError("split: give both strands of a molecule one name")
