"""A character language model: it reads a text in small chunks, carries its state from each to the next, and writes on.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    read        how surprised the model is by each next character: -log p
    prepare     two texts to ids, by a vocabulary that has seen one of them
    streams     one long text to B texts that are read side by side
    train       truncated back-propagation through time: the state goes on, the gradient stops
    perplexity  one number for a whole text, however it was cut
    write       the model reads its own characters, at a temperature

Letters in shapes: B streams, L characters of each, T characters of a chunk, V characters of the vocabulary, H hidden
units, N characters of a text, P characters of a prompt. Ids are int64. Leave every argument as it was, but for the model that `train` trains;
whatever reads a model leaves it in the mode that it is in. The model itself is given: read it, and do not change it.
"""

import math
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn import functional as F

UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # stands for every character that the vocabulary has not; no text contains it


class CharRNN(nn.Module):
    """Given: a plain recurrent network with tanh, as in kata 03, between an embedding and a head."""

    def __init__(self, characters: int, width: int, hidden_size: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the three layers for V = characters and H = hidden_size, all of this dtype."""
        super().__init__()
        self.token = nn.Embedding(characters, width, dtype=dtype)
        self.rnn = nn.RNN(width, hidden_size, batch_first=True, dtype=dtype)
        self.head = nn.Linear(hidden_size, characters, dtype=dtype)

    def forward(self, ids: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read a chunk of every stream.

        ids (B, T)        what is read
        state (1, B, H)   the state before the first character; None is a state of zeros

        Returns (logits, state): scores of what comes after each character, and the state after the last one.
        logits (B, T, V)  unnormalised
        """
        states, state = self.rnn(self.token(ids), state)
        return self.head(states), state


def read(model: CharRNN, ids: Tensor, targets: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Read one chunk of every stream: how surprising was each next character, and where does the model stand now?

    ids (B, T)       what is read
    targets (B, T)   what came after each of these characters
    state (1, B, H)  the state before the chunk; None is a state of zeros

    Returns (nats, state), through both of which gradients flow. No logits are so large that nats overflows.
    nats (B, T)      -log of the probability, by the softmax of the logits, of each target
    state (1, B, H)  the state after the chunk
    """
    # BEGIN SOLUTION: logits from the model, then the log-softmax of each target
    logits, state = model(ids, state)
    return F.cross_entropy(logits.mT, targets, reduction="none"), state
    # END SOLUTION


def prepare(train: str, held_out: str, least: int) -> tuple[list[str], Tensor, Tensor]:
    """Turn two texts into ids by the vocabulary of the first: the characters that are in `train` at least `least` times.

    train     the text to learn from
    held_out  the text to be judged on, which nothing may be fitted to; either text may be empty
    least     a positive whole number

    Returns (characters, train_ids, held_out_ids). characters is a list: UNKNOWN first, and then the vocabulary in the
    order of code points, which is that of sorted(). Id i stands for characters[i], and 0 for all that are not in it.
    train_ids (N,)     an id per character of train
    held_out_ids (N,)  an id per character of held_out
    """
    # BEGIN SOLUTION: count in train, keep, sort, number
    counts = Counter(train)
    characters = [UNKNOWN, *sorted(each for each, count in counts.items() if count >= least)]
    places = {each: place for place, each in enumerate(characters)}
    encoded = [torch.tensor([places.get(each, 0) for each in text], dtype=torch.int64) for text in (train, held_out)]
    return characters, encoded[0], encoded[1]
    # END SOLUTION


def streams(ids: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Cut a text into B = count pieces of equal length, to be read side by side; what is left over at its end is dropped.

    ids (N,)        the text
    count           B, at least 1

    L is as large as it can be while every character that is read has a next one in the text: (N - 1) // B.

    Returns (inputs, targets).
    inputs (B, L)   stream b is ids[b * L : (b + 1) * L], in the order of the text
    targets (B, L)  the character that comes in the text after each of these

    Raises ValueError where L would be less than 1.
    """
    # BEGIN SOLUTION: two pieces of the text, one character apart, and one stream a row
    length = (len(ids) - 1) // count
    if length < 1:
        raise ValueError(f"{len(ids)} characters are too few for {count} streams")
    return ids[: count * length].reshape(count, length), ids[1 : count * length + 1].reshape(count, length)
    # END SOLUTION


def train(
    model: CharRNN,
    inputs: Tensor,
    targets: Tensor,
    length: int,
    epochs: int,
    learning_rate: float,
    max_norm: float,
) -> list[float]:
    """Train the model in place by truncated back-propagation through time, a step of gradient descent for each chunk.

    An epoch reads all streams once, from a state of zeros, in chunks of `length` characters; the last chunk of an epoch
    may be shorter. Each chunk begins with the state that the chunk before it ended with, whose gradient is not followed.
    Its loss is the mean of `read` over the chunk. Of all the gradients of this loss as one vector, the norm is taken,
    and if it exceeds max_norm they are shortened to it: g * max_norm / norm. Then p - learning_rate * g, for every
    parameter. A gradient of zeros moves nothing.

    inputs (B, L)   from streams
    targets (B, L)  likewise
    length          T, from 1; it may exceed L
    epochs          from 0
    learning_rate   not negative
    max_norm        positive

    Returns a list of Python floats: the loss of each chunk of each epoch, before its update.
    """
    # BEGIN SOLUTION: one SGD; for each epoch a new state, for each chunk loss, gradients, clip, step, and cut the graph
    optimiser = torch.optim.SGD(model.parameters(), lr=learning_rate)
    losses = []
    for _ in range(epochs):
        state = None
        for ids, wanted in zip(inputs.split(length, dim=1), targets.split(length, dim=1), strict=True):
            nats, state = read(model, ids, wanted, state)
            loss = nats.mean()
            optimiser.zero_grad()
            loss.backward()
            gradients = [each.grad for each in model.parameters()]
            norm = torch.cat([each.flatten() for each in gradients]).norm()
            if norm > max_norm:
                for each in gradients:
                    each *= max_norm / norm
            optimiser.step()
            losses.append(loss.item())
            state = state.detach()
    return losses
    # END SOLUTION


def perplexity(model: CharRNN, inputs: Tensor, targets: Tensor, length: int) -> float:
    """How many characters the model wavers between: exp of the mean, over all B * L characters, of the nats of `read`.

    The streams are read from a state of zeros, in chunks of `length`, each from the state that the one before it ended
    with: so the result does not depend on `length`, but for rounding. No update, no gradients, the model as it was.

    inputs (B, L)   from streams
    targets (B, L)  likewise
    length          T, from 1; it may exceed L

    Returns a Python float, at least 1.
    """
    # BEGIN SOLUTION: add up the nats of all chunks, divide by all characters, and only then exp
    total, state = 0.0, None
    with torch.no_grad():
        for ids, wanted in zip(inputs.split(length, dim=1), targets.split(length, dim=1), strict=True):
            nats, state = read(model, ids, wanted, state)
            total += nats.sum(dtype=torch.float64).item()
    return math.exp(total / targets.numel())
    # END SOLUTION


def write(model: CharRNN, prompt: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    """Read the prompt once, from a state of zeros; then draw a character, read it, draw the next.

    Probabilities are the softmax of logits / temperature; drawn is the first id whose cumulative probability, its own
    included, exceeds the uniform; where rounding leaves the last sum below it, the last id with a probability above 0.
    At temperature 0 it is the id of the largest logit, the first one if several are largest.

    prompt (P,)       ids, at least one
    uniforms (N,)     numbers in [0, 1), as many as characters shall be written; each decides one, in this order
    temperature       0, or from 0.01

    Returns the new characters alone.
    written (N,)      ids, as many as uniforms

    Raises ValueError where the temperature is below 0.
    """
    # BEGIN SOLUTION: the state carries all that was read, so each character is read once
    if temperature < 0:
        raise ValueError(f"temperature must not be negative, found {temperature}")
    written, new, state = [], prompt, None
    with torch.no_grad():
        for uniform in uniforms:
            logits, state = model(new[None], state)
            last = logits[0, -1].double()
            if temperature == 0:
                new = last.argmax(dim=0, keepdim=True)
            else:
                cumulative = (last / temperature).softmax(dim=0).cumsum(dim=0)
                new = (cumulative / cumulative[-1] <= uniform).sum(dim=0, keepdim=True)
            written.append(new)
    return torch.cat(written) if written else prompt[:0]
    # END SOLUTION
