"""Paints faces: from factors to pixels.

Shapes are painted from back to front. Each is a signed distance in face coordinates (x to the
right, y down, the picture spans -1..1), turned into a coverage between 0 and 1 within one
pixel, so that edges are smooth.

Painting uses only elementwise +, -, *, /, square roots and comparisons in float32, because these
give the same bytes on every machine.
"""

import numpy as np

SIZE = 64
JITTER = 0.04  # largest displacement of the head

# Palettes: a tone or hue is a position between the first and the last entry.
SKIN = [
    (253, 221, 198),
    (247, 205, 173),
    (232, 180, 140),
    (192, 132, 92),
    (142, 90, 62),
    (96, 60, 44),
]
HAIR = [
    (40, 34, 42),
    (66, 44, 40),
    (110, 68, 46),
    (172, 76, 42),
    (206, 138, 74),
    (236, 190, 100),
    (250, 226, 160),
]
IRIS = [(76, 50, 36), (140, 92, 44), (84, 136, 84), (56, 128, 170)]
FRAMES = [(30, 30, 40), (36, 72, 160), (120, 50, 140), (204, 44, 64)]
BACKGROUNDS = [
    (158, 208, 206),
    (158, 198, 236),
    (196, 184, 232),
    (246, 190, 200),
    (250, 208, 174),
    (186, 220, 176),
]
CLOTHES = [
    (48, 66, 112),
    (36, 122, 130),
    (240, 176, 70),
    (228, 96, 84),
    (126, 70, 126),
    (74, 84, 104),
]
BLUSH, LIPS, THROAT, TONGUE = (240, 96, 96), (222, 88, 96), (92, 20, 34), (226, 100, 106)
WHITE, EYE_WHITE, INK = (255, 255, 255), (255, 253, 250), (28, 22, 30)
SHADE = np.reshape(np.float32([0.86, 0.76, 0.72]), (3, 1, 1))  # shaded colours are warmer


def paint(factors):
    """Returns uint8 images ``(n, SIZE, SIZE, 3)`` of faces, given a float32 array per factor."""
    # Factors become (n, 1, 1), to broadcast with pixel positions; colours are (n, 3, 1, 1).
    f = {key: column.reshape(-1, 1, 1) for key, column in factors.items()}
    f |= {
        "skin": mix(SKIN, f["skin_tone"]),
        "hair": mix(HAIR, f["hair_tone"]),
        "brow": mix(HAIR, 0.8 * f["hair_tone"]) * SHADE * 0.9,  # also the colour of the beard
        "happy": np.maximum(f["smile"], 0),
        "sad": np.maximum(-f["smile"], 0),
        "width": 0.51 + 0.07 * f["head_width"],
        "gap": 0.235 + 0.02 * f["head_width"],  # from the middle to an eye
    }
    position = (np.arange(SIZE, dtype="float32") + 0.5) * (2 / SIZE) - 1
    x, y = position[None, None, :], position[None, :, None]
    canvas = paint_background(f, x, y)

    # Face coordinates move and tilt with the head. The tilt is the tangent of its angle.
    u, v, tilt = x - JITTER * f["head_x"], y - JITTER * f["head_y"], 0.06 * f["tilt"]
    cosine = 1 / np.sqrt(1 + tilt * tilt)
    u, v = (u + tilt * v) * cosine, (v - tilt * u) * cosine

    paint_hair_behind(f, *window(canvas, u, v, columns=(4, 60)))
    body = np.broadcast_arrays(x - 0.5 * JITTER * f["head_x"], y)
    paint_body(f, *window(canvas, *body, rows=(42, 64)))
    paint_head(f, *window(canvas, u, v, rows=(8, 58), columns=(6, 58)))
    paint_beard(f, *window(canvas, u, v, rows=(26, 60), columns=(9, 55)))
    paint_nose(f, *window(canvas, u, v, rows=(30, 42), columns=(26, 38)))
    paint_mouth(f, *window(canvas, u, v, rows=(34, 60), columns=(17, 47)))
    paint_eyes(f, *window(canvas, u, v, rows=(22, 42), columns=(14, 50)))
    paint_hair_in_front(f, *window(canvas, u, v, columns=(4, 60)))
    paint_brows(f, *window(canvas, u, v, rows=(14, 34), columns=(12, 52)))
    paint_glasses(f, *window(canvas, u, v, rows=(22, 42), columns=(9, 55)))
    return np.clip(np.round(canvas), 0, 255).astype("uint8").transpose(0, 2, 3, 1)


