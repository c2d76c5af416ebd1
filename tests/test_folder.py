"""A folder of pictures, with and without an attributes file."""

import os

import pytest
from PIL import Image

from keras_vae import datasets
from keras_vae.datasets import table
from keras_vae.start.program import shown

pytestmark = pytest.mark.once


def fill(folder, names, size=(8, 8)):
    """Writes pictures of one shade each: the number of its name in `names`."""
    for shade, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, shade).save(path)


def shades(split):
    """The shade of each picture, which says which file it is."""
    assert (split.images == split.images[:, :1, :1]).all()
    return split.images[:, 0, 0, 0].tolist()


def all_shades(data):
    return sorted(
        shade for p in ("train", "validation", "test") for shade in shades(getattr(data, p))
    )


def test_nested_folders_become_classes(tmp_path):
    names = [f"pets/{kind}/{i % 3}/{i}.png" for kind in ("cat", "dog") for i in range(20)]
    fill(tmp_path, names)
    data = datasets.load(tmp_path)
    assert data.name == tmp_path.name
    assert data.label_names == data.attribute_names == ("cat", "dog")
    assert (len(data.train), len(data.validation), len(data.test)) == (33, 3, 4)
    assert all_shades(data) == list(range(40))
    for split in (data.train, data.validation, data.test):
        for shade, label, attributes in zip(shades(split), split.labels, split.attributes):
            assert label == (shade >= 20)
            assert attributes.tolist() == [label == 0, label == 1]


def test_a_class_named_like_a_column_counts_once(tmp_path):
    fill(tmp_path, [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(20)])
    lines = ["file,cat", *(f"{kind}/{i}.png,{i % 2}" for kind in ("cat", "dog") for i in range(20))]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    data = datasets.load(tmp_path, attributes_file=tmp_path / "list.csv")
    assert data.attribute_names == ("cat", "dog")  # the column, and the other class
    for shade, attributes in zip(shades(data.train), data.train.attributes):
        assert attributes.tolist() == [shade % 2 == 1, shade >= 20]


@pytest.mark.parametrize("validation", ["validation", "val", "Valid"])
def test_folders_of_parts_are_honoured(tmp_path, validation):
    names = [
        f"{part}/{kind}/{i}.png"
        for part in ("train", validation, "test")
        for kind in "ab"
        for i in range(3)
    ]
    fill(tmp_path, names)
    data = datasets.load(tmp_path)
    assert [sorted(shades(s)) for s in (data.train, data.validation, data.test)] == [
        list(range(6)),
        list(range(6, 12)),
        list(range(12, 18)),
    ]
    assert data.label_names == ("a", "b")


def test_parts_in_a_folder_and_beside_other_files(tmp_path):
    names = [f"data/{part}/{i}.png" for part in ("train", "test") for i in range(10)]
    fill(tmp_path, names)
    (tmp_path / "LICENSE").write_text("text")
    (tmp_path / "data" / "README").write_text("text")
    data = datasets.load(tmp_path)
    assert sorted(shades(data.test)) == list(range(10, 20)) and data.label_names == ()
    assert data.skipped == {"LICENSE": "not an image", "data/README": "not an image"}
    fill(tmp_path, ["data/cover.png"])
    with pytest.raises(ValueError, match=r"folders train and test, and data/cover.png beside"):
        datasets.load(tmp_path)


def test_a_link_to_a_class_is_not_another_class(tmp_path):
    fill(tmp_path, [f"{kind}/{i}.png" for kind in "bc" for i in range(6)])
    os.symlink(tmp_path / "b", tmp_path / "a")
    data = datasets.load(tmp_path)
    assert data.label_names == ("b", "c") and data.skipped == {"a/": "the same folder as b/"}


def test_given_parts_are_in_random_order(tmp_path):
    names = [
        f"{part}/{k}/{i}.png" for part in ("train", "val", "test") for k in "ab" for i in range(30)
    ]
    fill(tmp_path, names)
    data = datasets.load(tmp_path, limit=20)
    for split in (data.train, data.validation, data.test[:20]):
        assert 3 < split.labels.sum() < 17


