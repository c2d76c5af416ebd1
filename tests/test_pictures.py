"""Picture files of every kind: what the model gets to see of them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_vae.datasets import pictures

pytestmark = pytest.mark.once

RED, GREEN, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (255, 255, 255), (0, 0, 0)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(size=(8, 8)):
    """An RGB image, left half red and right half green."""
    image = Image.new("RGB", size, RED)
    image.paste(GREEN, (size[0] // 2, 0, *size))
    return image


def read(content, shape=(8, 8, 3), resize="crop"):
    return pictures.read(content, shape, resize)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA", "WEBP", "JPEG", "GIF", "ICO"])
def test_formats(kind):
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    content = encoded(halves((16, 16)), kind, **lossless.get(kind, {}))
    image = read(content, (16, 16, 3)).astype(int)
    assert image.shape == (16, 16, 3)
    np.testing.assert_allclose(image, np.asarray(halves((16, 16))), atol=3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LAB"])
def test_modes_keep_their_brightness(mode):
    kind = "TIFF" if mode in ("CMYK", "LAB") else "PNG"
    image = Image.new("L", (8, 8), 255).convert("RGB")
    lab = Image.new("LAB", (8, 8), (255, 128, 128))  # Pillow does not convert to it
    image = lab if mode == "LAB" else image.convert(mode)
    assert (read(encoded(image, kind)) > 250).all()


@pytest.mark.parametrize(
    "values, expected",
    [
        (np.full((8, 8), 32768, "uint16"), 127.5),
        (np.full((8, 8), 255, "uint16"), 1),
        (np.full((8, 8), 0.25, "float32"), 63.75),
        (np.full((8, 8), 30000, "int32"), 116.7),
    ],
)
def test_more_than_8_bits_are_scaled_not_cut(values, expected):
    content = encoded(Image.fromarray(values), "TIFF")
    assert read(content, (8, 8, 1)).mean() == pytest.approx(expected, abs=1)
    assert read(content).mean() == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    "value, kind, highest",
    [(np.nan, "float32", 1), (-1, "float32", 1), (1.01, "float32", 1), (70000, "int32", 65535)],
)
def test_values_that_are_no_grey_are_refused(value, kind, highest):
    content = encoded(Image.fromarray(np.full((8, 8), value, kind)), "TIFF")
    with pytest.raises(ValueError, match=f"expected 0 to {highest}"):
        read(content)


def test_transparent_16_bits_are_white():
    image = Image.fromarray(np.full((8, 8), 500, "uint16"))
    assert (read(encoded(image, transparency=500)) == 255).all()


def test_nothing_is_handed_to_another_program():
    """PostScript would be read by starting Ghostscript, whatever the file is called."""
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
    with pytest.raises(ValueError, match="not an image"):
        read(content)
    assert ".eps" not in pictures.endings() and {".png", ".jpg"} <= pictures.endings()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_is_white(mode):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    pixels = read(encoded(image.convert(mode) if mode != "P" else image.quantize()))
    assert (pixels[:, :4] < 5).all() and (pixels[:, 4:] > 250).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation, tmp_path):
    """Each file is stored turned or mirrored, with the entry that undoes it."""
    wide = halves((16, 8))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # the entry says: turn by 270 degrees, anticlockwise
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = wide.transpose(undo[orientation]) if orientation > 1 else wide
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "TIFF"):
        (tmp_path / "picture").write_bytes(encoded(stored, kind, exif=exif))
        assert pictures.look(tmp_path / "picture") == (8, 16, 3)
        np.testing.assert_array_equal(read(tmp_path / "picture", (8, 16, 3)), np.asarray(wide))


def test_of_an_animation_the_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (read(content) == RED).all()


def test_crop_cuts_the_sides_and_pad_adds_black():
    image = Image.new("RGB", (40, 10), RED)
    image.paste(WHITE, (15, 0, 25, 10))
    assert (read(encoded(image), (8, 8, 3))[:, 1:-1] > 200).all()  # only the middle
    padded = read(encoded(image), (40, 40, 3), "pad")
    assert (padded[:15] == BLACK).all() and (padded[25:] == BLACK).all()
    np.testing.assert_array_equal(padded[15:25], np.asarray(image))


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
@pytest.mark.parametrize("resize", ["crop", "pad"])
def test_a_line_of_pixels_is_an_image(size, resize):
    image = read(encoded(Image.new("RGB", size, WHITE)), (8, 8, 3), resize)
    assert (image == WHITE).any()


def test_a_large_jpeg_is_the_same_however_it_is_decoded():
    """Decoding at an eighth of the size saves time and must not move anything."""
    large = halves((1600, 1200))
    np.testing.assert_allclose(
        read(encoded(large, "JPEG", quality=95), (12, 16, 3)).astype(int),
        read(encoded(large), (12, 16, 3)),
        atol=12,
    )


def png_header(width, height):
    """The beginning of a PNG that claims to be that large."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + crc


@pytest.mark.parametrize("side", [10_000, 100_000])
def test_decompression_bombs_are_refused_before_decoding(side):
    with pytest.raises(ValueError, match=r"refused: .*more than 89,478,485"):
        read(png_header(side, side) + encoded(halves())[33:])


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not an image"),
        (b"just text", "not an image"),
        (b"<html></html>" * 20, "not an image"),
        (encoded(halves())[:40], "broken|not an image"),
        (encoded(halves((64, 64)), "JPEG")[:500], "broken: .*[Tt]runcated"),
        (b"GIF89a", "not an image|broken"),
    ],
)
def test_what_cannot_be_read_says_why(content, message):
    with pytest.raises(ValueError, match=message):
        read(content)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read(tmp_path / "a.png")
