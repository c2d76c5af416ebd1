"""`keras-vae interpolate`: an animation from one photo to another."""

from keras_vae.commands import pictures
from keras_vae.commands.inputs import refuse_others
from keras_vae.start.program import number, shown

USAGE = "interpolate [RUN] FIRST LAST"


def add_to(commands):
    parser = commands.add_parser(
        "interpolate",
        help="animate the change from one photo to another",
        usage=f"keras-vae {USAGE} [--steps N] [--straight] [-o FILE]",
        description="Animate the change from one photo to another: interpolate between their "
        "codes, through the noise of the flow if the run has one, and decode each step.",
    )
    add = parser.add_argument
    add(
        "--steps",
        type=number(int, 2, 200),
        default=16,
        metavar="N",
        help="number of frames from one photo to the other; default: 16",
    )
    add("--straight", action="store_true", help="on a straight line between the codes")
    pictures.add_output(parser, "between.gif", pictures.MOVING)
    return parser


def add_inputs(parser):
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="two pictures")


def find_inputs(parser, args, others):
    """Finds RUN and both photos among all positional arguments; returns the arguments left over."""
    places = [place for place in (args.run, *args.photos, *others) if place is not None]
    flags = [place for place in others if place.startswith("-")]
    if flags:
        return flags
    if len(places) > 3:
        return places[3:]
    if len(places) < 2:
        parser.error(f"two photos are needed; expected: {USAGE}")
    *run, first, last = places
    args.run, args.photos = run[0] if run else None, [first, last]
    for photo in args.photos:
        pictures.check_photo(parser, photo, args.run, USAGE)
    return []


def check(parser, args):
    pictures.check_kept(parser, args.output, *args.photos)
    pictures.check_output(parser, args.output, pictures.MOVING)


def check_run(args):
    refuse_others(args, "`interpolate` walks between photos")


def perform(args):
    """Writes an animation; returns the text to print."""
    import numpy as np

    from keras_vae import latent, photos, runs

    ends = [pictures.read(photo)[0] for photo in args.photos]
    run = runs.load(args.folder)
    seen = np.stack([photos.view(end, run.model.data_shape, run.resize) for end in ends])
    flow = None if args.straight else run.flow
    codes = latent.interpolate(latent.codes_of(run.model, seen), args.steps, flow=flow)
    pictures.write_animation(run.model.decode(codes), args.output)
    way = "straight" if flow is None else "through the flow"
    first, last = args.photos
    return shown(f"{args.output}: from {first} to {last}, {way}, by {run.folder}")
