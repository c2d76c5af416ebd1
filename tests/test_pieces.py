"""The flags of train.py for prior, bound, penalty and condition, and what is made of them."""

import json

import numpy as np
import pytest

import keras_vae
from keras_vae import bounds, likelihoods, penalties, priors
from keras_vae.commands import pieces
from keras_vae.commands.train import parse
from keras_vae.datasets import Dataset, Split
from keras_vae.likelihoods.data import Pixels
from keras_vae.runs import summary
from keras_vae.start.program import Parser

pytestmark = pytest.mark.once

NAMES = "prior", "components", "bound", "draws", "groups", "encoder_groups", "elbo_share"
NAMES += "doubly_reparameterised", "penalty", "penalty_weight", "condition"
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1), "uint8")


def choices(flag):
    """Returns what a flag may be set to."""
    parser = Parser()
    pieces.add_pieces(parser)
    (action,) = (action for action in parser._actions if action.dest == flag)
    return action.choices


def parsed(*arguments):
    """Returns the arguments of this file that differ from None."""
    args = vars(parse([*map(str, arguments)]))
    return {name: args[name] for name in NAMES if args[name] is not None}


# Arguments


def test_the_defaults():
    assert parsed() == {"prior": "normal", "bound": "elbo"}
    assert parsed("--model", "ae") == {}
    assert parse([]).likelihood is None  # which depends on the data


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--prior", "normal"], {}),
        (["--prior", "flow"], {"prior": "flow"}),
        (["--prior", "mixture"], {"prior": "mixture", "components": 20}),
        (["--prior", "vamp"], {"prior": "vamp", "components": 500}),
        (["--prior", "vamp", "--components", 7], {"prior": "vamp", "components": 7}),
        (["--bound", "elbo"], {}),
        (["--bound", "importance"], {"bound": "importance", "draws": 50}),
        (
            ["--bound", "importance", "--draws", 12, "--groups", 4, "--encoder-groups", 6],
            {"bound": "importance", "draws": 12, "groups": 4, "encoder_groups": 6},
        ),
        (
            ["--bound", "importance", "--elbo-share", 0.25, "--doubly-reparameterised"],
            {
                "bound": "importance",
                "draws": 50,
                "elbo_share": 0.25,
                "doubly_reparameterised": True,
            },
        ),
        (
            ["--bound", "importance", "--elbo-share", 0],
            {"bound": "importance", "draws": 50, "elbo_share": 0},
        ),
        (["--penalty", "mmd"], {"penalty": "mmd", "penalty_weight": 100}),
        (["--penalty", "code_norm"], {"penalty": "code_norm", "penalty_weight": 0.01}),
        (
            ["--penalty", "dip_i", "--penalty-weight", 0],
            {"penalty": "dip_i", "penalty_weight": 0},
        ),
        (["--condition"], {"condition": []}),
        (["--condition", "smiling", "eyeglasses"], {"condition": ["smiling", "eyeglasses"]}),
    ],
)
def test_what_is_given_and_what_follows_from_it(arguments, expected):
    assert parsed(*arguments) == {"prior": "normal", "bound": "elbo"} | expected


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--penalty", "mmd"], {"penalty": "mmd", "penalty_weight": 100}),
        (
            ["--penalty", "code_norm", "--penalty-weight", 3],
            {"penalty": "code_norm", "penalty_weight": 3},
        ),
    ],
)
def test_a_plain_autoencoder_takes_some_penalties(arguments, expected):
    assert parsed("--model", "ae", *arguments) == expected


