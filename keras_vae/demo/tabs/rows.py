"""New rows of a table, and the map of the codes of its test rows."""

import base64

import gradio as gr

from keras_vae.demo.events import LIVE, reporting
from keras_vae.demo.space_map import SpaceMap
from keras_vae.demo.tabs.row import listing
from keras_vae.demo.tabs.sample import NONE, Settings
from keras_vae.demo.tabs.space import pixel

COUNT = 20
IN_VIEW = 200  # most new rows that are shown; the file has all


def build_sample(actions, rows):
    """Lays out the tab Sample: new rows, and a file of them."""
    if not actions.run.sources:
        gr.Markdown(NONE, elem_classes="note")
        return
    gr.Markdown(
        "Random codes, decoded: new rows that are not in the data.",
        elem_classes="lead",
    )
    count = min(COUNT, actions.most)

    def table(*settings):
        new = actions.values(*settings)
        content = base64.b64encode(rows.csv(new)).decode()
        more = f"; the first {IN_VIEW:,} are shown" if len(new) > IN_VIEW else ""
        return (
            f'<p><a class="file" href="data:text/csv;base64,{content}" download="new-rows.csv">'
            f"Download CSV</a> {len(new):,} {'rows' if len(new) > 1 else 'row'}{more}</p>"
            + listing(rows.names, rows.shown(new[:IN_VIEW]))
        )

    with gr.Row(equal_height=False, elem_classes="drawn"):
        with gr.Column(scale=2, min_width=300):
            settings = Settings(actions, count)
        with gr.Column(scale=5, min_width=300):
            drawn = gr.HTML(table(count, 0, 1.0, actions.run.sources[0], {}))
    settings.connect(lambda *settings: {drawn: table(*settings)}, [drawn])


def build_map(actions, tabs, rows, pick, shown):
    """Lays out the tab Map; a click shows the nearest test row in the tab Row.

    Args:
        actions: `demo.actions.Actions`.
        tabs: The `gr.Tabs` of the page.
        rows: `demo.rows.Rows`.
        pick, shown: See `demo.tabs.row.build`.
    """
    if actions.run.examples is None:
        gr.Markdown("**No map:** this run has no codes of test rows.", elem_classes="note")
        return
    space_map = SpaceMap(actions.run.examples, "rows")
    gr.Markdown(
        "Each dot is the code of a test row. **Click one to see its row.**",
        elem_classes="lead",
    )
    chart = gr.Image(
        space_map.picture,
        show_label=False,
        label="Map of the test rows: click to see a row",
        format="png",
        interactive=False,
        buttons=[],
        elem_classes=["map", "wide"],
    )

    def click(event: gr.SelectData):
        point = space_map.point(*pixel(event.index))
        return *pick(space_map.nearest(point, len(rows.kept))), gr.Tabs(selected="row")

    chart.select(reporting(click), None, [*shown, tabs], **LIVE)
