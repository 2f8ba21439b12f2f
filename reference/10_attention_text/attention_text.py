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
    # BEGIN SOLUTION: a linear map, tanh, and a product with the question
    return torch.tanh(F.linear(states, weight, bias)) @ question
    # END SOLUTION


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """A softmax over the words of each sentence, in which padding does not take part.

    scores (N, T)   one number per word, so large perhaps that exp of it overflows; what stands on padding is finite
    mask (N, T)     bool, True where a word stands: anywhere in the row, perhaps nowhere

    Returns the weights, through which gradients reach the scores, never NaN.
    weights (N, T)  0 on padding; every row sums to 1, or is 0 where there is no word
    """
    # BEGIN SOLUTION: hide scores before the softmax, and think of a row without words
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=1)
    return weights.masked_fill(~mask, 0.0)
    # END SOLUTION


class AttentionPooling(nn.Module):
    """The mean of the states, weighted by masked_softmax of their additive_scores.

    project = nn.Linear(S, A)
    question = nn.Parameter (A,)  drawn uniformly between -1 / sqrt(A) and 1 / sqrt(A)
    """

    def __init__(self, state_size: int, attention_size: int, dtype: torch.dtype = torch.float32) -> None:
        """Make both for S = state_size and A = attention_size, of this dtype."""
        super().__init__()
        # BEGIN SOLUTION: one layer, one parameter
        self.project = nn.Linear(state_size, attention_size, dtype=dtype)
        bound = attention_size**-0.5
        self.question = nn.Parameter(torch.empty(attention_size, dtype=dtype).uniform_(-bound, bound))
        # END SOLUTION

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Look at every word, and keep what matters.

        states (N, T, S)  what is known of each word; what stands on padding is finite
        mask (N, T)       bool, True where a word stands: anywhere in the row, perhaps nowhere

        Returns (pooled, weights).
        pooled (N, S)     the weighted mean of the states themselves, not of their projections; 0 without words
        weights (N, T)    of masked_softmax
        """
        # BEGIN SOLUTION: scores, weights, weighted sum
        scores = additive_scores(states, self.project.weight, self.project.bias, self.question)
        weights = masked_softmax(scores, mask)
        return torch.einsum("nt,nts->ns", weights, states), weights
        # END SOLUTION


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
        # BEGIN SOLUTION: four parts, all of this dtype
        self.token = nn.Embedding(words, width, dtype=dtype)
        self.lstm = nn.LSTM(width, hidden_size, batch_first=True, bidirectional=True, dtype=dtype)
        self.pooling = AttentionPooling(2 * hidden_size, attention_size, dtype)
        self.head = nn.Linear(2 * hidden_size, classes, dtype=dtype)
        # END SOLUTION

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Answer once per sentence.

        ids (N, T)      int64; sentence n fills the first lengths[n] places, what stands on padding is the id of anything
        lengths (N,)    int64, from 1 to T, in any order

        Returns (logits, weights): unnormalised scores, no softmax; and the weights of the attention.
        logits (N, K)   one row per sentence
        weights (N, T)  0 on padding
        """
        # BEGIN SOLUTION: the backward direction must not begin in the padding; the mask follows from lengths
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        packed = pack_padded_sequence(self.token(ids), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=ids.shape[1])
        pooled, weights = self.pooling(states, mask)
        return self.head(pooled), weights
        # END SOLUTION


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
    # BEGIN SOLUTION: one optimiser; in each step loss, gradients, update
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = []
    for rows in batches:
        logits, _ = model(ids[rows], lengths[rows])
        loss = F.cross_entropy(logits, labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses
    # END SOLUTION
