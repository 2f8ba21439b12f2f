"""Self-attention on sentences: every word looks at the others before anything is averaged.

    the plot was not really good and the cast seemed bad      no praise
    the plot was really good and the cast seemed not bad      praise, in the very same words

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    encode          words in, padded ids out, and a mask that remembers which is which
    attention       softmax(q k / sqrt(D)) v, over the keys that the mask lets through
    SelfAttention   heads and projections: queries, keys and values from the same words
    masked_mean     an average over words, not over padding
    TextClassifier  words and positions, attention, average, answer

Letters in shapes: N sentences, T words of the longest, H heads, E = H * D the width, K classes; in `attention`, T
queries, S keys, D numbers in each of them, C numbers in a value. A mask is True where there is something to see.
Results have the dtype of their arguments or weights. Leave every argument as it was. There is no dropout. Names of
modules are part of the task: the suite loads its own weights into them; what they start from is yours to choose.
"""

import math

import torch
from torch import Tensor, nn

PADDING, UNKNOWN = 0, 1  # the ids that are no word of any vocabulary


def encode(sentences: list[str], vocabulary: dict[str, int]) -> tuple[Tensor, Tensor]:
    """Turn sentences into ids, padded at the end to the length of the longest.

    sentences   words in upper or lower case, separated by any white space; a sentence may be empty, but not all are
    vocabulary  the ids of lower-case words, 2 or more; any other word is UNKNOWN, and still a word

    Returns (ids, mask).
    ids (N, T)   int64, PADDING after the end of a sentence
    mask (N, T)  bool, True where a word stands
    """
    raise NotImplementedError("encode: split, look up, pad")


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention: the mean of the values, weighted by the softmax of q k / sqrt(D).

    q (N, H, T, D)     queries
    k (N, H, S, D)     keys
    v (N, H, S, C)     values; C need not be D
    mask (N, H, T, S)  bool, True where query t may see key s, or any shape that broadcasts to this; None: it sees all

    What a query may not see has weight 0. One that may see nothing gets weights 0 and the result 0, and sends back
    no gradient. Scores may be so large that their exponentials overflow: results and gradients are finite all the same.

    Returns (mixed, weights).
    mixed (N, H, T, C)    what the queries found
    weights (N, H, T, S)  not negative; each row sums to 1, or is 0 where there is nothing to see
    """
    raise NotImplementedError("attention: scores, scale, mask, softmax, and think of a row that sees nothing")


class SelfAttention(nn.Module):
    """Multi-head self-attention: each word asks all words of its own sentence.

    query, key, value = nn.Linear(E, E)  of their output, head 0 takes the first D numbers, head 1 the next D, ...
    out = nn.Linear(E, E)                mixes the heads, laid side by side in the same order
    """

    def __init__(self, width: int, heads: int) -> None:
        """Make the four layers for E = width and H = heads, which divides E."""
        super().__init__()
        raise NotImplementedError("SelfAttention.__init__: keep the number of heads and make the four layers")

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Let every word look at the words of its sentence, and at no padding.

        x (N, T, E)   one vector per word; what stands on padding is finite
        mask (N, T)   bool, True where a word stands: anywhere in the row, perhaps nowhere

        Returns (y, weights): what `out` makes of the heads, and where each word has looked. On padding, the rows of
        both are finite and otherwise free: nobody reads them.
        y (N, T, E)           one vector per word; x is not added to it
        weights (N, H, T, T)  word t looks at word s
        """
        raise NotImplementedError("SelfAttention.forward: project, split the heads, attend, merge, mix")


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """The mean over the words of each sentence; 0 for a sentence without words.

    x (N, T, E)   one vector per word; what stands on padding is finite
    mask (N, T)   bool, True where a word stands: anywhere in the row, perhaps nowhere

    Returns the means.
    mean (N, E)   one vector per sentence
    """
    raise NotImplementedError("masked_mean: add up the words, divide by how many there are")


class TextClassifier(nn.Module):
    """head(masked_mean(attention(token[ids] + position[0 ... T - 1]))).

    token = nn.Embedding(words, E)
    position = nn.Embedding(longest, E)
    attention = SelfAttention(E, H)
    head = nn.Linear(E, K)
    """

    def __init__(self, words: int, longest: int, width: int, heads: int, classes: int) -> None:
        """Make the four parts for ids below `words`, T up to `longest`, E = width, H = heads and K = classes."""
        super().__init__()
        raise NotImplementedError("TextClassifier.__init__: two embeddings, attention, a head")

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Answer once per sentence.

        ids (N, T)   int64; what stands on padding is the id of anything
        mask (N, T)  bool, True where a word stands: anywhere in the row, perhaps nowhere

        Returns (logits, weights): unnormalised scores, no softmax; and the weights of the attention.
        logits (N, K)         one row per sentence; without words, it is the bias of the head
        weights (N, H, T, T)  as in SelfAttention
        """
        raise NotImplementedError(
            "TextClassifier.forward: embed, add the positions, attend, average what attention gave, classify"
        )
