"""`keras-vae export`: writes a run as graphs that need neither Keras nor this package."""

from keras_vae.commands.pack import check as check
from keras_vae.commands.pack import check_run as check_run
from keras_vae.start.program import shown

FORMATS = ("onnx", "saved_model")


def add_to(commands):
    parser = commands.add_parser(
        "export",
        help="write a run as ONNX files or SavedModels",
        description="Write encoder, decoder and edits of a run as graphs that need neither Keras "
        "nor this package, with a README that shows how to run them.",
    )
    add = parser.add_argument
    add("-o", "--output", required=True, metavar="FOLDER", help="folder to write")
    add(
        "--format",
        choices=FORMATS,
        default="onnx",
        help="onnx for onnxruntime, on any device and in browsers; saved_model for TensorFlow. "
        "Default: onnx",
    )
    add("--overwrite", action="store_true", help="allow an output folder that is not empty")
    return parser


def perform(args):
    """Writes the folder; returns the text to print."""
    import keras

    from keras_vae import export, runs

    run = runs.load(args.folder)
    content = export.write(run, args.output, args.format, args.overwrite)
    lines = [shown(f"{args.output}/: {', '.join(content['parts'])}, export.json, README.md")]
    backend = content["written_with"]["backend"]
    if backend != keras.backend.backend():
        why = content["not_written_with"][keras.backend.backend()]
        lines.append(f"Written on {backend}, since {keras.backend.backend()} could not: {why}")
    if "largest_difference" in content:
        worst = max(content["largest_difference"].values())
        lines.append(f"Checked: outputs differ from those of the model by at most {worst:.0e}")
    return "\n".join(lines)
