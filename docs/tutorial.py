# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tutorial: from an autoencoder to "give a sad person a smile"
#
# You train an autoencoder, find out what it cannot do, turn it into a variational autoencoder
# (VAE), and use its latent space: new faces, a map of all faces, and a smile for a sad face. Next
# to each equation stands the code of the package that computes it. The pictures are drawn by the
# package, so nothing is downloaded, and everything together takes a few minutes on two CPU cores.
#
# You should know what a neural network and a gradient are, and have seen a normal distribution.
#
# This page is a run of the notebook `docs/tutorial.py`. To change things and see what happens, open
# that file in VS Code, or in Jupyter after `jupytext --to ipynb docs/tutorial.py` (extra `docs`).
#
# All three backends of Keras give the same results up to rounding. Which one is used is decided
# before Keras is imported:

# %%
import os

os.environ["KERAS_BACKEND"] = "jax"  # or "tensorflow", "torch": the only line to change

# %%
import inspect
import textwrap
from pathlib import Path

import keras
import numpy as np

import keras_vae
from keras_vae import datasets, evaluate, latent, plots

keras.utils.set_random_seed(0)


def source(code, first="", last=None):
    """Prints code of the package, or the part from one line to another, and where it lies."""
    print("#", Path(inspect.getfile(code)).relative_to(Path(keras_vae.__file__).parents[1]))
    lines = textwrap.dedent(inspect.getsource(code)).splitlines()
    start = next(i for i, line in enumerate(lines) if first in line)
    stop = len(lines) if last is None else next(i for i, line in enumerate(lines) if last in line)
    print(textwrap.dedent("\n".join(lines[start : stop + 1])))


# %% [markdown]
# ## 1. The data
#
# 4,000 drawn faces for training, others for validation and testing. Each is 64 x 64 pixels in
# three colours: 12,288 numbers. Each face also has attributes, such as `smiling`. Training a VAE
# does not use them; they are needed only later, to find out where smiling faces lie.

# %% picture="data" alt="Drawn faces with different skin, hair, glasses and mouths"
faces = datasets.load("faces", limit=4000)
plots.data(faces.train.images[:36])

# %% [markdown]
# ## 2. An autoencoder, and what it cannot do
#
# An **encoder** maps an image $x$ to a short **code** $z$, here two numbers. A **decoder** maps the
# code back to an image $x′$. Both are trained together, so that $x′$ is close to $x$. The loss of
# an image is the squared error, summed over its pixels:
#
# $$\Vert x - x′ \Vert^2 = \sum_i (x_i - x′_i)^2$$
#
# In the package the last layer of a decoder has no activation; the likelihood applies it
# (`self.mean` is a sigmoid) and computes the loss of each pixel:

# %% tags=["source"]
source(keras_vae.likelihoods.MSE.value_nats)

# %% picture="autoencoder" alt="Test faces, and below each a vague reconstruction"
encoder, decoder = keras_vae.build_mlp(
    faces.image_shape, latent_dim=2, hidden=(128,), variational=False
)
autoencoder = keras_vae.AutoEncoder(encoder, decoder, likelihood="mse")
autoencoder.compile("adam")
autoencoder.fit(faces.train.images, epochs=10, verbose=0)

some = faces.test.images[:12]
plots.reconstructions(some, autoencoder.reconstruct(some))

# %% [markdown]
# Two numbers keep little of a face, but they keep something: the colours of skin and hair, and how
# long the hair is. Where do the codes of real faces lie?

# %% picture="autoencoder-map" alt="Map of codes: a star with gaps; blond faces on one arm"
codes = autoencoder.encode(faces.test.images)
blond = faces.test.attributes[:, faces.attribute_names.index("blond_hair")].astype(int)
print("mean of the codes:              ", codes.mean(axis=0).round(1))
print("standard deviation of the codes:", codes.std(axis=0).round(1))
plots.latent_map(codes, blond, ["other", "blond hair"], "autoencoder")

