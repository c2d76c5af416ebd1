"""Cartoon faces in colour, drawn with NumPy: a data set that needs no download.

Every face comes from a handful of factors (`draw_factors`), and `paint` turns factors into
pixels. Shapes are painted from back to front; each is a signed distance in face coordinates
(x to the right, y down, the head spans about -0.6..0.6), turned into a coverage between 0 and
1 within one pixel, which is what makes the edges smooth.

Painting uses only +, -, *, / and square roots on rounded factors, so that the same seed
gives the same bytes everywhere.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_vae.datasets import Dataset, Split

SIZE = 64
ATTRIBUTES = ("smiling", "eyeglasses", "beard", "long_hair", "blond_hair", "mouth_open")
DEVELOPMENT_SIZE, TEST_SIZE = 12_000, 2_000
CHUNK = 64  # images painted at once: small enough to stay in the processor's cache

SKIN = [
    (255, 224, 196),
    (244, 204, 168),
    (226, 178, 138),
    (196, 142, 104),
    (156, 104, 72),
    (112, 74, 52),
]
DARK_HAIR = [(38, 28, 26), (70, 44, 30), (104, 62, 38), (146, 66, 34)]
BLOND_HAIR = [(236, 202, 120), (214, 172, 96)]
EYES = [(86, 58, 36), (62, 108, 150), (74, 124, 82), (120, 96, 54)]
CLOTHES = [
    (196, 72, 72),
    (60, 98, 156),
    (74, 140, 108),
    (236, 186, 88),
    (128, 90, 150),
    (70, 74, 84),
]
BACKGROUNDS = [(190, 216, 232), (232, 212, 194), (204, 226, 200), (222, 206, 230), (238, 230, 200)]
CHEEKS, THROAT, TEETH = (235, 112, 100), (92, 24, 30), (250, 246, 240)
LIPS = np.reshape(np.float32([176, 66, 70]), (3, 1, 1))
EYE_WHITE, PUPIL = (252, 250, 246), (16, 16, 16)
GLASS, FRAME = (210, 228, 240), (40, 38, 46)


def read(name, split):
    """Returns the `Dataset`: always the same faces, only as many as are asked for."""
    train, validation = split(DEVELOPMENT_SIZE)
    return Dataset(
        name,
        train=draw(DEVELOPMENT_SIZE, seed=1, rows=train),
        validation=draw(DEVELOPMENT_SIZE, seed=1, rows=validation),
        test=draw(TEST_SIZE, seed=2),
        attribute_names=ATTRIBUTES,
    )


def draw(n, seed, rows=None):
    """Returns a `Split` of `n` faces with their attributes; one seed gives the same faces.

    Args:
        n: How many faces there are.
        seed: What they start from.
        rows: If given, only these of the `n` faces are painted: an array of indices.

    Returns:
        A `Split`: uint8 images ``(n, 64, 64, 3)`` and a column for each of `ATTRIBUTES`.

    Example:

    ```python
    keras_vae.datasets.faces.draw(16, seed=0).images
    ```
    """
    factors = draw_factors(n, seed)
    rows = np.arange(n) if rows is None else rows
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    with ThreadPoolExecutor() as pool:
        painted = pool.map(lambda c: paint({key: f[c] for key, f in factors.items()}), chunks)
        images = np.concatenate(list(painted))
    return Split(images, attributes=np.stack([factors[key][rows] > 0.5 for key in ATTRIBUTES], 1))


def draw_factors(n, seed):
    """Returns what makes each of `n` faces: arrays ``(n,)`` by name, ``(n, 3)`` for colours."""
    rng = np.random.default_rng(seed)

    def between(low, high):
        return np.round(rng.uniform(low, high, n) * 4096) / 4096

    def maybe(probability):
        return (rng.random(n) < probability).astype("float64")

    def colour(palette, spread=0.35):
        # Somewhere on the line between two entries, closer to the first.
        palette = np.array(palette, "float64")
        first, second = rng.integers(len(palette), size=(2, n))
        weight = np.round(rng.uniform(0, spread, (n, 1)) * 4096) / 4096
        return palette[first] * (1 - weight) + palette[second] * weight

    f = {}
    f["eyeglasses"], f["blond_hair"] = maybe(0.4), maybe(0.35)
    f["smile"] = between(-0.8, 1.0)
    f["opening"] = np.maximum(between(-0.1, 0.12), 0)
    f["beard_density"] = np.maximum(between(-1.2, 0.95), 0)
    f["hair_length"] = between(0, 1)
    f["mouth_width"] = between(0.2, 0.27)
    f["eye_size"] = between(0.085, 0.12)
    f["eye_gap"] = between(0.2, 0.25)
    f["gaze"] = between(-0.03, 0.03)
    f["brow_height"] = between(0.15, 0.2)
    f["brow_slant"] = between(-0.05, 0.05)
    f["head_width"] = between(0.46, 0.54)
    f["head_height"] = between(0.58, 0.66)
    f["hairline"] = between(0.24, 0.38)
    f["tilt"] = between(-0.06, 0.06)
    f["x"], f["y"] = between(-0.04, 0.04), between(-0.03, 0.04)
    f["light"] = between(-0.16, 0.16)
    dark, blond = colour(DARK_HAIR), colour(BLOND_HAIR)
    f["hair"] = np.where(f["blond_hair"][:, None] > 0, blond, dark)
    f["skin"] = colour(SKIN, 0.5)
    f["iris"] = colour(EYES)
    f["clothes"] = colour(CLOTHES, 0.5)
    f["background"] = colour(BACKGROUNDS, 0.5)
    # The other attributes are what a factor is called once it is large enough.
    f["smiling"] = f["smile"] > 0.1
    f["mouth_open"] = f["opening"] > 0.02
    f["beard"] = f["beard_density"] > 0.2
    f["long_hair"] = f["hair_length"] > 0.6
    return f


def paint(factors):
    """Returns uint8 images ``(n, SIZE, SIZE, 3)`` of the faces with these factors."""
    # A factor becomes (n, 1, 1), to go with pixel positions; a colour (n, 3, 1, 1).
    f = {key: value.astype("float32").reshape(*value.shape, 1, 1) for key, value in factors.items()}
    position = (np.arange(SIZE, dtype="float32") + 0.5) * 2 / SIZE - 1
    x, y = position[None, None, :], position[None, :, None]
    background = f["background"] * (1.06 - 0.1 * y[:, None])  # lighter towards the top
    canvas = np.broadcast_to(background, (len(f["x"]), 3, SIZE, SIZE)).copy()

    # Face coordinates: moved and tilted with the head. The tilt is the tangent of its angle.
    u, v, tilt = x - f["x"], y - f["y"], f["tilt"]
    cos = 1 / np.sqrt(1 + tilt * tilt)
    u, v = (u + tilt * v) * cos, (v - tilt * u) * cos

    paint_hair_behind(f, *window(canvas, u, v))
    paint_body(f, canvas, x - f["x"] / 2, y)
    paint_head(f, *window(canvas, u, v))
    paint_beard_and_nose(f, *window(canvas, u, v, rows=(26, 58), columns=(8, 56)))
    paint_mouth(f, *window(canvas, u, v, rows=(32, 58), columns=(14, 50)))
    paint_hair_on_top(f, *window(canvas, u, v, rows=(0, 36)))
    paint_eyes_and_brows(f, *window(canvas, u, v, rows=(14, 42), columns=(8, 56)))
    paint_glasses(f, *window(canvas, u, v, rows=(16, 44)))
    return np.clip(np.round(canvas), 0, 255).astype("uint8").transpose(0, 2, 3, 1)


def window(canvas, u, v, rows=(0, SIZE), columns=(0, SIZE)):
    """Returns a part of the canvas and its coordinates, so that small things paint quickly."""
    area = (..., slice(*rows), slice(*columns))
    return canvas[area], u[area], v[area]


def fill(canvas, distance, colour, opacity=1.0, softness=1.0):
    """Paints a colour where the distance (in face units, negative inside) says so."""
    coverage = np.clip(0.5 - distance * (SIZE / 2 / softness), 0, 1) * opacity
    colour = np.reshape(np.asarray(colour, "float32"), (-1, 3, 1, 1))
    canvas += coverage[:, None] * (colour - canvas)


def ellipse(x, y, width, height):
    return (np.sqrt((x / width) ** 2 + (y / height) ** 2) - 1) * np.minimum(width, height)


def line(x, y, x1, y1, x2, y2, thickness):
    dx, dy = x2 - x1, y2 - y1
    along = np.clip(((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.sqrt((x - x1 - along * dx) ** 2 + (y - y1 - along * dy) ** 2) - thickness


def paint_hair_behind(f, canvas, u, v):
    width = f["head_width"]
    crown = ellipse(u, v - 0.12, width + 0.15, f["head_height"] + 0.1)
    strands = np.maximum(abs(u) - width - 0.1, abs(v - 0.4) - 0.42)
    end = v - f["hair_length"] * 1.1 + 0.28  # between above the ears and the shoulders
    fill(canvas, np.maximum(np.minimum(crown, strands), end), f["hair"] * 0.82, softness=4)


def paint_body(f, canvas, x, y):
    shadow = f["skin"] * 0.8
    fill(canvas, ellipse(x, y - 1.16, 0.72, 0.46), f["clothes"])
    neck = np.minimum(
        ellipse(x, y - 0.74, 0.2, 0.16), np.maximum(abs(x) - 0.17, abs(y - 0.58) - 0.18)
    )
    fill(canvas, neck, shadow)


def paint_head(f, canvas, u, v):
    skin, width = f["skin"], f["head_width"]
    for side in (-1, 1):
        fill(canvas, ellipse(u - side * width, v - 0.06, 0.09, 0.13), skin * 0.93)
        fill(canvas, ellipse(u - side * width, v - 0.06, 0.045, 0.08), skin * 0.8, softness=2)
    head = head_outline(f, u, v)
    fill(canvas, head, skin)
    coverage = np.clip(0.5 - (head + 0.01) * 16, 0, 1)
    canvas *= 1 + (coverage * np.clip(f["light"] * u * 2.2, -0.16, 0.16))[:, None]
    for side in (-1, 1):
        fill(canvas, ellipse(u - side * 0.29, v - 0.17, 0.12, 0.09), CHEEKS, 0.22, softness=5)


def head_outline(f, u, v):
    return ellipse(u, v, f["head_width"] * (1 - 0.16 * np.clip(v, 0, 1)), f["head_height"])


def paint_beard_and_nose(f, canvas, u, v):
    upper_edge = 0.18 - v + 0.12 * (1 - abs(u) / f["head_width"])
    around_mouth = ellipse(u, v - 0.33, f["mouth_width"] + 0.05, 0.1 + f["opening"])
    beard = np.maximum(np.maximum(head_outline(f, u, v), upper_edge), -around_mouth)
    fill(canvas, beard, f["hair"] * 0.9, f["beard_density"], softness=2)
    shadow = f["skin"] * 0.8
    fill(canvas, line(u, v, 0, 0.02, 0.035, 0.15, 0.012), shadow, 0.8, softness=1.5)
    fill(canvas, ellipse(u, v - 0.165, 0.06, 0.03), shadow, 0.7, softness=2)


def paint_mouth(f, canvas, u, v):
    # Between two parabolas through its corners: a smile bends both, opening parts them.
    width, opening = f["mouth_width"], f["opening"]
    middle = np.clip(1 - (u / width) ** 2, 0, 1)  # 1 in the middle, 0 at the corners
    bend = 0.1 * f["smile"]
    below = v - 0.35 + 2 * bend * (1 - middle)  # how far below the upper lip's line
    mouth = np.maximum(abs(u) - width, np.maximum(-below, below - opening * middle * 1.6))
    parted = np.clip(opening * 30, 0, 1)
    lips = LIPS * 0.55 + f["skin"] * 0.35
    fill(canvas, mouth - 0.026, lips)
    fill(canvas, mouth, THROAT, parted)
    fill(canvas, np.maximum(mouth + 0.012, below - 0.045), TEETH, parted)
    closed = np.maximum(abs(below) - 0.004, abs(u) - width)
    fill(canvas, closed, lips * 0.55, (1 - parted) * 0.9)


def paint_hair_on_top(f, canvas, u, v):
    width, height = f["head_width"], f["head_height"]
    fringe = v + height - f["hairline"] - 0.55 * u * u - 0.12 * u
    cap = np.maximum(ellipse(u, v + 0.05, width + 0.06, height + 0.05), fringe)
    fill(canvas, cap, f["hair"])
    shine = np.maximum(ellipse(u + 0.12, v + height - 0.1, 0.2, 0.05), cap)
    fill(canvas, shine, f["hair"] * 1.18 + 8, 0.5, softness=3)


def paint_eyes_and_brows(f, canvas, u, v):
    size, gap = f["eye_size"], f["eye_gap"]
    top = -0.06 - f["brow_height"]
    for side in (-1, 1):
        x, y = u - side * gap, v + 0.06
        eye = ellipse(x, y, size * 1.1, size * 0.82)
        fill(canvas, eye - 0.012, f["skin"] * 0.55)
        fill(canvas, eye, EYE_WHITE)
        x = x - f["gaze"]
        fill(canvas, np.maximum(ellipse(x, y, size * 0.62, size * 0.62), eye), f["iris"])
        fill(canvas, np.maximum(ellipse(x, y, size * 0.3, size * 0.3), eye), PUPIL)
        fill(canvas, ellipse(x - 0.025, y + 0.028, 0.02, 0.02), EYE_WHITE)
        slant = f["brow_slant"]
        brow = line(
            side * u, v, gap - 0.1, top - slant, gap + 0.12, top + 0.02 + slant * 0.4, 0.026
        )
        fill(canvas, brow, f["hair"] * 0.75)


def paint_glasses(f, canvas, u, v):
    gap, shown = f["eye_gap"], f["eyeglasses"]
    for side in (-1, 1):
        lens = ellipse(u - side * gap, v + 0.05, 0.165, 0.145)
        fill(canvas, lens, GLASS, shown * 0.18)
        fill(canvas, abs(lens) - 0.016, FRAME, shown)
        temple = line(side * u, v, gap + 0.165, -0.07, f["head_width"], -0.09, 0.014)
        fill(canvas, temple, FRAME, shown)
    bridge = np.maximum(abs(u) - gap + 0.16, abs(v + 0.07) - 0.016)
    fill(canvas, bridge, FRAME, shown)
