"""The arguments of train.py for prior, bound, penalty and condition."""

from keras_vae.start.program import number

LIKELIHOODS = (
    "mse",
    "gaussian",
    "bernoulli",
    "laplace",
    "continuous_bernoulli",
    "pixel_gaussian",
    "discretized_logistic",
    "logistic_mixture",
)
OF_TABLES = ("normal", "student_t")  # of the numbers in a table
OF_VALUES = (*OF_TABLES, "poisson", "negative_binomial", "categorical")
COMPONENTS = {"mixture": 20, "vamp": 500}  # defaults
WEIGHTS = {  # defaults of the penalties
    "total_correlation": 5.0,
    "mmd": 100.0,
    "dip_i": 10.0,
    "dip_ii": 10.0,
    "code_norm": 0.01,
}
NEED_POSTERIOR = ("total_correlation", "dip_i", "dip_ii")
# Arguments that need another one, with what it must be.
DEPENDENT = {
    "components": ("prior", ("mixture", "vamp")),
    "draws": ("bound", ("importance",)),
    "groups": ("bound", ("importance",)),
    "encoder_groups": ("bound", ("importance",)),
    "elbo_share": ("bound", ("importance",)),
    "doubly_reparameterised": ("bound", ("importance",)),
    "penalty_weight": ("penalty", tuple(WEIGHTS)),
}
OF_VAE = {
    "prior": "a plain autoencoder has no p(z)",
    "bound": "a plain autoencoder has no p(x)",
    "condition": "only a VAE takes a condition",
}


def add_pieces(parser):
    """Adds the arguments to a parser."""
    positive = number(int, 1, 10**5)
    add = parser.add_argument
    add(
        "--prior",
        choices=("normal", "mixture", "vamp", "flow"),
        help="p(z): N(0, I), the default, or learned with the model: a mixture of Gaussians, the "
        "mean posterior of learned images (VampPrior), or a flow",
    )
    add(
        "--components",
        type=positive,
        metavar="K",
        help="Gaussians of --prior mixture, images of --prior vamp; default: 20, 500",
    )
    add(
        "--bound",
        choices=("elbo", "importance"),
        help="what training maximises: the ELBO (the default) or the importance-weighted bound",
    )
    add(
        "--draws",
        type=number(int, 2, 10**5),
        metavar="K",
        help="draws of z for each image with --bound importance; default: 50",
    )
    add(
        "--groups",
        type=positive,
        metavar="M",
        help="average the bound over groups of draws (MIWAE); default: 1",
    )
    add(
        "--encoder-groups",
        type=positive,
        metavar="M",
        help="average it for the encoder only (PIWAE); default: as --groups",
    )
    add(
        "--elbo-share",
        type=number(float, 0, 1),
        metavar="SHARE",
        help="mix the bound with the ELBO (CIWAE); default: 0",
    )
    add(
        "--doubly-reparameterised",
        action="store_true",
        default=None,
        help="use the gradient with less noise for the encoder",
    )
    add(
        "--penalty",
        choices=tuple(WEIGHTS),
        help="add to the loss: total_correlation (beta-TCVAE), mmd (InfoVAE, WAE), dip_i, dip_ii "
        "(DIP-VAE), code_norm (RAE)",
    )
    add(
        "--penalty-weight",
        type=number(float, 0, 10**6),
        metavar="W",
        help="factor of the penalty; default: "
        + ", ".join(f"{weight:g} ({name})" for name, weight in WEIGHTS.items()),
    )
    add(
        "--condition",
        nargs="*",
        metavar="NAME",
        help="give encoder and decoder these attributes of each image; without names, the classes "
        "of the data, or else all attributes",
    )


