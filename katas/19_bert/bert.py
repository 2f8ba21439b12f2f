"""BERT: hide some words of a text, let a network that sees both sides guess them, then teach it something else.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    wordpiece    a word becomes pieces that the vocabulary has
    mask_tokens  choose what to guess, and disguise it in three ways
    masked_loss  how surprised the network is by what was chosen, and by nothing else
    Bert         tokens and positions, blocks that look both ways, an answer for every place
    pretrain     guess masked pieces
    fine_tune    answer a question about the whole sentence

Letters in shapes: N sentences, T places of the longest, V pieces in the vocabulary, E numbers per place, H heads, K
classes; M sentences in all, B training steps. Chance comes in as an argument: never draw numbers yourself. Results have
the dtype of their arguments or weights. Leave every argument as it was. There is no dropout. The names of layers and
parameters are part of the task: the suite loads its own weights into them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PAD, UNK, CLS, SEP, MASK = range(5)  # the ids that stand for no piece of any word
IGNORED = -100  # the target of a place that is not to be guessed


def wordpiece(word: str, vocabulary: dict[str, int]) -> list[int]:
    """Cut a word into pieces: at each place the longest one that the vocabulary has, from left to right.

    word        lower-case letters or a punctuation mark, at least one
    vocabulary  the ids of pieces; a piece that goes on with a word, rather than beginning one, is written with ## before it

    Returns the ids of the pieces, or [UNK] if this way cannot cover the word to its end: it never goes back.
    """
    raise NotImplementedError("wordpiece: from where you stand, try the longest rest of the word first")


def mask_tokens(ids: Tensor, chances: Tensor, disguises: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Choose 15 % of the pieces to be guessed. Of these 80 % become MASK, 10 % another piece, and 10 % stay.

    ids (N, T)        int64; PAD, CLS, SEP and MASK are never chosen, UNK may be
    chances (N, T)    uniform from 0 to 1: a place is chosen if its number is below 0.15 ...
    disguises (N, T)  ... and then becomes MASK if this one is below 0.8, others if it is from 0.8 to below 0.9
    others (N, T)     int64, a random piece for each place

    Returns (inputs, targets).
    inputs (N, T)     int64, what the network reads
    targets (N, T)    int64, the id that was there where a place was chosen, also if it stayed; IGNORED elsewhere
    """
    raise NotImplementedError("mask_tokens: who may be chosen, who is, and what each of them becomes")


def masked_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean of -log softmax(logits) at the targets, over the places that have one, all sentences together.

    logits (N, T, V)  scores of every piece at every place; they may be large
    targets (N, T)    int64, IGNORED where nothing is to be guessed

    Returns a tensor with one number.
    loss ()           in nats per guess; 0, with gradient 0, if there is nothing to guess
    """
    raise NotImplementedError("masked_loss: a sum that leaves out what is ignored, over how many there are")


class Block(nn.Module):
    """norm1(x + attention(x)), then norm2(x + network(x)): here the norms stand behind the sums.

    qkv = nn.Linear(E, 3E)   the first E outputs are queries, then keys, then values; head 0 takes the first E / H ...
    out = nn.Linear(E, E)    mixes the heads, laid side by side in the same order
    norm1, norm2 = nn.LayerNorm(E)
    up = nn.Linear(E, 4E)    an exact GELU follows
    down = nn.Linear(4E, E)
    """

    def __init__(self, width: int, heads: int, dtype: torch.dtype = torch.float32) -> None:
        """Make the six layers for E = width and H = heads, which divides E, all of this dtype."""
        super().__init__()
        raise NotImplementedError("Block.__init__: six layers, and remember the number of heads")

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Let every place look at every piece of its sentence, before it and after it, and at no padding.

        x (N, T, E)   one vector per place
        mask (N, T)   bool, True where a piece stands: at least once in each row

        Returns as many vectors. On padding they are finite and otherwise free: nobody reads them.
        y (N, T, E)   one vector per place
        """
        raise NotImplementedError("Block.forward: attention with the mask over keys; sum, norm; network; sum, norm")


class Bert(nn.Module):
    """Blocks over norm(token[ids] + position[0 ... T - 1]); what is scored with is the table of the tokens itself.

    token = nn.Embedding(V, E)         its first values normal with standard deviation 0.2
    position = nn.Embedding(longest, E)  likewise
    norm = nn.LayerNorm(E)             before the first block
    blocks = nn.ModuleList of Block(E, H)
    bias = nn.Parameter (V,)           zeros at first; logits are the product with token.weight, plus this bias
    classifier = nn.Linear(E, K)       reads the place of CLS

    These are all the parameters there are. Layers start as torch draws them, where nothing else is said.
    """

    def __init__(
        self,
        pieces: int,
        longest: int,
        width: int,
        heads: int,
        depth: int,
        classes: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Make the parts for V = pieces, T up to `longest`, E = width, H = heads, `depth` blocks and K = classes."""
        super().__init__()
        raise NotImplementedError(
            "Bert.__init__: two embeddings, a norm, blocks, a bias, a classifier; no second table of V by E"
        )

    def encode(self, ids: Tensor) -> Tensor:
        """What the network knows of every place.

        ids (N, T)       int64, PAD where a sentence has ended: all of it is hidden from all others

        Returns one vector per place; on padding it is finite and otherwise free.
        states (N, T, E)  after the last block
        """
        raise NotImplementedError("Bert.encode: embed, add the positions, norm, blocks; the mask follows from the ids")

    def forward(self, ids: Tensor) -> Tensor:
        """Guess the piece at every place.

        ids (N, T)        int64, some of them MASK

        Returns unnormalised scores, no softmax.
        logits (N, T, V)  on padding finite and otherwise free
        """
        raise NotImplementedError("Bert.forward: the states against the table of the tokens, plus the bias")

    def classify(self, ids: Tensor) -> Tensor:
        """Answer once per sentence.

        ids (N, T)      int64, CLS at the first place of each row

        Returns unnormalised scores, one for each class, no softmax.
        logits (N, K)   read from the first place alone
        """
        raise NotImplementedError("Bert.classify: the classifier on one state")


def pretrain(model: Bert, inputs: Tensor, targets: Tensor, learning_rates: list[float]) -> list[float]:
    """Train in place with one torch.optim.Adam, defaults but for the learning rate: in each step guess what is masked.

    inputs (B, N, T)     int64, what the network reads in each step
    targets (B, N, T)    int64, what it is to guess
    learning_rates (B,)  the rate of each step, a list of B Python floats

    A step with nothing to guess is a step all the same: the loss is 0, and Adam moves on by what it remembers.

    Returns a list of B Python floats.
    losses (B,)          masked_loss of each step, before that step's update
    """
    raise NotImplementedError("pretrain: one optimiser; in each step its rate, loss, gradients, update")


def fine_tune(model: Bert, ids: Tensor, labels: Tensor, batches: Tensor, learning_rate: float) -> list[float]:
    """Train in place with one torch.optim.Adam, defaults but for the rate: the whole network, not the classifier alone.

    ids (M, T)      int64, all sentences, CLS at the first place of each
    labels (M,)     int64, their classes from 0 to K - 1
    batches (B, N)  int64: step b trains on the rows batches[b]
    learning_rate   a positive number

    Returns a list of B Python floats.
    losses (B,)     mean cross-entropy of classify in nats, before that step's update
    """
    raise NotImplementedError("fine_tune: as above, with another loss")
