"""Export a net: as a TF-Hub module, a TFLite file for devices, a .keras file or ONNX.

    soundnet-export --model=runs/first/net --format=hub --out=exports/hub
    soundnet-export --model=runs/first/net --format=tflite --out=exports/tags
    soundnet-export --model=runs/first/net --format=tflite --output=embedding --precision=int8 \\
      --calibration=my_sounds/ --length_s=5 --out=exports/embedding

The folder --out gets the export (a SavedModel, or model.tflite, model.keras, model.onnx) and model.json: the net's
layers and origin, hashes, versions, and the differences between the export and the Keras net. They are measured in a
fresh process on silence, noise, a tone and a real clip (--clip, or the first of --calibration). An export that exceeds
its tolerance is deleted, and the exit status is 1.

TFLite files have the metadata that MediaPipe's AudioClassifier (tags) and AudioEmbedder (embedding) read.
"""

from collections.abc import Sequence
from typing import Literal

from absl import flags

from soundnet_tf import cli

MODEL = cli.model_flag()
OUT = cli.out_flag('The folder to write; an older export there is replaced.')
FORMAT = cli.choice('format', 'hub', ('hub', 'tflite', 'keras', 'onnx'), 'hub, tflite, keras or onnx.')
OUTPUT = cli.choice(
    'output', 'tags', ('tags', 'embedding', 'layers'),
    'tflite: tags (probabilities of each head), embedding (the feature layer averaged over time) or layers; '
    'onnx: embedding omits the heads, which allows shorter clips.',
)  # fmt: skip
PRECISION = cli.choice(
    'precision', 'float32', ('float32', 'float16', 'dynamic', 'int8'),
    'tflite: float32, float16 (half the size), dynamic (8-bit weights) or int8 (also faster).',
)  # fmt: skip
LENGTH = flags.DEFINE_string(
    'length_s',
    None,
    'tflite: clip length in seconds, or dynamic (default: the shortest whole number of seconds; for tags at least 5).',
)
CALIBRATION = flags.DEFINE_string(
    'calibration',
    None,
    'tflite: a folder of your sounds, ideally with one folder per class: is an 8-bit file as good on them?',
)
CLIP = flags.DEFINE_string('clip', None, 'A real sound file to check the export with.')


def main(arguments: Sequence[str]) -> int:
    """Export the net."""
    from soundnet_tf import export
    from soundnet_tf.inference import files

    cli.no_arguments(arguments, 'Pass the net as --model and the folder to write as --out')
    lines = export.export(
        MODEL.value,
        OUT.value,
        FORMAT.value,
        output=OUTPUT.value,
        precision=PRECISION.value,
        length_s=_length(LENGTH.value),
        calibration=[sound.path for sound in files.find([CALIBRATION.value])] if CALIBRATION.value else [],
        clip=CLIP.value,
    )
    for line in lines:
        print(f'{OUT.value}: {line}')
    return 0


def _length(text: str | None) -> float | Literal['dynamic'] | None:
    from soundnet_tf.errors import SoundNetError

    if text is None or text == 'dynamic':
        return text
    try:
        return float(text)
    except ValueError:
        raise SoundNetError(f"--length_s={text}: not a number. Use seconds, or 'dynamic'") from None


def run() -> None:
    """The command `soundnet-export`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
