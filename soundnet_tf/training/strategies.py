"""One word for how training spreads over devices and machines, one function that makes it so."""

from collections.abc import Callable

import tensorflow as tf

from soundnet_tf.errors import SoundNetError

STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    # The default device, a GPU if there is one.
    'none': tf.distribute.get_strategy,
    # Every GPU of this machine (or its CPU), each with a part of the batch.
    'mirrored': tf.distribute.MirroredStrategy,
    # Every machine that the environment variable TF_CONFIG names, each with a part of the batch.
    'multiworker': tf.distribute.MultiWorkerMirroredStrategy,
}


def make(distribution: str) -> tf.distribute.Strategy:
    """The strategy of that name."""
    return STRATEGIES[distribution]()


def check(strategy: tf.distribute.Strategy, batch: int) -> None:
    """Raise SoundNetError where a batch does not divide among the devices."""
    replicas = strategy.num_replicas_in_sync
    if batch % replicas:
        raise SoundNetError(f'a batch of {batch} does not divide among {replicas} devices: take a multiple of them')


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes."""
    resolver = strategy.cluster_resolver
    return (
        not resolver
        or not resolver.cluster_spec()
        or resolver.task_type == 'chief'
        or (resolver.task_type == 'worker' and resolver.task_id == 0 and 'chief' not in resolver.cluster_spec().jobs)
    )
