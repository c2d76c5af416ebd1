import io

import numpy as np
import pytest
from PIL import Image

from keras_vae import plots
from keras_vae.datasets.names import short

pytestmark = pytest.mark.once


def rendered(figure, tmp_path):
    """The picture a figure is saved as, pixels in [0, 1]."""
    from matplotlib.image import imread

    figure.savefig(tmp_path / "figure.png")
    return imread(tmp_path / "figure.png")[..., :3]


def test_a_notebook_can_display_a_figure():
    """Jupyter calls this method; for matplotlib's own figures it needs pyplot to be imported."""
    content = plots.samples(np.zeros((4, 8, 8, 3)))._repr_png_()
    assert Image.open(io.BytesIO(content)).format == "PNG"


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_show_every_image(tmp_path, channels):
    images = np.zeros((10, 8, 8, channels), "float32")
    picture = rendered(plots.samples(images, columns=4), tmp_path)
    assert picture.shape[1] == 8 * plots.DPI
    black = (picture.max(axis=2) < 0.02).mean()
    # 10 of 12 places are black, without the gaps of 2 in 8 and the title.
    assert 0.45 < black < 0.7


def test_grid_puts_images_row_by_row():
    images = np.arange(5, dtype="float32")[:, None, None, None] * np.ones((5, 2, 3, 1)) / 10
    picture = plots.grid(images, columns=3, gap=1)
    assert picture.shape == (5, 11, 3)
    assert picture[0, ::4, 0].tolist() == pytest.approx([0, 0.1, 0.2])
    assert picture[3, ::4, 0].tolist() == pytest.approx([0.3, 0.4, 1])  # white where there is none
    assert (picture[2] == 1).all()


def test_reconstructions_come_below_their_originals(tmp_path):
    images = np.zeros((6, 8, 8, 3), "uint8")
    pictures = np.full((6, 8, 8, 3), 0.5, "float32")
    picture = rendered(plots.reconstructions(images, pictures, columns=4), tmp_path)
    column = picture[:, 40, 0]
    changes = [column[0], *column[1:][np.diff(column) != 0]]
    shades = [round(float(shade), 1) for shade in changes if shade < 0.6]
    assert shades == [0.0, 0.5, 0.0, 0.5]


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_the_latent_map_draws_every_group(tmp_path, latent_dim):
    codes = np.random.default_rng(0).standard_normal((50, latent_dim))
    figure = plots.latent_map(codes, np.arange(50) % 2, ["no", "yes"], "by answer")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["no", "yes"]
    assert rendered(figure, tmp_path).std() > 0.05


def test_projection_is_the_plane_of_largest_variance():
    rng = np.random.default_rng(0)
    plane = rng.standard_normal((500, 2)) * [5, 2]
    codes = np.column_stack([plane, 0.01 * rng.standard_normal((500, 3))])
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    points, names = plots.project(codes @ turn)
    shares = np.var(plane, axis=0) / np.var(plane, axis=0).sum()
    assert f"{shares[0]:.0%}" in names[0] and f"{shares[1]:.0%}" in names[1]
    for found, true in zip(points.T, (plane - plane.mean(axis=0)).T):
        assert abs(np.corrcoef(found, true)[0, 1]) > 0.99
    same, names = plots.project(plane)
    np.testing.assert_array_equal(same, plane)
    assert names == ("z 1", "z 2")


def test_history_draws_what_there_is(tmp_path):
    vae = {"loss": [3, 2], "reconstruction_loss": [2, 1], "kl_loss": [1, 1], "val_loss": [3, 2]}
    assert len(plots.history(vae).axes) == 3
    assert len(plots.history({"loss": [3.0], "reconstruction_loss": [3.0]}).axes) == 2
    assert rendered(plots.history(vae), tmp_path).std() > 0.02


def test_names_of_groups_are_drawn_as_they_are(tmp_path):
    """Names of a user's folders: a formula that is none, bytes that are no text, an underscore."""
    names = ["$5^^ to $9", "\udcff", "_hidden", "plain"]
    codes = np.random.default_rng(0).normal(size=(40, 2))
    figure = plots.latent_map(codes, np.arange(40) % 4, names, "by '$5^^'")
    rendered(figure, tmp_path)
    shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert len(shown) == 4 and "_hidden" in shown


def test_data_shows_every_image(tmp_path):
    picture = rendered(plots.data(np.zeros((24, 8, 8, 1), "uint8")), tmp_path)
    assert picture.shape[1] == 8 * plots.DPI
    assert (picture.max(axis=2) < 0.02).mean() > 0.45


def shades_of(row):
    """The grey values that a line of pixels goes through, without the white between."""
    changes = [row[0], *row[1:][np.abs(np.diff(row)) > 0.02]]
    return [round(float(shade), 1) for shade in changes if shade < 0.95]


def ramp(*shades, size=8):
    return np.asarray(shades, "float32")[..., None, None, None] * np.ones(
        (size, size, 3), "float32"
    )


def test_arithmetic_has_the_original_then_each_strength(tmp_path):
    blocks = {"smiling": (ramp(0.0, 0.1), ramp([0.2, 0.3, 0.4], [0.5, 0.6, 0.7]))}
    figure = plots.edits(blocks, (-1, 0, 1.5))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["original", "-1", "0", "+1.5"]
    assert "'smiling'" in figure.texts[0].get_text()
    picture = rendered(figure, tmp_path)
    height = picture.shape[0]
    assert shades_of(picture[int(height * 0.45), :, 0]) == [0.0, 0.2, 0.3, 0.4]
    assert shades_of(picture[int(height * 0.85), :, 0]) == [0.1, 0.5, 0.6, 0.7]


