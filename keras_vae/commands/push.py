"""`keras-vae push`: puts a run on the Hugging Face Hub."""

from keras_vae.start import hub
from keras_vae.start.program import shown


def add_to(commands):
    parser = commands.add_parser(
        "push",
        help="put a run on the Hugging Face Hub",
        usage="keras-vae push [RUN] NAME/REPO [--private | --public] [--license ID]",
        description="Put a small copy of a run on the Hugging Face Hub, with its figures and a "
        "README. Commands then take hf://NAME/REPO as RUN. It contains test images, and figures "
        "show training images: push only what you may share. To log in: hf auth login",
    )
    group = parser.add_mutually_exclusive_group()
    add = group.add_argument
    add(
        "--private",
        action="store_true",
        default=None,
        help="only you see it; the default for a repository that does not exist yet",
    )
    add("--public", dest="private", action="store_false", help="everyone sees it")
    parser.add_argument("--license", metavar="ID", help="such as cc-by-4.0; default: none")
    return parser


def add_inputs(parser):
    parser.add_argument("repo", metavar="NAME/REPO", help="repository, created if there is none")


def check(parser, args):
    hub.check_repo(args.repo)
    hub.library()


def perform(args):
    """Pushes the run; returns the text to print."""
    from keras_vae import runs

    done = runs.push(args.folder, args.repo, args.private, args.license)
    seen_by = "private" if done["private"] else "public"
    return "\n".join(
        [
            shown(f"{done['url']}: {args.folder}, {done['bytes'] / 1e6:.1f} MB, {seen_by}"),
            f"To look at it: keras-vae demo {hub.PREFIX}{args.repo}",
        ]
    )
