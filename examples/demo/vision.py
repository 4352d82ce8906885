"""What stands between pictures and the demo's four models: resizing and normalising before, boxes and words after.

Every function takes and returns numpy arrays or plain tuples; who runs the model is the caller's affair.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from PIL import Image

# PP-OCR's detector wants sides that are multiples of 32; a line of text should be about 20 to 40 pixels high.
DETECTION_LONG_SIDE = 960
DETECTION_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DETECTION_STD = np.array([0.229, 0.224, 0.225], np.float32)
RECOGNITION_HEIGHT = 48
# Widths are padded to steps, so that lines of similar length can share a batch.
RECOGNITION_WIDTH_STEP = 320
FACES_SIDE = 512


@dataclass(frozen=True)
class Box:
    """Left, top, right, bottom in pixels of the original picture, with the model's confidence."""

    left: float
    top: float
    right: float
    bottom: float
    score: float

    def covers(self, x, y):
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def overlap(self, other):
        """Intersection over union."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        area = lambda b: (b.right - b.left) * (b.bottom - b.top)  # noqa: E731
        return shared / (area(self) + area(other) - shared)


@dataclass(frozen=True)
class TextLine:
    """Corners (x, y) in pixels of the original picture: upper left, upper right, lower right, lower left."""

    corners: tuple
    score: float


def load_picture(path):
    return Image.open(path).convert("RGB")


def _round_up(value, step):
    return -(-int(value) // step) * step


def detection_input(picture):
    """[1,3,H,W] FP32, normalised, sides multiples of 32."""
    scale = DETECTION_LONG_SIDE / max(picture.size)
    width, height = (max(32, round(side * scale / 32) * 32) for side in picture.size)
    pixels = np.asarray(picture.resize((width, height), Image.BICUBIC), np.float32) / 255.0
    pixels = (pixels - DETECTION_MEAN) / DETECTION_STD
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def _components(mask):
    """Bounding boxes and pixel lists of 4-connected regions of a boolean map."""
    seen = np.zeros(mask.shape, bool)
    for row, column in zip(*np.nonzero(mask)):
        if seen[row, column]:
            continue
        seen[row, column] = True
        queue, pixels = deque([(row, column)]), []
        while queue:
            r, c = queue.popleft()
            pixels.append((r, c))
            for nr, nc in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if 0 <= nr < mask.shape[0] and 0 <= nc < mask.shape[1] and mask[nr, nc] and not seen[nr, nc]:
                    seen[nr, nc] = True
                    queue.append((nr, nc))
        yield np.array(pixels)


def _tilted_rectangle(pixels):
    """Centre, half sizes and tilt of the rectangle along a line of text whose core covers these (row, column) pixels.

    The tilt is the slope of the least-squares line through the pixels; blobs too short to have one lie level.
    """
    rows, columns = pixels[:, 0].astype(float), pixels[:, 1].astype(float)
    wide = np.ptp(columns) > 3 * np.ptp(rows) or np.ptp(columns) > 60
    angle = np.arctan(np.polyfit(columns, rows, 1)[0]) if wide else 0.0
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    mid_along, mid_across = (along.min() + along.max()) / 2, (across.min() + across.max()) / 2
    centre = (mid_along * np.cos(angle) - mid_across * np.sin(angle),
              mid_along * np.sin(angle) + mid_across * np.cos(angle))
    return centre, (np.ptp(along) + 1) / 2, (np.ptp(across) + 1) / 2, angle


def text_lines(probability, picture_size, threshold=0.3, min_score=0.5):
    """Lines of text in the detector's map [1,1,H,W], in reading order.

    The map marks the shrunken core of each line; rectangles grow back by area * 1.6 / perimeter (Liao et al., Real-time
    Scene Text Detection with Differentiable Binarization, 2020).
    """
    chances = probability[0, 0]
    to_x, to_y = picture_size[0] / chances.shape[1], picture_size[1] / chances.shape[0]
    lines = []
    for pixels in _components(chances > threshold):
        score = float(chances[pixels[:, 0], pixels[:, 1]].mean())
        if score < min_score or len(pixels) < 16:
            continue
        (x, y), half_along, half_across, angle = _tilted_rectangle(pixels)
        grow = 4 * half_along * half_across * 1.6 / (4 * (half_along + half_across))
        corners = []
        for sign_along, sign_across in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            along, across = sign_along * (half_along + grow), sign_across * (half_across + grow)
            corners.append((float((x + along * np.cos(angle) - across * np.sin(angle)) * to_x),
                            float((y + along * np.sin(angle) + across * np.cos(angle)) * to_y)))
        lines.append(TextLine(tuple(corners), score))
    return sorted(lines, key=lambda line: (line.corners[0][1], line.corners[0][0]))


def cut_out(picture, line):
    """The picture of one line, turned level."""
    (left, top), (right, top_right), _, (bottom_left, bottom) = line.corners
    width = max(1, round(float(np.hypot(right - left, top_right - top))))
    height = max(1, round(float(np.hypot(bottom_left - left, bottom - top))))
    upper_left, upper_right, lower_right, lower_left = line.corners
    quad = (*upper_left, *lower_left, *lower_right, *upper_right)
    # Twice the size keeps the small letters of a scan readable when they are scaled to the model's height.
    return picture.transform((2 * width, 2 * height), Image.QUAD, quad, Image.BICUBIC)


def _line_input(line, width):
    """[1,3,48,width] FP32 in -1..1: scaled to the height, padded with zeros on the right."""
    scaled = min(width, max(1, round(line.width * RECOGNITION_HEIGHT / line.height)))
    pixels = np.asarray(line.resize((scaled, RECOGNITION_HEIGHT), Image.BICUBIC), np.float32)
    # The OCR models were trained on BGR.
    pixels = (pixels[:, :, ::-1] / 255.0 - 0.5) / 0.5
    padded = np.zeros((1, 3, RECOGNITION_HEIGHT, width), np.float32)
    padded[0, :, :, :scaled] = pixels.transpose(2, 0, 1)
    return padded


def recognition_input(line):
    wanted = line.width * RECOGNITION_HEIGHT / line.height
    return _line_input(line, _round_up(wanted, RECOGNITION_WIDTH_STEP))


def orientation_input(line):
    """[1,3,48,192] FP32: the start of the line, four times as wide as high; squeezing a whole line in misleads the model."""
    return _line_input(line.crop((0, 0, min(line.width, 4 * line.height), line.height)), 192)


def is_upside_down(scores):
    """Scores [1,2] of 0 and 180 degrees; turned only where the model is sure."""
    return bool(scores[0, 1] > 0.9)


def read_characters(path):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]


def decode_words(scores, characters):
    """The text of [1,steps,classes]: best class per step, repeats and blanks (class 0) dropped (CTC)."""
    best = scores[0].argmax(axis=1)
    kept = [k for i, k in enumerate(best) if k != 0 and (i == 0 or k != best[i - 1])]
    return "".join(characters[k - 1] if k - 1 < len(characters) else " " for k in kept)


def faces_input(picture):
    """[1,3,512,512] FP32, pixel values as they are (RGB)."""
    pixels = np.asarray(picture.resize((FACES_SIDE, FACES_SIDE), Image.BICUBIC), np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def face_boxes(heat, scale, offset, picture_size, threshold=0.5):
    """Boxes of faces from CenterFace's maps [1,1,h,w], [1,2,h,w], [1,2,h,w] (Xu et al., CenterFace, 2019): a peak of the
    heat map is a centre in cells of 4 pixels, moved by its offset; exp(scale) * 4 is height and width."""
    to_x, to_y = picture_size[0] / FACES_SIDE, picture_size[1] / FACES_SIDE
    found = []
    for row, column in zip(*np.nonzero(heat[0, 0] > threshold)):
        height, width = np.exp(scale[0, :, row, column]) * 4
        y = (row + offset[0, 0, row, column] + 0.5) * 4
        x = (column + offset[0, 1, row, column] + 0.5) * 4
        found.append(Box((x - width / 2) * to_x, (y - height / 2) * to_y, (x + width / 2) * to_x,
                         (y + height / 2) * to_y, float(heat[0, 0, row, column])))
    kept = []
    for box in sorted(found, key=lambda box: -box.score):
        if all(box.overlap(other) < 0.3 for other in kept):
            kept.append(box)
    return kept
