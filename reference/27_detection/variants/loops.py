"""Plain loops over numbers, one pair of boxes at a time; claims from a sorted list of pairs."""

import math

import numpy as np

LARGEST = math.log(1000 / 16)


def iou(p, q):
    """Of two boxes."""
    width = min(p[2], q[2]) - max(p[0], q[0])
    height = min(p[3], q[3]) - max(p[1], q[1])
    if width <= 0 or height <= 0:
        return 0.0
    inside = width * height
    return inside / ((p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - inside)


def iou_matrix(a, b):
    b = b.tolist()
    return np.array([[iou(p, q) for q in b] for p in a.tolist()], dtype=np.float64).reshape(len(a), len(b))


def make_anchors(rows, columns, stride, sizes, ratios):
    anchors = []
    for row in range(rows):
        for column in range(columns):
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            for size in sizes:
                for ratio in ratios:
                    width = math.sqrt(size * size / ratio)
                    height = ratio * width
                    anchors.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return np.array(anchors)


def assign(anchors, truth, low, high):
    matches, pairs = [], []
    for anchor, overlaps in enumerate(iou_matrix(anchors, truth).tolist()):
        largest = max(overlaps, default=0.0)
        if overlaps and largest >= high:
            matches.append(overlaps.index(largest))
        else:
            matches.append(-1 if largest < low else -2)
        pairs += [(-value, anchor, box) for box, value in enumerate(overlaps) if value > 0]
    claimed, spent = set(), set()
    for _, anchor, box in sorted(pairs):
        if anchor not in spent and box not in claimed:
            matches[anchor] = box
            spent.add(anchor)
            claimed.add(box)
    return np.array(matches, dtype=np.int64)


def encode(anchors, boxes):
    offsets = []
    for (ax1, ay1, ax2, ay2), (x1, y1, x2, y2) in zip(anchors.tolist(), boxes.tolist(), strict=True):
        wide, high = ax2 - ax1, ay2 - ay1
        right = ((x1 + x2) - (ax1 + ax2)) / 2 / wide
        down = ((y1 + y2) - (ay1 + ay2)) / 2 / high
        offsets.append([right, down, math.log((x2 - x1) / wide), math.log((y2 - y1) / high)])
    return np.array(offsets, dtype=np.float64).reshape(-1, 4)


def decode(anchors, offsets):
    boxes = []
    for (x1, y1, x2, y2), (right, down, wider, higher) in zip(anchors.tolist(), offsets.tolist(), strict=True):
        x = (x1 + x2) / 2 + right * (x2 - x1)
        y = (y1 + y2) / 2 + down * (y2 - y1)
        width = (x2 - x1) * math.exp(min(wider, LARGEST))
        height = (y2 - y1) * math.exp(min(higher, LARGEST))
        boxes.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def nms(boxes, scores, labels, threshold):
    rows, names, kept = boxes.tolist(), labels.tolist(), []
    for row in sorted(range(len(rows)), key=lambda row: (-scores[row], row)):
        if all(names[row] != names[best] or iou(rows[row], rows[best]) <= threshold for best in kept):
            kept.append(row)
    return np.array(kept, dtype=np.int64)


def average_precision(boxes, scores, images, truth, truth_images, threshold):
    places = {}
    for box, image in enumerate(truth_images.tolist()):
        places.setdefault(image, []).append(box)
    rows, real, found, alarms, steps = boxes.tolist(), truth.tolist(), set(), 0, []
    for row in sorted(range(len(rows)), key=lambda row: (-scores[row], row)):
        best, largest = None, 0.0
        for box in places.get(int(images[row]), []):
            overlap = iou(rows[row], real[box])
            if box not in found and overlap > largest:
                best, largest = box, overlap
        if best is not None and largest >= threshold:
            found.add(best)
        else:
            alarms += 1
        steps.append((len(found), len(found) / (len(found) + alarms)))
    highest, total = 0.0, 0.0
    for place in reversed(range(len(steps))):
        hits, precision = steps[place]
        highest = max(highest, precision)
        before = steps[place - 1][0] if place else 0
        total += highest * (hits - before)
    return total / len(real)
