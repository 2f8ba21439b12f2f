"""Attention pooling: an LSTM reads a sentence both ways, and a learnt question decides which words the answer rests on.

    the plot was not really good and the cast seemed bad      no praise
    the plot was really good and the cast seemed not bad      praise, in the very same words

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    additive_scores   how interesting each word is: v . tanh(W h + b)
    masked_softmax    scores to weights, and padding weighs nothing
    AttentionPooling  one vector for a sentence, and where it looked
    TextClassifier    words, both directions, attention, answer
    fit               train it on sentences whose words alone say nothing

Letters in shapes: N sentences, T words of the longest, S numbers in the state of a word, A attention units, E numbers in
the vector of a word, H hidden units in each direction, K classes; M training sentences, B training steps. A mask is True
where a word stands. Results have the dtype of their arguments or weights. Leave every argument as it was. No dropout. The
names of layers and parameters are part of the task: the suite loads its own weights into them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def additive_scores(states: Tensor, weight: Tensor, bias: Tensor, question: Tensor) -> Tensor:
    """Bahdanau's score: every state is projected, squashed, and held against one learnt vector.

    states (N, T, S)  what is known of each word
    weight (A, S)     projection
    bias (A,)         its bias
    question (A,)     what is looked for

    Returns one number per word, of any size.
    scores (N, T)     question . tanh(weight @ state + bias)
    """
    raise NotImplementedError("additive_scores: a linear map, tanh, and a product with the question")


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """A softmax over the words of each sentence, in which padding does not take part.

    scores (N, T)   one number per word, so large perhaps that exp of it overflows; what stands on padding is finite
    mask (N, T)     bool, True where a word stands: anywhere in the row, perhaps nowhere

    Returns the weights, through which gradients reach the scores, never NaN.
    weights (N, T)  0 on padding; every row sums to 1, or is 0 where there is no word
    """
    raise NotImplementedError("masked_softmax: hide scores before the softmax, and think of a row without words")


class AttentionPooling(nn.Module):
    """The mean of the states, weighted by masked_softmax of their additive_scores.

    project = nn.Linear(S, A)
    question = nn.Parameter (A,)  drawn uniformly between -1 / sqrt(A) and 1 / sqrt(A)
    """

    def __init__(self, state_size: int, attention_size: int, dtype: torch.dtype = torch.float32) -> None:
        """Make both for S = state_size and A = attention_size, of this dtype."""
        super().__init__()
        raise NotImplementedError("AttentionPooling.__init__: one layer, one parameter")

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Look at every word, and keep what matters.

        states (N, T, S)  what is known of each word; what stands on padding is finite
        mask (N, T)       bool, True where a word stands: anywhere in the row, perhaps nowhere

        Returns (pooled, weights).
        pooled (N, S)     the weighted mean of the states themselves, not of their projections; 0 without words
        weights (N, T)    of masked_softmax
        """
        raise NotImplementedError("AttentionPooling.forward: scores, weights, weighted sum")


class TextClassifier(nn.Module):
    """head(pooling(lstm(token[ids]))), where both directions of the LSTM read the words of a sentence and no padding.

    token = nn.Embedding(words, E)
    lstm = nn.LSTM(E, H, batch_first=True, bidirectional=True)
    pooling = AttentionPooling(2H, A)
    head = nn.Linear(2H, K)
    """

    def __init__(
        self,
        words: int,
        width: int,
        hidden_size: int,
        attention_size: int,
        classes: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make the four parts for ids below `words`, E = width, H = hidden_size, A = attention_size and K = classes."""
        super().__init__()
        raise NotImplementedError("TextClassifier.__init__: four parts, all of this dtype")

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Answer once per sentence.

        ids (N, T)      int64; sentence n fills the first lengths[n] places, what stands on padding is the id of anything
        lengths (N,)    int64, from 1 to T, in any order

        Returns (logits, weights): unnormalised scores, no softmax; and the weights of the attention.
        logits (N, K)   one row per sentence
        weights (N, T)  0 on padding
        """
        raise NotImplementedError(
            "TextClassifier.forward: the backward direction must not begin in the padding; the mask follows from lengths"
        )


def fit(
    model: TextClassifier, ids: Tensor, lengths: Tensor, labels: Tensor, batches: Tensor, learning_rate: float
) -> list[float]:
    """Train the model in place with one torch.optim.Adam, defaults but for the learning rate, one step per batch.

    The model stays in the mode that it is in: training or evaluation.

    ids (M, T)      int64, all training sentences
    lengths (M,)    int64, how many words each has
    labels (M,)     int64, their classes
    batches (B, N)  int64: step b trains on the rows batches[b]
    learning_rate   a positive number

    Returns a list of B Python floats.
    losses (B,)     mean cross-entropy of each step's batch in nats, before that step's update
    """
    raise NotImplementedError("fit: one optimiser; in each step loss, gradients, update")