MISTAKES = [
    (["--prior", "gaussian"], "argument --prior: invalid choice: 'gaussian'"),
    (["--bound", "iwae"], "argument --bound: invalid choice: 'iwae'"),
    (["--penalty", "tc"], "argument --penalty: invalid choice: 'tc'"),
    (["--components", 5], "--components needs --prior mixture or --prior vamp"),
    (["--components", 5, "--prior", "flow"], "--components needs --prior mixture or --prior"),
    (["--components", 0, "--prior", "vamp"], "--components must be a whole number from 1 to 100"),
    (["--components", "2.5", "--prior", "vamp"], "--components must be a whole number from 1"),
    (["--draws", 5], "--draws needs --bound importance"),
    (["--draws", 5, "--bound", "elbo"], "--draws needs --bound importance"),
    (["--draws", 1, "--bound", "importance"], "--draws must be a whole number from 2 to 100,000"),
    (["--groups", 5], "--groups needs --bound importance"),
    (["--groups", 0, "--bound", "importance"], "--groups must be a whole number from 1 to"),
    (["--encoder-groups", 5], "--encoder-groups needs --bound importance"),
    (["--elbo-share", 0.5], "--elbo-share needs --bound importance"),
    (["--elbo-share", 0], "--elbo-share needs --bound importance"),
    (["--elbo-share", 1.5, "--bound", "importance"], "--elbo-share must be a number from 0 to 1"),
    (["--doubly-reparameterised"], "--doubly-reparameterised needs --bound importance"),
    (["--bound", "importance", "--groups", 7], "--groups 7 must divide the 50 draws"),
    (
        ["--bound", "importance", "--draws", 6, "--encoder-groups", 4],
        "--encoder-groups 4 must divide the 6 draws",
    ),
    (
        ["--bound", "importance", "--free-bits", 0.5],
        "--free-bits cannot be combined with --bound importance",
    ),
    (["--penalty-weight", 5], "--penalty-weight needs --penalty"),
    (["--penalty-weight", 0], "--penalty-weight needs --penalty"),
    (["--penalty-weight", -1, "--penalty", "mmd"], "--penalty-weight must be a number from 0 to"),
    (
        ["--model", "ae", "--prior", "normal"],
        "--prior cannot be combined with --model ae: a plain autoencoder has no p(z)",
    ),
    (
        ["--model", "ae", "--bound", "elbo"],
        "--bound cannot be combined with --model ae: a plain autoencoder has no p(x)",
    ),
    (
        ["--model", "ae", "--condition"],
        "--condition cannot be combined with --model ae: only a VAE takes a condition",
    ),
    (
        ["--model", "ae", "--condition", "smiling"],
        "--condition cannot be combined with --model ae",
    ),
    *(
        (
            ["--model", "ae", "--penalty", name],
            f"--penalty {name} cannot be combined with --model ae",
        )
        for name in ("total_correlation", "dip_i", "dip_ii")
    ),
]


@pytest.mark.parametrize("arguments, message", MISTAKES)
def test_what_does_not_go_together_gives_one_line_and_exit_code_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        parse([*map(str, arguments)])
    output = capsys.readouterr()
    assert (stop.value.code, output.out) == (2, "")
    assert output.err.startswith(f"train.py: error: {message}")
    assert len(output.err.splitlines()) == 1


def test_no_framework_is_loaded_for_the_names_that_it_knows():
    """So the names are listed twice: they are the same ones."""
    of_pixels = [name for name, kind in likelihoods.BY_NAME.items() if kind().data == Pixels()]
    assert sorted(pieces.LIKELIHOODS) == sorted(of_pixels)
    assert sorted(choices("bound")) == sorted(bounds.BY_NAME)
    assert sorted(choices("prior")) == sorted([*priors.BY_NAME, "vamp"])  # which needs images
    assert len(set(pieces.LIKELIHOODS)) == len(pieces.LIKELIHOODS)
    needs = {name: penalty_of(name).needs_posterior for name in choices("penalty")}
    assert sorted(pieces.NEED_POSTERIOR) == sorted(name for name in needs if needs[name])
    assert set(needs) == set(pieces.WEIGHTS) == set(PENALTIES)
    # Every penalty of the package can be chosen.
    kinds = {kind for kind in vars(penalties).values() if is_penalty(kind)}
    assert kinds == {kind for kind, _, _ in PENALTIES.values()}