def test_a_picture_without_an_ending_is_read(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(9)])
    (tmp_path / "0.png").rename(tmp_path / "zero")
    assert all_shades(datasets.load(tmp_path)) == list(range(9))


def test_the_share_of_unusable_files_does_not_depend_on_the_limit(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(35)])
    file = write(tmp_path / "list.csv", CSV)  # names 30 of them
    for limit in (3, None):
        assert len(datasets.load(tmp_path, limit, attributes_file=file).skipped) == 5


def test_a_class_called_train_is_a_class(tmp_path):
    fill(tmp_path, [f"{kind}/{i}.png" for kind in ("train", "plane") for i in range(9)])
    assert datasets.load(tmp_path).label_names == ("plane", "train")


def test_a_flat_folder_has_no_classes(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(12)])
    data = datasets.load(tmp_path)
    assert data.label_names == data.attribute_names == ()
    assert data.train.labels is data.train.attributes is None


def test_the_natural_size_and_colour(tmp_path):
    fill(tmp_path / "small", [f"{i}.png" for i in range(5)], size=(20, 10))
    assert datasets.load(tmp_path / "small").image_shape == (10, 20, 1)
    fill(tmp_path / "large", [f"{i}.png" for i in range(5)], size=(200, 100))
    Image.new("RGB", (300, 300), (1, 2, 3)).save(tmp_path / "large" / "5.jpg")
    assert datasets.load(tmp_path / "large").image_shape == (64, 64, 3)
    data = datasets.load(tmp_path / "large", image_size=(16, 24), resize="pad")
    assert data.image_shape == (16, 24, 3)
    assert datasets.load(tmp_path / "large", image_size=16).image_shape == (16, 16, 3)


def test_what_cannot_be_used_is_skipped_and_named(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(30)])
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(whole[:45])
    (tmp_path / "4.png").write_bytes(b"")
    (tmp_path / "5.png").write_text("a text")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden.png").write_text("left alone")
    os.symlink("nowhere", tmp_path / "link.png")
    os.symlink(tmp_path, tmp_path / "circle")
    os.symlink("itself.png", tmp_path / "itself.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "page.html").write_text("<html>")
    data = datasets.load(tmp_path)
    assert all_shades(data) == [shade for shade in range(30) if shade not in (3, 4, 5)]
    assert set(data.skipped) == {
        "3.png",
        "4.png",
        "5.png",
        "notes.txt",
        "link.png",
        "pipe.png",
        "deep/page.html",
        "itself.png",
        "circle/",
    }
    assert "truncated" in data.skipped["3.png"].lower()
    assert data.skipped["4.png"] == data.skipped["5.png"] == "not an image in a supported format"
    assert data.skipped["notes.txt"] == "not an image"
    assert data.skipped["link.png"] == "No such file or directory"
    assert data.skipped["pipe.png"] == "not a file"
    assert data.skipped["circle/"] == "the same folder as ."
    assert "symbolic links" in data.skipped["itself.png"]


def test_with_a_limit_and_broken_files(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(100)])
    for i in range(0, 100, 10):
        (tmp_path / f"{i}.png").write_bytes(b"")
    data = datasets.load(tmp_path, limit=20)
    assert 10 <= len(data.train) <= 20
    assert all(shades(split) for split in (data.train, data.validation, data.test))


