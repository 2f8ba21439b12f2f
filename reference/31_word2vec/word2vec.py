"""Word vectors: a word is known by the company it keeps, and a small network learns the company by heart.

    the king loved his crown      the queen loved her crown      king is to queen as man is to ...?

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    pair_loss        true pairs score high, pairs with a random word score low; gradients by hand
    train_step       move the vectors of a batch, in which one word may stand many times
    skip_gram_pairs  text to pairs: every word with its neighbours, and never across the end of a sentence
    subsample        drop most of the words that are everywhere and say nothing
    draw_negatives   random words by their counts to the power of 3/4
    analogies        a is to b as c is to what? the words that are nearest, the question's own left out

Below them stands `train`, the whole of word2vec, which calls yours. It is given.

Letters in shapes: V words in the vocabulary, whose ids are 0 to V - 1; D numbers in a vector; N pairs of a batch; K
negatives for each; S sentences, L words of one; P pairs, Q questions. Vectors, losses and gradients are float64, ids and
counts int64. NumPy is all you need. Write pure functions: return new arrays, leave the ones that you were given as they
are, and draw no random numbers yourself.
"""

import numpy as np

Sentences = list[np.ndarray]  # each (L,) int64, of its own length; it may be empty


def pair_loss(
    centers: np.ndarray, contexts: np.ndarray, negatives: np.ndarray, counted: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The loss of negative sampling, and its gradient by every vector, where sigma(s) = 1 / (1 + exp(-s)).

    centers (N, D)        a word's input vector
    contexts (N, D)       the output vector of the word that stood near it
    negatives (N, K, D)   the output vectors of K random words
    counted (N, K)        bool, False where a negative takes no part

    Returns (loss, by_centers, by_contexts, by_negatives), right and finite for scores of any size.
    loss ()                  -log sigma(center . context), and for each counted one -log sigma(-center . negative), all summed
    by_centers (N, D)        its derivatives
    by_contexts (N, D)
    by_negatives (N, K, D)   0 where a negative takes no part
    """
    # BEGIN SOLUTION: first the scores, (N,) and (N, K); the derivative of -log sigma(s) by s is sigma(s) - 1
    near = np.sum(centers * contexts, axis=1)
    random = np.einsum("nd,nkd->nk", centers, negatives)
    loss = np.logaddexp(0.0, -near).sum() + np.logaddexp(0.0, random)[counted].sum()
    by_near = -np.exp(-np.logaddexp(0.0, near))
    by_random = counted * np.exp(-np.logaddexp(0.0, -random))
    by_centers = by_near[:, None] * contexts + np.einsum("nk,nkd->nd", by_random, negatives)
    by_contexts = by_near[:, None] * centers
    by_negatives = by_random[:, :, None] * centers[:, None, :]
    return float(loss), by_centers, by_contexts, by_negatives
    # END SOLUTION


def train_step(
    inputs: np.ndarray,
    outputs: np.ndarray,
    centers: np.ndarray,
    contexts: np.ndarray,
    negatives: np.ndarray,
    learning_rate: float,
) -> tuple[np.ndarray, np.ndarray, float]:
    """One step of gradient descent on the pair_loss of a batch.

    inputs (V, D)     the vector of each word as a center
    outputs (V, D)    its vector as a context or a negative: another one
    centers (N,)      ids; a word may stand in a batch many times
    contexts (N,)     ids
    negatives (N, K)  ids; one that equals its pair's context takes no part
    learning_rate     every vector moves by minus learning_rate times its gradient

    Returns (new_inputs, new_outputs, loss): new arrays, and the loss before the step.
    new_inputs (V, D)   gradients of the places where a word stands add up
    new_outputs (V, D)  both matrices move by the gradients at the old vectors
    """
    # BEGIN SOLUTION: look up, pair_loss, put the gradients back; += with a list of ids keeps one of equal ids
    counted = negatives != contexts[:, None]
    loss, by_centers, by_contexts, by_negatives = pair_loss(
        inputs[centers], outputs[contexts], outputs[negatives], counted
    )
    new_inputs, new_outputs = inputs.copy(), outputs.copy()
    np.add.at(new_inputs, centers, -learning_rate * by_centers)
    np.add.at(new_outputs, contexts, -learning_rate * by_contexts)
    np.add.at(new_outputs, negatives, -learning_rate * by_negatives)
    return new_inputs, new_outputs, loss
    # END SOLUTION


def skip_gram_pairs(sentences: Sentences, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Every place of a sentence with every other place of the same sentence, at most `window` away.

    sentences    a list of S arrays of ids
    window       how far a neighbour may be, at least 1

    Returns (centers, contexts), int64 even where there are no pairs: sentences and their places in order, and for each
    place its neighbours from left to right. A word that stands twice is its own neighbour.
    centers (P,)   the id at each place, once for each of its neighbours
    contexts (P,)  the ids of these
    """
    # BEGIN SOLUTION: two loops, over the places and over their neighbours; stop at both ends of a sentence
    centers, contexts = [], []
    for sentence in sentences:
        for place in range(len(sentence)):
            for other in range(max(0, place - window), min(len(sentence), place + window + 1)):
                if other != place:
                    centers.append(sentence[place])
                    contexts.append(sentence[other])
    return np.array(centers, dtype=np.int64), np.array(contexts, dtype=np.int64)
    # END SOLUTION


def subsample(sentences: Sentences, counts: np.ndarray, threshold: float, uniforms: list[np.ndarray]) -> Sentences:
    """Drop words at random, the frequent ones nearly always, so that those left move together.

    A word is kept with the probability min(1, sqrt(threshold / share)), where its share is its count divided by the sum
    of all counts: where its uniform number is below this.

    sentences    a list of S arrays of ids
    counts (V,)  how often each word occurs in the whole text; of words that never do, 0
    threshold    the share up to which every place of a word is kept, 0 or more
    uniforms     a list of S arrays, each of its sentence's length: a number from 0 to below 1 for each place

    Returns a new list of S arrays of ids, in order; one of which nothing is left is empty, and stays in the list.
    """
    # BEGIN SOLUTION: one probability per word, looked up at every place
    share = np.maximum(counts, 1) / counts.sum()
    keep = np.minimum(1.0, np.sqrt(threshold / share))
    return [sentence[chance < keep[sentence]] for sentence, chance in zip(sentences, uniforms, strict=True)]
    # END SOLUTION


def draw_negatives(counts: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Draw words with probabilities proportional to count^0.75, by uniform numbers.

    The probabilities stand side by side on the line from 0 to 1, in the order of ids, each with its left end and
    without its right one. A number draws the word in whose part it lies; a word that never occurs is never drawn.

    counts (V,)     how often each word occurs, from 0 to billions
    uniforms (...)  numbers from 0 to below 1

    Returns the ids.
    ids (...)       of the shape of uniforms
    """
    # BEGIN SOLUTION: cumulative sums, and np.searchsorted; rounding must not draw a word beyond the last
    ends = np.cumsum(counts**0.75)
    return np.searchsorted(ends / ends[-1], uniforms, side="right")
    # END SOLUTION


def analogies(vectors: np.ndarray, questions: np.ndarray, k: int) -> np.ndarray:
    """Answer "a is to b as c is to ...?" by the words nearest to b - a + c, by cosine, all vectors made length 1 before.

    vectors (V, D)    one per word, of any length; one of length 0 has the cosine 0 with everything
    questions (Q, 3)  ids of a, b and c, none of which is an answer; (w, w, w) asks for the neighbours of w
    k                 how many answers, from 1 to V - 3

    Returns the answers.
    ids (Q, k)        the nearest first
    """
    # BEGIN SOLUTION: unit vectors, b - a + c, cosines with all words; the question's own words come last
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(lengths == 0.0, 1.0, lengths)
    a, b, c = (units[questions[:, place]] for place in range(3))
    cosines = (b - a + c) @ units.T
    np.put_along_axis(cosines, questions, -np.inf, axis=1)
    return np.argsort(-cosines, axis=1)[:, :k]
    # END SOLUTION


def train(
    sentences: Sentences,
    counts: np.ndarray,
    size: int,
    *,
    window: int = 3,
    negatives: int = 3,
    threshold: float = 0.005,
    epochs: int = 4,
    batch: int = 128,
    learning_rate: float = 0.1,
    seed: int = 0,
) -> tuple[np.ndarray, list[float]]:
    """word2vec, given: new pairs and negatives in every epoch, in batches of random order, at a rate that falls.

    sentences    a list of S arrays of ids
    counts (V,)  how often each word occurs in them
    size         D, numbers in a vector
    seed         of all that is random: the same one gives the same vectors

    Returns (vectors, losses).
    vectors (V, D)  the input vectors, which are what word vectors are
    losses          for each batch, the loss per pair
    """
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(-0.5, 0.5, (len(counts), size)) / size
    outputs = np.zeros((len(counts), size))
    losses = []
    for epoch in range(epochs):
        shorter = subsample(sentences, counts, threshold, [rng.random(len(sentence)) for sentence in sentences])
        centers, contexts = skip_gram_pairs(shorter, window)
        noise = draw_negatives(counts, rng.random((len(centers), negatives)))
        for rows in np.split(rng.permutation(len(centers)), range(batch, len(centers), batch)):
            rate = learning_rate * (1 - epoch / epochs)
            inputs, outputs, loss = train_step(inputs, outputs, centers[rows], contexts[rows], noise[rows], rate)
            losses.append(loss / len(rows))
    return inputs, losses
