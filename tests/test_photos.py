"""Photos of any size: what the model sees of them, and how a change gets back into them."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_vae import photos
from keras_vae.datasets import pictures

pytestmark = pytest.mark.once


def noise(height, width):
    return np.random.default_rng(0).integers(60, 196, (height, width, 3), "uint8")


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_a_photo_is_read_in_full_and_upright():
    photo = noise(30, 50)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    lying = Image.fromarray(photo).transpose(Image.Transpose.ROTATE_90)
    np.testing.assert_array_equal(photos.read(encoded(lying, exif=exif)), photo)
    np.testing.assert_array_equal(photos.read(encoded(Image.fromarray(photo))), photo)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode):
    grey = Image.new("L", (9, 7), 255)
    white = np.full((7, 9), 65535, "uint16")
    image = Image.fromarray(white) if mode == "I;16" else grey.convert("RGB").convert(mode)
    photo = photos.read(encoded(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert photo.shape == (7, 9, 3) and photo.dtype == np.uint8 and (photo > 250).all()


def test_transparent_is_white():
    assert (photos.read(encoded(Image.new("RGBA", (9, 7), (0, 0, 0, 0)))) == 255).all()


@pytest.mark.parametrize(
    "shape, longest, expected",
    [
        ((300, 500), 100, (60, 100)),
        ((500, 300), 100, (100, 60)),
        ((1, 5000), 100, (1, 100)),
        ((30, 50), 50, (30, 50)),
        ((30, 50), 51, (30, 50)),
        ((30, 50), 10**9, (30, 50)),
        ((30, 50), 1, (1, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_photo_is_shrunk_and_never_enlarged(shape, longest, expected, kind):
    photo = np.full((*shape, 3), 200, "uint8")
    photo[: shape[0] // 2, : shape[1] // 2] = 50
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    lying = Image.fromarray(photo).transpose(Image.Transpose.ROTATE_90)
    read = photos.read(encoded(lying, kind, exif=exif), longest)
    assert read.shape == (*expected, 3) and read.dtype == np.uint8
    if min(expected) > 1:
        corners = read[2 : -1 : expected[0] - 5, 2 : -1 : expected[1] - 5].mean(axis=2)
        np.testing.assert_allclose(corners, [[50, 200], [200, 200]], atol=6)


def test_a_large_jpeg_is_the_same_however_it_is_decoded(monkeypatch):
    rows, columns = np.indices((1200, 1600)) / 1600
    photo = np.uint8(255 * np.stack([rows, columns, (rows * 40) % 1], axis=2))
    file = encoded(Image.fromarray(photo), "JPEG", quality=95)
    quick = photos.read(file, 160).astype(int)
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.draft", lambda *_: None)
    whole = photos.read(file, 160)
    assert quick.shape == (120, 160, 3)
    np.testing.assert_allclose(quick, whole, atol=8)


def test_transparent_stays_white_when_it_is_shrunk():
    image = Image.new("RGBA", (90, 70), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 45, 70))
    photo = photos.read(encoded(image), 9)
    assert photo.shape == (7, 9, 3)
    assert (photo[:, :2] < 5).all() and (photo[:, 7:] > 250).all()


def test_a_photo_with_more_pixels_than_wanted_is_refused_before_it_is_decoded():
    file = encoded(Image.fromarray(noise(30, 50)))
    assert photos.read(file, most_pixels=1500).shape == (30, 50, 3)
    with pytest.raises(ValueError, match=r"^refused: 50 x 30 pixels, more than 1,499$"):
        photos.read(file[:60], longest=10, most_pixels=1499)  # the pixels are not there
    for arguments in ({"longest": 0}, {"longest": 1.5}, {"most_pixels": 0}):
        with pytest.raises(ValueError, match="must be a positive integer"):
            photos.read(file, **arguments)


def test_what_is_no_photo_is_refused():
    with pytest.raises(ValueError, match="not an image"):
        photos.read(b"text")


def test_a_colour_profile_is_kept_if_it_means_the_same():
    for mode, expected in (("RGB", b"profile"), ("RGBA", b"profile"), ("L", None)):
        file = encoded(Image.new(mode, (4, 4)), icc_profile=b"profile")
        assert photos.colour_profile(file) == expected
    assert photos.colour_profile(encoded(Image.new("RGB", (4, 4)))) is None


def test_a_colour_profile_that_is_none_is_left_out():
    """A TIFF can have anything under the number of the profile, such as text."""
    from PIL import TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[34675], tags.tagtype[34675] = "not a profile", 2
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "TIFF", tiffinfo=tags)
    assert photos.colour_profile(file.getvalue()) is None


@pytest.mark.parametrize("resize", ["crop", "pad"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_model_sees_what_it_would_see_of_a_training_image(resize, channels):
    file, shape = encoded(Image.fromarray(noise(50, 90))), (16, 12, channels)
    image = photos.view(photos.read(file), shape, resize)
    np.testing.assert_array_equal(image, pictures.read(file, shape, resize))


@pytest.mark.parametrize(
    "photo, image, resize, expected",
    [
        ((600, 800), (64, 64), "crop", ((100, 0, 700, 600), (0, 0, 64, 64))),
        ((801, 600), (64, 64), "crop", ((0, 100.5, 600, 700.5), (0, 0, 64, 64))),
        ((64, 64), (64, 64), "crop", ((0, 0, 64, 64), (0, 0, 64, 64))),
        ((30, 30), (20, 40), "crop", ((0, 7.5, 30, 22.5), (0, 0, 40, 20))),
        ((300, 600), (64, 64), "pad", ((0, 0, 600, 300), (0, 16, 64, 48))),
        ((64, 64), (64, 64), "pad", ((0, 0, 64, 64), (0, 0, 64, 64))),
        ((1, 5000), (8, 8), "pad", ((0, 0, 5000, 1), (0, 3, 8, 4))),
    ],
)
def test_which_part_is_seen(photo, image, resize, expected):
    assert photos.seen((*photo, 3), (*image, 3), resize) == expected


@pytest.mark.parametrize("resize", ["crop", "pad"])
@pytest.mark.parametrize("shape", [(64, 64), (200, 333), (333, 200), (5, 9), (1, 300), (300, 1)])
def test_no_change_changes_nothing(shape, resize):
    photo = noise(*shape)
    changed = photos.add(photo, np.zeros((16, 12, 3), "float32"), resize)
    np.testing.assert_array_equal(changed, photo)
    assert changed is not photo


@pytest.mark.parametrize("resize", ["crop", "pad"])
def test_an_even_change_reaches_all_of_a_photo_of_the_same_proportions(resize):
    photo = noise(90, 120)
    changed = photos.add(photo, np.full((6, 8, 1), 10 / 255), resize)
    np.testing.assert_array_equal(changed, photo + 10)


def test_a_change_lands_where_the_model_saw_it():
    """A dot in the model's image: its centre in the photo is where the dot's pixel lies."""
    for shape, resize in (((200, 320), "crop"), ((321, 200), "crop"), ((200, 320), "pad")):
        photo = np.full((*shape, 3), 100, "uint8")
        change = np.zeros((16, 16, 3), "float32")
        change[6, 9] = 0.4
        changed = photos.add(photo, change, resize)[..., 0].astype(float) - 100
        weights = np.maximum(changed, 0)
        y, x = (np.sum(np.indices(shape) * weights, (1, 2)) / weights.sum()) + 0.5
        box, part = photos.seen(shape, (16, 16), resize)
        scale = (box[2] - box[0]) / (part[2] - part[0])
        assert x == pytest.approx(box[0] + (9.5 - part[0]) * scale, abs=0.3)
        assert y == pytest.approx(box[1] + (6.5 - part[1]) * scale, abs=0.3)
        seen_again = photos.view(photos.add(photo, change, resize), (16, 16, 3), resize)
        assert np.unravel_index(seen_again[..., 0].argmax(), (16, 16)) == (6, 9)


def test_a_change_fades_out_within_the_photo_and_not_at_its_edge():
    photo = np.full((100, 300, 3), 100, "uint8")  # the model sees 100..200
    changed = photos.add(photo, np.full((16, 16, 3), 50 / 255), "crop").astype(int) - 100
    assert (changed[:, :100] == 0).all() and (changed[:, 200:] == 0).all()
    assert (changed[:, 110:190] == 50).all()
    row = changed[0, 100:150, 0]
    assert row[0] <= 1 and (np.diff(row) >= 0).all()
    assert np.abs(np.diff(changed[50, :, 0])).max() < 10  # no step
    np.testing.assert_array_equal(changed, changed[:, ::-1])


def test_a_photo_smaller_than_the_model_and_too_bright_a_change():
    changed = photos.add(noise(7, 9), np.full((64, 64, 3), 9.0), "pad")
    assert (changed == 255).all()
    assert (photos.add(noise(7, 9), np.full((64, 64, 1), -9.0), "pad") == 0).all()
