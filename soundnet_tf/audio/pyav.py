"""PyAV, loaded at first use: FFmpeg's libraries without a program on the machine."""

from typing import Any

from soundnet_tf.errors import MissingTool


def library(purpose: str) -> Any:
    """The package `av`. Raises MissingTool, with the purpose, if it is not installed."""
    try:
        import av
        import av.logging
    except ImportError:
        raise MissingTool('av', purpose) from None
    # FFmpeg's messages must not go through Python: its threads would wait for the interpreter's lock
    # while this one holds it and waits for them.
    av.logging.set_level(None)
    return av
