"""Listening: sounds to embeddings and tags, with a saved net or one in memory."""

from soundnet_tf.inference.embed import Embedder, Embedding, load
from soundnet_tf.inference.tag import Tag

__all__ = ['Embedder', 'Embedding', 'Tag', 'load']
