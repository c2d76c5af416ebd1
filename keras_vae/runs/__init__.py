"""Run folders: created by train.py, found and loaded by the commands, the demo and Python code."""

from keras_vae.runs.config import load_data as load_data
from keras_vae.runs.files import FILES as FILES
from keras_vae.runs.hub import push as push
from keras_vae.runs.packing import pack as pack
from keras_vae.runs.run import SOURCES as SOURCES
from keras_vae.runs.run import Run as Run
from keras_vae.runs.run import load as load
from keras_vae.runs.run import load_model as load_model
from keras_vae.runs.tensorboard import TensorBoard as TensorBoard
from keras_vae.start.folders import completed as completed
from keras_vae.start.folders import create as create
from keras_vae.start.folders import find as find
