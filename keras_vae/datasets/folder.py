"""A folder of pictures as a data set."""

import os
from collections import Counter
from pathlib import Path

import numpy as np

from keras_vae.datasets import pictures, table
from keras_vae.datasets.attributes import Attributes
from keras_vae.datasets.source import Source, in_parallel, part_called

LARGEST_NATURAL = 64  # side in pixels up to which images keep their size by default
LOOKED_AT = 64  # number of files that determine colour and size


def source(
    path, image_size=None, resize="crop", attributes_file=None, group=None, cut_scores=False
):
    """Returns the `Source` of a folder.

    Folders called train, validation (or val) and test are the parts, if there are no pictures
    beside them. Inside each part, or inside `path` if there are no parts, each folder with
    pictures is a class. A folder that contains all pictures is ignored.

    Args:
        path: The folder; pictures may lie at any depth. Hidden files are ignored.
        image_size: ``(height, width)``; None keeps small pictures of equal size and makes all
            others 64 x 64. About 64 of them are inspected for size and colour: if these are all
            grey, the set is grey.
        resize: See `pictures.read`.
        attributes_file: See `table.read`.
        group: The group column of that file: rows with the same value stay in one part.
        cut_scores: See `table.read`.

    Raises:
        ValueError: If there are no pictures, or the attributes file does not match them.
    """
    path = Path(path).expanduser().resolve()
    if attributes_file is not None:
        attributes_file = Path(attributes_file).expanduser()
    found, skipped, ignored = find_files(path, attributes_file)
    if not found:
        unusable = sorted(skipped | ignored)[:3]
        others = f" Found: {', '.join(unusable)}, ..." if unusable else ""
        raise ValueError(f"There are no images in the folder {path}.{others}")
    files = [file for file, *_ in found]
    columns, groups, attributes = {}, None, Attributes()
    if attributes_file is not None:
        lines = table.read(attributes_file, cut_scores)
        rows, attributes = lines.rows_of(files), lines.attributes
        skipped |= {
            file: "no line in the attributes file" for file, row in zip(files, rows) if row < 0
        }
        if not (rows >= 0).any():
            raise ValueError(
                f"The attributes file {attributes_file} names none of the images in {path}. It "
                f"has {', '.join(list(lines.files)[:2])}, ...; the folder has {files[0]}, ..."
            )
        found = [item for item, row in zip(found, rows) if row >= 0]
        files, rows = [file for file, *_ in found], rows[rows >= 0]
        columns |= attributes.columns(rows)
        if group is not None:
            if group not in lines.columns:
                raise ValueError(
                    f"There is no column {group!r} in {attributes_file}. "
                    f"There are: {', '.join(lines.columns)}"
                )
            names = np.array(lines.columns[group])[rows]
            # An image without a value is a group of its own.
            groups = np.array([name or f"\0{file}" for name, file in zip(names, files)])
    parts, folders = part_and_class(files)
    label_names = tuple(sorted(set(folders)))
    if len(label_names) > 1:
        columns["labels"] = np.searchsorted(label_names, folders)
    image_shape = choose_shape(path, files, image_size)

    def decode(rows):
        for row in rows:
            try:
                yield row, {"images": pictures.read(path / files[row], image_shape, resize)}
            except ValueError as error:
                yield row, str(error)

    return Source(
        path.name,
        place={
            "folder": str(path),
            "size": image_shape,
            "resize": resize,
            "attributes_file": attributes_file and str(attributes_file),
        },
        content=found,
        image_shape=image_shape,
        parts=np.array(parts),
        decode=lambda rows: in_parallel(decode, rows),
        columns=columns,
        label_names=label_names if "labels" in columns else (),
        attribute_names=attributes.names,
        groups=groups,
        files=files,
        skipped=skipped,
        ignored=ignored,
        unused={name: why for name, why in attributes.unused.items() if name != group},
        cuts=attributes.cuts,
    )


def find_files(path, attributes_file):
    """Returns possible pictures, and for each other file why it is skipped or ignored.

    Each possible picture is ``[relative path, bytes, times of change]``; they are sorted.
    """
    endings = pictures.endings()
    table = attributes_file and os.path.realpath(attributes_file)
    found, skipped, ignored = [], {}, {}
    seen, folders = {}, [""]
    while folders:
        relative = folders.pop()
        real = os.path.realpath(path / relative)
        if real in seen:  # links can go in circles
            ignored[relative] = f"the same folder as {seen[real] or '.'}"
            continue
        seen[real] = relative
        try:
            entries = sorted(os.scandir(path / relative), key=lambda entry: entry.name)
        except OSError as error:
            problem = f"The folder {path / relative} cannot be read: {error.strerror}"
            raise ValueError(problem) from None
        for entry in entries:
            name = f"{relative}{entry.name}"
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            ending = os.path.splitext(entry.name)[1].lower()
            try:
                status = None if entry.is_dir() else entry.stat()
                if status is None:  # links last: a folder found twice keeps its real name
                    folders.insert(0 if entry.is_symlink() else len(folders), f"{name}/")
                elif not entry.is_file():
                    skipped[name] = "not a file"
                elif ending in endings or (not ending and is_picture(entry.path)):
                    times = status.st_mtime_ns, status.st_ctime_ns
                    found.append([name, status.st_size, *times])
                elif os.path.realpath(entry.path) != table:
                    ignored[name] = "not an image"
            except OSError as error:
                skipped[name] = error.strerror
    return sorted(found), skipped, ignored


def is_picture(path):
    try:
        pictures.look(path)
    except ValueError:
        return False
    return True


def part_and_class(files):
    """Returns for each relative path its part (or ``""``) and its class (the name of a folder).

    Raises `ValueError` if there are pictures beside a train and a test folder.
    """
    folders = without_common([file.split("/")[:-1] for file in files])
    parts = [part_called(names[0]) if names else None for names in folders]
    if all(parts):
        folders = without_common([names[1:] for names in folders])
    elif {"train", "test"} <= set(parts):
        beside = files[parts.index(None)]
        raise ValueError(
            f"There are folders train and test, and {beside} beside them. Move it away, or rename "
            "the folders if they are classes"
        )
    else:
        parts = [""] * len(files)
    return parts, [names[0] if names else "(none)" for names in folders]


def without_common(folders):
    """Returns the paths without the leading folders they all share, keeping parts."""
    while all(folders) and len({names[0] for names in folders}) == 1:
        if part_called(folders[0][0]):
            break
        folders = [names[1:] for names in folders]
    return folders


def choose_shape(path, files, image_size):
    """Returns the image shape, from the colour and size of a sample of the pictures."""
    step = -(-len(files) // LOOKED_AT)
    shapes, problems = Counter(), {}
    for file in files[::step]:
        try:
            shapes[pictures.look(path / file)] += 1
        except ValueError as error:
            problems[file] = error
    if not shapes:
        file, problem = next(iter(problems.items()))
        raise ValueError(f"No image in {path} can be read, for example {file}: {problem}")
    channels = max(shape[2] for shape in shapes)
    sizes = {shape[:2] for shape in shapes}
    if image_size is None:
        natural = next(iter(sizes))
        is_natural = len(sizes) == 1 and max(natural) <= LARGEST_NATURAL
        image_size = natural if is_natural else (LARGEST_NATURAL, LARGEST_NATURAL)
    return (*image_size, channels)
