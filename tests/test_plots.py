import numpy as np
import pytest

from keras_vae import plots


def rendered(figure, tmp_path):
    """The picture a figure is saved as, pixels in [0, 1]."""
    from matplotlib.image import imread

    figure.savefig(tmp_path / "figure.png")
    return imread(tmp_path / "figure.png")[..., :3]


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
def test_latent_draws_every_group(tmp_path, latent_dim):
    codes = np.random.default_rng(0).standard_normal((50, latent_dim))
    figure = plots.latent(codes, np.arange(50) % 2, ["no", "yes"], "by answer")
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
    figure = plots.latent(codes, np.arange(40) % 4, names, "by '$5^^'")
    rendered(figure, tmp_path)
    shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert len(shown) == 4 and "_hidden" in shown


def test_data_shows_every_image(tmp_path):
    picture = rendered(plots.data(np.zeros((24, 8, 8, 1), "uint8")), tmp_path)
    assert picture.shape[1] == 8 * plots.DPI
    assert (picture.max(axis=2) < 0.02).mean() > 0.45