@pytest.mark.parametrize("name", pieces.LIKELIHOODS)
def test_each_likelihood_can_be_chosen(name):
    assert parse(["--likelihood", name]).likelihood == name
    likelihood = likelihoods.get(name)
    outputs = likelihood.output_channels(1)
    parts = keras_vae.build_mlp((4, 4, 1), 2, (8,), output_channels=outputs)
    model = keras_vae.VAE(*parts, name)
    model.compile()
    assert np.isfinite(model.evaluate(IMAGES, verbose=0)).all()


# What is made of them


def make(*arguments):
    return pieces.make_pieces(parse([*map(str, arguments)]), IMAGES)


def settings_of(piece, *names):
    return {name: getattr(piece, name) for name in names}


def test_the_usual_vae():
    made = make()
    assert made == {"prior": "normal", "bound": "elbo", "penalty": None}
    model = keras_vae.VAE(*keras_vae.build_mlp((4, 4, 1), 2, (8,)), **made)
    assert type(model.prior) is priors.StandardNormal and type(model.bound) is bounds.ELBO


PRIORS = {
    "normal": priors.StandardNormal,
    "mixture": priors.MixturePrior,
    "vamp": priors.VampPrior,
    "flow": priors.FlowPrior,
}


@pytest.mark.parametrize("name", choices("prior"))
def test_each_prior_is_made(name):
    more = ["--components", 3] if name in pieces.COMPONENTS else []
    made = make("--prior", name, *more)
    model = keras_vae.VAE(*keras_vae.build_mlp((4, 4, 1), 2, (8,)), **made)
    assert type(model.prior) is PRIORS[name]
    if name == "mixture":
        assert model.prior.components == 3
        assert make("--prior", name)["prior"].components == 20
    if name == "vamp":
        found = np.asarray(keras_vae.images.to_uint8(np.array(model.prior.pseudo_inputs())))
        assert found.shape == (3, 4, 4, 1)
        # The first training images; of black and white not quite, so that they can be learned.
        assert np.abs(found.astype(int) - IMAGES[:3]).max() <= 3
        assert make("--prior", name)["prior"].shape[0] == 30  # there are no 500
    assert model.sample(2, seed=0).shape == (2, 4, 4, 1)


@pytest.mark.parametrize("name", choices("bound"))
def test_each_bound_is_made(name):
    model = keras_vae.VAE(*keras_vae.build_mlp((4, 4, 1), 2, (8,)), **make("--bound", name))
    assert type(model.bound) is bounds.BY_NAME[name]


def test_every_setting_reaches_the_bound():
    names = "draws", "groups", "encoder_groups", "elbo_share", "doubly_reparameterised"
    plain = make("--bound", "importance")["bound"]
    assert settings_of(plain, *names) == dict(zip(names, (50, 1, None, 0.0, False)))
    flags = "--draws", 12, "--groups", 2, "--encoder-groups", 3, "--elbo-share", 0.25
    bound = make("--bound", "importance", *flags, "--doubly-reparameterised")["bound"]
    assert settings_of(bound, *names) == dict(zip(names, (12, 2, 3, 0.25, True)))


def penalty_of(name, weight=None):
    flags = () if weight is None else ("--penalty-weight", weight)
    return make("--penalty", name, *flags)["penalty"]


def is_penalty(kind):
    base = penalties.Penalty
    return isinstance(kind, type) and issubclass(kind, base) and kind is not base


PENALTIES = {
    "total_correlation": (penalties.TotalCorrelation, 5, {"estimate": "weighted"}),
    "mmd": (penalties.MMD, 100, {}),
    "dip_i": (penalties.DIP, 10, {"diagonal": 10.0, "of": "z_mean"}),
    "dip_ii": (penalties.DIP, 10, {"diagonal": 1.0, "of": "z"}),
    "code_norm": (penalties.CodeNorm, 0.01, {"decoder": 0.0}),
}


