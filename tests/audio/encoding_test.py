"""PNG gives the picture back; MP3 is tested with what prepare makes of videos."""

import io

import av
import numpy as np
import pytest

from soundnet_tf.audio import encoding
from soundnet_tf.errors import MissingTool


def test_png_gives_the_picture_back():
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    with av.open(io.BytesIO(encoding.png(picture))) as container:
        (frame,) = container.decode(video=0)
        np.testing.assert_array_equal(frame.to_ndarray(format='rgb24'), picture)


def test_png_of_a_palette():
    rng = np.random.default_rng(0)
    palette, picture = rng.integers(0, 255, (64, 3), np.uint8), rng.integers(0, 64, (20, 30), np.uint8)
    with av.open(io.BytesIO(encoding.png(picture, palette))) as container:
        (frame,) = container.decode(video=0)
        np.testing.assert_array_equal(frame.to_ndarray(format='rgb24'), palette[picture])


def test_without_pyav(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'av', None)
    with pytest.raises(MissingTool, match="writing MP3 needs av, which is not installed: pip install 'av'"):
        encoding.mp3(np.zeros(100, np.float32))