# Building blocks of shapes.


def window(canvas, u, v, rows=(0, SIZE), columns=(0, SIZE)):
    """Returns a part of the canvas and its coordinates; painting small areas is faster."""
    area = (..., slice(*rows), slice(*columns))
    return canvas[area], u[area], v[area]


def mix(palette, position):
    """Returns the colours ``(n, 3, 1, 1)`` at positions in [0, 1] along a palette."""
    place = np.clip(position, 0, 1)[:, None] * (len(palette) - 1)
    colour = 0
    for index, entry in enumerate(palette):
        colour = colour + np.maximum(1 - abs(place - index), 0) * as_colour(entry)
    return colour


def as_colour(colour):
    return np.reshape(np.asarray(colour, "float32"), (-1, 3, 1, 1))


def coverage(distance, softness=1.0):
    """Returns the share of each pixel that a shape covers; its edge is `softness` pixels wide."""
    return np.clip(0.5 - distance * (SIZE / 2 / softness), 0, 1)


def fill(canvas, distance, colour, opacity=1.0, softness=1.0):
    """Paints a colour where the signed distance is negative."""
    opacity = coverage(distance, softness) * opacity
    canvas += opacity[:, None] * (as_colour(colour) - canvas)


def ellipse(x, y, width, height):
    x, y = x / width, y / height
    return (np.sqrt(x * x + y * y) - 1) * np.minimum(width, height)


def rounded_box(x, y, width, height, radius):
    x, y = abs(x) - width + radius, abs(y) - height + radius
    right, below = np.maximum(x, 0), np.maximum(y, 0)
    outside = np.sqrt(right * right + below * below)
    return outside + np.minimum(np.maximum(x, y), 0) - radius


