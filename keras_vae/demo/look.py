"""Theme and style sheet of the page. It uses fonts of the visitor's system and fetches nothing."""

import gradio as gr

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")

THEME = gr.themes.Soft(
    primary_hue="orange",
    secondary_hue="orange",
    neutral_hue="stone",
    radius_size="md",
    font=FONT,
    font_mono=("ui-monospace", "Menlo", "Consolas", "monospace"),
).set(
    block_title_background_fill="none",
    block_title_text_color="*body_text_color",
    block_title_text_weight="500",
    block_title_padding="0",
    slider_color="*primary_400",
    body_text_color_subdued="*neutral_500",
    link_text_color="*primary_700",
    input_border_color="*neutral_300",
    input_border_width="1px",
    checkbox_border_color="*neutral_400",
    checkbox_border_width="1px",
)

CSS = """
.gradio-container { width: 100% !important; max-width: 1180px !important; min-width: 0 !important;
  margin: 0 auto !important; }
.gradio-container .column, .gradio-container .block { min-width: 0; }
/* With Gradio's own value, hidden, .follow would not stay in view. */
.gradio-container { overflow: clip !important; }
.masthead h1 { font-size: 1.7rem; margin: 0.2rem 0 0; letter-spacing: -0.01em; }
.masthead p { margin: 0.15rem 0 0; color: var(--body-text-color-subdued); }
.lead p { max-width: 70ch; margin: 0.2rem 0 0.4rem; }
.note { background: var(--block-background-fill); border-left: 3px solid var(--color-accent);
  border-radius: var(--radius-md); padding: 0.7rem 1rem; }
.pair { flex-wrap: nowrap !important; gap: 0.75rem; }
figure.picture, figure.strip { margin: 0; }
figure.picture img, figure.strip img { width: 100%; display: block; border-radius: var(--radius-md);
  background: var(--block-background-fill); }
figure figcaption { font-size: 0.85rem; color: var(--body-text-color-subdued); margin-top: 0.3rem; }
figure figcaption a { color: var(--link-text-color); margin-left: 0.4rem; }
figure.strip .labels { display: flex; font-size: 0.75rem; color: var(--body-text-color-subdued); }
figure.strip .labels span { flex: 1; text-align: center; }
.seen figure { display: flex; align-items: center; gap: 0.7rem; }
.seen figure img { width: 64px; border-radius: var(--radius-sm); }
.animation figure { max-width: 260px; }
.photo img { image-rendering: auto; object-fit: contain; }
.caption p { margin: 0 0 -0.4rem; }
.choices .grid-container { grid-template-columns: repeat(auto-fill, minmax(58px, 1fr)) !important;
  grid-template-rows: none !important; grid-auto-rows: auto !important; gap: 6px; }
.samples .grid-container { grid-template-columns: repeat(auto-fill, minmax(84px, 1fr)) !important;
  grid-template-rows: none !important; grid-auto-rows: auto !important; gap: 8px; }
.samples .grid-wrap, .whole .grid-wrap { max-height: none !important; }
.strengths .form { display: grid !important; gap: 0.2rem 1.2rem; background: none;
  grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); }
.strengths label span { overflow-wrap: anywhere; }
.strength, .strengths .block { padding: 0.35rem 0.6rem; }
input[type=range]::-webkit-slider-thumb { border: 2px solid var(--slider-color) !important; }
.facts table { width: 100%; border-collapse: collapse; font-size: 0.95rem; }
.facts td { padding: 0.4rem 0.3rem; border: 0 !important;
  border-bottom: 1px solid var(--border-color-primary) !important; }
.masthead { padding: 0 !important; }
.numbers td:last-child { white-space: nowrap; text-align: right; }
footer .divider { display: none; }
.map img { cursor: crosshair; }
.facts table, .facts tr { border: 0 !important; }
.mean figure { max-width: 200px; }
.sum figure { max-width: 340px; }
/* One row for each attribute: its name and three small buttons. */
.wishes .form { background: none; border: 0; box-shadow: none; gap: 0; }
.wish { display: grid; grid-template-columns: 1fr auto; align-items: center; background: none;
  border: 0 !important; box-shadow: none !important; padding: 0.1rem 0.2rem !important; }
.wish > span { margin: 0 !important; }
.wish .wrap { flex-wrap: nowrap; gap: 0.2rem; }
.wish .wrap label { position: relative; padding: 0.2rem 0.6rem; font-size: 0.85rem;
  box-shadow: none; }
.wish .wrap label span { margin: 0; }
.wish .wrap input { position: absolute; inset: 0; width: 100%; height: 100%; opacity: 0; }
.wish .wrap label:focus-within { outline: 2px solid var(--color-accent); }
.wish .wrap label:first-child.selected { color: var(--body-text-color);
  background: var(--border-color-primary); border-color: var(--border-color-primary); }
/* Tables of rows scroll within their own frame, so that the page itself never does. */
.listing { overflow: auto; max-height: 600px; border: 1px solid var(--border-color-primary);
  border-radius: var(--radius-md); background: var(--block-background-fill); }
.listing table { width: 100%; border: 0 !important; border-collapse: collapse;
  font-size: 0.95rem; font-variant-numeric: tabular-nums; margin: 0 !important; }
.listing th, .listing td { padding: 0.4rem 0.7rem !important; border: 0 !important;
  text-align: left; white-space: nowrap; max-width: 18rem; overflow: hidden;
  text-overflow: ellipsis; }
.listing th { position: sticky; top: 0; z-index: 1; font-weight: 500; font-size: 0.85rem;
  color: var(--body-text-color-subdued); background: var(--block-background-fill); }
.listing tr { border: 0 !important; border-top: 1px solid var(--border-color-primary) !important; }
.listing thead tr { border-top: 0 !important; }
.listing .marked td { background: var(--primary-50); }
.dark .listing .marked td { background: var(--neutral-700); }
.listing .marked td:nth-child(4) { font-weight: 700; color: var(--primary-700); }
.dark .listing .marked td:nth-child(4) { color: var(--primary-300); }
.listing .missing { color: var(--body-text-color-subdued); font-style: italic; }
.listing .share { position: relative; z-index: 0; padding-left: 0.35rem; }
.listing .share i { position: absolute; left: 0; top: 10%; height: 80%; z-index: -1; opacity: 0.35;
  border-radius: 3px; background: var(--color-accent); }
/* The table of cells always fits: the name of a column may take several lines. */
.listing .cells { table-layout: fixed; }
.listing .cells td:first-child { white-space: normal; overflow-wrap: anywhere; }
.listing .cells th:first-child { width: 28%; }
.listing .cells th:last-child { width: 22%; }
.verdict p { margin: 0 0 0.5rem; font-size: 1.05rem; }
a.file { display: inline-block; padding: 0.4rem 0.9rem; margin-right: 0.6rem; font-weight: 500;
  border-radius: var(--radius-md); border: 1px solid var(--input-border-color);
  text-decoration: none; color: var(--body-text-color); }
.drawn p { margin: 0 0 0.6rem; }
.map.wide { max-width: 640px; margin: 0 !important; }
@media (max-width: 700px) {
  .listing table { font-size: 0.85rem; }
  .listing th, .listing td { padding: 0.4rem !important; }
  .listing th { white-space: normal; font-size: 0.8rem; }
  .listing td { max-width: 7rem; }
  .listing .cells { table-layout: auto; font-size: 0.8rem; }
  .listing .cells th { font-size: 0.75rem; }
  .listing .cells td { max-width: 5.5rem; }
  .listing .cells td:first-child { overflow-wrap: break-word; }
  .listing .cells th:first-child { width: auto; }
  .listing .cells th:last-child { width: 20%; }
  /* Offsets Gradio's margins, which are too wide here and cannot be changed directly. */
  .block.masthead, .sections { margin: 0 -1.2rem; width: auto; }
  .pair .html-container { padding: 0; }
  /* The pictures to choose from form one row that scrolls sideways. */
  .photo { height: 170px !important; }
  .choices, .choices .grid-wrap { height: 84px !important; }
  .choices .grid-container { grid-auto-flow: column; grid-template-columns: none !important;
    grid-auto-columns: 58px !important; overflow-x: auto; }
  .sections > .tab-wrapper button { padding: 0 0.55rem; font-size: 0.95rem; }
  .stack { flex-direction: column; }
  .whole .grid-container { grid-template-columns: 1fr !important; }
  .mean figure { max-width: none; }
  /* Before and after come first and stay in view while a slider below is moved. */
  .editing > .column { display: contents; }
  .editing .seen { order: 1; }
  .follow, .new { order: -1; position: sticky; top: 0; z-index: 5; padding-bottom: 0.3rem;
    background: var(--body-background-fill); }
  .new .grid-wrap { max-height: 45vh !important; overflow-y: auto; }
  .samples .grid-container { grid-template-columns: repeat(auto-fill, minmax(60px, 1fr)) !important;
    gap: 6px; }
}
"""
