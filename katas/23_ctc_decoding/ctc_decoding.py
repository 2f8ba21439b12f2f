"""From what a CTC network says at every frame to a text, and from texts to the one rate by which recognisers are judged.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    best_path           the baseline: the likeliest class of each frame, collapsed
    beam_step           one frame of the prefix beam search: the heart of this kata
    prefix_beam_search  all frames, a beam that stays narrow, and a language model that has a say
    align               edit distance, and which word was taken for which
    corpus_wer          the word error rate of a whole test set
    tune                weights chosen on one part of the recordings, the rate measured on another

Letters in shapes: T frames, C classes, L pairs of an alignment, N recordings. Class 0 is the blank, class 1 is the space
between words, the others are letters; labels are all classes but the blank. A text is a tuple of labels. All
logarithms are natural, all arrays float64 unless a docstring says int64; -inf is the logarithm of 0. NumPy is all you
need. Write pure functions: leave the arrays, dicts and lists that you were given as they are.
"""

import math

import numpy as np

BLANK, SPACE = 0, 1
GAP = -1  # align: there is no word on this side
TRAIN, DEV, TEST = 0, 1, 2  # tune: the parts of the recordings


def words_of(text):
    """Given to you: the words of a text, tuples of letters; spaces part them, and may stand anywhere, also in a row."""
    words, word = [], []
    for label in (*text, SPACE):
        if label != SPACE:
            word.append(int(label))
        elif word:
            words.append(tuple(word))
            word = []
    return words


def bigram_model(texts, classes, smoothing):
    """Given to you: a language model of labels, counted in texts.

    texts      texts to count in
    classes    C
    smoothing  a positive number that is added to every count

    Returns bigram (C, C): bigram[a, b] is the log-probability that label b follows label a. Row 0 is for the first label
    of a text, column 0 for its end: the blank is in no text, so its place is free.
    """
    counts = np.full((classes, classes), float(smoothing))
    for text in texts:
        for before, label in zip((BLANK, *text), (*text, BLANK), strict=True):
            counts[before, label] += 1
    return np.log(counts / counts.sum(axis=1, keepdims=True))


def best_path(log_probs):
    """The text of the single likeliest path: runs of one class merged, then blanks dropped.

    log_probs (T, C)  log-probabilities of the classes at each frame; no two of a frame are equal where it matters

    Returns (text, score): the text, a tuple, and the log-probability of that one path.
    """
    raise NotImplementedError("best_path: first merge, then drop: a blank is what keeps two equal labels apart")


def beam_step(beam, log_probs):
    """Hear one more frame: for every prefix of the beam, and every prefix with one label more, how likely it is now.

    beam              a dict from prefixes, which are tuples of labels, to pairs (blank, label): the log-probabilities of
                      all paths so far with this text that end in a blank, and of those that end in its last label.
                      Before the first frame it is {(): (0.0, -inf)}
    log_probs (C,)    log-probabilities of the classes at this frame; may be -inf

    A path that hears a blank keeps its text. One that ends in a label and hears that label again keeps it too. Every
    other label is appended; the last label once more only after a blank.

    Returns the same after the frame, as a new dict, with nothing pruned. Prefixes that no path has may be in it, with
    -inf twice, or not.
    """
    raise NotImplementedError(
        "beam_step: three ways on from each prefix; what arrives where something is already is added, in log space"
    )


def prefix_beam_search(log_probs, width, bigram, alpha, beta):
    """The likeliest texts, each with all its paths, under a language model.

    log_probs (T, C)  log-probabilities of the classes at each frame, at least one frame; may be -inf
    width             how many prefixes are kept after each frame, at least 1
    bigram (C, C)     the language model, as `bigram_model` makes it, finite
    alpha             weight of the language model, 0 or more
    beta              bonus for each label of a text, any number

    The score of a prefix is log(sum over its paths, of both kinds) + alpha * log-probability of its labels one after
    the other, from row 0 on + beta * number of its labels. After every frame, the last one too, keep the `width`
    prefixes of the highest scores; no two are equal where it matters. Prefixes that no path has are not kept.
    After the last frame a text has ended: add alpha * the log-probability of its end, and put what is left in order.

    Returns a list of pairs (text, score), at most `width` of them, the highest score first.
    """
    raise NotImplementedError(
        "prefix_beam_search: what the language model says of a prefix never changes, so it is kept beside the beam"
    )


def align(reference, hypothesis):
    """The fewest edits that make the reference into the hypothesis, as pairs of words that stand side by side.

    reference   a list of words, what was said; words are whatever == compares
    hypothesis  a list of words, what was recognised; both may be empty

    A pair of different words is a substitution, a word of the reference alone a deletion, one of the hypothesis alone an
    insertion: one edit each. Of several alignments with the fewest edits take, from the end backwards, a pair if one of
    them has it there, else a deletion, else an insertion.

    Returns the pairs in order, L of them.
    pairs (L, 2)  int64: the place in the reference and the place in the hypothesis, from 0; GAP where there is none
    """
    raise NotImplementedError(
        "align: a table of the fewest edits between all beginnings of both; then back from its last corner"
    )


def corpus_wer(references, hypotheses):
    """The word error rate of a test set: all edits over all words that were said.

    references  a list of N lists of words, N at least 1; each may be empty
    hypotheses  what was recognised instead, likewise

    Returns (rate, counts). rate is a number, 0 or more, and may be above 1. Where all references together have no word,
    it is 0 if nothing was recognised either, else infinite.
    counts (4,)  int64: substitutions, deletions, insertions, words of the references
    """
    raise NotImplementedError("corpus_wer: count first, over all sentences, and divide once")


def tune(log_probs, texts, part, grid, width, smoothing):
    """Count a language model, choose its weights, and measure once: each on its own part of the recordings.

    log_probs  a list of N arrays (T, C), each as long as its recording, all with the same C
    texts      a list of N texts: what was said
    part (N,)  int64, TRAIN, DEV or TEST; each part has a recording, DEV and TEST have words
    grid       a list of pairs (alpha, beta) to choose from
    width      of the beam
    smoothing  of the language model

    The language model is `bigram_model` of the training texts. Of the grid take the pair with the lowest word error rate
    of the first text that the search finds, on the DEV part; the first in the grid of equals. Then measure both
    decoders on the TEST part, the search with that pair.

    Returns (bigram, alpha, beta, greedy, beam).
    bigram (C, C)  the language model
    alpha, beta    the pair that was chosen
    greedy, beam   word error rates on the TEST part: of best_path, and of prefix_beam_search
    """
    raise NotImplementedError(
        "tune: one function that decodes the rows of a part and returns the rate serves all three measurements"
    )