def line(x, y, x1, y1, x2, y2, thickness):
    dx, dy = x2 - x1, y2 - y1
    along = np.clip(((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy), 0, 1)
    x, y = x - x1 - along * dx, y - y1 - along * dy
    return np.sqrt(x * x + y * y) - thickness


def join(first, second, width):
    """Returns the distance to the union of two shapes, with a rounded corner between them."""
    corner = np.maximum(width - abs(first - second), 0)
    return np.minimum(first, second) - corner * corner * (0.25 / width)


def wave(x):
    """Returns an approximation by parabolas of a sine of period 1."""
    x = x - np.round(x)
    return 8 * x - 16 * x * abs(x)


# Parts of the face, from back to front.


def paint_background(f, x, y):
    colour = mix(BACKGROUNDS, f["background_hue"])
    canvas = np.broadcast_to(colour, (len(colour), 3, SIZE, SIZE)).copy()
    canvas *= (1 - 0.06 * y + 0.09 * f["light"] * x)[:, None]
    fill(canvas, ellipse(x, y - 0.05, 0.86, 0.86), WHITE, 0.3, softness=10)
    return canvas


def hair_volume(f):
    return 0.075 + 0.065 * f["hair_volume"]


def crown(f, u, v):
    volume = hair_volume(f)
    outline = ellipse(u, v + 0.12, f["width"] + volume, 0.58 + volume)
    outline = outline + 0.024 * f["hair_waves"] * wave(u * 2.6 + 0.25)
    # Above the ears the hair turns inwards.
    return np.maximum(outline, (v + 0.06 + 1.6 * np.maximum(abs(u) - f["width"], 0)) * 0.6)


def hair_end(f):
    return f["hair_length"] * 1.1 - 0.2  # from above the ears to the shoulders


def paint_hair_behind(f, canvas, u, v):
    width, end = f["width"] + hair_volume(f), hair_end(f)
    bend = 0.035 * f["hair_waves"] * wave(v * 2.2)
    side = abs(u) + bend
    fall = rounded_box(side, v - (end - 0.1) / 2, width - 0.05 * v, (end + 0.1) / 2, 0.14)
    fill(canvas, np.minimum(fall, crown(f, u, v)), f["hair"] * SHADE, softness=1.5)


def paint_body(f, canvas, x, y):
    clothes, skin = mix(CLOTHES, f["clothes_hue"]), f["skin"]
    shoulders = ellipse(x, y - 1.2, 0.8, 0.47)
    fill(canvas, shoulders, clothes)
    fill(canvas, np.maximum(ellipse(x, y - 0.72, 0.27, 0.22), -shoulders - 0.04), clothes * SHADE)
    neck = np.minimum(rounded_box(x, y - 0.6, 0.17, 0.24, 0.05), ellipse(x, y - 0.74, 0.22, 0.15))
    fill(canvas, neck, skin * SHADE)


def head_outline(f, u, v):
    below = np.clip(v, 0, 1)
    width = f["width"] * (1 - (0.48 - 0.45 * f["jaw"]) * below * below)
    height = np.where(v > 0, 0.64 + 0.05 * f["mouth_opening"], 0.64)
    return ellipse(u, v, width, height)


def paint_head(f, canvas, u, v):
    skin = f["skin"]
    side = abs(u) - f["width"]
    fill(canvas, ellipse(side, v - 0.04, 0.1, 0.13), skin * 0.96)
    fill(canvas, ellipse(side - 0.01, v - 0.04, 0.045, 0.075), skin * SHADE, softness=2)
    head = head_outline(f, u, v)
    fill(canvas, head, skin)
    # Light from one side makes it brighter and the other side darker.
    light = np.clip(0.5 * f["light"] * u, -0.2, 0.07)
    canvas *= 1 + (coverage(head) * light)[:, None]
    cheek = ellipse(abs(u) - 0.31, v - 0.2 + 0.06 * f["happy"], 0.13, 0.1)
    fill(canvas, np.maximum(cheek, head), BLUSH, 0.16 + 0.22 * f["happy"], softness=4)


def paint_beard(f, canvas, u, v):
    side = abs(u)
    head = head_outline(f, u, v)
    cheeks = ellipse(side - 0.25, v - 0.02, f["width"] - 0.3, 0.28)
    bare = np.minimum(cheeks, np.maximum(side - 0.25, v - 0.2))
    beard = np.maximum(np.maximum(head - 0.05 * f["beard"] * np.clip(v * 2, 0, 1), -bare), -v - 0.1)
    fill(canvas, beard, f["brow"], f["beard"], softness=1.5)


def paint_nose(f, canvas, u, v):
    fill(canvas, ellipse(u, v - 0.155, 0.075, 0.055), f["skin"] * SHADE, softness=1.5)
    fill(canvas, ellipse(u, v - 0.135, 0.07, 0.055), f["skin"] * 1.02, softness=1.5)


def paint_mouth(f, canvas, u, v):
    # The mouth lies between two parabolas: a smile bends both, opening separates them.
    opening, happy, sad = f["mouth_opening"], f["happy"], f["sad"]
    width = 0.27 + 0.04 * happy - 0.05 * opening * (1 - happy)
    bend = (0.205 - 0.07 * opening) * happy - (0.19 - 0.02 * opening) * sad
    depth = opening * (0.24 + 0.04 * sad)
    inside = np.clip(u, -width, width)
    middle = 1 - inside * inside / (width * width)  # 1 in the middle, 0 at the corners
    below = v - 0.38 + 0.07 * opening - bend * (middle - 0.5)  # the upper lip's line
    # Vertical distance divided by the length of the gradient: the distance to a sloping curve.
    slope = 2 / (width * width) * inside
    upper = below / np.sqrt(1 + slope * slope * bend * bend)
    slope = slope * (bend + depth)
    lower = (below - depth * middle) / np.sqrt(1 + slope * slope)
    mouth = np.maximum(np.maximum(-upper, lower), abs(u) - width)
    beyond = (u - inside) * (u - inside)
    crease = np.sqrt(beyond + upper * upper)
    lips = np.minimum(np.minimum(crease, np.sqrt(beyond + lower * lower)), mouth)
    thickness = 0.016 + 0.036 * np.minimum(middle * 2, 1)
    parted = np.clip(opening * 4, 0, 1)
    colour = as_colour(LIPS) * (0.78 + 0.17 * f["skin_tone"][:, None]) + f["skin"] * 0.12
    fill(canvas, lips - thickness, colour)
    fill(canvas, mouth, THROAT, parted)
    tongue = ellipse(u, below - depth - 0.02, width * 0.7, 0.09)
    fill(canvas, np.maximum(tongue, mouth + 0.012), TONGUE, parted * (1 - 0.8 * sad))
    teeth = np.maximum(below - 0.075 - 0.02 * happy + 0.025 * sad, mouth + 0.008)
    fill(canvas, teeth, WHITE, parted)
    fill(canvas, crease - 0.019, colour * SHADE * 0.5, (1 - parted) * (1 - 0.5 * f["skin_tone"]))


def paint_eyes(f, canvas, u, v):
    size, happy, sad = 0.098 + 0.045 * f["eye_size"], f["happy"], f["sad"]
    for side in (-1, 1):
        x, y = u - side * f["gap"], v + 0.02
        outwards = x * side / size
        eye = ellipse(x, y, size * 1.05, size)
        lower = y - size * (1 - 0.4 * happy) + happy * (0.03 - x * x * 1.5)
        upper = -y - size * (0.85 - 0.4 * sad * np.clip(outwards + 0.2, 0, 1))
        eye = np.maximum(np.maximum(eye, lower), upper)
        fill(canvas, eye - 0.012, f["skin"] * SHADE * SHADE)
        fill(canvas, eye, EYE_WHITE)
        gx, gy = x - 0.035 * f["gaze_x"], y - 0.025 * f["gaze_y"]
        iris = ellipse(gx, gy, size * 0.66, size * 0.66)
        fill(canvas, np.maximum(iris, eye), mix(IRIS, f["eye_tone"]))
        fill(canvas, np.maximum(iris + size * 0.3, eye), INK)
        glint = ellipse(gx + 0.03, gy + 0.035, 0.026, 0.026)
        fill(canvas, np.maximum(glint, eye), WHITE)
        lash = np.maximum(abs(eye) - 0.016, y + size * 0.25 - 0.2 * size * sad)
        fill(canvas, lash, INK, 0.85)


def paint_hair_in_front(f, canvas, u, v):
    width, waves, fringe, parting = f["width"], f["hair_waves"], f["fringe"], f["parting"]
    away = u - 0.2 * parting
    hairline = 0.16 * fringe - 0.5 + away * ((1.5 - 1.1 * fringe) * away - 0.14 * parting)
    hairline = hairline + 0.025 * waves * wave(u * 3.3)
    hairline = np.maximum(hairline, 4 * (abs(u) - width) - 0.02)  # down the temples
    hairline = np.minimum(hairline, -0.02)
    cap = np.maximum(crown(f, u, v) + 0.02, (v - hairline) * 0.8)
    end = hair_end(f) - 0.07
    outer, inner = (hair_volume(f) - 0.02) * np.clip(3 * end + 0.4, 0, 1), 0.07
    side = abs(u) - width + 0.035 * waves * wave(v * 2.2) + 0.05 * v
    lock = rounded_box(
        side - (outer - inner) / 2, v - (end - 0.3) / 2, (outer + inner) / 2, (end + 0.3) / 2, 0.06
    )
    hair = join(cap, lock, 0.12)
    shadow = np.maximum(hair - 0.05, head_outline(f, u, v) + 0.02)
    fill(canvas, shadow, f["skin"] * SHADE * SHADE, 0.4, softness=3)
    fill(canvas, hair, f["hair"])
    arc = abs(ellipse(u - 0.14 * f["light"], v + 0.04, width * 0.86, 0.6)) - 0.02
    shine = np.maximum(np.maximum(arc, cap + 0.04), abs(u - 0.14 * f["light"]) - 0.26)
    fill(canvas, shine, f["hair"] * 1.12 + 20, 0.6, softness=2.5)


def paint_brows(f, canvas, u, v):
    side = abs(u) - f["gap"]
    thickness = 0.016 + 0.034 * f["brow_thickness"]
    slant = 0.038 * f["brow_slant"] - 0.014 - 0.028 * f["sad"]
    height = v + 0.21 + 0.06 * f["brow_height"] - 0.9 * side * side
    brow = line(side, height, -0.11, slant, 0.13, -slant, thickness)
    fill(canvas, brow, f["brow"] * 0.94)


def paint_glasses(f, canvas, u, v):
    shape, opacity, side = f["glasses_shape"], f["eyeglasses"], abs(u)
    colour = mix(FRAMES, f["glasses_tone"])
    wide, high = 0.185 + 0.02 * shape, 0.185 - 0.045 * shape
    radius = high - 0.09 * shape
    lens = rounded_box(side - f["gap"], v + 0.01, wide, high, radius)
    fill(canvas, lens, WHITE, opacity * 0.13)
    bridge = line(side, v - side * side, 0, -0.06, f["gap"] - wide, -0.04, 0.018)
    temple = line(side, v, f["gap"] + wide, -0.06, f["width"] - 0.02, -0.07, 0.018)
    frame = np.minimum(abs(lens) - 0.02, np.minimum(bridge, temple))
    fill(canvas, frame, colour, opacity)