# %% [markdown]
# On the arms of a star, with gaps between them. The loss only asks that codes can be decoded; it
# says nothing about where they are. So there is no way to draw a *new* face: of the codes that we
# make up, such as two standard normal numbers, some lie where no face has ever been.

# %% picture="autoencoder-samples" alt="Decoded random codes, some with blue hair"
rng = np.random.default_rng(0)
made_up = autoencoder.decode(rng.standard_normal((24, 2)))
plots.samples(made_up, title="The autoencoder: 24 random codes, decoded")

# %% [markdown]
# ## 3. Why constrain the latent space
#
# We want to know where the codes are, without gaps between them. So we ask for two things:
#
# - The encoder returns not a point but a small cloud around it, a normal distribution
#   $q(z|x) = N(\mu, \sigma^2)$. The decoder gets a random point of the cloud and must make do with
#   it: codes that are close to each other must mean similar images.
# - All clouds together should fill one known distribution, the **prior**
#   $p(z) = N(0, I)$. Whoever draws a code from it gets one that the decoder has been trained on.
#
# The price is some sharpness of the reconstruction. The balance between the two is not a matter of
# taste: it follows from probability, in section 6.

# %%
encoder, decoder = keras_vae.build_mlp(faces.image_shape, latent_dim=2, hidden=(128,))
vae = keras_vae.VAE(encoder, decoder, likelihood="mse", seed=0)
vae.compile("adam")
history = vae.fit(
    faces.train.images, validation_data=(faces.validation.images,), epochs=15, verbose=0
).history

# %% [markdown]
# ## 4. The encoder returns a mean and a log-variance
#
# For each latent the encoder returns two numbers: $\mu$, called `z_mean`, and $\log \sigma^2$,
# called `z_log_var`.

# %%
z_mean, z_log_var = vae.encode(faces.test.images)
print("z_mean of three faces:  ", *z_mean[:3].round(2))
print("z_log_var:              ", *z_log_var[:3].round(2))
print("sigma:                  ", *np.exp(z_log_var[:3] / 2).round(2))
print("all z_mean: mean        ", z_mean.mean(axis=0).round(2), "std", z_mean.std(axis=0).round(2))

# %% [markdown]
# **Why the logarithm?** The last layer of a network returns any real number, and a variance must be
# positive. The exponential of any real number is positive. Both signs are useful: a step of the
# optimizer multiplies the variance by a factor instead of adding to it, so that 0.0001 is as easy
# to reach as 1, and it never jumps below zero. The KL below needs $\log \sigma^2$ anyway, and to
# compute it as a logarithm of something that may be rounded to 0 would end in infinities.
#
# ## 5. Sampling, so that gradients pass
#
# The decoder gets a random draw $z \sim N(\mu, \sigma^2)$. How is a random draw differentiated? By
# drawing the randomness elsewhere: with $\varepsilon \sim N(0, I)$, which depends on no weight,
#
# $$z = \mu + \sigma \varepsilon = \mu + \exp\left(\tfrac{1}{2} \log \sigma^2\right) \varepsilon$$
#
# is such a draw, and a plain function of $\mu$ and $\log \sigma^2$: its derivatives are 1 and
# $\tfrac{1}{2} \sigma \varepsilon$. This is the reparameterisation trick (Kingma & Welling 2014).

# %% tags=["source"]
source(keras_vae.Sampling.call)

# %%
many = [np.repeat(part[:1], 10_000, axis=0) for part in (z_mean, z_log_var)]
draws = keras.ops.convert_to_numpy(vae.sampling(many))
print("mean of 10,000 draws:", draws.mean(axis=0).round(2), "std:", draws.std(axis=0).round(2))

