"""Number formats that a net may multiply in, and whether this machine has them."""

from collections.abc import Sequence

from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import processor


def require(precision: str, known: Sequence[str]) -> None:
    """Raise SoundNetError for a precision that is not one of `known`, or that this machine does not compute in."""
    if precision not in known:
        raise SoundNetError(f'precision={precision!r}: must be {" or ".join(map(repr, known))}')
    if on_processor(precision):
        return
    import tensorflow as tf

    if tf.config.list_physical_devices('GPU'):
        return
    if precision == 'float16':
        raise SoundNetError('float16 is for GPUs, and TensorFlow finds none. Use float32, the default')
    raise SoundNetError('this processor has no bfloat16 (avx512_bf16, amx_bf16). Use float32, the default')


def on_processor(precision: str) -> bool:
    """Whether the processor itself multiplies in this format."""
    return precision == 'float32' or (precision == 'bfloat16' and bool(processor.flags() & {'avx512_bf16', 'amx_bf16'}))
