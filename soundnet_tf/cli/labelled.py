"""Flags that the commands share which train on labelled sounds."""

from absl import flags

from soundnet_tf import cli, config
from soundnet_tf.errors import SoundNetError
from soundnet_tf.spec import NetSpec, thin

flags.disclaim_key_flags()


def name_flag() -> flags.FlagHolder[str | None]:
    """The flag `--name`."""
    return flags.DEFINE_string('name', None, 'Name of the head (default: that of the data).')


def test_only_flag() -> flags.FlagHolder[str | None]:
    """The flag `--test_only`, for `soundnet_tf.evaluation.datasets.mark_test_only`."""
    return flags.DEFINE_string(
        'test_only',
        None,
        'A text file with the names of clips, one per line, that are tested on but never trained on, such as clips '
        'whose licence forbids it.',
    )


def start_flag() -> flags.FlagHolder[str | None]:
    """The flag `--model`; and `--net` and `--width`, for `spec`."""
    start = cli.model_flag('The folder or the name of a saved net to fine-tune (default: train from scratch).')
    flags.DEFINE_enum('net', 'soundnet8', list(config.NETS), 'From scratch: the 8-layer or the 5-layer net.')
    flags.DEFINE_float('width', 1.0, 'From scratch: fraction of the filters to keep.', 0.01, 1.0)
    return start


def spec() -> NetSpec:
    """The table of a net that is trained from scratch. Raises SoundNetError if `--model` is given beside its flags."""
    given = flags.FLAGS
    if given['model'].value and (given['net'].present or given['width'].present):
        raise SoundNetError('--model has its own layers: leave out --net and --width')
    return thin(config.NETS[str(given['net'].value)], float(given['width'].value or 1))
