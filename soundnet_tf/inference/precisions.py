"""Number formats that a net may multiply in, and whether this machine has them."""

import pathlib
from typing import TYPE_CHECKING

from soundnet_tf.errors import SoundNetError

if TYPE_CHECKING:
    from soundnet_tf.nets import fast


def checked(precision: 'fast.Precision') -> 'fast.Precision':
    """The precision itself. Raises SoundNetError if it is unknown, or if this machine's processor lacks it."""
    if precision not in ('float32', 'bfloat16'):
        raise SoundNetError(f"precision={precision!r}: must be 'float32' or 'bfloat16'")
    if precision == 'bfloat16':
        import tensorflow as tf

        processor = pathlib.Path('/proc/cpuinfo')
        flags = processor.read_text() if processor.exists() else ''
        if not tf.config.list_physical_devices('GPU') and 'avx512_bf16' not in flags and 'amx_bf16' not in flags:
            raise SoundNetError('this processor has no bfloat16 (avx512_bf16, amx_bf16). Use float32, the default')
    return precision
