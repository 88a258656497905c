"""A net for elsewhere: as a TF-Hub module, a TFLite file for devices, a .keras file or ONNX.

    soundnet-export --model=runs/first/net --format=hub --out=exports/hub
    soundnet-export --model=runs/first/net --format=tflite --out=exports/tags
    soundnet-export --model=runs/first/net --format=tflite --output=embedding --precision=int8 \\
      --calibration=my_sounds/ --length_s=5 --out=exports/embedding

The folder --out gets the export (a SavedModel, or model.tflite, model.keras, model.onnx) and model.json: the net's
table and origin, hashes, versions, and how far the export is from Keras. That is measured in a fresh process, on
silence, noise, a tone and a real clip (--clip, or the first of --calibration); an export past its tolerance is deleted,
and the exit status is 1.

TFLite files hold the metadata that MediaPipe's AudioClassifier (tags) and AudioEmbedder (embedding) read.
"""

from collections.abc import Sequence
from typing import Any, cast

from absl import flags

from soundnet_tf import cli

MODEL = flags.DEFINE_string('model', None, 'the folder of a saved net, or the name of a registered one', required=True)
OUT = flags.DEFINE_string('out', None, 'the folder to make; an older export there is replaced', required=True)
FORMAT = flags.DEFINE_enum('format', 'hub', ['hub', 'tflite', 'keras', 'onnx'], 'hub, tflite, keras or onnx')
OUTPUT: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'output', 'tags', ['tags', 'embedding', 'layers'],
    'tflite: tags (probabilities of each head), embedding (the feature layer averaged over time) or layers; '
    'onnx: embedding leaves the heads out, so that short clips will do',
)  # fmt: skip
PRECISION: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'precision', 'float32', ['float32', 'float16', 'dynamic', 'int8'],
    'tflite: float32, float16 (half the size), dynamic (8-bit weights) or int8 (quicker too; needs --calibration)',
)  # fmt: skip
LENGTH = flags.DEFINE_string(
    'length_s', None, 'tflite: seconds of a clip, or dynamic; the least whole number of seconds where none is given'
)
CALIBRATION = flags.DEFINE_string(
    'calibration', None, 'tflite: a folder of your sounds, best in a folder for each class, which int8 is set by'
)
CLIP = flags.DEFINE_string('clip', None, 'a real sound file to check the export with')


def main(arguments: Sequence[str]) -> int:
    """Export the net."""
    from soundnet_tf import export
    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.inference import files

    if arguments:
        raise SoundNetError(f'{arguments[0]} is no flag: name the net with --model and the folder to make with --out')
    clips = [sound.path for sound in files.find([CALIBRATION.value])] if CALIBRATION.value else []
    options: dict[str, Any] = {'output': OUTPUT.value, 'precision': PRECISION.value, 'length_s': _length(LENGTH.value)}
    options |= {'calibration': clips, 'clip': CLIP.value}
    model, out = cast(str, MODEL.value), cast(str, OUT.value)
    for line in export.export(model, out, cast(Any, FORMAT.value), **options):
        print(f'{out}: {line}')
    return 0


def _length(text: str | None) -> Any:
    from soundnet_tf.errors import SoundNetError

    try:
        return text if text in (None, 'dynamic') else float(text)
    except ValueError:
        raise SoundNetError(f'--length_s={text} is neither seconds nor dynamic') from None


def run() -> None:
    """The command `soundnet-export`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
