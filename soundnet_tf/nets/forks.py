"""TensorFlow does not survive a fork: its threads stay in the parent, and the child would wait for them forever."""

import os
import sys

from soundnet_tf.errors import SoundNetError

_left_behind = False


def _after_fork() -> None:
    """Note, in the child, whether TensorFlow had started its threads, which it does when it is first used."""
    global _left_behind
    context = sys.modules.get('tensorflow.python.eager.context')
    _left_behind = _left_behind or (context is not None and getattr(context.context_safe(), '_initialized', False))


# Windows has no forks.
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)


def check() -> None:
    """Raise SoundNetError in a process that was forked after TensorFlow was used, where TensorFlow would hang."""
    if _left_behind:
        raise SoundNetError(
            'TensorFlow: it was used before this process was forked, and would hang. '
            "Start processes with multiprocessing.get_context('spawn'), or use TensorFlow only after the fork"
        )
