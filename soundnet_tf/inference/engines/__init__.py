"""What runs the net of an `Embedder`: TensorFlow for any layer, or LiteRT for some of them without TensorFlow."""

from soundnet_tf.inference.engines.base import Edges, Engine
from soundnet_tf.inference.engines.choice import FirstThatServes, engine_of
from soundnet_tf.inference.engines.lite import LiteRTEngine
from soundnet_tf.inference.engines.tensorflow import MAX_CLIP_S, KerasEngine, TensorFlowEngine, stored

__all__ = [
    'MAX_CLIP_S',
    'Edges',
    'Engine',
    'FirstThatServes',
    'KerasEngine',
    'LiteRTEngine',
    'TensorFlowEngine',
    'engine_of',
    'stored',
]
