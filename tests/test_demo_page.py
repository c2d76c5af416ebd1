"""The demo in a real browser."""

import numpy as np
import pytest
from PIL import Image
from test_demo import add_examples, add_flow, save_table_run
from test_main import save_run

from keras_vae import runs
from keras_vae.demo.app import LAUNCH, build_demo
from keras_vae.demo.space_map import SpaceMap
from keras_vae.runs import files

pytestmark = pytest.mark.once

TABS = {
    "Sample": "Random codes, decoded",
    "A − B + C": "Add to the code of C",
    "Interpolate": "The code moves in equal steps",
    "Latent space": "Each dot is the code",
    "This model": "The data, settings and metrics",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = save_run(tmp_path_factory.mktemp("runs") / "run", name="noise", dataset="faces")
    metrics = {"edit_attribute": "smiling", "edit_strength": 1.5}
    files.write_json(folder / "metrics.json", metrics)
    page = build_demo(runs.load(add_flow(add_examples(folder))))
    page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH)
    yield page.local_url
    page.close()


@pytest.fixture(scope="module")
def table_run(tmp_path_factory):
    return runs.load(save_table_run(tmp_path_factory.mktemp("runs") / "table"))


@pytest.fixture(scope="module")
def table_url(table_run):
    page = build_demo(table_run)
    page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH)
    yield page.local_url
    page.close()


@pytest.fixture(params=[1280, 390], ids=["desk", "phone"])
def opened(request, browser):
    """A function that opens an address; the test fails if the page leaves anything in the console
    or asks elsewhere.
    """
    page = browser.new_page(viewport={"width": request.param, "height": 844})
    told = []
    page.on("console", lambda one: told.append(one.text) if one.type in ("error", "warning") else 0)
    page.on("pageerror", lambda error: told.append(str(error)))
    local = ("http://127.0.0.1", "data:", "blob:")
    page.on("request", lambda one: None if one.url.startswith(local) else told.append(one.url))

    def open_at(url, selector):
        page.goto(url)
        page.wait_for_selector(selector)
        return page

    yield open_at
    # Gradio's own page says this at every upload, whatever becomes of it.
    assert [text for text in told if text != "Method not implemented."] == []
    page.close()


@pytest.fixture
def page(opened, url):
    return opened(url, "figure.picture img")


def sources(page):
    """Returns the pictures that are in view, by what they are."""
    return page.evaluate("[...document.querySelectorAll('figure img')].map(one => one.src)")


def wait_for_change(page, before):
    page.wait_for_function(
        "before => JSON.stringify(before) != JSON.stringify("
        "[...document.querySelectorAll('figure img')].map(one => one.src))",
        arg=before,
    )


def open_tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()


def drag(page, slider, share):
    value = slider.input_value()
    for _ in range(3):  # a page that still moves can be missed
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        y = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] / 2, y)
        page.mouse.down()
        for step in range(1, 5):
            page.mouse.move(box["x"] + box["width"] * (0.5 + (share - 0.5) * step / 4), y)
        page.mouse.up()
        if slider.input_value() != value:
            return
        page.wait_for_timeout(500)


def first_view(page, selector):
    """Returns whether all of an element is in view before anything is scrolled."""
    box = page.locator(selector).first.bounding_box()
    size = page.viewport_size
    return (
        box["x"] >= 0
        and box["y"] >= 0
        and box["x"] + box["width"] <= size["width"]
        and box["y"] + box["height"] <= size["height"]
    )


def test_the_page_opens_with_an_edit_at_work(page):
    assert page.locator(".strength input[type=number]").first.input_value() == "1.5"
    before, after = (page.locator(".pair img").nth(number) for number in (0, 1))
    assert before.get_attribute("src") != after.get_attribute("src")
    assert before.get_attribute("alt") == "Before: reconstruction"
    page.wait_for_function(
        "[...document.querySelectorAll('.pair img')].every(one => one.clientHeight > 100)"
    )
    assert first_view(page, ".pair")
    assert not page.get_by_label("Keep detail").is_checked()


