"""What learners do not see of kata 33: beliefs beside all detections at once, and long videos beside a tracker in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from grader.checks import assert_close, normal, text

NOBODY, PILLAR = -1, (40.0, 44.0)


@pytest.mark.value
def test_walks(solution, rng):
    """After many frames the belief is what all detections together say of the last state"""
    for n, s, m, frames in ((5, 4, 2, 1), (1, 3, 1, 5), (2, 5, 3, 9), (3, 2, 2, 40)):
        roots = [normal(rng, size, size) / 2 for size in (s, s, m)]
        doubt, wander, blur = (root @ root.T + torch.eye(len(root)).double() / 2 for root in roots)
        motion, sensor, mean = torch.eye(s).double() / 2 + normal(rng, s, s) / 4, normal(rng, m, s), normal(rng, n, s)
        spread = torch.block_diag(
            doubt, *[wander] * frames, *[blur] * frames
        )  # of all that is drawn: it is independent
        first, *chances = torch.eye(len(spread)).double().split([s] * (1 + frames) + [m] * frames)
        state, told = first, []
        for moved, blurred in zip(chances[:frames], chances[frames:], strict=True):
            state = motion @ state + moved
            told.append(sensor @ state + blurred)
        told, points = torch.cat(told), normal(rng, frames, n, m)
        gain = state @ spread @ told.T @ (told @ spread @ told.T).inverse()
        surprise = points.permute(1, 0, 2).reshape(n, -1) - mean @ told[:, :s].T
        belief = mean, doubt.expand(n, s, s)
        for point in points:
            belief = solution.update(*solution.predict(*belief, motion, wander), point, sensor, blur)
        name, help = text("the mean after {frames} frames", frames=frames), "predict, then update, frame after frame"
        assert_close(belief[0], mean @ state[:, :s].T + surprise @ gain.T, tol=1e-7, name=name, help=help)
        expected = ((state - gain @ told) @ spread @ state.T).expand(n, s, s)
        name = text("the covariance after {frames} frames", frames=frames)
        assert_close(belief[1], expected, tol=1e-7, name=name, help=help)


def _strollers(rng, parts, people):
    """Frames of people who walk to and fro along a street of 90, behind a pillar, with absences and false alarms."""
    place, speed = rng.uniform(0, (90, 30), (people, 2)), rng.normal(0, 0.7, (people, 2))
    frames = []
    for _ in range(parts):
        speed = 0.99 * speed + rng.normal(0, 0.1, speed.shape)
        place = place + speed
        speed[:, 0] = np.where((place[:, 0] < 0) | (place[:, 0] > 90), np.sign(45 - place[:, 0]), 1) * np.abs(
            speed[:, 0]
        )
        behind = (place[:, 0] > PILLAR[0]) & (place[:, 0] < PILLAR[1])
        points = place[~behind & (rng.random(people) > 0.08)]
        points = np.concatenate([points, rng.uniform(0, (90, 30), (rng.poisson(0.3), 2))])
        frames.append(rng.permutation(points + rng.normal(0, 0.6, points.shape)))
    return frames


def _followed(frames, limit, max_age, min_hits):
    """One track after another, with scipy's assignments; a state is x, y and their speeds."""
    motion, sensor = np.eye(4) + np.eye(4, k=2), np.eye(2, 4)
    living, born, answers = [], 0, []
    for t, points in enumerate(frames):
        names, price = np.full(len(points), NOBODY), np.full((len(living), len(points)), limit)
        for row, one in enumerate(living):
            one["mean"] = motion @ one["mean"]
            one["doubt"] = motion @ one["doubt"] @ motion.T + np.diag([0, 0, 0.01, 0.01])
            apart, doubt = points - one["mean"][:2], one["doubt"][:2, :2] + np.eye(2)
            squared = np.einsum("di,ij,dj->d", apart, np.linalg.inv(doubt), apart)
            price[row] = np.minimum(squared / 2 + np.log(np.linalg.det(2 * np.pi * doubt)) / 2, limit)
        rows, columns = linear_sum_assignment(price)
        chosen = {column: living[row] for row, column in zip(rows, columns, strict=True) if price[row, column] < limit}
        for column, one in chosen.items():
            gain = one["doubt"] @ sensor.T @ np.linalg.inv(one["doubt"][:2, :2] + np.eye(2))
            one["mean"] = one["mean"] + gain @ (points[column] - one["mean"][:2])
            one["doubt"] = one["doubt"] - gain @ one["doubt"][:2]
            one |= {"last": t, "hits": one["hits"] + 1}
        living = [one for one in living if t - one["last"] <= max_age]
        for column in np.setdiff1d(np.arange(len(points)), list(chosen)):
            mean = np.append(points[column], [0, 0])
            chosen[column] = {"mean": mean, "doubt": np.eye(4), "number": born, "last": t, "hits": 1}
            living.append(chosen[column])
            born += 1
        for column, one in chosen.items():
            names[column] = one["number"] if one["hits"] >= min_hits else NOBODY
        answers.append(names)
    return answers


@pytest.mark.value
def test_long_videos(solution, rng):
    """Many people for a short time, and few for a long one, are given the names that the rules say"""
    for parts, people, *rules in ((200, 3, 9.0, 5, 2), (5, 70, 8.0, 1, 1), (60, 1, 6.0, 30, 4), (30, 9, 14.0, 0, 3)):
        frames = _strollers(rng, parts, people)
        found = solution.track([torch.from_numpy(points) for points in frames], *rules)
        for t, expected in enumerate(_followed(frames, *rules)):
            help = text("frame {t} of a video is the first that departs", t=t)
            assert_close(found[t], torch.from_numpy(expected), name="names", help=help)