@pytest.mark.parametrize("name", choices("penalty"))
def test_each_penalty_is_made(name):
    kind, weight, settings = PENALTIES[name]
    found = penalty_of(name)
    assert type(found) is kind and found.weight == weight
    assert settings_of(found, *settings) == settings
    assert penalty_of(name, 0.5).weight == 0.5 and penalty_of(name, 0).weight == 0
    model = keras_vae.VAE(*keras_vae.build_mlp((4, 4, 1), 2, (8,)), penalty=found)
    model.compile()
    assert "penalty_loss" in model.fit(IMAGES, verbose=0).history


@pytest.mark.parametrize("name", [None, "mmd", "code_norm"])
def test_a_plain_autoencoder_has_a_penalty_at_most(name):
    made = make("--model", "ae", *(("--penalty", name) if name else ()))
    assert set(made) == {"penalty"}
    assert type(made["penalty"]) is (PENALTIES[name][0] if name else type(None))
    parts = keras_vae.build_mlp((4, 4, 1), 2, (8,), variational=False)
    model = keras_vae.AutoEncoder(*parts, **made)
    model.compile()
    assert ("penalty_loss" in model.fit(IMAGES, verbose=0).history) == bool(name)


# The condition


def data_set(labels=(), attributes=()):
    split = Split(IMAGES)
    return Dataset("made up", split, split, split, label_names=labels, attribute_names=attributes)


def condition_of(flags, data):
    return pieces.make_condition(parse(["--condition", *flags] if flags is not None else []), data)


@pytest.mark.parametrize(
    "flags, labels, attributes, expected",
    [
        ((), ("a", "b"), ("a", "b"), (("a", "b"), True)),
        ((), ("a", "b"), ("smiling", "a", "b"), (("a", "b"), True)),
        ((), tuple("0123"), (), (tuple("0123"), True)),  # so many that they are no attributes
        ((), (), ("smiling", "bald"), (("smiling", "bald"), False)),
        ((), ("all",), ("smiling", "all"), (("smiling", "all"), False)),  # a single class
        (("bald",), (), ("smiling", "bald"), (("bald",), False)),
        (("bald", "smiling", "bald"), (), ("smiling", "bald"), (("bald", "smiling"), False)),
        (("b",), ("a", "b"), ("smiling", "a", "b"), (("b",), False)),
    ],
)
def test_the_condition_of_the_data(flags, labels, attributes, expected):
    found = condition_of(flags, data_set(labels, attributes))
    assert type(found) is keras_vae.Condition and found.hidden == 0.1
    assert (found.names, found.exclusive) == expected


def test_there_is_no_condition_unless_it_is_asked_for():
    assert condition_of(None, data_set(("a", "b"), ("a", "b"))) is None


@pytest.mark.parametrize(
    "flags, data, message",
    [
        ((), data_set(), "--condition needs data with classes or attributes"),
        (("smiling",), data_set(), "--condition needs data with classes or attributes"),
        (
            ("smiling", "beard"),
            data_set((), ("smiling", "bald")),
            "--condition: there is no 'beard' in the data. There are: smiling, bald",
        ),
    ],
)
def test_a_condition_that_the_data_do_not_have(flags, data, message):
    with pytest.raises(ValueError) as error:
        condition_of(flags, data)
    assert str(error.value) == message


# What is printed


def config(**changes):
    args = vars(parse([]))
    about = {
        "images": {"train": 1000, "validation": 10, "test": 20},
        "streamed": False,
        "device": "cpu",
        "name": "faces",
        "image_shape": (4, 4, 1),
        "gigabytes": 0.1,
        "network": "mlp",
        "widths": [8],
        "latent_dim": 2,
        "likelihood": "mse",
        "parameters": 10**6,
        "label_names": (),
    }
    return args | about | changes


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, "mse likelihood, beta 1, 1.0M parameters"),
        ({"prior": "vamp"}, "beta 1, prior vamp, 1.0M"),
        (
            {"bound": "importance", "draws": 8},
            "beta 1, importance-weighted bound of 8 draws, 1.0M",
        ),
        ({"penalty": "mmd", "penalty_weight": 50.0}, "beta 1, penalty mmd x 50, 1.0M"),
        ({"penalty": "code_norm", "penalty_weight": 0.01}, "penalty code_norm x 0.01, 1.0M"),
        ({"condition": [], "label_names": ("a", "b")}, "beta 1, given the class, 1.0M"),
        ({"condition": []}, "beta 1, given all attributes, 1.0M"),
        ({"condition": [], "label_names": ("all",)}, "beta 1, given all attributes, 1.0M"),
        (
            {"condition": ["smiling", "bald"], "label_names": ("a", "b")},
            "beta 1, given smiling bald, 1.0M",
        ),
        (
            {"model": "ae", "prior": None, "bound": None, "penalty": "mmd", "penalty_weight": 1.0},
            "mse likelihood, penalty mmd x 1, 1.0M",
        ),
    ],
)
def test_the_first_line_names_the_pieces(changes, expected):
    assert expected in summary.first_line(config(**changes), "runs/a")