# %% [markdown]
# ## 6. The loss: from a Gaussian to squared error plus KL
#
# A VAE is a model of the data: a code is drawn from the prior, $z \sim p(z)$, then an image from
# $p(x|z)$. We would like real images to be likely, that is $\log p(x) = \log \int p(x|z) p(z) dz$
# to be large. The integral over all codes is out of reach. But for any distribution $q(z|x)$, by
# Jensen's inequality,
#
# $$\log p(x) = \log \mathbb{E}_{q(z|x)}\left[\frac{p(x|z) p(z)}{q(z|x)}\right] \ge
# \mathbb{E}_{q(z|x)}[\log p(x|z)] - \mathrm{KL}[q(z|x) \Vert p(z)]$$
#
# The right-hand side is the **evidence lower bound**, ELBO. Training minimises its negative, and so
# raises a number that $\log p(x)$ is never below. It has two parts.
#
# **Reconstruction.** Let $p(x|z)$ be a Gaussian around the decoder's image $x′$ with variance
# $s^2$ for each of the $D$ pixels and colours:
#
# $$-\log p(x|z) = \frac{1}{2 s^2} \Vert x - x′ \Vert^2 + \frac{D}{2} \log(2 \pi s^2)$$
#
# With $s^2 = \tfrac{1}{2}$ the factor is 1, the second term is a constant, and what remains is
# $\Vert x - x′ \Vert^2$: the loss of the autoencoder.
#
# **KL.** The encoder's cloud and the prior are both Gaussians, so the divergence has a closed form:
#
# $$\mathrm{KL}[N(\mu, \sigma^2) \Vert N(0, 1)] =
# -\tfrac{1}{2}\left(1 + \log \sigma^2 - \mu^2 - \sigma^2\right)$$
#
# for each latent, and latents add up. It is 0 if the cloud is the prior, and grows if the
# mean moves away from 0 or the cloud gets small.

# %% tags=["source"]
source(keras_vae.priors.kl_per_latent)

# %% [markdown]
# The same number by brute force: the mean of $\log q(z|x) - \log p(z)$ over the 10,000 draws.

# %%
mean, variance = z_mean[0], np.exp(z_log_var[0])
log_q = -0.5 * (np.log(2 * np.pi * variance) + (draws - mean) ** 2 / variance).sum(axis=1)
log_p = -0.5 * (np.log(2 * np.pi) + draws**2).sum(axis=1)
formula = float(keras.ops.sum(keras_vae.priors.kl_per_latent(mean, z_log_var[0])))
by_draws = np.mean(log_q - log_p)
print(f"KL of the first face: {formula:.2f} nats by the formula, {by_draws:.2f} by draws")

# %% [markdown]
# The loss is the sum, with a weight `beta` that is 1 unless you change it. All three are **nats per
# image**: summed over pixels and latents, averaged over images.

# %% tags=["source"]
source(keras_vae.VAE.compute_losses, "reconstruction_loss = self.rec", "loss = reconstruction_loss")

# %% [markdown]
# ## 7. The two losses fall

# %% picture="losses" alt="Loss and reconstruction loss fall, the KL settles"
plots.history(history)

# %% [markdown]
# Look at the right-hand chart. At first the decoder cannot use the codes, and the KL is what they
# cost. Then it learns to, and pays for it: the KL settles at a few nats for each latent, because
# they save many more in the reconstruction. If it fell to 0, no latent would carry anything (see
# [when something looks wrong](how-to/troubles.md#my-kl-is-zero)).
#
# ## 8. Sampling
#
# Now new faces are two lines: draw $z \sim N(0, I)$, decode. `vae.sample(24, seed=0)` does both.

# %% picture="vae-samples" alt="New, blurred faces, each different"
z = np.random.default_rng(0).standard_normal((24, 2))
plots.samples(vae.decode(z), title="New faces of the VAE with 2 latents")

# %% [markdown]
# All of them are faces, though vague ones. Codes of real faces are where these were drawn. Compare
# the blue hair that the autoencoder made of codes from its gaps.
#
# ## 9. The latent plane
#
# Two latents have another advantage: one can see all of them. A grid of codes, spaced so that every
# cell has the same probability under $N(0, I)$, decoded:

# %% picture="plane" alt="A grid of faces that change smoothly in both directions"
plots.manifold(vae.decode(latent.manifold(14)))

