"""LiteRT, the interpreter of TFLite files: ai-edge-litert, or TensorFlow's own where that is not installed."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from soundnet_tf.errors import MissingTool


def light(path: str | os.PathLike[str]) -> Any:
    """An interpreter that comes without TensorFlow. Raises MissingTool without ai-edge-litert."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise MissingTool('ai-edge-litert', 'listening without TensorFlow', 'litert') from None
    return Interpreter(str(path), num_threads=min(4, os.cpu_count() or 1))


def interpreter(path: str | os.PathLike[str]) -> Any:
    """An interpreter of either kind. Raises ValueError or RuntimeError for a file that is none."""
    try:
        return light(path)
    except MissingTool:
        import tensorflow as tf

        return tf.lite.Interpreter(str(path), num_threads=min(4, os.cpu_count() or 1))


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Nothing on the process' stderr: native code cannot be asked not to announce itself there."""
    try:
        old = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        with open(os.devnull, 'wb') as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(old, 2)
        os.close(old)
