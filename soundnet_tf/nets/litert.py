"""LiteRT, the interpreter of TFLite files: ai-edge-litert, or TensorFlow's own where that is not installed."""

import os
from typing import Any

from soundnet_tf.errors import MissingTool

Model = str | os.PathLike[str] | bytes
"""The path of a TFLite file, or its content."""


def light(model: Model, packed: bool = True) -> Any:
    """An interpreter that needs no TensorFlow. Raises MissingTool without ai-edge-litert.

    `packed` is three times as fast, through XNNPACK, but first copies all weights; without it the interpreter starts
    at once and in half the memory.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        raise MissingTool('ai-edge-litert', 'running without TensorFlow', 'litert') from None
    kernels = OpResolverType.AUTO if packed else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    # Without packing, several threads would copy the weights as well.
    threads = min(4, os.cpu_count() or 1) if packed else 1
    return Interpreter(**_source(model), num_threads=threads, experimental_op_resolver_type=kernels)


def interpreter(model: Model) -> Any:
    """An interpreter of either kind. Raises ValueError or RuntimeError if the file is not a TFLite model."""
    try:
        return light(model)
    except MissingTool:
        import tensorflow as tf

        return tf.lite.Interpreter(**_source(model), num_threads=min(4, os.cpu_count() or 1))


def _source(model: Model) -> dict[str, Any]:
    return {'model_content': model} if isinstance(model, bytes) else {'model_path': str(model)}