def test_the_first_line_of_a_run_of_an_earlier_version():
    earlier = {name: value for name, value in config().items() if name not in NAMES}
    assert "mse likelihood, beta 1, 1.0M parameters" in summary.first_line(earlier, "runs/a")


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, "Test loss 9.00 = reconstruction 5.00 + KL 3.00 nats"),
        ({"beta": 2.0}, "Test loss 9.00 = reconstruction 5.00 + 2 x KL 3.00 nats"),
        ({"bound": "importance"}, "Test loss 9.00 (reconstruction 5.00, KL 3.00) nats"),
        ({"penalty": "mmd"}, "Test loss 9.00 (reconstruction 5.00, KL 3.00) nats"),
    ],
)
def test_losses_are_added_up_only_if_they_are_the_sum(changes, expected):
    metrics = {"test_loss": 9.0, "test_reconstruction_loss": 5.0, "test_kl_loss": 3.0}
    metrics |= {"best_epoch": 1, "test_mse": 0.1}
    assert expected in summary.result_line(metrics, 2, config(**changes))
    without_kl = {name: value for name, value in metrics.items() if name != "test_kl_loss"}
    assert "Test loss 9.00 nats" in summary.result_line(without_kl, 2, config(**changes))


# Continued runs


def unfinished(folder, settings):
    """Writes the config.json of a run that was interrupted; returns the arguments to go on with."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**settings, "completed": False})
    (folder / "config.json").write_text(text)
    return parse(["--resume", str(folder)])


def test_a_run_continues_with_its_settings(tmp_path):
    flags = "--prior", "vamp", "--components", "5", "--bound", "importance", "--draws", "4"
    flags += "--groups", "2", "--doubly-reparameterised", "--penalty", "mmd", "--condition"
    for more in ((), ("smiling", "bald")):
        before = vars(parse([*flags, *more]))
        after = vars(unfinished(tmp_path, before))
        assert {name: after[name] for name in NAMES} == {name: before[name] for name in NAMES}
        assert after["condition"] == list(more)


@pytest.mark.parametrize("flag", [["--prior", "flow"], ["--condition"], ["--draws", "3"]])
def test_other_settings_are_refused_with_resume(flag, tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse(["--resume", str(tmp_path), *flag])
    message = f"train.py: error: {flag[0]} cannot be combined with --resume: the run keeps its"
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize("model", ["vae", "ae"])
def test_a_run_of_an_earlier_version_continues_as_it_began(tmp_path, model):
    """Its settings have no prior and no bound."""
    before = vars(parse(["--model", model]))
    earlier = {name: value for name, value in before.items() if name not in NAMES}
    args = unfinished(tmp_path, earlier)
    made, variational = pieces.make_pieces(args, IMAGES), model == "vae"
    parts = keras_vae.build_mlp((4, 4, 1), 2, (8,), variational=variational)
    made = (keras_vae.VAE if variational else keras_vae.AutoEncoder)(*parts, **made)
    assert made.penalty is None and pieces.make_condition(args, data_set(("a", "b"))) is None
    if variational:
        assert type(made.prior) is priors.StandardNormal and type(made.bound) is bounds.ELBO
