"""The page without a server: its folder, and the page itself in a real browser."""

import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from test_demo import add_examples, add_flow
from test_main import NAMES, save_run

import keras_vae
from keras_vae import latent, photos, priors, runs
from keras_vae.commands.main import main
from keras_vae.start import pages

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not (find_spec("onnx") and find_spec("onnxruntime")), reason="extra onnx"),
]

ROOT = Path(__file__).parents[1]
SHAPE = (64, 64, 3)
ANSWERED = "document.getElementById('told').textContent.includes(' ms')"
HALF = 0.004  # of a pixel in [0, 1]: what half precision may change, beside 1/255


def written(folder, run, **settings):
    from keras_vae.export import page

    page.write(runs.load(run), folder, **settings)
    return json.loads((folder / "page" / "page.json").read_text())


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run without a flow, whose parts are exported in seconds."""
    folder = tmp_path_factory.mktemp("plain")
    return add_examples(save_run(folder / "run", name="noise <b>"))


# The folder.


def test_a_page_is_written_whole(plain, tmp_path):
    import onnx

    site = tmp_path / "site"
    says = written(site, plain, examples=3)
    assert not list(tmp_path.glob(".*"))
    assert says["edits"] == list(NAMES) and says["shown"][0] == "smiling"
    assert says["shape"] == [8, 8, 3] and (says["latents"], says["columns"]) == (2, 2)
    assert says["draws"]["from"] == "mixture" and says["wishes"]["attributes"] == []
    assert set(says["parts"]) == {"encoder", "decoder", "shifts"}
    for part in says["parts"].values():
        model = onnx.load(site / part["file"])
        large = [one for one in model.graph.initializer if np.prod(one.dims) >= 64]
        assert all(one.data_type == onnx.TensorProto.FLOAT16 for one in large)
    # The first example lacks what the page adds first; PNG keeps every pixel.
    examples = runs.load(plain).examples
    first = int(np.argmin(examples.attributes[:, NAMES.index("smiling")]))
    assert len(says["examples"]) == 3
    pixels = np.asarray(Image.open(site / says["examples"][0]))
    np.testing.assert_array_equal(pixels, examples.images[first])
    # The heading is text, and the service worker keeps every file.
    index = (site / "index.html").read_text()
    assert "<h1>Noise &lt;b&gt;</h1>" in index and "{{" not in index
    worker = (site / "sw.js").read_text()
    kept = json.loads(re.search(r"const FILES = (.*);", worker)[1])
    there = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert set(kept) == there - {"index.html", "sw.js"} | {"./"}
    version = re.search(r'const VERSION = "(\w+)"', worker)[1]
    assert f'data-version="{version}"' in index


def test_by_address_the_runtime_is_checked_and_alone_allowed(plain, tmp_path):
    says = written(tmp_path / "site", plain, examples=0)
    for one in says["runtime"].values():
        assert re.fullmatch(r"https://.*/onnxruntime-web@\d+\.\d+\.\d+/dist/ort[\w.-]+", one["url"])
        assert re.fullmatch(r"sha384-[\w+/]{64}", one["integrity"])
    policy = re.search(r'Policy" content="([^"]*)"', (tmp_path / "site/index.html").read_text())[1]
    address = says["runtime"]["wasm"]["url"].rsplit("/", 1)[0]
    assert f"connect-src 'self' {address}/;" in policy and "default-src 'none'" in policy
    assert policy.count("http") == 1 and "unsafe-inline" not in policy


def test_an_earlier_page_is_replaced_and_nothing_else(plain, tmp_path):
    site = tmp_path / "site"
    written(site, plain, examples=4, title="First")
    (site / "CNAME").write_text("example.org")
    with pytest.raises(ValueError, match="is not empty"):
        written(site, plain)
    written(site, plain, examples=1, title="Second", overwrite=True)
    assert len(list((site / "page" / "examples").iterdir())) == 1
    assert "<h1>Second</h1>" in (site / "index.html").read_text()
    assert (site / "CNAME").read_text() == "example.org"
    (site / "page" / "page.json").unlink()
    with pytest.raises(ValueError, match="is not part of a page, so it is not replaced"):
        written(site, plain, overwrite=True)


def test_a_table_is_refused_and_mistakes_are_named(plain, tmp_path, capsys):
    table, output = tmp_path / "table", str(tmp_path / "site")
    table.mkdir()
    (table / "config.json").write_text('{"completed": true, "noun": "rows"}')
    for given, message in (
        ([str(table)], f"{table} is a model of a table; a page without a server shows images only"),
        ([str(plain), "--runtime", str(tmp_path)], f"{tmp_path} has no ort.wasm.bundle.min.mjs."),
        ([str(plain), "--examples", "-1"], "--examples must be a whole number from 0 to 48"),
        ([str(plain), "--title", ""], "--title is empty"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["page", *given, "-o", output])
        errors = capsys.readouterr().err
        assert stop.value.code == 2 and message in errors and errors.count("\n") == 1
    assert not os.path.exists(output)


@pytest.mark.parametrize("kind", ["vamp", "classes", "ae"])
def test_each_model_says_where_its_codes_come_from(kind, tmp_path):
    shape, condition = (8, 8, 1), None
    if kind == "ae":
        parts = keras_vae.build_mlp(shape, 3, hidden=(8,), variational=False)
        model = keras_vae.AutoEncoder(*parts)
    else:
        prior = "normal"
        if kind == "vamp":
            prior = priors.VampPrior(np.random.default_rng(0).random((4, *shape)))
        else:
            condition = keras_vae.Condition(["cat", "dog"])
        parts = keras_vae.build_mlp(shape, 3, hidden=(8,), condition=2 if condition else 0)
        model = keras_vae.VAE(*parts, prior=prior, condition=condition)
    names = {"label_names": ["cat", "dog"]} if condition else {}
    folder = save_run(tmp_path / "run", shape, model, name=kind, **names)
    for name in ("directions.npz", "mixture.npz"):
        (folder / name).unlink()
    says = written(tmp_path / "site", folder)
    assert says["edits"] == [] and "shifts" not in says["parts"]
    if kind == "ae":
        assert says["draws"] is None and says["code"] == "z" and says["examples"] == []
    elif kind == "vamp":
        assert (says["draws"]["components"], says["draws"]["diagonal"]) == (4, True)
        numbers = np.fromfile(tmp_path / "site" / says["draws"]["file"], "<f4")
        means, log_vars = map(
            keras.ops.convert_to_numpy, runs.load(folder).model.prior.components()
        )
        expected = np.concatenate([np.full(4, 0.25), means.ravel(), np.exp(log_vars / 2).ravel()])
        np.testing.assert_allclose(numbers, expected, rtol=1e-5)
    else:
        assert says["draws"]["condition"] == {"names": ["cat", "dog"], "exclusive": ["cat", "dog"]}
        assert says["wishes"]["classes"] == ["cat", "dog"] and says["columns"] == 5


# The page in a browser.


@pytest.fixture(scope="module")
def runtime():
    """The folder of onnxruntime-web."""
    from keras_vae.export.page.runtime import VERSION

    place = Path(tempfile.gettempdir(), f"onnxruntime-web-{VERSION}")
    folder = place / "package" / "dist"
    if not all((folder / name).is_file() for name in pages.RUNTIME.values()):
        if shutil.which("npm") is None:
            pytest.skip("needs npm, to get onnxruntime-web")
        place.mkdir(exist_ok=True)
        packed = subprocess.run(
            ["npm", "pack", "--silent", f"onnxruntime-web@{VERSION}"],
            cwd=place,
            capture_output=True,
            text=True,
        )
        if packed.returncode:
            pytest.skip(f"npm could not get onnxruntime-web: {packed.stderr.strip()[:200]}")
        archive = place / packed.stdout.split()[-1]
        shutil.unpack_archive(archive, place, filter="data")
        archive.unlink()
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.load(make_run(tmp_path_factory.mktemp("runs") / "run"))


def make_run(folder):
    """Makes a run whose images differ much, and which edits two of its attributes by a flow."""
    keras.utils.set_random_seed(0)
    model = keras_vae.VAE(*keras_vae.build_mlp(SHAPE, 2, hidden=(16,)), seed=0)
    kernel = max(model.decoder.trainable_weights, key=lambda weight: np.prod(weight.shape))
    kernel.assign(10 * kernel)
    save_run(folder, SHAPE, model, name="noise", dataset="faces")
    return add_flow(add_examples(folder, image_shape=SHAPE))


@pytest.fixture(scope="module")
def url(run, runtime, browser, tmp_path_factory):
    """The address of a page that the command has written; torch unrolls a flow the fastest."""
    site = tmp_path_factory.mktemp("site") / "site"
    backend = ["--backend", "torch"] if find_spec("torch") else []
    result = subprocess.run(
        [sys.executable, "-m", "keras_vae", "page", run.folder, "-o", site, *backend]
        + ["--runtime", runtime],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{site}/: a page of ")

    with served(site) as address:
        yield address


@contextlib.contextmanager
def served(site):
    """Serves a folder as any web space does; yields its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def opened(browser, url):
    """Returns a function that opens the page in a new browser window of some width.

    No window may leave anything in the console, or ask another host.
    """
    contexts, told = [], []

    def open_page(width=1280, height=860):
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        # Requests of all pages and of the service worker.
        context.on(
            "request", lambda one: one.url.startswith((url, "blob:")) or told.append(one.url)
        )
        page = context.new_page()
        page.on("console", lambda one: told.append(f"{one.type}: {one.text}"))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto(url)
        page.wait_for_selector("html[data-offline]", timeout=120_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert told == []


@pytest.fixture(scope="module")
def desk(opened):
    return opened()


@pytest.fixture
def page(desk):
    desk.get_by_role("button", name="Example 1").click()
    desk.get_by_role("button", name="Reset").click()
    settle(desk)
    return desk


def settle(page):
    """Waits until everything that was asked is drawn."""
    page.evaluate(
        "async () => { const { model } = await (await import('./page/page.js')).ready;"
        " while (model.waiting.size) await new Promise((done) => setTimeout(done, 20));"
        " await new Promise((done) => setTimeout(done, 50)); }"
    )


def until(page, condition):
    """Waits for a condition in JavaScript; the page's rules forbid what Playwright has for this."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def pixels(page, selector):
    """Returns what a canvas shows, reduced to the model's size."""
    values = page.evaluate(
        "([selector, size]) => { const small = document.createElement('canvas');"
        " small.width = small.height = size; const context = small.getContext('2d');"
        " context.drawImage(document.querySelector(selector), 0, 0, size, size);"
        " return [...context.getImageData(0, 0, size, size).data]; }",
        [selector, SHAPE[0]],
    )
    return np.array(values).reshape(*SHAPE[:2], 4)[..., :3]


def asked(page, code, *arguments):
    """Returns what JavaScript makes of arguments; it sees `model`, `page` and a module `use`."""
    return page.evaluate(
        "async ([args]) => { const { model, page } = await (await import('./page/page.js')).ready;"
        f" const use = (name) => import(`./page/${{name}}.js`); {code} }}",
        [[one.tolist() if isinstance(one, np.ndarray) else one for one in arguments]],
    )


def slide(page, name, value):
    page.locator(f'input[type=range][name="{name}"]').fill(str(value))


def test_the_first_screen_shows_an_edit_at_work(desk):
    assert desk.locator("#sliders output").first.inner_text() == "+1.0"
    assert np.abs(pixels(desk, "#before") - pixels(desk, "#after")).max() > 1
    for part in ("#before", "#after", "#sliders .slider"):
        box = desk.locator(part).first.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 860
    assert "No picture leaves this device" in desk.inner_text("header")


def test_an_edit_is_that_of_python(page, run):
    """ "smiling" and "8" are edited by the flow, "a=b" along a direction."""
    strengths = {"smiling": 1.5, "8": -1, "a=b": 0.5, "two words": 0}
    images = run.examples.images[:2]
    expected = latent.edit(run.model, images, run.edits, strengths)
    for image, wanted in zip(images, expected):
        edited = asked(
            page,
            "const { moved } = await use('model'); const [image, strengths] = args;"
            " const code = await model.encode(Float32Array.from(image));"
            " const units = await model.shifts(code);"
            " return [...await model.decode(moved(code, units, strengths, page.columns))];",
            (image / 255).ravel(),
            [strengths[name] for name in run.edits.names],
        )
        difference = np.abs(np.array(edited).reshape(SHAPE) - wanted).max()
        print(f"largest difference of an edited pixel: {difference:.5f}")
        assert difference < HALF


def test_a_drawn_image_is_that_of_python(page, run):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((3, 2)).astype("float32")
    signs = np.array([[1, -1, 0, 1], [-1, -1, 1, 0], [0, 0, 0, 0]], "float32")
    attributes = np.where(signs == 0, np.nan, (signs + 1) / 2)
    expected = run.model.decode(run.flow.codes(noise, attributes))
    drawn = asked(
        page,
        "const [noise, signs] = args.map((one) => Float32Array.from(one));"
        " return [...await model.decode(await model.flow(noise, signs, 3))];",
        noise.ravel(),
        signs.ravel(),
    )
    np.testing.assert_allclose(np.array(drawn).reshape(3, *SHAPE), expected, atol=HALF)


def test_wishes_choose_the_attributes_that_python_chooses(page, run):
    for wishes in ({}, {"smiling": True}, {name: i % 2 == 0 for i, name in enumerate(NAMES)}):
        found = asked(page, "return (await use('signs')).matching(page.draws, args[0]);", wishes)
        rows, counts = np.unique(run.flow._matching(wishes), axis=0, return_counts=True)
        totals = {}
        for row, count in zip(found["signs"], found["counts"]):
            totals[tuple(row)] = totals.get(tuple(row), 0) + count
        assert totals == dict(zip(map(tuple, rows.tolist()), counts.tolist()))


def test_noise_is_normal_and_belongs_to_the_seed(page):
    code = "const { generator, normal } = await use('noise');"
    code += " return args.map((seed) => [...normal(generator(seed), 20001, 0.5)]);"
    first, same, other = np.array(asked(page, code, 1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.03
    assert abs(first.mean()) < 0.015 and abs(first.std() - 0.5) < 0.01
    assert abs((first**4).mean() / 0.5**4 - 3) < 0.3


@pytest.mark.parametrize("shape", [(8, 8, 3), (6, 10, 1)])
@pytest.mark.parametrize("how", ["crop", "pad"])
def test_a_photo_is_prepared_and_changed_as_in_python(page, shape, how):
    rng = np.random.default_rng(2)
    photo = rng.integers(0, 256, (40, 63, 3), "uint8")
    change = rng.uniform(-0.5, 0.5, shape).astype("float32")
    view, added = asked(
        page,
        "const [pixels, size, change, shape, how] = args; const photos = await use('photo');"
        " const photo = new ImageData(Uint8ClampedArray.from(pixels), ...size);"
        " const added = photos.add(photo, Float32Array.from(change), shape, how);"
        " return [[...photos.view(photo, shape, how)], [...added.data]];",
        np.dstack([photo, np.full((40, 63), 255, "uint8")]).ravel(),
        [63, 40],
        change.ravel(),
        list(shape),
        how,
    )
    expected = photos.view(photo, shape, how)
    assert np.abs(255 * np.array(view).reshape(shape) - expected).max() < 1.01
    added = np.array(added).reshape(40, 63, 4)[..., :3]
    assert np.abs(added - photos.add(photo, change, how).astype(int)).max() <= 1


def test_a_slider_is_answered(page, run):
    before = pixels(page, "#after")
    slide(page, "smiling", 2)
    told = page.locator("#told")
    until(page, ANSWERED)
    settle(page)
    times = []
    for value in (-2, 1, -1, 3, 2):
        told.evaluate("(one) => (one.textContent = '')")
        slide(page, "smiling", value)
        until(page, ANSWERED)
        times.append(int(re.search(r"(\d+) ms", told.inner_text())[1]))
    print(f"milliseconds from the slider to the picture: {times}")
    settle(page)
    first = int(np.argmin(run.examples.attributes[:, NAMES.index("smiling")]))
    image = run.examples.images[first : first + 1]
    expected = 255 * latent.edit(run.model, image, run.edits, {"smiling": 2})[0]
    shown = pixels(page, "#after")
    assert np.abs(shown - before).mean() > 0.2
    # Enlarged and reduced again, an image of noise is smoother.
    assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.9
    assert page.locator("#sliders output").first.inner_text() == "+2.0"
    page.get_by_role("button", name="Reset").click()
    settle(page)
    np.testing.assert_array_equal(pixels(page, "#after"), pixels(page, "#before"))


def test_keyboard_alone_edits(page):
    page.locator("#sliders input").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#sliders output").first.inner_text() == "+0.1"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == page.locator("#sliders input").nth(
        1
    ).get_attribute("name")


def test_an_upload_is_edited_in_the_browser_and_saved(page, tmp_path):
    photo = np.random.default_rng(5).integers(0, 256, (300, 500, 3), "uint8")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned
    Image.fromarray(photo).save(tmp_path / "turned.jpg", exif=exif)
    sent = []
    page.on("request", lambda one: sent.append(one.method))
    old = pixels(page, "#before")
    page.locator("#upload").set_input_files(tmp_path / "turned.jpg")
    page.get_by_label("Keep detail").check()
    until(page, "document.getElementById('before').height == 512")
    settle(page)
    assert page.evaluate("document.getElementById('before').width") == 307
    assert np.abs(pixels(page, "#before") - old).mean() > 1
    slide(page, "a=b", 3)
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download PNG").click()
    saved = np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)
    original = np.asarray(Image.open(tmp_path / "turned.jpg")).astype(int)
    original = np.rot90(original, -1)
    assert saved.shape == (500, 300, 3)
    changed = np.abs(saved - original).mean(axis=2)
    assert changed[:90].max() < 3 < changed[110:390].max()  # only the middle changes
    page.get_by_label("Keep detail").uncheck()
    (tmp_path / "no.png").write_text("no picture")
    page.locator("#upload").set_input_files(tmp_path / "no.png")
    page.get_by_text("Your browser cannot read no.png as a picture").wait_for()
    assert sent == []


def test_new_images_follow_seed_and_wishes_and_can_be_edited(page):
    def drawn():
        settle(page)
        return [pixels(page, f"#samples button:nth-child({i}) canvas") for i in range(1, 13)]

    page.locator("#seed").fill("3")
    third = drawn()
    smile = page.locator(".wish").first
    smile.get_by_label("without", exact=True).check()
    without = drawn()
    smile.get_by_label("any", exact=True).check()
    np.testing.assert_array_equal(drawn(), third)
    assert np.abs(np.subtract(without, third)).max() > 3
    page.locator("#temperature").fill("0")
    assert np.abs(np.subtract(drawn(), third)).max() > 3
    page.locator("#temperature").fill("1")
    page.get_by_role("button", name="Draw again").click()
    assert np.abs(np.subtract(drawn(), third)).max() > 3
    old = pixels(page, "#before")
    page.locator("#samples button").nth(4).click()
    settle(page)
    assert np.abs(pixels(page, "#before") - old).mean() > 1
    page.get_by_role("button", name="Draw a new one").click()
    settle(page)


def test_on_a_phone_nothing_is_cut_off_and_the_pictures_stay_in_view(opened):
    phone = opened(360, 740)
    assert phone.evaluate("document.documentElement.scrollWidth") == 360
    phone.evaluate("scrollBy(0, document.querySelector('#sliders').getBoundingClientRect().top)")
    box = phone.locator(".pair").bounding_box()
    assert 0 <= box["y"] < 20 and box["height"] > 100
    for button in phone.locator("button, .button").all():
        box = button.bounding_box()
        assert box is None or min(box["height"], box["width"]) >= 40  # enough for a finger


def test_once_loaded_the_page_works_offline(opened):
    page = opened()
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("html[data-ready]", timeout=120_000)
    settle(page)
    slide(page, "smiling", 2)
    until(page, ANSWERED)
    assert page.locator("#samples button").count() == 12


@pytest.mark.parametrize("genuine", [True, False])
def test_by_address_only_the_genuine_runtime_is_run(genuine, browser, runtime, plain, tmp_path):
    """The host is played by the browser. The codes of this run come from its mixture."""
    written(tmp_path / "site", plain, examples=1)
    told = []

    def answer(route):
        content = (runtime / route.request.url.rsplit("/", 1)[1]).read_bytes()
        content += b"" if genuine else b" "
        route.fulfill(body=content, headers={"Access-Control-Allow-Origin": "*"})

    with served(tmp_path / "site") as url:
        page = browser.new_page()
        page.route(re.compile("^https://"), answer)
        page.on("console", lambda one: told.append(f"{one.type}: {one.text}"))
        page.goto(url)
        if not genuine:
            page.get_by_text("The page cannot start: https://").wait_for(timeout=60_000)
            assert told and all("integrity" in text for text in told)
            page.close()
            return
        page.wait_for_selector("html[data-offline]", timeout=120_000)
        assert "a mixture of Gaussians" in page.inner_text("#draw-about")
        codes = page.evaluate(
            "async () => { const { codes } = await (await import('./page/page.js')).ready;"
            " return [...await codes(4000, 1)]; }"
        )
        page.close()
    assert told == []
    expected = runs.load(plain).mixture.sample(4000, 0)
    codes = np.reshape(codes, (4000, 2))
    np.testing.assert_allclose(codes.mean(axis=0), expected.mean(axis=0), atol=0.15)
    np.testing.assert_allclose(np.cov(codes.T), np.cov(expected.T), atol=0.3)
