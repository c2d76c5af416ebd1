"""Row: a row of a table to edit, and what the model says of it."""

import html

import gradio as gr
import numpy as np

from keras_vae.datasets.names import first_few
from keras_vae.demo import controls, pictures
from keras_vae.demo.events import LIVE, QUIET, reporting
from keras_vae.demo.rows import LONGEST, share_below

RARE, HIGH = 0.98, 0.9  # shares of the test rows below, from which a row is unusual or nearly so
HEADER = ("column", "value")


def build(rows):
    """Lays out the tab; `rows` are `demo.rows.Rows`.

    Returns:
        The function, inputs and outputs that draw its initial content; a function of the number
        of a test row, from 0, that returns what shows it; and the components it is shown in.
    """
    gr.Markdown(
        "**Double-click a value and change it to see what the model makes of the row;** an empty "
        "one is missing. Surprise is how little the model expects a cell, in nats: "
        "`−log p(cell | code)`. The bar shows for what share of the test rows this cell is less "
        "surprising.",
        elem_classes="lead",
    )
    count = len(rows.kept)
    start = rows.texts(rows.kept[0]) if count else [""] * len(rows.names)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            number = controls.slider(
                1, max(count, 2), 1, step=1, label="Test row", visible=count > 1
            )
            with gr.Row(visible=count > 1):
                random = gr.Button("Random", size="sm", min_width=100)
                unusual = gr.Button("Most unusual", size="sm", min_width=100)
            editor = gr.Dataframe(
                editable(rows, start),
                headers=list(HEADER),
                datatype="str",
                type="array",
                interactive=True,
                static_columns=[0],
                column_widths=["45%", "55%"],
                show_label=False,
                label="Row to edit",
                buttons=[],
                max_height=560,
                elem_classes="editor",
            )
        with gr.Column(scale=3, min_width=300):
            verdict = gr.HTML(elem_classes="verdict")
    nearest = gr.HTML(visible=count > 1)

    def draw(number, given):
        texts = texts_of(rows, given)
        try:
            row = rows.row(texts)
        except ValueError as error:  # results of the previous row must not stay
            return pictures.note(str(error)), ""
        return said(rows, row), near(rows, row, number - 1)

    def pick(index):
        texts = rows.texts(rows.kept[index])
        given = editable(rows, texts)
        return int(index) + 1, given, *draw(index + 1, given)

    inputs, outputs = [number, editor], [verdict, nearest]
    shown = [number, editor, *outputs]
    editor.input(reporting(draw), inputs, outputs, **LIVE)
    if count > 1:
        number.input(reporting(lambda number: pick(number - 1)[1:]), number, shown[1:], **LIVE)
        anyone = np.random.default_rng()
        random.click(reporting(lambda: pick(int(anyone.integers(count)))), None, shown, **QUIET)
        unusual.click(reporting(lambda: pick(int(np.argmax(rows.usual)))), None, shown, **QUIET)
    return (reporting(lambda: draw(1, editable(rows, start))), None, outputs), pick, shown


def editable(rows, texts):
    return [list(pair) for pair in zip(rows.names, texts)]


def texts_of(rows, given):
    """Returns the texts of the cells that a request holds, or raises `ValueError`.

    Lines are found by their names: the editor of Gradio lets a visitor add, remove and sort them.
    """
    if not isinstance(given, list) or not all(isinstance(line, list) for line in given):
        raise ValueError("Expected lines of a column and its value")
    cells = {str(line[0]): line[1] for line in given if len(line) > 1}
    texts = [cells.get(name) for name in rows.names]
    return ["" if text is None else str(text).strip()[:LONGEST] for text in texts]


def said(rows, row):
    """Returns HTML that says how usual a row is, and each of its cells."""
    given, expected = (rows.shown(x)[0] for x in (row, rows.expected(row)))
    nats, missing = rows.surprise(row)[0], rows.missing(row)[0]
    shares = [share_below(value, usual) for value, usual in zip(nats, rows.usual_nats.T)]
    lines = [
        [name, ("missing", "missing"), expected[i], "", ""]
        if missing[i]
        else [name, given[i], expected[i], f"{nats[i]:,.1f}".replace("-", "−"), shares[i]]
        for i, name in enumerate(rows.names)
    ]
    unusual = [i for i, share in enumerate(shares) if share is not None and share >= RARE]
    header = ["column", "given", "expected", "surprise", "above test rows"]
    words = verdict_of(rows, row, missing)
    if unusual:
        cells = html.escape(first_few([rows.names[i] for i in unusual]))
        words += f" Unusual {'cells' if len(unusual) > 1 else 'cell'}: <b>{cells}</b>."
    return f"<p>{words}</p>{listing(header, lines, unusual, 'cells')}"


def verdict_of(rows, row, missing):
    """Returns how usual a row is, as HTML."""
    if missing.all():
        return "Every cell is missing: the table shows what the model expects of any row."
    total = float(rows.total(row)[0])
    what = "−log p(x)" if rows.model.has_prior else "The reconstruction loss"
    what += " of the known cells" if missing.any() else ""
    text = f"{what} is {total:,.1f} nats".replace(" -", " −")
    share = share_below(total, rows.usual)
    if share is None:
        return f"{text}."
    usual = "An unusual" if share >= RARE else "A rather unusual" if share >= HIGH else "A usual"
    part = "all" if share == 1 else f"{share:.0%} of the"
    return f"<b>{usual} row.</b> {text}, higher than that of {part} test rows."


def near(rows, row, own):
    """Returns HTML of the test rows whose codes are nearest to that of a row."""
    if len(rows.kept) < 2:
        return ""
    numbers, distances = rows.neighbours(row, own)
    header = ["test row", "distance", *rows.names]
    lines = [
        [f"{number + 1:,}", f"{distance:.2f}", *cells]
        for number, distance, cells in zip(numbers, distances, rows.shown(rows.kept[numbers]))
    ]
    if rows.labels is not None:
        header.append("label")
        lines = [[*line, rows.labels[number]] for line, number in zip(lines, numbers)]
    return f"<h3>Test rows with the nearest codes</h3>{listing(header, lines)}"


def listing(header, lines, marked=(), kind="cells-plain"):
    """Returns HTML of a table that scrolls within its own frame.

    Args:
        header: Names of the columns.
        lines: Lists of cells: a text; a share, drawn as a bar; None; or a text and its class.
        marked: Numbers of the lines that stand out.
        kind: Class of the table.
    """
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(
        f'<tr class="{"marked" if number in marked else ""}">{"".join(map(cell, line))}</tr>'
        for number, line in enumerate(lines)
    )
    return (
        f'<div class="listing"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def cell(value):
    if value is None:
        return "<td></td>"
    if isinstance(value, float):
        bar = f'<i style="width: {value:.0%}"></i>{value:.0%}'
        return f'<td><div class="share">{bar}</div></td>'
    text, kind = value if isinstance(value, tuple) else (str(value), "")
    return (
        f'<td class="{kind}">{html.escape(text)}</td>' if kind else f"<td>{html.escape(text)}</td>"
    )
