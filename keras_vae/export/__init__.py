"""Export: a run as graphs that other programs can use, without Keras and without this package."""

from keras_vae.export.folder import FORMATS as FORMATS
from keras_vae.export.folder import write as write
from keras_vae.export.half import halve as halve
from keras_vae.export.parts import parts_of as parts_of
