"""Listening: sounds to embeddings and tags, with a saved net or one in memory."""

from soundnet_tf.inference.embed import Embedder, load
from soundnet_tf.inference.embedding import Embedding
from soundnet_tf.inference.stream import Stream
from soundnet_tf.inference.tags import Tag

__all__ = ['Embedder', 'Embedding', 'Stream', 'Tag', 'load']