def test_all_tabs_are_in_view_and_one_tap_away(page):
    tabs = page.get_by_role("tab").all()
    names = ["Edit", *TABS]
    assert [tab.inner_text() for tab in tabs if tab.is_visible()] == names
    boxes = [tab.bounding_box() for tab in tabs]
    size = page.viewport_size
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= size["width"] for box in boxes)
    assert max(box["y"] + box["height"] for box in boxes) < size["height"] / 3
    assert min(box["height"] for box in boxes) >= 30  # enough for a finger
    assert len({(round(box["x"]), round(box["y"])) for box in boxes}) == len(names)


def test_a_slider_changes_the_picture_and_reset_goes_to_none(page):
    before = sources(page)
    drag(page, page.locator(".strength input[type=range]").first, 0.1)
    wait_for_change(page, before)
    after = sources(page)
    assert after[1] == before[1] and after[2] != before[2]
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function(
        "document.querySelector('.strength input[type=number]').value == '0' &&"
        " new Set([...document.querySelectorAll('.pair img')].map(one => one.src)).size == 1"
    )
    page.get_by_label("Keep detail").check()
    page.get_by_text("Before: your picture").wait_for()


def test_new_pictures_are_asked_for_attributes(page):
    """A wish changes the pictures, and is there again after other sources were looked at."""
    open_tab(page, "Sample")
    pictures = page.locator(".samples button img")

    def drawn():
        # Files lie in folders named by their content.
        return [one.get_attribute("src").split("/")[-2] for one in pictures.all()]

    def wait(old):
        page.wait_for_function(
            "old => JSON.stringify([...document.querySelectorAll('.samples button img')]"
            ".map(one => one.src.split('/').at(-2))) != JSON.stringify(old)",
            arg=old,
        )

    first = drawn()
    smile = page.locator(".wish").first
    smile.get_by_label("without", exact=True).check()
    wait(first)
    without = drawn()
    smile.get_by_label("with", exact=True).check()
    wait(without)
    wished = drawn()
    page.get_by_label("Mixture").click()
    wait(wished)
    smile.wait_for(state="hidden")  # only the flow takes wishes
    mixture = drawn()
    page.get_by_label("Flow").click()
    wait(mixture)
    smile.wait_for()
    assert smile.get_by_label("with", exact=True).is_checked()
    assert drawn() == wished


def test_arithmetic_goes_from_groups_to_single_pictures(page):
    open_tab(page, "A − B + C")
    menu = page.get_by_label("A: has it").first
    assert menu.input_value() == "With smiling"
    page.get_by_text("Decoded mean code of 18 test images").wait_for()
    before = sources(page)
    menu.click()
    page.get_by_role("option", name="One picture").click()
    wait_for_change(page, before)
    page.get_by_text("Decoded mean code of 18 test images").wait_for(state="detached")
    page.get_by_text("Decoded mean code of 12 test images").wait_for()


def test_interpolation_goes_through_the_flow_first(page):
    open_tab(page, "Interpolate")
    page.get_by_text("Through the flow: the codes are mapped to noise").wait_for()
    before = sources(page)
    page.get_by_label("Spherical").click()
    wait_for_change(page, before)
    page.get_by_text("Spherical: the code rotates").wait_for()


def test_before_and_after_stay_in_view_on_a_phone(page):
    page.locator("figure.strip").first.scroll_into_view_if_needed()
    page.mouse.wheel(0, 200)
    box = page.locator(".follow").bounding_box()
    if page.viewport_size["width"] < 700:
        assert 0 <= box["y"] < 100
    assert box["height"] > 100


