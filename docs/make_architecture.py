"""Draws docs/pictures/architecture.svg: the rooms of the package, and who imports whom.

    python docs/make_architecture.py

tests/test_house.py holds it true: the rows are those that imports must follow, each arrow is an
import that exists, and the file is what this script writes.
"""

from html import escape
from pathlib import Path

PICTURE = Path(__file__).parent / "pictures" / "architecture.svg"
# From top to bottom: the name of a room and what it is for. Imports point down only.
ROWS = (
    {"commands": "the command line", "demo": "the page", "export.page": "a page without a server"},
    {"runs": "run folders: write, find, load, pack", "export": "graphs for other programs"},
    {"evaluate": "metrics and judges of edits", "plots": "figures"},
    {
        "latent": "directions, flow, edits",
        "models": "VAE, AutoEncoder: the loss",
        "priors": "p(z)",
        "photos": "photos of any size",
    },
    {
        "training": "the loop; a step per backend",
        "tables": "rows as numbers",
        "networks": "encoder and decoder",
        "datasets": "read, decode, cache, split",
    },
    {
        "noise": "random numbers",
        "likelihoods": "p(x|z), in nats",
        "layers": "Sampling, DepthToSpace",
        "images": "what a batch of images is",
    },
    {
        "parallel": "sums over devices",
        "pieces": "what pieces share",
        "checks": "words of errors",
        "atomic": "whole files only",
    },
    {"start": "what programs need before Keras is loaded"},
)
ARROWS = (
    ("commands", "runs"),
    ("demo", "runs"),
    ("export.page", "export"),
    ("runs", "evaluate"),
    ("runs", "plots"),
    ("evaluate", "latent"),
    ("evaluate", "models"),
    ("latent", "training"),
    ("models", "training"),
    ("models", "likelihoods"),
    ("models", "priors"),
    ("priors", "networks"),
    ("photos", "datasets"),
    ("plots", "datasets"),
    ("networks", "layers"),
    ("datasets", "images"),
    ("training", "parallel"),
    ("likelihoods", "pieces"),
    ("layers", "checks"),
    ("parallel", "start"),
)
WIDTH, BOX, HIGH, ROW, TOP = 960, 206, 52, 88, 16
STYLE = """
  text { font-family: system-ui, sans-serif; fill: #1f2937; text-anchor: middle }
  .name { font-size: 16px; font-weight: 600 }
  .what { font-size: 13px; fill: #4b5563 }
  .room { fill: #ffffff; stroke: #94a3b8 }
  .heart { fill: #fff3e6; stroke: #c2410c }
  .arrow { fill: none; stroke: #94a3b8; stroke-width: 1.4; marker-end: url(#head) }
"""


def main():
    PICTURE.write_text(drawn(), encoding="utf-8")
    print(PICTURE)


def drawn():
    """Returns the picture as text."""
    places = {}
    for row, rooms in enumerate(ROWS):
        for column, name in enumerate(rooms):
            x = WIDTH * (column + 0.5) / len(rooms)
            places[name] = x, TOP + row * ROW
    height = 2 * TOP + (len(ROWS) - 1) * ROW + HIGH
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>The rooms of keras_vae: imports point down only</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#94a3b8"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#f8fafc"/>',
        *(arrow(places[first], places[last]) for first, last in ARROWS),
    ]
    for number, rooms in enumerate(ROWS):
        lines.append(f'<g id="row-{number}">')
        lines += [room(name, what, *places[name]) for name, what in rooms.items()]
        lines.append("</g>")
    return "\n".join([*lines, "</svg>"]) + "\n"


def arrow(first, last):
    """Returns a line from the bottom of a room to the top of another."""
    (x0, y0), (x1, y1) = first, last
    if y0 == y1:  # side by side
        y = y0 + HIGH / 2
        return f'<path class="arrow" d="M{x0 + BOX / 2:.0f} {y:.0f}H{x1 - BOX / 2 - 2:.0f}"/>'
    x0, x1 = (x + max(-40, min(40, 0.12 * (other - x))) for x, other in ((x0, x1), (x1, x0)))
    y0, bend = y0 + HIGH, (y1 - y0 - HIGH) / 2
    curve = f"M{x0:.0f} {y0}C{x0:.0f} {y0 + bend:.0f} {x1:.0f} {y1 - bend:.0f} {x1:.0f} {y1 - 2}"
    return f'<path class="arrow" d="{curve}"/>'


def room(name, what, x, y):
    wide = max(BOX, 7 * len(what) + 20)
    kind = "heart" if name in ("models", "training", "latent", "likelihoods") else "room"
    return (
        f'<rect class="{kind}" x="{x - wide / 2:.0f}" y="{y}" width="{wide}" height="{HIGH}" '
        f'rx="6"/><text class="name" x="{x:.0f}" y="{y + 21}">{name}</text>'
        f'<text class="what" x="{x:.0f}" y="{y + 41}">{escape(what)}</text>'
    )


if __name__ == "__main__":
    main()