def test_arithmetic_names_the_rows_of_several_attributes(tmp_path):
    block = ramp(0.0, 0.1), ramp([0.2, 0.3], [0.5, 0.6])
    figure = plots.edits({"smiling": block, "$ 5^^": block}, (0, 1))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["original", "0", "+1", "smiling", r"\$ 5^^"]
    rendered(figure, tmp_path)


def test_long_names_leave_room_for_the_picture(tmp_path):
    name = "an attribute with a name that goes on and on"
    assert short(name) == "an attribute with a nam…" and short("a\n b") == "a b"
    block = ramp(0.0, 0.1), ramp([0.2, 0.3], [0.5, 0.6])
    for blocks in ({name: block}, {name: block, "b": block}):
        figure = plots.edits(blocks, (0, 1))
        words = [text.get_text() for text in (*figure.texts, *figure.axes[0].texts)]
        assert not any(name in text for text in words)
        assert any("a nam…" in text for text in words)
        rendered(figure, tmp_path)


def test_a_tall_picture_can_be_drawn():
    figure = plots.manifold(np.zeros((4, 4000, 2, 1), "float32"))
    assert figure.get_figheight() * plots.DPI < 2**16


def test_few_images_fill_the_picture(tmp_path):
    images = np.zeros((6, 8, 8, 3), "uint8")
    for figure in (plots.data(images), plots.reconstructions(images, images / 255)):
        assert (rendered(figure, tmp_path).max(axis=2) < 0.02).mean() > 0.6


def test_interpolation_lies_between_the_originals(tmp_path):
    figure = plots.interpolation(ramp(0.0), ramp(0.9), ramp([0.2, 0.4, 0.6]))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["original", "0%", "50%", "100%", "original"]
    picture = rendered(figure, tmp_path)
    assert shades_of(picture[-20, :, 0]) == [0.0, 0.2, 0.4, 0.6, 0.9]


def test_traversal_has_a_row_for_each_latent(tmp_path):
    figure = plots.traversal(ramp([0.2, 0.4], [0.5, 0.7]), ["z 3\n2.0 nats", "z 1"], (-1, 1))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["-1", "+1", "z 3\n2.0 nats", "z 1"]
    picture = rendered(figure, tmp_path)
    assert shades_of(picture[-20, 60:, 0])[-2:] == [0.5, 0.7]


def test_the_manifold_is_a_square_without_gaps(tmp_path):
    picture = rendered(plots.manifold(np.zeros((9, 8, 8, 1), "float32")), tmp_path)
    assert (picture.max(axis=2) < 0.02).mean() > 0.9


@pytest.mark.parametrize("latent_dim", [1, 2, 70])
def test_latents_come_in_the_order_of_their_kl(tmp_path, latent_dim):
    rng = np.random.default_rng(0)
    spread = np.linspace(0.1, 2, latent_dim)
    z_mean = rng.standard_normal((300, latent_dim)) * spread
    figure = plots.latents(z_mean, np.full(z_mean.shape, -4.0))
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert len(heights) == min(latent_dim, 64) and heights == sorted(heights, reverse=True)
    expected = 0.5 * np.mean(z_mean**2 + np.exp(-4.0) - 1 + 4, axis=0)
    assert heights[0] == pytest.approx(expected.max())
    title = figure.axes[0].get_title(loc="left")
    assert f"{expected.sum():.4g} nats" in title
    assert ("64 of 70 shown" in title) == (latent_dim == 70)
    assert len(figure.axes[1].lines) == 2  # the prior's range
    if latent_dim == 2:
        labels = [label.get_text() for label in figure.axes[1].get_xticklabels()]
        assert labels == ["2", "1"]
    rendered(figure, tmp_path)


def test_latents_of_an_autoencoder_have_a_variance(tmp_path):
    z = np.random.default_rng(0).standard_normal((300, 3)) * [1, 5, 2]
    figure = plots.latents(z)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx(sorted(z.var(axis=0), reverse=True))
    assert not figure.axes[1].lines  # there is no prior to compare with
    rendered(figure, tmp_path)


def test_samples_of_two_kinds_are_named(tmp_path):
    blocks = {"prior": np.zeros((5, 8, 8, 1)), "mixture": np.full((4, 8, 8, 1), 0.5)}
    figure = plots.samples(blocks, columns=4)
    assert [text.get_text() for text in figure.axes[0].texts] == ["prior", "mixture"]
    picture = rendered(figure, tmp_path)
    shades = shades_of(picture[40:, 60, 0])
    assert shades == [0.0, 0.0, 0.5]


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_goes_there_and_back(kind):
    shades = np.arange(4, dtype="uint8")[:, None, None, None] * 60
    for images in (np.zeros((4, 8, 6, 1), "uint8") + shades, np.zeros((4, 8, 6, 3)) + shades / 255):
        content = plots.animation(images, kind, side=16)
        with Image.open(io.BytesIO(content)) as picture:
            assert (picture.format, picture.n_frames) == (kind.upper(), 6)
            assert picture.size == (12, 16)
            found, durations = [], []
            for frame in range(6):
                picture.seek(frame)
                found.append(np.asarray(picture.convert("L")).mean())
                durations.append(picture.info["duration"])
        assert found == pytest.approx([0, 60, 120, 180, 120, 60], abs=2)
        assert durations == [600, 90, 90, 600, 90, 90]
