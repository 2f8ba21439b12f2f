"""A scorecard: who will not pay a loan back, with what probability, and from which probability on to refuse.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    weight_of_evidence, encode         answers become numbers, by what happened to the training rows
    neuron_loss                        weighted cross-entropy of one neuron, and its gradients by hand
    ks_and_gini                        how well scores tell bad from good: what this field reports
    calibration_error, correct_prior   whether 20 % means 20 %, and the way back after re-weighting
    best_cutoff                        where to refuse, when one bad loan costs as much as five lost customers
    scorecard                          all of it, and nothing of the test rows in it

Letters in shapes: N applicants, C columns, D inputs of the neuron, B bins. Labels are int64: 1 is bad, 0 is good. Numbers
are float64. NumPy is all you need. Write pure functions, and leave what you were given as it is.
"""

from collections.abc import Sequence

import numpy as np

Params = dict[str, np.ndarray]

SMOOTHING = 10.0  # imaginary applicants in each bin
QUARTERS = (0.25, 0.5, 0.75)  # where a column of amounts is cut
MISSED, REFUSED = 5.0, 1.0  # what a bad applicant who is accepted costs, and a good one who is refused


def weight_of_evidence(bins: np.ndarray, bad: np.ndarray, count: int, smoothing: float) -> np.ndarray:
    """ln(share of the goods / share of the bads) of every bin, with `smoothing` imaginary applicants in each.

    bins (N,)  the bin of each applicant, from 0 to count - 1; some bins may be empty
    bad (N,)   their labels, of which some are 1 and some are 0
    count      B, how many bins there are
    smoothing  a positive number: so many applicants are added to each bin, bad in the proportion of all N labels

    Returns the weights of evidence.
    woe (B,)   above 0 where a bin is safer than the whole, below 0 where it is riskier, 0 where it is empty
    """
    # BEGIN SOLUTION: count goods and bads in each bin, add to both, and only then take shares of the sums
    share = bad.mean()
    goods = np.bincount(bins[bad == 0], minlength=count) + smoothing * (1.0 - share)
    bads = np.bincount(bins[bad == 1], minlength=count) + smoothing * share
    return np.log(goods / goods.sum()) - np.log(bads / bads.sum())
    # END SOLUTION


