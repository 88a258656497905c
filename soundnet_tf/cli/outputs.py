"""--out of a command: a path, and not one of the inputs."""

import os
from collections.abc import Sequence

from absl import flags

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError

INPUTS = ('paths_from', 'pcm')
"""Flags whose values are files to read, like the arguments."""


def check(arguments: Sequence[str]) -> None:
    """Raise flags.Error if --out cannot be meant, or is a file among the inputs that the command line names."""
    values = flags.FLAGS.flag_values_dict()
    out = values.get('out')
    if out == '':  # which would be the current folder
        raise flags.Error('--out is empty (is a shell variable unset?)')
    if out == '-':
        raise flags.Error('--out=- is not stdout. Use /dev/stdout, no --out where that prints, or ./- for this name')
    if out:
        try:
            storage.refuse_input(out, [*arguments, *filter(None, map(values.get, INPUTS))])
        except SoundNetError as error:
            raise flags.Error(str(error)) from None


def require_working_directory() -> None:
    """Raise SoundNetError where the folder that relative paths begin in was removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise SoundNetError('the working directory was removed. Change to another folder') from None
