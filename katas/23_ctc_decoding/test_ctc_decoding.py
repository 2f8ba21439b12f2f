"""The suite of kata 23: every path and every alignment written out at tiny sizes, torch's CTC at long ones, then speech."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from itertools import groupby

import numpy as np
import pytest
import torch

from grader.checks import assert_beats, assert_close, assert_parts, assert_shape, assert_that, assert_unchanged, text

TOL, NEVER = 1e-9, -np.inf
BLANK, SPACE, GAP = 0, 1, -1
TRAIN, DEV, TEST = 0, 1, 2
PATHS = "three ways on: a blank, the last label heard on, a label more; the last label once more only after a blank"
SCORES = "sum over paths + alpha * the model's word on all labels + beta for each: prune by it; the end only at the end"
ALIGNED = "from the end backwards: a pair if it costs nothing more, else a deletion, else an insertion"
PARTS = "which part counts the bigrams, which one chooses from the grid, and which one is only measured?"

# The world of the last test: sentences of a few words, spoken letter by letter into a doubtful network.
SPOKEN = "stone rose sand road red dead tea seat nest tense area roast one ten not no and on as so to are"
WORDS = SPOKEN.split()
TUNED = ("bigram", "alpha", "beta", "greedy", "beam")
LETTERS = "- " + "".join(sorted(set("".join(WORDS))))
SIZES, WIDTH, SMOOTHING = (120, 16, 50), 8, 0.3
GRID = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (1.0, 1.0)]
BAR = 0.88  # of the best path's rate: right ones 0.33 to 0.56, sd 0.06; no language model 0.72 to 0.84 (30 seeds)


def _view(rows):
    """The same numbers as every second row, from the last to the first, of a larger array."""
    wide = np.zeros((2 * len(rows), *rows.shape[1:]), rows.dtype)
    wide[1::2] = rows[::-1]
    return wide[::-2]


def _frames(rng, frames, classes, spread=1.0):
    """Log-probabilities of a network that is in doubt, and oftenest for the blank."""
    logits = spread * rng.normal(size=(frames, classes))
    logits[:, BLANK] += 0.7
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _bigram(rng, classes):
    return np.log(rng.dirichlet(np.ones(classes), classes))


def _text(path):
    return tuple(label for label, _ in groupby(path) if label != BLANK)


def _heard(paths, frame):
    """Every path, with every class that it can hear next: probabilities of whole paths, one by one."""
    return {(*path, c): p * q for path, p in paths.items() for c, q in enumerate(np.exp(frame).tolist()) if p * q}


def _masses(paths):
    """The paths of each text, summed: those that end in a blank, and the others."""
    masses = defaultdict(lambda: [0.0, 0.0])
    for path, p in paths.items():
        masses[_text(path)][path[-1] != BLANK] += p
    with np.errstate(divide="ignore"):
        return {prefix: tuple(np.log(pair).tolist()) for prefix, pair in masses.items()}


def _fluency(bigram, labels):
    return sum(bigram[before, label] for before, label in zip((BLANK, *labels), labels, strict=False))


def _search(log_probs, width, bigram, alpha, beta):
    """The search path by path: a path lives on while what it has said is among the best prefixes of each frame."""
    paths = {(): 1.0}
    for frame in log_probs:
        paths, scores = _heard(paths, frame), Counter()
        for path, p in paths.items():
            scores[_text(path)] += p
        scores = {t: np.log(p) + alpha * _fluency(bigram, t) + beta * len(t) for t, p in scores.items()}
        best = sorted(scores, key=scores.get, reverse=True)[:width]
        paths = {path: p for path, p in paths.items() if _text(path) in set(best)}
    ended = {t: scores[t] + alpha * bigram[t[-1] if t else BLANK, BLANK] for t in best}
    return sorted(ended.items(), key=lambda pair: -pair[1])


def _ways(m, n):
    """Every alignment of m words with n; of two, the one that is preferred comes first."""
    if not m and not n:
        yield ()
    for i, j in ((1, 1), (1, 0), (0, 1)):
        if i <= m and j <= n:
            for way in _ways(m - i, n - j):
                yield (*way, (m - 1 if i else GAP, n - 1 if j else GAP))


def _counts(said, heard, way):
    """Substitutions, deletions, insertions of an alignment, and words that were said."""
    wrong = sum(GAP not in pair and said[pair[0]] != heard[pair[1]] for pair in way)
    return wrong, sum(j == GAP for _, j in way), sum(i == GAP for i, _ in way), len(said)


@cache
def _aligned(said, heard):
    """The first of the alignments with the fewest edits."""
    return min(_ways(len(said), len(heard)), key=lambda way: sum(_counts(said, heard, way)[:3]))


def _wer(references, hypotheses):
    """All counts added up, and the rate."""
    sentences = [(tuple(said), tuple(heard)) for said, heard in zip(references, hypotheses, strict=True)]
    counts = np.sum([_counts(*sides, _aligned(*sides)) for sides in sentences], axis=0)
    return counts, counts[:3].sum() / counts[3] if counts[3] else (np.inf if counts.any() else 0.0)


def _found(solution, *arguments):
    """What the search returned: texts and scores, of the right form."""
    found = solution.prefix_beam_search(*arguments)
    assert_that(isinstance(found, list), "prefix_beam_search must return a list")
    pairs = [assert_parts(each, ("text", "score"), name=text("an entry of prefix_beam_search")) for each in found]
    for _, score in pairs:
        assert_shape(score, (), name=text("a score of prefix_beam_search"))
    return [tuple(labels) for labels, _ in pairs], [float(s) for _, s in pairs]


def _same_search(solution, expected, arguments, name, shift=0.0):
    found, scores = _found(solution, *arguments)
    wanted = np.array([score + shift for _, score in expected])
    assert_close(np.array(scores), wanted, tol=TOL, name=text("scores of {name}", name=name), help=SCORES)
    one, other = (np.array([i for labels in side for i in (*labels, BLANK)]) for side in (found, dict(expected)))
    assert_close(one, other, name=text("labels of {name}, text by text, each ended by 0", name=name), help=SCORES)


def _searches(solution, rng, cases, far=0.0):
    """In each of the cases the search finds what is found path by path."""
    for frames, classes, width, alpha, beta in cases:
        log_probs, bigram = _frames(rng, frames, classes), _bigram(rng, classes)
        log_probs[frames // 2] = log_probs[0] if alpha else log_probs[frames // 2]
        log_probs[frames // 3, 1:2] = NEVER
        expected = _search(log_probs, width, bigram, alpha, beta)
        name = text("a search of width {width}, alpha {alpha}, beta {beta}", width=width, alpha=alpha, beta=beta)
        arguments = _view(log_probs + far), width, _view(bigram), alpha, beta
        _same_search(solution, expected, arguments, name, frames * far)


def _same_beam(found, expected, name, shift=0.0):
    """The same masses, whether or not prefixes without a path are there."""
    assert_that(isinstance(found, dict), "beam_step must return a dict")
    keys = sorted({*found, *expected})
    pairs = [assert_parts(found.get(key, (NEVER, NEVER)), ("blank", "label"), name="beam_step") for key in keys]
    wanted = np.array([expected.get(key, (NEVER, NEVER)) for key in keys]) + shift
    got = np.array([[float(each) for each in pair] for pair in pairs])
    for column, kind in enumerate((text("paths that end in a blank"), text("paths that end in a label"))):
        there, what = wanted[:, column] > NEVER, text("{name}: {kind}", name=name, kind=kind)
        assert_close(got[there, column], wanted[there, column], tol=TOL, name=what, help=PATHS)
        known = np.where(got[~there, column] == NEVER, 0.0, 1.0)
        assert_close(known, 0 * known, name=text("{what}, where there are none", what=what), help=PATHS)


@pytest.mark.shape
def test_forms(solution, rng):
    """Every result has the stated form, for one frame, one word and one sentence too"""
    for frames, classes, width in ((4, 3, 2), (1, 2, 1), (2, 5, 9)):
        log_probs = _frames(rng, frames, classes)
        found = _found(solution, log_probs, width, _bigram(rng, classes), 0.5, 0.1)[0]
        said = "prefix_beam_search must find 1 to {width} texts, not {found}"
        assert_that(0 < len(found) <= width, said, width=width, found=len(found))
        assert_shape(solution.align(["a"] * frames, ["b"] * frames), (frames, 2), dtype=np.int64, name="align")
        rate, counts = assert_parts(solution.corpus_wer([["a"]], [["b"]]), ("rate", "counts"), name="corpus_wer")
        assert_shape(rate, (), name="rate")
        assert_shape(counts, (4,), dtype=np.int64, name="counts")


@pytest.mark.value
def test_best_path(solution, rng):
    """The likeliest class of each frame, runs merged before blanks are dropped, and how likely that one path is"""
    small = (9, 3, 0.0), (30, 4, 0.0), (12, 2, -800.0), (1, 5, 0.0), (90, 70, 0.0)
    for frames, classes, far in (*small, (7, 1203, 0.0), (1203, 3, 0.0), (5003, 6, -40.0)):
        log_probs = _frames(rng, frames, classes) + far
        log_probs[frames // 2] = log_probs[0]
        path = [row.index(max(row)) for row in log_probs.tolist()]
        labels, score = assert_parts(solution.best_path(_view(log_probs)), ("text", "score"), name="best_path")
        labels, wanted = (np.array([*each] + [BLANK] * (frames - len(each))) for each in (labels, _text(path)))
        help = "merge runs of one class first, drop the blanks after: a blank keeps two equal labels apart"
        assert_close(labels, wanted, name=text("the text of best_path, filled up with 0"), help=help)
        total = float(sum(log_probs[t, c] for t, c in enumerate(path)))
        assert_close(score, total, tol=TOL, name=text("the score of best_path"), help="the sum over frames of one path")


@pytest.mark.value
def test_beam_step(solution, rng):
    """After one more frame, each prefix has the sum of all its paths, those that end in a blank apart"""
    for frames, classes in ((1, 4), (2, 3), (3, 3), (4, 3), (5, 2), (6, 3), (1, 1203), (2, 70), (3, 6)):
        log_probs, paths = _frames(rng, frames, classes), {(): 1.0}
        log_probs[rng.integers(frames), classes - 1] = NEVER
        log_probs[-1] = log_probs[0]
        for frame in log_probs[:-1]:
            paths = _heard(paths, frame)
        for few in (False, True):  # the whole beam, then a pruned one
            before = _masses(paths) if paths.keys() - {()} else {(): (0.0, NEVER)}
            keep = [key for key in before if not few or rng.random() < 0.4] or [()]
            paths = {path: p for path, p in paths.items() if _text(path) in set(keep)}
            for far in (0.0, -3000.0):
                beam = {key: tuple(each + far for each in before.get(key, (NEVER, NEVER))) for key in keep}
                found = solution.beam_step(beam, _view(np.append(log_probs[-1], 0.0))[:-1])
                name = text("{frames} frames of {classes} classes", frames=frames, classes=classes)
                _same_beam(found, _masses(_heard(paths, log_probs[-1])), name, far)


@pytest.mark.value
def test_sums_over_all_paths(solution, rng):
    """The text whose paths are likeliest together is found, though the best single path may say another"""
    sizes = (3, 3), (5, 3), (6, 3), (4, 4), (1, 70), (7, 2), (5, 4), (2, 40), (4, 5)
    cases = [(frames, classes, 5003, 0.0, 0.0) for frames, classes in sizes]
    _searches(solution, rng, cases)
    _searches(solution, rng, cases[:4], far=-300.0)
    doubtful = np.log([[0.4, 0.35, 0.25], [0.45, 0.35, 0.2]])  # the best path says nothing, with 0.18
    sums = {(1,): 0.42, (2,): 0.2425, (): 0.18, (2, 1): 0.0875, (1, 2): 0.07}
    expected = [(labels, float(np.log(p))) for labels, p in sums.items()]
    _same_search(solution, expected, (doubtful, 9, np.zeros((3, 3)), 0.0, 0.0), text("the statement's two frames"))


@pytest.mark.value
def test_narrow_beams_and_the_language_model(solution, rng):
    """What is kept is best by all three parts of the score, after every frame, and the end of a text counts at the end"""
    _searches(solution, rng, [(4, 3, 5003, 0.8, 0.5), (5, 3, 5003, 1.5, -0.7), (2, 4, 70, 30.0, 9.0)])
    _searches(solution, rng, [(6, 3, 1, 0.5, 0.2), (5, 3, 2, 1.0, 1.5), (4, 4, 3, 0.6, 0.0), (5, 3, 2, 0.0, 2.0)])
    _searches(solution, rng, [(6, 3, 3, 0.9, 0.4), (1, 6, 2, 2.0, 0.3), (5, 4, 4, 0.7, 0.9), (2, 30, 66, 0.4, 0.5)])


@pytest.mark.value
def test_long_recordings(solution, rng):
    """Over thousands of frames nothing underflows: texts beside torch's CTC, and a text of a thousand labels"""
    for frames, classes in ((1203, 4), (1500, 3), (5003, 3)):
        log_probs = np.full((frames, classes), NEVER)
        log_probs[:, BLANK] = 0.0
        for t in rng.choice(frames // 2, 3, replace=False) * 2:
            log_probs[t, : classes - 1] = _frames(rng, 1, classes - 1)
        log_probs -= 0.7
        texts, scores = _found(solution, log_probs, 40, _bigram(rng, classes), 0.0, 0.0)
        labels = torch.tensor([label for each in texts for label in each])
        lengths = torch.tensor([len(each) for each in texts])
        frames_of = torch.from_numpy(log_probs)[:, None].expand(-1, len(texts), -1)
        expected = -torch.nn.functional.ctc_loss(
            frames_of, labels, torch.full_like(lengths, frames), lengths, reduction="none"
        )
        name = text("scores of texts in {frames} frames", frames=frames)
        assert_close(np.array(scores), expected.numpy(), tol=TOL, name=name, help="logarithms all the way")
        total = np.exp(np.array(scores) + 0.7 * frames).sum()
        assert_close(total, 1.0, tol=1e-7, name=text("probability of all texts together"), help="no text may be lost")
    labels, bigram = tuple(rng.integers(1, 3, 1203).tolist()), _bigram(rng, 3)
    log_probs = np.full((2406, 3), -30.0)
    log_probs[np.arange(0, 2406, 2), labels] = log_probs[1::2, BLANK] = -0.01
    score = -0.01 * 2406 + 0.4 * (_fluency(bigram, labels) + bigram[labels[-1], BLANK]) + 0.1 * 1203
    _same_search(solution, [(labels, score)], (log_probs, 1, bigram, 0.4, 0.1), text("a search with a long text"))


@pytest.mark.value
def test_align(solution, rng):
    """Of all alignments, the one with the fewest edits that the rule for ties prefers; and long texts"""
    cases = []
    for m, n in ((4, 4), (5, 3), (3, 5), (5, 5), (0, 3), (4, 0), (0, 0), (1, 1), (6, 4), (2, 6), (5, 4), (4, 5)):
        names = (["the", "then", "he"], [(2, 3), (2,), (2, 3, 3)], [700, 701, 1])[len(cases) % 3]
        said, heard = ([names[i] for i in rng.integers(0, 3, size)] for size in (m, n))
        cases.append((said, heard, _aligned(tuple(said), tuple(heard))))
    cases.append(([*"ababa"], [*"babab"], _aligned(tuple("ababa"), tuple("babab"))))  # no pair at the end is cheapest
    for n, skipped in ((90, 20), (300, 7), (1203, 1200), (5003, 5001)):
        said, kept = [f"word {i}" for i in range(n)], range(skipped, n)
        cases.append((said, said[skipped:], [(i, GAP) for i in range(skipped)] + [(i, i - skipped) for i in kept]))
        cases.append((said[skipped:], said, [(GAP, i) for i in range(skipped)] + [(i - skipped, i) for i in kept]))
    for said, heard, pairs in cases:
        wanted = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        name = text("pairs of {m} words with {n}", m=len(said), n=len(heard))
        assert_close(solution.align(said, heard), wanted, name=name, help=ALIGNED)


@pytest.mark.value
def test_corpus_wer(solution, rng):
    """All edits over all words that were said, whatever each sentence's own rate is, and with empty sentences"""
    cases = []
    for count, most in ((2, 3), (6, 5), (1, 5), (9, 4), (12, 3), (70, 3), (1203, 2), (5003, 1)):
        lengths = rng.integers(0, most + 1, 2 * count)
        lengths[[0, count]] = most
        sides = [[["ab", "abc", "a"][i] for i in rng.integers(0, 3, n)] for n in lengths]
        cases.append((sides[:count], sides[count:]))
    few = ([["a"]], [["a", "a", "b"]]), ([[]], [[]]), ([[], []], [["no"], ["a", "b"]])
    for references, hypotheses in (*cases, *few):
        result, (by_kind, wanted) = solution.corpus_wer(references, hypotheses), _wer(references, hypotheses)
        rate, counts = assert_parts(result, ("rate", "counts"), name="corpus_wer")
        help = "substitutions, deletions, insertions, words of the references: all sentences added up"
        assert_close(counts, by_kind, name="counts", help=help)
        if wanted < np.inf:
            assert_close(rate, float(wanted), tol=TOL, name="rate", help="sum first, divide once")
        else:
            said = "words where nothing was said make an infinite rate, not {rate}"
            assert_that(isinstance(rate, float) and rate == np.inf, said, rate=str(rate))


def _speech(rng, sizes):
    """What a doubtful network hears in spoken sentences, so many for each part: log-probabilities, texts, parts. A letter
    is as loud as it is for two or three frames, with a rival; between two letters there may be a blank."""
    language, count = np.random.default_rng(23), len(LETTERS)  # the same for everybody, and so are the rivals
    follow = language.dirichlet(np.full(len(WORDS), 0.3), len(WORDS))
    rival, part, log_probs, texts = np.roll(range(count), 1), np.repeat((TRAIN, DEV, TEST), sizes), [], []
    for _ in part:
        words = [int(rng.integers(len(WORDS)))]
        for _ in range(rng.integers(1, 4)):
            words.append(int(rng.choice(len(WORDS), p=follow[words[-1]])))
        texts.append(tuple(LETTERS.index(letter) for letter in " ".join(WORDS[word] for word in words)))
        rows = [np.zeros(count)]
        for before, label in zip((BLANK, *texts[-1]), texts[-1], strict=False):
            rows += [rows[0]] if label == before or rng.random() < 0.5 else []
            heard = rng.normal(5, 0.6) * np.eye(count)[label] + rng.normal(2.5, 1) * np.eye(count)[rival[label]]
            rows += int(rng.integers(2, 4)) * [heard]
        logits = np.array(rows) + 0.8 * rng.normal(size=(len(rows), count)) + 3 * np.eye(count)[BLANK]
        log_probs.append(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    order = rng.permutation(len(part))
    return [log_probs[i] for i in order], [texts[i] for i in order], part[order]


def _tune(solution, *arguments):
    return assert_parts(solution.tune(*arguments), TUNED, name="tune")


@pytest.mark.value
def test_tune(solution, reference, rng):
    """The model from TRAIN, the weights from DEV, the first of equals, and both rates of TEST"""
    for count, classes in ((3, 5), (3, 5), (70, 70), (5003, 3), (1, 1203), (0, 2)):
        texts = [tuple(rng.integers(1, classes, 4).tolist()) for _ in range(count)]
        models = [each.bigram_model(texts, classes, 1e-20 if classes == 5 else 0.5) for each in (solution, reference)]
        assert_close(*models, tol=TOL, name=text("{name} of tune", name="bigram"), help=PARTS)
    for sizes, pairs, width in (*(6 * [((3, 3, 3), 6, 2)]), ((1, 1, 1), 1, 1), ((66, 2, 1), 3, 3), ((2, 1, 6), 70, 1)):
        log_probs, texts, part = _speech(rng, sizes)
        far = 60 if width == 70 else 1
        grid = list(zip(rng.uniform(0, 2 * far, pairs).tolist(), rng.normal(size=pairs).tolist(), strict=True))
        smoothing = float(rng.uniform(0.1, 2))
        for step in (1, -1):  # once more with each recording played backwards
            arguments = [each[:12][::step] for each in log_probs], texts, part, grid, width, smoothing
            for name, mine, right in zip(TUNED, _tune(solution, *arguments), _tune(reference, *arguments), strict=True):
                assert_close(mine, right, tol=TOL, name=text("{name} of tune", name=name), help=PARTS)


@pytest.mark.behaviour
def test_no_part_leaks(solution, reference, rng):
    """Other TEST texts, made to suit any other pair of the grid, change neither the model nor the pair"""
    for width in (2, 3):
        log_probs, texts, part = _speech(rng, (4, 3, 3))
        log_probs = [frames[:14] for frames in log_probs]
        grid = [(0.0, -2.0), (0.0, 2.0), (1.5, 0.0), (0.7, 4.0)]
        bigram, *pair = _tune(reference, log_probs, texts, part, grid, width, 0.5)[:3]
        for suited in grid:
            altered = list(texts)
            for n in np.flatnonzero(part == TEST):
                altered[n] = (*reference.prefix_beam_search(log_probs[n], width, bigram, *suited)[0][0], SPACE, 2)
            found = _tune(solution, log_probs, altered, part, grid, width, 0.5)
            assert_close(found[0], bigram, tol=TOL, name=text("bigram after other TEST texts"), help=PARTS)
            for name, mine, right in zip(("alpha", "beta"), found[1:], pair, strict=False):
                name = text("{name} after other TEST texts", name=name)
                assert_close(mine, right, tol=TOL, name=name, help=PARTS)


@pytest.mark.behaviour
def test_calls_leave_no_trace(solution, rng, mutated):
    """No call changes its arguments, and the same call says the same after others"""
    log_probs, texts, part = _speech(rng, (1, 1, 1))
    bigram, short, beam = _bigram(rng, len(LETTERS)), log_probs[0][:3], {(2,): (-1.0, -2.0), (2, 3): (-3.0, -1.5)}
    for frames in (short, short + 0.5, short):
        arguments = frames, 3, bigram, 0.7, 0.4
        _same_search(solution, _search(*arguments), arguments, text("a search among others"))
        solution.best_path(frames)
        solution.beam_step(beam, frames[0])
        solution.align(list(texts[0]), list(texts[1]))
        solution.corpus_wer([["ab"], ["b", "ab"]], [["bc"], ["ab"]])
        solution.bigram_model(list(texts), len(LETTERS), 0.5)
    _tune(solution, log_probs, texts, part, [(0.0, 0.0), (1.0, 1.0)], 1, 0.5)
    assert_unchanged(mutated)


@pytest.mark.convergence
def test_recognises_speech(solution, rng, record):
    """Of sentences never heard, the tuned search gets more words right than the best path"""
    log_probs, texts, part = _speech(rng, SIZES)
    bigram, alpha, beta, greedy, beam = _tune(solution, log_probs, texts, part, GRID, WIDTH, SMOOTHING)
    lines = [f"{greedy:.3f}  {beam:.3f}  (alpha {alpha}, beta {beta})"]
    for n in np.flatnonzero(part == TEST)[:6]:
        heard = solution.best_path(log_probs[n])[0], _found(solution, log_probs[n], WIDTH, bigram, alpha, beta)[0][0]
        lines += ["", *("".join(LETTERS[label] for label in labels) for labels in (texts[n], *heard))]
    record.text(
        "word error rates of best path and search; then what was said, and what each of them heard", "\n".join(lines)
    )
    help = "does the search use the language model, the bonus and both kinds of paths?"
    name = text("word error rate of the tuned search, as a share of the best path's")
    assert_beats(beam / max(greedy, 0.01), BAR, higher=False, name=name, help=help)
