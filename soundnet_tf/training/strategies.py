"""Distribution strategies by name."""

from collections.abc import Callable

import tensorflow as tf

from soundnet_tf.errors import SoundNetError

STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    # The default device, a GPU if there is one.
    'none': tf.distribute.get_strategy,
    # All GPUs of this machine (or its CPU), each with a part of the batch.
    'mirrored': tf.distribute.MirroredStrategy,
    # All machines in the environment variable TF_CONFIG, each with a part of the batch.
    'multiworker': tf.distribute.MultiWorkerMirroredStrategy,
}


def make(distribution: str) -> tf.distribute.Strategy:
    """The strategy with this name."""
    return STRATEGIES[distribution]()


def check(strategy: tf.distribute.Strategy, batch: int) -> None:
    """Raise SoundNetError if the batch size is not divisible by the number of devices."""
    replicas = strategy.num_replicas_in_sync
    if batch % replicas:
        raise SoundNetError(f'batch={batch}: not divisible by {replicas} devices. Use a multiple of {replicas}')


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes files."""
    resolver = strategy.cluster_resolver
    return (
        not resolver
        or not resolver.cluster_spec()
        or resolver.task_type == 'chief'
        or (resolver.task_type == 'worker' and resolver.task_id == 0 and 'chief' not in resolver.cluster_spec().jobs)
    )


def about(strategy: tf.distribute.Strategy) -> str:
    """What it trains on, in words: a GPU that TensorFlow does not find is best noticed at the start."""
    gpus = len(tf.config.list_logical_devices('GPU'))
    replicas = strategy.num_replicas_in_sync
    device = f'{gpus} GPU{"s" if gpus > 1 else ""}' if gpus else 'the CPU, since TensorFlow finds no GPU'
    return f'training on {device}' + (f', {replicas} replicas' if replicas > 1 else '')
