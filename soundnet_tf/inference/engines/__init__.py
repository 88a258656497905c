"""What runs the net of an `Embedder`: TensorFlow, or without it OpenVINO, and LiteRT for some layers."""

from soundnet_tf.inference.engines.base import Edges, Engine
from soundnet_tf.inference.engines.choice import EngineName, FirstThatServes, engine_of
from soundnet_tf.inference.engines.lite import LiteRTEngine
from soundnet_tf.inference.engines.openvino import OpenVINOEngine
from soundnet_tf.inference.engines.tensorflow import MAX_CLIP_S, KerasEngine, TensorFlowEngine, stored

__all__ = [
    'MAX_CLIP_S',
    'Edges',
    'Engine',
    'EngineName',
    'FirstThatServes',
    'KerasEngine',
    'LiteRTEngine',
    'OpenVINOEngine',
    'TensorFlowEngine',
    'engine_of',
    'stored',
]
