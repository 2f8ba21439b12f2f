"""Whole columns at once: each class is suppressed by itself, each picture matched by itself, recall on the x axis."""

import numpy as np


def sides(a, b, first, second):
    """How far the intersections reach along one axis, (N, M)."""
    start = np.maximum.outer(a[:, first], b[:, first])
    end = np.minimum.outer(a[:, second], b[:, second])
    return (end - start).clip(min=0)


def iou_matrix(a, b):
    intersection = sides(a, b, 0, 2) * sides(a, b, 1, 3)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a, b)]
    union = np.add.outer(*areas) - intersection
    union[union == 0] = 1
    return intersection / union


def make_anchors(rows, columns, stride, sizes, ratios):
    root = np.sqrt(np.asarray(ratios))
    width = np.divide.outer(np.asarray(sizes), root).ravel()
    height = np.multiply.outer(np.asarray(sizes), root).ravel()
    cell = np.arange(rows * columns)
    x, y = (cell % columns + 0.5) * stride, (cell // columns + 0.5) * stride
    edges = [np.add.outer(x, -width / 2), np.add.outer(y, -height / 2), np.add.outer(x, width / 2)]
    return np.stack([*edges, np.add.outer(y, height / 2)], axis=-1).reshape(-1, 4)


def assign(anchors, truth, low, high):
    matches = np.full(len(anchors), -1)
    if not len(truth):
        return matches
    table = iou_matrix(anchors, truth)
    largest = table.max(axis=1)
    matches[largest >= low] = -2
    near = largest >= high
    matches[near] = table[near].argmax(axis=1)
    free_anchor, free_box = np.ones(len(anchors), dtype=bool), np.ones(len(truth), dtype=bool)
    for pair in np.argsort(-table, axis=None, kind="stable"):
        anchor, box = divmod(int(pair), len(truth))
        if table[anchor, box] == 0:
            break
        if free_anchor[anchor] and free_box[box]:
            matches[anchor] = box
            free_anchor[anchor] = free_box[box] = False
    return matches


def encode(anchors, boxes):
    ax, ay, aw, ah = form(anchors)
    x, y, w, h = form(boxes)
    return np.stack([(x - ax) / aw, (y - ay) / ah, np.log(w) - np.log(aw), np.log(h) - np.log(ah)], axis=1)


def form(boxes):
    """Centre x, centre y, width and height, each (N,)."""
    x1, y1, x2, y2 = boxes.T
    return x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2, x2 - x1, y2 - y1


def decode(anchors, offsets):
    ax, ay, aw, ah = form(anchors)
    dx, dy, dw, dh = offsets.T
    factor_w, factor_h = (np.minimum(1000 / 16, np.exp(np.minimum(each, 5.0))) for each in (dw, dh))
    x, y, w, h = ax + dx * aw, ay + dy * ah, aw * factor_w, ah * factor_h
    x1, y1 = x - w / 2, y - h / 2
    return np.column_stack([x1, y1, x + w / 2, y + h / 2])


def nms_of_one(boxes, threshold):
    """Which boxes stay, of those of one class with the best score first."""
    lost = np.zeros(len(boxes), dtype=bool)
    for row in range(len(boxes)):
        if not lost[row]:
            lost[row + 1 :] |= iou_matrix(boxes[row : row + 1], boxes[row + 1 :])[0] > threshold
    return ~lost


def nms(boxes, scores, labels, threshold):
    order = np.lexsort((np.arange(len(scores)), -scores))
    stays = np.zeros(len(order), dtype=bool)
    for label in set(labels.tolist()):
        own = labels[order] == label
        stays[own] = nms_of_one(boxes[order[own]], threshold)
    return order[stays]


def hits_in_one(boxes, truth, threshold):
    """Which detections of one picture are hits, with the best score first."""
    hits, free = np.zeros(len(boxes), dtype=bool), np.ones(len(truth), dtype=bool)
    for row, overlaps in enumerate(iou_matrix(boxes, truth)):
        overlaps = np.where(free, overlaps, -1.0)
        best = overlaps.argmax()
        if overlaps[best] >= threshold:
            hits[row], free[best] = True, False
    return hits


def average_precision(boxes, scores, images, truth, truth_images, threshold):
    order = np.lexsort((np.arange(len(scores)), -scores))
    hits = np.zeros(len(order), dtype=bool)
    for image in np.intersect1d(images, truth_images):
        own = images[order] == image
        hits[own] = hits_in_one(boxes[order[own]], truth[truth_images == image], threshold)
    recall = np.concatenate([[0.0], np.cumsum(hits) / len(truth), [1.0]])
    precision = np.concatenate([[0.0], np.cumsum(hits) / (1 + np.arange(len(hits))), [0.0]])
    for place in range(len(precision) - 2, -1, -1):
        precision[place] = max(precision[place], precision[place + 1])
    return float(np.sum(np.diff(recall) * precision[1:]))