def test_too_many_broken_files_or_none_readable(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(12)])
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"4 of 12 images in .* cannot be used, for example .*\.png"
    ):
        datasets.load(tmp_path)
    for i in range(12):
        (tmp_path / f"{i}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"No image in .* can be read, for example 0.png"):
        datasets.load(tmp_path)


def test_a_folder_without_images(tmp_path):
    with pytest.raises(ValueError, match="There are no images in the folder"):
        datasets.load(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match=r"There are no images in the folder .*Found: a.txt"):
        datasets.load(tmp_path)


# Attribute files


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


CSV = "name,file,Smiling,glasses,age\n" + "".join(
    f"Ann,{i}.png,{i % 2},{'yes' if i % 3 else 'no'},{i}\n" for i in range(30)
)
CELEBA = "30\nSmiling glasses\n" + "".join(
    f"{i}.png  {1 if i % 2 else -1} {1 if i % 3 else -1}\n" for i in range(30)
)


@pytest.mark.parametrize(
    "text",
    [
        CSV,
        CELEBA,
        "\ufeff" + CSV,
        CSV.replace(",", ";"),
        CSV.replace(",", "\t"),
        CSV.replace("\n", "\r\n"),
        CSV.replace(".png", ""),  # names without their ending
        CSV.replace("Ann", '"Ann, Bea"'),
        CSV.replace("Ann", '"Ann\n\u2028Bea"'),
    ],
    ids=["csv", "celeba", "bom", "semicolon", "tab", "crlf", "stem", "quoted", "lines"],
)
def test_attributes_come_from_a_file(tmp_path, text):
    fill(tmp_path, [f"faces/{i}.png" for i in range(30)])
    file = write(tmp_path / "list.csv", text)
    data = datasets.load(tmp_path, attributes_file=file)
    assert data.attribute_names == ("Smiling", "glasses") and data.skipped == {}
    for split in (data.train, data.validation, data.test):
        expected = [[shade % 2 == 1, shade % 3 > 0] for shade in shades(split)]
        assert split.attributes.tolist() == expected


def test_a_group_stays_together(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(60)])
    lines = "".join(f"{i}.png,person {i % 15},{i % 2}\n" for i in range(60))
    file = write(tmp_path / "list.csv", "file,person,smiling\n" + lines)
    data = datasets.load(tmp_path, attributes_file=file, group="person")
    assert data.attribute_names == ("smiling",)
    people = [{shade % 15 for shade in shades(s)} for s in (data.train, data.validation, data.test)]
    assert sum(map(len, people)) == 15 and all_shades(data) == list(range(60))


def test_images_without_a_line_are_skipped(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(31)])
    data = datasets.load(tmp_path, attributes_file=write(tmp_path / "list.csv", CSV))
    assert data.skipped == {"30.png": "no line in the attributes file"}
    assert 30 not in all_shades(data)


@pytest.mark.parametrize(
    "text, arguments, message",
    [
        (
            CSV,
            {"attributes": ["smilling"]},
            "no attribute 'smilling' in .* There are: Smiling, gla",
        ),
        (
            CSV,
            {"attributes": ["age"]},
            "no attribute 'age'.*must hold true or false only",
        ),
        (CSV, {"group": "persn"}, "no column 'persn' in .* There are: name, Smiling, glasses, age"),
        ("file,a\n", {}, "has column names and nothing below them"),
        (CSV + '"open', {}, "Line 32 of .* has 1 values"),
        (CSV + "x" * 200_000, {}, "cannot be read: field larger than field limit"),
        (CSV + "x\n", {}, "Line 32 of .* has 1 values; expected 5"),
        (CSV + "Bea,3.png,1,no,1\n", {}, "two lines for 3.png"),
        (CSV.replace(".png", ".jpeg").replace(",1", ",x1"), {}, "names none of the images"),
        ("", {}, "must begin with a line of distinct column names.*Received: nothing"),
        ("file,a,a\n", {}, "must begin with a line of distinct column names"),
        ("3\n", {}, "must begin with a line of distinct column names"),
        ("é,b\n".encode("latin-1"), {}, "not a text file in UTF-8"),
        (None, {}, "No such file"),
    ],
)
def test_a_bad_attributes_file(tmp_path, text, arguments, message):
    fill(tmp_path, [f"{i}.png" for i in range(30)])
    file = tmp_path / "list.csv"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    if text and "jpeg" in str(text):
        fill(tmp_path / "other", ["z.png"])
        arguments = {"name": tmp_path / "other"}
    with pytest.raises(ValueError, match=message):
        datasets.load(**{"name": tmp_path, "attributes_file": file, **arguments})


def test_a_name_without_folders_must_be_unique(tmp_path):
    file = write(tmp_path / "list.csv", "file,a\n1.png,1\nx/2.png,0\n")
    rows = table.read(file).rows_of(["x/1.png", "y/1.png", "x/2.png", "y/2.png", "z/3.png"])
    assert rows.tolist() == [-1, -1, 1, -1, -1]


# What is unknown, and scores


