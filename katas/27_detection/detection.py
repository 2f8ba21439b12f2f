"""A detector of cars and pedestrians, all but its network: what the numbers that a network puts out mean, what it is
trained to put out, how its crowd of answers becomes one box for each object, and how good the whole is.

Climb in this order. Every rung is graded on its own, so run `grade` after each one:

    iou_matrix          how far two boxes are the same box: everything below stands on it
    make_anchors        the boxes that the network is asked about, the same for every picture
    assign              which object, if any, each anchor is trained to find
    encode, decode      from an object's box to the four numbers that the network learns, and back
    nms                 of many boxes round one object keep the best, class by class
    average_precision   the score that the field reports

Letters in shapes: N boxes, anchors or detections, M true boxes, P positions on the grid, S sizes, R ratios, K boxes that
are kept. A box is a row x1, y1, x2, y2 in pixels: its left, upper, right and lower edge, x to the right and y down, with
x1 <= x2 and y1 <= y2. Edges are real numbers: a box is x2 - x1 wide. Boxes, scores and offsets are float64; labels, images and
indices are int64. NumPy is all you need. Write pure functions: leave the arrays that you were given as they are.
"""

import numpy as np

BACKGROUND = -1  # assign: the anchor is trained to say "nothing here"
IGNORED = -2  # assign: the anchor is not trained on at all
LARGEST = np.log(1000 / 16)  # decode: beyond it, a number that scales a side counts as this one


def centre_and_size(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Given to you: the centre (x, y) and the size (width, height) of each of N boxes, two arrays (N, 2)."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def iou_matrix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of a with every box of b.

    a (N, 4)  boxes
    b (M, 4)  boxes

    Returns table (N, M), numbers from 0 to 1; a pair whose union has no area has 0, never NaN.
    """
    raise NotImplementedError("iou_matrix: the intersection of two boxes is a box too, unless they miss each other")


def make_anchors(rows: int, columns: int, stride: float, sizes: list[float], ratios: list[float]) -> np.ndarray:
    """Boxes of each size and ratio around the centre of each cell of a grid.

    rows     cells from top to bottom, at least 1
    columns  cells from left to right, at least 1
    stride   a positive number: the side of a cell in pixels; the first cell begins at the corner (0, 0)
    sizes    S positive numbers: an anchor has the area size * size
    ratios   R positive numbers: the height of an anchor is ratio times its width

    Returns anchors (P * S * R, 4) with P = rows * columns: cells row by row, in a cell size by size, for a size ratio
    by ratio. Anchors may reach over the border of the picture.
    """
    raise NotImplementedError(
        "make_anchors: the centre of the cell in row 0 and column 2 is x = 2.5 * stride, y = 0.5 * stride"
    )


def assign(anchors: np.ndarray, truth: np.ndarray, low: float, high: float) -> np.ndarray:
    """For each anchor the object that it is trained to find, in two rounds.

    Thresholds: an anchor takes the true box with which its IoU is largest, the first of equals, if that IoU is `high` or
    more. Below `low` it is BACKGROUND, and between the two it is IGNORED.
    Claims, which overrule: of all pairs of an anchor and a true box take the one with the largest IoU, and give that
    anchor to that box, whatever the thresholds said. Both are spent. Go on with the pairs that are left, while their IoU
    is above 0. Of equal pairs the one with the first anchor comes first, and for one anchor the one with the first box.

    anchors (N, 4)  boxes, at least one
    truth (M, 4)    boxes of the objects, of any class; M may be 0
    low             a positive number, at most `high`
    high            a positive number, at most 1

    Returns matches (N,), int64: the row of `truth`, BACKGROUND or IGNORED.
    """
    raise NotImplementedError(
        "assign: one table of IoUs serves both rounds; claims strike out a row and a column of a copy"
    )


def encode(anchors: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """What the network has to put out for an anchor, so that `decode` makes the box of it.

    anchors (N, 4)  boxes with an area
    boxes (N, 4)    for each anchor the box that it is to find, with an area

    Returns offsets (N, 4), columns in this order: how far the centre of the box lies to the right of that of the anchor,
    in widths of the anchor; how far below it, in heights of the anchor; the natural logarithms of the width and of the
    height of the box, each divided by that of the anchor.
    """
    raise NotImplementedError("encode: centre and size of both, then one line for the centres and one for the sizes")


def decode(anchors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The boxes that the network's numbers mean: the way back from `encode`.

    anchors (N, 4)  boxes with an area
    offsets (N, 4)  as in `encode`; of the last two columns, a number above LARGEST counts as LARGEST

    Returns boxes (N, 4). They may reach over the border of the picture.
    """
    raise NotImplementedError(
        "decode: the size of the box comes from the last two columns, its corners are half a size from its centre"
    )


def nms(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, threshold: float) -> np.ndarray:
    """Non-maximum suppression: go through the boxes from the best score to the worst, and keep a box unless its IoU with a
    box of the same label that has been kept is above the threshold. Of equal scores the first row comes first.

    boxes (N, 4)  boxes; N may be 0
    scores (N,)   of any size, negative ones too
    labels (N,)   classes: any integers
    threshold     a number from 0 to 1

    Returns kept (K,), int64: rows of `boxes`, the best score first.
    """
    raise NotImplementedError("nms: keep the best that is left, and strike out what it suppresses")


def average_precision(
    boxes: np.ndarray,
    scores: np.ndarray,
    images: np.ndarray,
    truth: np.ndarray,
    truth_images: np.ndarray,
    threshold: float,
) -> float:
    """The average precision of one class over all pictures of a test set.

    Hits: go through the detections from the best score to the worst, the first row first of equals. Each looks at the true
    boxes of its own picture that nobody has found yet, and there at the one with the largest IoU, the first of equals.
    If that IoU is `threshold` or more, the detection is a hit and the true box is found; else it is a false alarm.
    Score: after each detection, precision is the share of hits so far. For m = 1 to M, take the highest precision at which
    m or more true boxes were found, or 0 if so many never were; the average precision is the mean of these M numbers.

    boxes (N, 4)        detections of one class; N may be 0
    scores (N,)         of any size, negative ones too
    images (N,)         the picture that each detection is in: any integers
    truth (M, 4)        true boxes of the class, at least one
    truth_images (M,)   the picture that each true box is in
    threshold           a positive number, at most 1

    Returns a number from 0 to 1.
    """
    raise NotImplementedError(
        "average_precision: first a vector that says which detections are hits, then cumulative sums"
    )
