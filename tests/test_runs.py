import csv
import json

import numpy as np
import pytest

from keras_vae import runs


def test_new_folders_never_collide(tmp_path):
    folders = {runs.create("faces", root=tmp_path) for _ in range(5)}
    assert len(folders) == 5
    assert all(folder.is_dir() and folder.name.startswith("faces-") for folder in folders)


def test_a_folder_with_files_is_refused_unless_it_may_be_overwritten(tmp_path):
    (tmp_path / "model.keras").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"is not empty.*--overwrite"):
        runs.create("faces", tmp_path)
    assert runs.create("faces", tmp_path, overwrite=True) == tmp_path
    assert (tmp_path / "model.keras").read_text() == "old"
    runs.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_impossible_folder_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        runs.create("faces", tmp_path / "file" / "run")


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "metrics.json"
    runs.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), runs.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_unfinished_files_can_be_removed(tmp_path):
    with runs.atomic(tmp_path / "model.keras") as temporary:
        temporary.write_text("half")
        runs.remove_temporary_files(tmp_path)
        assert not list(tmp_path.iterdir())
        temporary.write_text("whole")


def test_history_is_a_table_with_a_row_an_epoch(tmp_path):
    runs.write_history(tmp_path / "history.csv", {"loss": [2.5, 1.25], "val_loss": [3.0, 2.0]})
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert rows == [
        {"epoch": "1", "loss": "2.5", "val_loss": "3"},
        {"epoch": "2", "loss": "1.25", "val_loss": "2"},
    ]


def test_a_model_goes_there_and_back(make_vae, images, tmp_path):
    model = make_vae()
    model.fit(images, verbose=0)
    runs.save(tmp_path / "model.keras", model)
    loaded = runs.load_model(tmp_path)
    np.testing.assert_array_equal(loaded.reconstruct(images), model.reconstruct(images))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="There is no model in"):
        runs.load_model(tmp_path)