def test_an_upload_is_brought_to_the_models_shape(page, tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(5).integers(0, 256, (300, 500), "uint8")
    Image.fromarray(pixels).save(path, exif=exif)
    before = sources(page)
    page.locator(".photo").first.get_by_label("Remove Image").or_(
        page.locator(".photo button[title=Clear], .photo button[aria-label=Clear]").first
    ).first.click()
    page.locator(".photo input[type=file]").first.set_input_files(path)
    wait_for_change(page, before)
    page.get_by_text("What the model sees: 8 × 8 pixels").wait_for()


def test_every_tab_opens_and_fits(page):
    for name, text in TABS.items():
        open_tab(page, name)
        page.get_by_text(text).wait_for()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= page.viewport_size["width"], name


def test_a_sample_goes_to_edit_by_a_click(page):
    start = sources(page)[0]
    open_tab(page, "Sample")
    drawn = page.locator(".samples button img").nth(3)
    old = drawn.get_attribute("src")
    page.get_by_role("button", name="Draw again").click()
    page.wait_for_function(
        "old => document.querySelectorAll('.samples button img')[3].src.slice(-99) != old",
        arg=page.evaluate("document.querySelectorAll('.samples button img')[3].src.slice(-99)"),
    )
    assert drawn.get_attribute("src") != old
    content = drawn.get_attribute("src").split("/")[-2]  # files are named by what is in them
    drawn.click()
    page.wait_for_function(
        "start => document.querySelectorAll('figure img')[0].src != start", arg=start
    )
    assert page.get_by_role("tab", name="Edit").first.get_attribute("aria-selected") == "true"
    assert page.locator(".photo img").first.get_attribute("src").split("/")[-2] == content


def test_a_click_on_the_map_decodes_that_place(page):
    open_tab(page, "Latent space")
    chart = page.locator(".map img").first
    # Until it is loaded it has another size, and so has all that lies around it.
    page.wait_for_function(
        "[...document.querySelectorAll('.map img, figure img')].every(one => one.complete)"
        " && document.querySelector('.map img').clientHeight > 100"
    )
    chart.scroll_into_view_if_needed()
    before = sources(page)
    box = chart.bounding_box()
    chart.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.4})
    wait_for_change(page, before)
    page.get_by_text("Decoded at (").wait_for()
    # A slider goes on from there.
    before = sources(page)
    drag(page, page.locator(".latents input[type=range]").first, 0.9)
    wait_for_change(page, before)
    page.get_by_text("Decoded at the sliders' values").wait_for()


# A run of a table.


def test_a_row_is_edited_and_new_rows_are_drawn(opened, table_url, table_run):
    page = opened(table_url, ".listing")
    said = page.locator(".verdict").first

    def write(line, text):
        cell = page.get_by_test_id(f"cell-{line}-1")
        for _ in range(5):  # an answer that arrives while the cell is edited ends the editing
            cell.dblclick()
            page.keyboard.press("Control+A")
            page.keyboard.type(text) if text else page.keyboard.press("Delete")
            page.keyboard.press("Enter")
            page.wait_for_timeout(1000)
            if cell.inner_text().strip("⋮\n ") == text:  # without the button of its menu
                return

    write(0, "150")
    said.get_by_text("An unusual row.").wait_for()
    assert said.locator(".marked td").first.inner_text() == "age"
    write(0, "")
    said.get_by_text("of the known cells").wait_for()
    assert said.locator(".missing").count() == 1
    write(1, "purple")
    said.get_by_text(
        "The column 'colour' has 'purple', which is not in the training data"
    ).wait_for()
    page.get_by_role("button", name="Most unusual").click()
    said.locator(".cells").wait_for()
    open_tab(page, "Map")
    chart = page.locator(".map img").first
    page.wait_for_function("document.querySelector('.map img').clientHeight > 100")
    space_map, number = SpaceMap(table_run.examples, "rows"), 7
    height, width = space_map.picture.shape[:2]
    x, y = space_map.to_pixels.transform(space_map.points[number])
    box = chart.bounding_box()
    chart.click(
        position={"x": x / width * box["width"], "y": (height - y) / height * box["height"]}
    )
    page.wait_for_function("document.querySelector('input[type=number]').value == '8'")
    assert said.is_visible()
    open_tab(page, "Sample")
    table = page.locator(".drawn .listing").first
    before = table.inner_text()
    page.get_by_role("button", name="Draw again").click()
    page.wait_for_function(
        "before => document.querySelector('.drawn .listing').innerText != before", arg=before
    )
    with page.expect_download() as download:
        page.get_by_text("Download CSV").click()
    with open(download.value.path()) as file:
        assert file.readline() == "age,colour,visits,unit\n" and len(file.readlines()) == 20
    for name in ("Row", "Sample", "Map", "This model"):
        open_tab(page, name)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= page.viewport_size["width"], name
