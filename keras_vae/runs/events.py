"""Event files, which TensorBoard shows."""

import contextlib
import io
import time
from pathlib import Path

from PIL import Image

from keras_vae.start.backends import hidden

VERSION = "brain.Event:2"  # of the format


class Events:
    """An event file in a folder, made when the first step is written.

    tensorboardX's own writer works in another thread, for which training would wait for ever if it
    had ended, as on a full disk. So only its records and messages are used here.

    Args:
        folder: The folder of the file; it is created.
        last_step: The number of steps that were done before. TensorBoard drops what other files in
            the folder have of later ones: those of a process that was killed, which are repeated.
    """

    def __init__(self, folder, last_step=0):
        with hidden("torch"):  # tensorboardX would load it, which takes seconds
            import tensorboardX  # noqa: F401

        self.folder, self.last_step = Path(folder), last_step
        self.file, self.failed = None, False

    def write(self, step, numbers, pictures):
        """Writes a step to the disk.

        Args:
            step: The number of steps that are done.
            numbers: A dict of float by name.
            pictures: A dict of uint8 arrays ``(height, width, 3)`` by name.

        Raises:
            OSError: If that fails. `failed` is then True, and nothing more can be written.
        """
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in numbers.items()]
        for tag, picture in pictures.items():
            height, width, colours = picture.shape
            image = Summary.Image(height=height, width=width, colorspace=colours)
            image.encoded_image_string = png(picture)
            values.append(Summary.Value(tag=tag, image=image))
        try:
            if self.file is None:
                self._open()
                self._add(Event(file_version=VERSION))
                start = SessionLog(status=SessionLog.START)
                self._add(Event(step=self.last_step + 1, session_log=start))
            self._add(Event(step=step, summary=Summary(value=values)))
            self.file.flush()
        except OSError:
            self.failed = True
            self.close()
            raise

    def close(self):
        if self.file is not None:
            with contextlib.suppress(OSError):  # it has been reported
                self.file.close()

    def _open(self):
        from tensorboardX import RecordWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names.
        self.file = RecordWriter(str(self.folder / f"events.out.tfevents.{time.time_ns()}"))

    def _add(self, event):
        event.wall_time = time.time()
        self.file.write(event.SerializeToString())


def png(picture):
    """Returns the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()
