"""`keras-vae page`: writes a page that edits and draws images in the visitor's browser."""

from keras_vae.start import folders, pages
from keras_vae.start.program import number, shown


def add_to(commands):
    parser = commands.add_parser(
        "page",
        help="write a page that needs no server",
        description="Write a folder of static files for any web space: a page that edits and "
        "draws images in the visitor's browser, also on a phone and offline. No picture leaves "
        "the browser.",
    )
    add = parser.add_argument
    add("-o", "--output", required=True, metavar="FOLDER", help="folder to write")
    add("--overwrite", action="store_true", help="allow an output folder that is not empty")
    add(
        "--examples",
        type=number(int, 0, 48),
        default=8,
        metavar="N",
        help="test images to start from, which become public; default: 8",
    )
    add("--title", metavar="TEXT", help="heading of the page; default: the name of the data set")
    add(
        "--runtime",
        metavar="FOLDER",
        help="copy onnxruntime-web from this folder, such as node_modules/onnxruntime-web/dist, "
        "so that the page needs no other host; default: its public address",
    )
    return parser


def check(parser, args):
    for name in ("output", "title", "runtime"):
        if getattr(args, name) == "":
            parser.error(f"--{name} is empty")


def check_run(args):
    pages.check_noun(args.folder, folders.read_settings(args.folder).get("noun", "images"))
    pages.check_folder(args.folder, args.output, args.overwrite)
    if args.runtime is not None:
        pages.check_runtime(args.runtime)


def perform(args):
    """Writes the folder; returns the text to print."""
    from keras_vae import runs
    from keras_vae.export import page

    sizes = page.write(
        runs.load(args.folder), args.output, args.title, args.examples, args.runtime, args.overwrite
    )
    model = sum(size for name, size in sizes.items() if name.startswith("page/model/"))
    return "\n".join(
        [
            shown(
                f"{args.output}/: a page of {len(sizes)} files, {sum(sizes.values()) / 1e6:.1f} MB "
                f"(the model {model / 1e6:.1f} MB)"
            ),
            shown(f"To look at it: python -m http.server --bind 127.0.0.1 -d {args.output}"),
        ]
    )