def check_pieces(parser, args):
    """Ends the program with one line if arguments do not go together; sets their defaults."""
    for name, (other, values) in DEPENDENT.items():
        if getattr(args, name) is not None and getattr(args, other) not in values:
            wanted = " or ".join(f"{flag(other)} {value}" for value in values)
            if other == "penalty":
                wanted = "--penalty"
            parser.error(f"{flag(name)} needs {wanted}")
    if args.model == "ae":
        for name, why in OF_VAE.items():
            if getattr(args, name) is not None:
                parser.error(f"{flag(name)} cannot be combined with --model ae: {why}")
        if args.penalty in NEED_POSTERIOR:
            parser.error(f"--penalty {args.penalty} cannot be combined with --model ae")
    if args.bound == "importance":
        args.draws = args.draws or 50
        for name in ("groups", "encoder_groups"):
            count = getattr(args, name)
            if count and args.draws % count:
                parser.error(f"{flag(name)} {count} must divide the {args.draws} draws")
        if args.free_bits:
            parser.error("--free-bits cannot be combined with --bound importance")
    if args.prior in COMPONENTS:
        args.components = args.components or COMPONENTS[args.prior]
    if args.penalty and args.penalty_weight is None:
        args.penalty_weight = WEIGHTS[args.penalty]
    if args.model == "vae":
        args.prior, args.bound = args.prior or "normal", args.bound or "elbo"


def flag(name):
    return f"--{name.replace('_', '-')}"


def make_pieces(args, images):
    """Returns the arguments `prior`, `bound` and `penalty` of a model, by name.

    Args:
        args: The arguments of train.py.
        images: The training images, or other data.
    """
    import numpy as np

    from keras_vae import bounds, penalties, priors

    weight = args.penalty_weight
    made = {
        "total_correlation": lambda: penalties.TotalCorrelation(weight),
        "mmd": lambda: penalties.MMD(weight),
        "dip_i": lambda: penalties.DIP(weight),
        "dip_ii": lambda: penalties.DIP(weight, diagonal=1.0, of="z"),
        "code_norm": lambda: penalties.CodeNorm(weight),
    }
    penalty = made[args.penalty]() if args.penalty else None
    if args.model == "ae":
        return {"penalty": penalty}
    prior, bound = args.prior or "normal", args.bound or "elbo"  # of an earlier version: None
    if prior == "mixture":
        prior = priors.MixturePrior(args.components)
    elif prior == "vamp":
        first = images[: args.components]  # in random order
        if pixels := first.dtype == np.uint8:
            prior = priors.VampPrior(first)
        else:
            known = np.nan_to_num(np.nanmean(images, axis=0))
            prior = priors.VampPrior(np.where(np.isnan(first), known, first), pixels)
    if bound == "importance":
        bound = bounds.ImportanceWeighted(
            args.draws,
            args.groups or 1,
            args.encoder_groups,
            args.elbo_share or 0.0,
            bool(args.doubly_reparameterised),
        )
    return {"prior": prior, "bound": bound, "penalty": penalty}


def check_likelihood(args, data):
    """Raises `ValueError` if --likelihood does not suit the data."""
    if data.is_of_images:
        what, able = "images", LIKELIHOODS
    elif data.table:
        what, able = "the numbers of a table", OF_TABLES
    else:
        what, able = "arrays that are no images", OF_VALUES
    if args.likelihood not in (None, *able):
        raise ValueError(
            f"--likelihood {args.likelihood} does not suit {args.dataset}: of {what} it is one of "
            f"{', '.join(able)}"
        )
    if args.augment and not data.is_of_images:
        raise ValueError(f"--augment mirrors images, which does not suit {args.dataset}")


def make_likelihood(args, data):
    """Returns the likelihood of a model."""
    import numpy as np

    from keras_vae import likelihoods

    if data.table:
        return data.table.likelihood(args.likelihood)
    if data.is_of_images:
        return likelihoods.get(args.likelihood)
    missing = any(np.isnan(part.images).any() for part in (data.train, data.validation, data.test))
    return likelihoods.BY_NAME[args.likelihood](missing=bool(missing))


def make_condition(args, data):
    """Returns the `Condition` of a model, or None.

    Args:
        args: The arguments of train.py.
        data: The `keras_vae.datasets.Dataset`.

    Raises:
        ValueError: If the data have no such attributes.
    """
    from keras_vae import Condition

    if args.condition is None:
        return None
    names, known = tuple(dict.fromkeys(args.condition)), data.attribute_names
    if not names and len(data.label_names) > 1:
        return Condition(data.label_names)
    if not known:
        raise ValueError("--condition needs data with classes or attributes")
    for name in names:
        if name not in known:
            raise ValueError(
                f"--condition: there is no {name!r} in the data. There are: {', '.join(known)}"
            )
    return Condition(names or known, exclusive=False)
