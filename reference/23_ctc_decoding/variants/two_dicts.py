"""Two dicts for the two kinds of paths, edits noted down on the way there, one loop for each thing."""

from collections import defaultdict

import numpy as np

BLANK, SPACE = 0, 1
GAP = -1
TRAIN, DEV, TEST = 0, 1, 2


def words_of(text):
    words, word = [], []
    for label in (*text, SPACE):
        if label != SPACE:
            word.append(int(label))
        elif word:
            words.append(tuple(word))
            word = []
    return words


def bigram_model(texts, classes, smoothing):
    counts = np.full((classes, classes), float(smoothing))
    for text in texts:
        for before, label in zip((BLANK, *text), (*text, BLANK), strict=True):
            counts[before, label] += 1
    return np.log(counts / counts.sum(axis=1, keepdims=True))


def best_path(log_probs):
    text, score, before = [], 0.0, BLANK
    for row in np.asarray(log_probs):
        label = int(np.argmax(row))
        score += float(row[label])
        if label != BLANK and label != before:
            text.append(label)
        before = label
    return tuple(text), score


def beam_step(beam, log_probs):
    blanks, labels = defaultdict(lambda: -np.inf), defaultdict(lambda: -np.inf)
    for prefix, (blank, label) in beam.items():
        for c in range(len(log_probs)):
            heard = log_probs[c]
            if c == BLANK:
                blanks[prefix] = np.logaddexp(blanks[prefix], np.logaddexp(blank, label) + heard)
            elif len(prefix) and c == prefix[-1]:
                labels[prefix] = np.logaddexp(labels[prefix], label + heard)
                labels[(*prefix, c)] = np.logaddexp(labels[(*prefix, c)], blank + heard)
            else:
                labels[(*prefix, c)] = np.logaddexp(labels[(*prefix, c)], np.logaddexp(blank, label) + heard)
    return {prefix: (float(blanks[prefix]), float(labels[prefix])) for prefix in set(blanks) | set(labels)}


def prefix_beam_search(log_probs, width, bigram, alpha, beta):
    said = {(): 0.0}

    def model(prefix):
        if prefix not in said:
            before = prefix[-2] if len(prefix) >= 2 else BLANK
            said[prefix] = said[prefix[:-1]] + bigram[before, prefix[-1]]
        return said[prefix]

    def score(prefix, masses):
        return np.logaddexp(*masses) + alpha * model(prefix) + beta * len(prefix)

    beam = [((), (0.0, -np.inf))]
    for t in range(len(log_probs)):
        after = [
            (prefix, masses)
            for prefix, masses in beam_step(dict(beam), log_probs[t]).items()
            if masses != (-np.inf, -np.inf)
        ]
        after.sort(key=lambda item: -score(*item))
        beam = after[:width]
    result = []
    for prefix, masses in beam:
        end = bigram[prefix[-1], 0] if prefix else bigram[0, 0]
        result.append((prefix, float(score(prefix, masses) + alpha * end)))
    result.sort(key=lambda item: item[1], reverse=True)
    return result


def align(reference, hypothesis):
    m, n = len(reference), len(hypothesis)
    cost, came = {}, {}
    for i in range(m + 1):
        for j in range(n + 1):
            ways = []
            if i and j:
                ways.append(
                    (cost[i - 1, j - 1] + (0 if reference[i - 1] == hypothesis[j - 1] else 1), 0, (i - 1, j - 1))
                )
            if i:
                ways.append((cost[i - 1, j] + 1, 1, (i - 1, j)))
            if j:
                ways.append((cost[i, j - 1] + 1, 2, (i, j - 1)))
            cost[i, j], _, came[i, j] = min(ways) if ways else (0, 0, None)
    pairs, here = [], (m, n)
    while came[here] is not None:
        there = came[here]
        pairs.insert(0, [there[0] if there[0] < here[0] else GAP, there[1] if there[1] < here[1] else GAP])
        here = there
    return np.array(pairs, dtype=np.int64) if pairs else np.zeros((0, 2), dtype=np.int64)


def corpus_wer(references, hypotheses):
    substitutions = deletions = insertions = words = 0
    for n in range(len(references)):
        words += len(references[n])
        for i, j in align(references[n], hypotheses[n]):
            if i == GAP:
                insertions += 1
            elif j == GAP:
                deletions += 1
            elif references[n][i] != hypotheses[n][j]:
                substitutions += 1
    edits = substitutions + deletions + insertions
    if words:
        rate = edits / words
    elif edits:
        rate = float("inf")
    else:
        rate = 0.0
    return rate, np.array([substitutions, deletions, insertions, words], dtype=np.int64)


def tune(log_probs, texts, part, grid, width, smoothing):
    bigram = bigram_model(
        [text for text, each in zip(texts, part, strict=True) if each == TRAIN], log_probs[0].shape[1], smoothing
    )

    def measure(which, weights=None):
        said, heard = [], []
        for frames, text, each in zip(log_probs, texts, part, strict=True):
            if each == which:
                said.append(words_of(text))
                found = prefix_beam_search(frames, width, bigram, *weights)[0] if weights else best_path(frames)
                heard.append(words_of(found[0]))
        return corpus_wer(said, heard)[0]

    lowest = None
    for weights in grid:
        found = measure(DEV, weights)
        if lowest is None or found < lowest:
            lowest, chosen = found, weights
    return bigram, chosen[0], chosen[1], measure(TEST), measure(TEST, chosen)
