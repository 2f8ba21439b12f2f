"""A CycleGAN: two piles of pictures that were never paired, a translator each way, and a critic on each side.

    A  digits on clean paper     to_b -->     B  other digits, on chequered paper
                                 <-- to_a

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    adversarial_loss  how far scores are from what they should be: least squares, no logarithm
    critic_loss       real ones should score 1, translations 0
    cycle_loss        there and back again must end where it began, from either side
    identity_loss     what is in a domain already needs no translation
    ImagePool         critics are shown old translations too, so that they do not forget
    CycleGAN          one step moves both translators, the other both critics

`Translator`, `Critic`, `Affine` and `fit` are given, and complete: there is nothing to write in them.

Letters in shapes: N pictures of domain A, M pictures of domain B, D pixels from -1 (paper) to 1 (ink), H hidden units.
Translators and critics are called as functions: to_b(a) is a picture of B for each of A, critic_b of it a score each.
Results have the dtype of their arguments. Chance comes in as an argument. Leave every argument as it was.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Translate = Callable[[Tensor], Tensor]


class Translator(nn.Module):
    """Given: tanh(output(relu(hidden(pictures)))), from D pixels by H hidden units to D pixels."""

    def __init__(self, pixels: int, hidden: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.hidden = nn.Linear(pixels, hidden, dtype=dtype)
        self.output = nn.Linear(hidden, pixels, dtype=dtype)

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.tanh(self.output(self.hidden(pictures).relu()))


class Critic(nn.Module):
    """Given: output(leaky(hidden(pictures))), one score for each picture: any number, 1 for real, 0 for translated."""

    def __init__(self, pixels: int, hidden: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.hidden = nn.Linear(pixels, hidden, dtype=dtype)
        self.output = nn.Linear(hidden, 1, dtype=dtype)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.output(F.leaky_relu(self.hidden(pictures), 0.2))[:, 0]


class Affine(nn.Module):
    """Given: scale * pictures + shift, a translator that you can follow by hand; both numbers are parameters."""

    def __init__(self, scale: float, shift: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale, dtype=dtype))
        self.shift = nn.Parameter(torch.tensor(shift, dtype=dtype))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.scale * pictures + self.shift


def adversarial_loss(scores: Tensor, target: float) -> Tensor:
    """Least squares: the mean over pictures of the squared distance from the score to its target.

    scores (N,)  what a critic says of pictures, any numbers
    target       what it should say: 1 for real, 0 for translated

    Returns a tensor with one number.
    loss ()
    """
    raise NotImplementedError("adversarial_loss: no sigmoid and no logarithm")


def critic_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """What one critic lowers: half of what it pays for real pictures plus half of what it pays for translations.

    real_scores (N,)  what it says of real pictures, each of which should score 1
    fake_scores (M,)  what it says of translations, each of which should score 0; M need not be N

    Returns a tensor with one number.
    loss ()           1/4 if it always says 1/2
    """
    raise NotImplementedError("critic_loss: two of the losses above, and their mean")


def cycle_loss(a: Tensor, b: Tensor, to_b: Translate, to_a: Translate) -> Tensor:
    """How much is lost on the way there and back: from A by B to A, plus from B by A to B.

    a (N, D)  pictures of A
    b (M, D)  pictures of B; row i has nothing to do with row i of a, and M need not be N
    to_b      translates pictures of A to B
    to_a      translates pictures of B to A

    Returns a tensor with one number, through which gradients reach both translators, on each way there and back.
    loss ()   the mean over pictures and pixels of |a after the round trip - a|, plus the same of b
    """
    raise NotImplementedError("cycle_loss: which of the two does each round trip come home to?")


def identity_loss(a: Tensor, b: Tensor, to_b: Translate, to_a: Translate) -> Tensor:
    """How much a translator changes pictures that are in its target domain already.

    a (N, D)  pictures of A
    b (M, D)  pictures of B
    to_b      translates pictures of A to B, and should leave those of B as they are
    to_a      translates pictures of B to A, and should leave those of A as they are

    Returns a tensor with one number, through which gradients reach both translators.
    loss ()   the mean over pictures and pixels of |change| by to_a, plus the same by to_b
    """
    raise NotImplementedError("identity_loss: each translator is given the domain that it translates to")


class ImagePool:
    """The last translations that were kept, a few of which are shown to the critic in place of new ones."""

    def __init__(self, size: int) -> None:
        """Begin with an empty pool; size is how many pictures it holds, and may be 0: then it shows what it is given."""
        raise NotImplementedError("ImagePool.__init__: nothing is kept yet")

    def exchange(self, pictures: Tensor, chances: Tensor, slots: Tensor) -> Tensor:
        """Decide for one picture after the other, in their order, which one the critic is shown in its place.

        While fewer than `size` are kept, the picture is kept, in the next free slot, and shown. Once the pool is full, and
        chances[i] is below 1/2, what is kept in slots[i] is shown, and picture i takes its place there. Else picture i is
        shown and not kept.

        pictures (N, D)  new translations
        chances (N,)     uniform numbers from 0 to 1
        slots (N,)       int64, from 0 to size - 1 if size is not 0

        Returns what the critic is shown, without a graph: no gradient leads back to a translator.
        shown (N, D)
        """
        raise NotImplementedError("ImagePool.exchange: detach first, then a loop over pictures")


class CycleGAN:
    """Two translators, two critics, and two torch.optim.Adam: one for both translators, one for both critics."""

    def __init__(
        self,
        to_b: nn.Module,
        to_a: nn.Module,
        critic_a: nn.Module,
        critic_b: nn.Module,
        learning_rate: float,
        cycle_weight: float = 10.0,
        identity_weight: float = 5.0,
    ) -> None:
        """Note the networks and make both optimisers, betas (0.5, 0.999), other defaults, with the same learning rate.

        to_b, to_a          translate from A to B, and from B to A
        critic_a, critic_b  score pictures as pictures of A, and of B
        learning_rate       of both optimisers
        cycle_weight        what the cycle loss counts, where the adversarial losses count 1
        identity_weight     what the identity loss counts
        """
        raise NotImplementedError("CycleGAN.__init__: the parameters of two networks make one list")

    def translator_step(self, a: Tensor, b: Tensor) -> tuple[float, Tensor, Tensor]:
        """One update of both translators, together. Both critics stay as they are.

        The loss is what the translators pay for not being taken for real (each by the critic of the domain that it
        translates to, the target is 1), plus cycle_weight times the cycle loss, plus identity_weight times the identity loss.

        a (N, D)       pictures of A
        b (M, D)       pictures of B

        Returns (loss, fake_a, fake_b): the loss before the update, a Python float, and the translations that it was
        reckoned with, made before the update and without a graph.
        fake_a (M, D)  the pictures of b, translated to A
        fake_b (N, D)  the pictures of a, translated to B
        """
        raise NotImplementedError(
            "CycleGAN.translator_step: translate, three kinds of terms, clear, backward, one update"
        )

    def critic_step(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> float:
        """One update of both critics. Both translators stay as they are, and are not asked.

        a (N, D)       real pictures of A
        b (M, D)       real pictures of B
        fake_a (M, D)  translations to A, old and new
        fake_b (N, D)  translations to B, old and new

        Returns the sum of both critics' losses before the update, a Python float.
        """
        raise NotImplementedError("CycleGAN.critic_step: each critic has one domain; clear, backward, one update")


def fit(
    gan: CycleGAN,
    a: Tensor,
    b: Tensor,
    batches_a: Tensor,
    batches_b: Tensor,
    pool_size: int,
    generator: torch.Generator,
) -> list[tuple[float, float]]:
    """Given: in each step the translators move, their translations go through a pool for each domain, the critics move.

    a (P, D), b (Q, D)                  all pictures of A and of B
    batches_a (S, N), batches_b (S, N)  int64, which rows of them each step sees
    pool_size                           how many translations each pool keeps
    generator                           draws the chances and slots of the pools

    Returns the losses of both updates for each of S steps, the translators' first.
    """
    pool_a, pool_b, losses = ImagePool(pool_size), ImagePool(pool_size), []
    count = batches_a.shape[1]
    for rows_a, rows_b in zip(batches_a, batches_b, strict=True):
        chances = torch.rand(2, count, generator=generator)
        slots = torch.randint(max(1, pool_size), (2, count), generator=generator)
        loss, fake_a, fake_b = gan.translator_step(a[rows_a], b[rows_b])
        fake_a = pool_a.exchange(fake_a, chances[0], slots[0])
        fake_b = pool_b.exchange(fake_b, chances[1], slots[1])
        losses.append((loss, gan.critic_step(a[rows_a], b[rows_b], fake_a, fake_b)))
    return losses