def encode(applicants: np.ndarray, counts: Sequence[int], bad: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Replace every entry by the weight of evidence of its bin. Edges, counts and labels are those of training rows alone.

    applicants (N, C)  one applicant per row
    counts (C,)        a list: how many answers a column has, which are the bins 0 to count - 1; 0 for a column of
                       amounts, which is cut into 4 bins at the QUARTERS of its training rows (np.quantile); an amount
                       that equals an edge belongs to the bin above it
    bad (N,)           labels; those that are not of training rows must not matter
    training (n,)      indices of the training rows

    Returns the inputs of the neuron, smoothed by SMOOTHING.
    x (N, C)           of all rows
    """
    # BEGIN SOLUTION: column by column: edges from training rows, bins of all rows, woe from training rows, woe of all rows
    columns = []
    for column, count in zip(applicants.T, counts, strict=True):
        bins = column.astype(np.int64)
        if count == 0:
            edges = np.quantile(column[training], QUARTERS)
            bins, count = np.searchsorted(edges, column, side="right"), 4
        woe = weight_of_evidence(bins[training], bad[training], count, SMOOTHING)
        columns.append(woe[bins])
    return np.stack(columns, axis=1)
    # END SOLUTION


def neuron_loss(
    x: np.ndarray, coef: np.ndarray, bias: float, bad: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, float]:
    """The weighted mean of the cross-entropy of one neuron, and its derivatives.

    x (N, D)       inputs
    coef (D,)      one weight per input
    bias           a number; the score is s = x @ coef + bias, of any size, and sigma(s) the probability of 1
    bad (N,)       labels
    weight (N,)    how much each applicant counts, above 0; the loss is sum(weight * loss of each) / sum(weight)

    Returns (loss, by_x, by_coef, by_bias); loss and by_bias are numbers.
    by_x (N, D)    what a hidden layer below the neuron learns from
    by_coef (D,)   the derivative by coef
    """
    # BEGIN SOLUTION: the loss of 1 is log(1 + exp(-s)), that of 0 is log(1 + exp(s)); then the derivative by s
    scores = x @ coef + bias
    weight = weight / weight.sum()
    loss = weight @ np.logaddexp(0.0, np.where(bad == 1, -scores, scores))
    by_scores = weight * (0.5 * (1.0 + np.tanh(0.5 * scores)) - bad)
    return float(loss), np.outer(by_scores, coef), by_scores @ x, float(by_scores.sum())
    # END SOLUTION


def ks_and_gini(score: np.ndarray, bad: np.ndarray) -> tuple[float, float]:
    """How well scores, which are high where risk is high, tell bad from good.

    score (N,)  any numbers, some of them equal
    bad (N,)    labels, of which some are 1 and some are 0

    Returns (ks, gini).
    ks ()       the largest distance, at any score, between the shares of the goods and of the bads that are not above it
    gini ()     share of the pairs of one bad and one good in which the bad one scores higher, minus that in which it
                scores lower
    """
    # BEGIN SOLUTION: sort the goods and the bads; np.searchsorted counts how many are below, and how many not above
    goods, bads = np.sort(score[bad == 0]), np.sort(score[bad == 1])
    upto = (
        np.searchsorted(goods, score, side="right") / len(goods),
        np.searchsorted(bads, score, side="right") / len(bads),
    )
    lower, not_above = np.searchsorted(goods, bads, side="left"), np.searchsorted(goods, bads, side="right")
    gini = (lower + not_above).mean() / len(goods) - 1.0
    return float(np.abs(upto[0] - upto[1]).max()), float(gini)
    # END SOLUTION


def calibration_error(probability: np.ndarray, bad: np.ndarray, bins: int) -> float:
    """Expected calibration error: the mean over applicants of |mean probability - share of bads| in their bin.

    probability (N,)  from 0 to 1
    bad (N,)          labels
    bins              B; the bin of p is floor(p * B), but 1 belongs to the last one

    Returns one number; a bin counts as much as it has applicants.
    """
    # BEGIN SOLUTION: per bin, the sum of probabilities minus the number of bads; what is left to divide by?
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    excess = np.bincount(place, probability - bad, minlength=bins)
    return float(np.abs(excess).sum() / len(bad))
    # END SOLUTION


def correct_prior(probability: np.ndarray, trained: float, true: float) -> np.ndarray:
    """Shift the logit of each probability by logit(true) - logit(trained): from the share of bads in training to the true one.

    probability (N,)  from 0 to 1; 0 stays 0, and 1 stays 1
    trained           share of bads that the model saw, weights counted, between 0 and 1
    true              share of bads where the model is used, between 0 and 1

    Returns the corrected probabilities.
    corrected (N,)    from 0 to 1
    """
    # BEGIN SOLUTION: multiply the odds of bad by how much rarer bads really are; then back to a probability
    bads = probability * true / trained
    goods = (1.0 - probability) * (1.0 - true) / (1.0 - trained)
    return bads / (bads + goods)
    # END SOLUTION


def best_cutoff(probability: np.ndarray, bad: np.ndarray, missed: float, refused: float) -> tuple[float, float]:
    """The cut-off of least cost: who has a probability of cutoff or more is refused.

    probability (N,)  of being bad
    bad (N,)          labels
    missed            what each bad applicant who is accepted costs, 0 or more
    refused           what each good applicant who is refused costs, 0 or more

    Returns (cutoff, cost): a number among `probability`, or 2.0, which refuses nobody; of those that cost the least, the
    highest.
    cost ()           at this cut-off, per applicant: the sum of costs over N
    """
    # BEGIN SOLUTION: try 2.0 and every probability, from high to low; np.argmin takes the first of equal costs
    cutoffs = np.append(2.0, np.unique(probability)[::-1])
    bads, goods = np.sort(probability[bad == 1]), np.sort(probability[bad == 0])
    accepted = np.searchsorted(bads, cutoffs, side="left")
    turned_away = len(goods) - np.searchsorted(goods, cutoffs, side="left")
    costs = missed * accepted + refused * turned_away
    best = np.argmin(costs)
    return float(cutoffs[best]), float(costs[best] / len(bad))
    # END SOLUTION


def predict(x: np.ndarray, params: Params) -> np.ndarray:
    """The probability of being bad, given: one neuron, or a layer of tanh units and a neuron above it.

    x (N, D)  inputs
    params    what train returns

    Returns sigma of the scores.
    probability (N,)  from 0 to 1
    """
    units = np.tanh(x @ params["inner"] + params["offset"]) if "inner" in params else x
    return 0.5 * (1.0 + np.tanh(0.5 * (units @ params["coef"] + params["bias"])))


def train(
    x: np.ndarray, bad: np.ndarray, weight: np.ndarray, *, hidden: int = 0, steps: int = 400, seed: int = 0
) -> tuple[Params, list[float]]:
    """Gradient descent with momentum 0.9, rate 1 and a penalty of 0.005 times the squares of all weights, given.

    x (N, D)     inputs
    bad (N,)     labels
    weight (N,)  how much each applicant counts
    hidden       how many tanh units stand below the neuron: with 0, the model is logistic regression
    seed         of the first weights of a hidden layer

    Returns (params, losses): what predict needs, and the loss before each step, without the penalty.
    """
    rng = np.random.default_rng(seed)
    params = {"coef": np.zeros(x.shape[1]), "bias": np.zeros(())}
    if hidden:
        params["inner"], params["offset"] = rng.normal(size=(x.shape[1], hidden)) / x.shape[1] ** 0.5, np.zeros(hidden)
        params["coef"] = rng.normal(size=hidden) / hidden**0.5
    speed, losses = {name: np.zeros_like(value) for name, value in params.items()}, []
    for _ in range(steps):
        units = np.tanh(x @ params["inner"] + params["offset"]) if hidden else x
        loss, by_units, by_coef, by_bias = neuron_loss(units, params["coef"], float(params["bias"]), bad, weight)
        slopes = {"coef": by_coef + 0.01 * params["coef"], "bias": by_bias}
        if hidden:
            by_inner = by_units * (1.0 - units**2)
            slopes |= {"inner": x.T @ by_inner + 0.01 * params["inner"], "offset": by_inner.sum(axis=0)}
        speed = {name: 0.9 * speed[name] - slopes[name] for name in params}
        params = {name: params[name] + speed[name] for name in params}
        losses.append(loss)
    return params, losses


def scorecard(
    applicants: np.ndarray,
    counts: Sequence[int],
    bad: np.ndarray,
    training: np.ndarray,
    validation: np.ndarray,
    hidden: int = 0,
) -> tuple[np.ndarray, float]:
    """Encode, train on balanced weights, correct the prior, choose the cut-off.

    applicants (N, C)  one applicant per row, of training, validation and test
    counts (C,)        a list, as in encode
    bad (N,)           labels; those of test rows must not matter
    training (n,)      indices of the rows from which all is learnt but the cut-off; some are bad and some are good
    validation (v,)    indices of the rows on which the cut-off is chosen, by MISSED and REFUSED
    hidden             as in train

    Each good training row weighs 1, each bad one goods / bads, so that both weigh as much together. The corrected
    probabilities are for the share of bads among the training rows, unweighted.

    Returns (probability, cutoff).
    probability (N,)   corrected, of all rows, and rounded to 9 places (np.round) before the cut-off is chosen: so
                       applicants who are alike have the same one, whatever the processor
    """
    # BEGIN SOLUTION: put the functions above together, and ask of each line which rows and which labels it sees
    x = encode(applicants, counts, bad, training)
    labels = bad[training]
    share = labels.mean()
    params, _ = train(x[training], labels, np.where(labels == 1, (1.0 - share) / share, 1.0), hidden=hidden)
    probability = np.round(correct_prior(predict(x, params), 0.5, share), 9)
    cutoff, _ = best_cutoff(probability[validation], bad[validation], MISSED, REFUSED)
    return probability, cutoff
    # END SOLUTION