# %% [markdown]
# Neighbours are alike, and there are no gaps: that is what the constraint was for. Only towards
# some edges, where few codes were, do colours go astray.
#
# ## 10. More latents, and a variance that is learned
#
# Why are these faces so blurred? Two numbers are too few, that is one reason. The other hides in
# section 6: $s^2 = \tfrac{1}{2}$ claims that a pixel between 0 and 1 is usually wrong by 0.7. Real
# errors are ten times smaller and more, so the squared error weighs far too little against the KL,
# and the model is content with little information. `likelihood="gaussian"` keeps both terms of the
# formula and learns $s^2$, whose best value is simply the mean squared error. With 64 latents, and
# a network that reads the face in patches:

# %% picture="reconstructions" alt="Test faces, and below each a sharp reconstruction"
encoder, decoder = keras_vae.build_patches(faces.image_shape, latent_dim=64, widths=(256, 24, 64))
model = keras_vae.VAE(encoder, decoder, likelihood="gaussian", seed=0)
model.compile(keras.optimizers.Adam(2e-3))
history = model.fit(faces.train.images, epochs=16, verbose=0).history

print(f"reconstruction {history['reconstruction_loss'][-1]:,.0f}, KL {history['kl_loss'][-1]:.0f}")
plots.reconstructions(some, model.reconstruct(some))

# %% [markdown]
# The loss is now negative, and nothing is wrong: a *density* of 12,288 pixels may be far above 1,
# and the logarithm of such a number is positive. The KL is some four hundred nats, since 64 latents
# now carry what a face needs. So losses of different likelihoods cannot be compared; the squared
# error of the reconstructions can.
#
# ## 11. Give a sad person a smile
#
# What is a smile, in the latent space? The difference between the mean code of faces that smile and
# the mean code of faces that do not. To give a face a smile, add it:
#
# $$z_\text{diff} = \bar z_\text{smiling} - \bar z_\text{not smiling} \qquad
# z_\text{new} = z_\text{orig} + a z_\text{diff}$$

# %% picture="smile" alt="Sad faces that smile more and more, and put on glasses"
names = list(faces.attribute_names)
smiling, glasses = names.index("smiling"), names.index("eyeglasses")

train, test = faces.train, faces.test
z_mean, _ = model.encode(train.images)
smiles = train.attributes[:, smiling]
z_diff = z_mean[smiles].mean(axis=0) - z_mean[~smiles].mean(axis=0)

sad = test.images[~test.attributes[:, smiling] & ~test.attributes[:, glasses]][:300]
z_orig, _ = model.encode(sad)

strengths = (-1, 0, 1, 1.5, 2)
pictures = [model.decode(z_orig[:5] + a * z_diff) for a in strengths]
plots.edits({"smiling": (sad[:5], np.stack(pictures, axis=1))}, strengths)

# %% [markdown]
# They smile, and they put on glasses. None of these five wore any. (At $a = 0$ you see the
# reconstruction.)
#
# ## 12. Why it drags glasses along, and what to do
#
# The difference of means holds *everything* in which the two groups differ. Look at the data:

# %%
for name, group in (("smiling", smiles), ("not smiling", ~smiles)):
    print(f"{train.attributes[group, glasses].mean():.0%} of the {name} faces wear glasses")

# %% [markdown]
# Smiles and glasses are correlated, as attributes are in every collection of photographs, so
# glasses are a part of $z_\text{diff}$. A least-squares regression of the codes on **all**
# attributes, $z = B a + c$, separates them: its coefficients for `smiling` say what changes if only
# that changes. `fit_directions` does this, and a little more (see
# [the latent space](how-to/latent-space.md)).

# %% picture="smile-alone" alt="The same faces; they smile, without glasses"
directions = latent.fit_directions(z_mean, train.attributes, names)
pictures = [model.decode(z_orig[:5] + a * directions["smiling"]) for a in strengths]
plots.edits({"smiling": (sad[:5], np.stack(pictures, axis=1))}, strengths)

# %% [markdown]
# To put numbers on it, let a classifier judge 300 edited faces. It must not have learned the same
# correlation, or it would see glasses in every smile; so it is trained on faces that are drawn with
# glasses and smiles independent of each other.

