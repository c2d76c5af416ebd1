"""Evaluation of models: functions from a model and arrays to numbers."""

from keras_vae.evaluate.classifiers import Classifier as Classifier
from keras_vae.evaluate.classifiers import train_classifier as train_classifier
from keras_vae.evaluate.disentanglement import dci as dci
from keras_vae.evaluate.disentanglement import disentanglement_report as disentanglement_report
from keras_vae.evaluate.disentanglement import mutual_information_gap as mutual_information_gap
from keras_vae.evaluate.disentanglement import sap as sap
from keras_vae.evaluate.edits import choose_methods as choose_methods
from keras_vae.evaluate.edits import edit_report as edit_report
from keras_vae.evaluate.fit import bits_per_dim as bits_per_dim
from keras_vae.evaluate.fit import fit_report as fit_report
from keras_vae.evaluate.fit import mean_squared_error as mean_squared_error
from keras_vae.evaluate.fit import psnr as psnr
from keras_vae.evaluate.fit import ssim as ssim
from keras_vae.evaluate.fit import test_metrics as test_metrics
from keras_vae.evaluate.intervals import wilson as wilson
from keras_vae.evaluate.latents import active_units as active_units
from keras_vae.evaluate.latents import advice as advice
from keras_vae.evaluate.latents import elbo_surgery as elbo_surgery
from keras_vae.evaluate.latents import latents_report as latents_report
from keras_vae.evaluate.linear import LinearModel as LinearModel
from keras_vae.evaluate.samples import frechet_distance as frechet_distance
from keras_vae.evaluate.samples import precision_recall as precision_recall
from keras_vae.evaluate.samples import sample_report as sample_report
from keras_vae.evaluate.samples import two_sample_accuracy as two_sample_accuracy
from keras_vae.evaluate.scores import anomaly_scores as anomaly_scores
from keras_vae.evaluate.scores import value_losses as value_losses
