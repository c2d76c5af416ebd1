"""Tables: files of rows, numbers for a model, and back."""

from keras_vae.tables.files import chunks as chunks
from keras_vae.tables.files import read as read
from keras_vae.tables.files import write as write
from keras_vae.tables.table import Column as Column
from keras_vae.tables.table import Table as Table