# %%
even = datasets.faces.draw(3000, seed=3, correlated=False)
judge = evaluate.train_classifier(
    even.images, even.attributes[:, [smiling, glasses]], ["smiling", "eyeglasses"], pictures=9000
)


def judged(what, pictures):
    smile, glass = (judge.logits(pictures) > 0).mean(axis=0)
    print(f"{what:34} {smile:4.0%} smile, {glass:4.0%} wear glasses")
    return smile, glass


before = judged("reconstructions", model.decode(z_orig))
dragged = judged("difference of means, a = 2", model.decode(z_orig + 2 * z_diff))
alone = judged("regression, a = 2", model.decode(z_orig + 2 * directions["smiling"]))

# %% [markdown]
# ## 13. A flow over the codes
#
# Two things are still not right. One direction for all faces is a compromise: an open mouth and a
# closed one smile differently. And new faces of this model look worse than its reconstructions:

# %% picture="prior-samples" alt="Distorted faces"
plots.samples(model.sample(24, seed=0), title="64 latents: decoded from z ~ N(0, I)")

# %% [markdown]
# The clouds of all images together are not quite the prior, and with 64 latents the difference is
# large: $N(0, I)$ draws codes where no face is. So learn the distribution of the codes as well,
# which are only 64 numbers each. A **flow** moves noise $e \sim N(0, I)$ to codes $z$ along
# $\dot x = v(x, t)$, from $x = e$ at $t = 0$ to $x = z$ at $t = 1$. The velocity $v$ is a small
# network, trained to point from the noise to the code on the straight line between them
# (flow matching, Lipman et al. 2023), $x_t = (1 - t) e + t z$:
#
# $$\text{flow loss} = \mathbb{E} \Vert v(x_t, t) - (z - e) \Vert^2$$

# %% tags=["source"]
source(latent.Flow.compute_losses, "velocity = self.vel", "flow_loss = ")

# %% [markdown]
# The network is also told the attributes, so the flow can be asked for a smile without glasses.

# %% picture="flow-samples" alt="Clear new faces, and some that smile without glasses"
flow = latent.fit_flow(z_mean, train.attributes, names, steps=1500)
wanted = {"smiling": True, "eyeglasses": False}
new = model.decode(flow.sample(24, seed=0))
happy = model.decode(flow.sample(12, seed=1, attributes=wanted))
plots.samples({"any": new, "smiling,\nno glasses": happy}, title="New faces: z drawn by the flow")

# %% [markdown]
# It edits, too: a face is moved back to its noise, which holds what the attributes do not say, and
# forward again with the smile. Each face gets a difference of its own, and the mouth may be open or
# closed. Other things move a little as well; with more training, such as that of `train.py`, less.

# %% picture="flow-smile" alt="Faces that each get a smile of their own"
pictures = [latent.edit(model, sad[:5], flow, {"smiling": a}) for a in (-1, 0, 0.5, 1)]
by_flow = judged("flow, a = 1", latent.edit(model, sad, flow, {"smiling": 1}))
plots.edits({"smiling": (sad[:5], np.stack(pictures, axis=1))}, (-1, 0, 0.5, 1))

# %% [markdown]
# ## What you have now
#
# A VAE whose latent space can be sampled and edited, a flow that knows which codes are faces, and
# numbers that say what an edit does. Save the model, and load it on any backend:

# %%
model.save("faces.keras")
again = keras.saving.load_model("faces.keras")
print(
    "the same reconstructions:",
    np.allclose(again.reconstruct(some), model.reconstruct(some), atol=1e-5),
)

# %% [markdown]
# `python train.py` does all of this with more images and better settings, measures it, and writes a
# folder that `keras-vae demo` turns into a page with sliders. From here:
#
# - [your own photos](how-to/photos.md), [a table](how-to/table.md);
# - [a likelihood](how-to/likelihood.md) or [networks](how-to/networks.md) of your own;
# - [what the numbers mean](explanation/numbers.md) and [how to read them](how-to/evaluate.md).
