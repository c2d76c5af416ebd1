"""Restrictions beyond Gradio's own: which files a request may name, how long files are kept."""

import contextlib
import os
import threading
import time
import weakref

import gradio as gr
from gradio import utils
from gradio_client.utils import is_http_url_like

from keras_vae.demo import pictures

CLEAN_EVERY, KEEP = 600, 3600  # seconds; visitors' pictures are removed after an hour


def own_file(payload):
    """Returns the path of an upload. Gradio itself checks only paths in its own client's form.

    Raises:
        gr.Error: If the path is not that of an upload.
    """
    if payload is None or payload.path is None:
        return None
    if not utils.is_in_or_equal(payload.path, utils.get_upload_folder()):
        raise gr.Error("Expected an uploaded picture", print_exception=False)
    return payload.path


def refuse_addresses(page):
    """Makes a page reject URLs as inputs; Gradio would download them, however large they are."""

    def of_files_only(move):
        async def moved(path):
            if is_http_url_like(str(path or "")):
                text = "Expected an uploaded picture, not a URL"
                raise gr.Error(text, print_exception=False)
            return await move(path)

        return moved

    for block in page.blocks.values():
        move = block.async_move_resource_to_block_cache
        block.async_move_resource_to_block_cache = of_files_only(move)


def keep_clean(page):
    """Starts a thread that removes visitors' files, until the page is deleted.

    Gradio's own `delete_cache` stops permanently if a request arrives at the wrong moment.
    """

    def clean(page):
        while True:
            time.sleep(CLEAN_EVERY)
            if (alive := page()) is None:
                return
            remove_old(alive, KEEP)
            del alive

    threading.Thread(target=clean, args=(weakref.ref(page),), daemon=True).start()


def remove_old(page, age):
    """Removes files of requests older than `age` seconds, but none of the page's own files."""
    pictures.read.cache_clear()  # the decoded files as well
    kept = set().union(*(block.keep_in_cache for block in page.blocks.values()))
    for files in page.temp_file_sets:
        for path in frozenset(files) - kept:  # a copy, since requests add to the set meanwhile
            with contextlib.suppress(OSError):
                if time.time() - os.lstat(path).st_ctime > age:
                    os.remove(path)
                    os.rmdir(os.path.dirname(path))  # each file has a folder of its own
            if not os.path.exists(path):
                files.discard(path)