GAPS = "file,Smiling,score,age,name\n" + "".join(
    f"{i}.png,{['', 'NA', '1.000000', '0.0', '1', '0'][i % 6]},{i / 60:.2f},{i},Ann {i}\n"
    for i in range(60)
)


def test_unknown_cells_are_unknown(tmp_path):
    fill(tmp_path, [f"{'cat' if i < 30 else 'dog'}/{i}.png" for i in range(60)])
    data = datasets.load(tmp_path, attributes_file=write(tmp_path / "list.csv", GAPS))
    assert data.attribute_names == ("Smiling", "cat", "dog")
    assert data.unused == {
        "score": "numbers from 0 to 0.98",
        "age": "numbers from 0 to 59",
        "name": "text such as 'Ann 0'",
    }
    for split in (data.train, data.validation, data.test):
        for shade, has, known in zip(shades(split), split.attributes, split.known):
            assert has.tolist() == [shade % 6 in (2, 4), shade < 30, shade >= 30]
            assert known.tolist() == [shade % 6 > 1, True, True]
        part = split[:2]
        assert part.known.tolist() == split.known[:2].tolist()
    file = tmp_path / "list.csv"
    classes = datasets.load(tmp_path, attributes_file=file, attributes=["dog"])
    assert classes.train.known is None  # of what is kept, all is known


def test_scores_are_cut_only_if_asked(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(60)])
    file = write(tmp_path / "list.csv", GAPS)
    data = datasets.load(tmp_path, attributes_file=file, cut_scores=True, attributes=["score"])
    assert data.attribute_names == ("score",) and data.cuts == {"score": 0.5, "age": 29.5}
    unknown = 0
    for split in (data.train, data.validation, data.test):
        assert split.attributes[:, 0].tolist() == [shade > 30 for shade in shades(split)]
        unknown += 0 if split.known is None else (~split.known).sum()
    assert unknown == 1  # 0.50
    with pytest.raises(ValueError, match="The column 'score' is not used: numbers from 0 to 0"):
        datasets.load(tmp_path, attributes_file=file, attributes=["score"])
    with pytest.raises(ValueError, match="`cut_scores` refers to columns of `attributes_file`"):
        datasets.load(tmp_path, cut_scores=True)


def test_the_group_column_is_not_reported_as_unused(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(60)])
    file = write(tmp_path / "list.csv", GAPS)
    data = datasets.load(tmp_path, attributes_file=file, group="name")
    assert set(data.unused) == {"score", "age"}


def test_an_attributes_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    fill(tmp_path, [f"{i}.png" for i in range(30)])
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large.csv", "wb") as file:
        file.truncate(table.MOST_BYTES + 1)
    (tmp_path / "binary.csv").write_bytes(b"\x00\x01" * 9)
    monkeypatch.setattr(table.Path, "read_text", lambda *_, **__: pytest.fail("it was read"))
    for path, why in (
        ("/dev/zero", "it is not a regular file"),
        (tmp_path / "pipe", "it is not a regular file"),
        (tmp_path, "it is not a regular file"),
        (tmp_path / "large.csv", "it has 500 MB, more than 500"),
        (tmp_path / "binary.csv", "it is not a text file in UTF-8"),
        (tmp_path / "1.png", "it is not a text file in UTF-8"),
        (tmp_path / "none.csv", "No such file"),
    ):
        with pytest.raises(ValueError, match=f"attributes file {path} cannot be read: {why}"):
            datasets.load(tmp_path, attributes_file=path)


def test_errors_name_files_whatever_they_are_called(tmp_path):
    """The command line escapes line breaks, see `keras_vae.start.program.shown`."""
    folder = tmp_path / "two\nlines"
    fill(folder, ["a\rb.png"])
    (folder / "x.csv").write_text('file,"a\nb"\n1.png,1\n')
    for arguments in (
        {"name": folder},
        {"name": tmp_path / "no\nthing"},
        {"name": f"{folder}/a.npy"},
        {"name": folder, "attributes_file": folder / "none\u2028.csv"},
        {"name": folder, "attributes_file": folder / "x.csv"},
    ):
        with pytest.raises(ValueError) as error:
            datasets.load(**arguments)
        line = shown(error.value)
        assert line.isprintable() and r"\n" in line
