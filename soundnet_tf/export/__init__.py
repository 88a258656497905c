"""Nets in other forms than the saved folder. Each is read again and compared before it is kept."""

from soundnet_tf.export.tflite import add_tflite, write_tflite

__all__ = ['add_tflite', 'write_tflite']
