"""LiteRT, the interpreter of TFLite files: ai-edge-litert, or TensorFlow's own where that is not installed."""

import contextlib
import os
import sys
from typing import Any

from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.parallel import processes

Model = str | os.PathLike[str] | bytes
"""The path of a TFLite file, or its content."""


THREADS = min(4, os.cpu_count() or 1)
"""More gain little, and a shared machine has other work."""


def light(model: Model, packed: bool = True, threads: int = THREADS) -> Any:
    """An interpreter that needs no TensorFlow. Raises MissingTool without ai-edge-litert.

    `packed` is three times as fast, through XNNPACK, but first copies all weights; without it the interpreter starts
    at once and in half the memory, with one thread.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        raise MissingTool('ai-edge-litert', 'running without TensorFlow', 'litert') from None
    kernels = OpResolverType.AUTO if packed else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    # Without packing, several threads would copy the weights as well.
    threads = threads if packed else 1
    return Interpreter(**_source(model), num_threads=threads, experimental_op_resolver_type=kernels)


def interpreter(model: Model) -> Any:
    """An interpreter of either kind. Raises ValueError or RuntimeError if the file is not a TFLite model."""
    try:
        return light(model)
    except MissingTool:
        import tensorflow as tf

        return tf.lite.Interpreter(**_source(model), num_threads=THREADS)


def check_foreign(path: str | os.PathLike[str]) -> None:
    """Run a file whose hash nobody states once, in another process, since a damaged one can end the process.

    Raises SoundNetError if it does. Exceptions are left to the caller's own use of the file.
    """
    try:
        processes.run('soundnet_tf.nets.litert', os.fspath(path))
    except SoundNetError as error:
        raise SoundNetError(f'{path}: crashes LiteRT ({error}). Download or convert it again') from None


def _try(path: str) -> None:
    """Run each signature, or the only graph, on zeros."""
    import numpy as np

    def zeros(details: Any) -> Any:
        sizes = details['shape_signature'] if len(details['shape_signature']) else details['shape']
        # One example, and as much sound as any head of ours needs.
        free = [1] * (len(sizes) - 1) + [2**18]
        shape = [int(size) if size > 0 else own for size, own in zip(sizes, free, strict=False)]
        return np.zeros(shape, details['dtype'])

    net = interpreter(path)
    keys = net.get_signature_list()
    for runner in map(net.get_signature_runner, keys):
        runner(**{name: zeros(details) for name, details in runner.get_input_details().items()})
    entries = () if keys else net.get_input_details()
    for details in entries:
        net.resize_tensor_input(details['index'], zeros(details).shape)
    net.allocate_tensors()
    for details in entries:
        net.set_tensor(details['index'], zeros(details))
    net.invoke()


def _source(model: Model) -> dict[str, Any]:
    return {'model_content': model} if isinstance(model, bytes) else {'model_path': str(model)}


if __name__ == '__main__':
    with contextlib.suppress(Exception):
        _try(sys.argv[1])
