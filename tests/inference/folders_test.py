"""A folder of sounds, and an embedding, as tables of pandas."""

import sys

import numpy as np
import pytest
import soundfile

import soundnet_tf
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference import load
from soundnet_tf.testing import noise


@pytest.fixture
def sounds(tmp_path):
    (tmp_path / 'sounds' / 'rain').mkdir(parents=True)
    for name, seconds in (('rain/b.wav', 2.0), ('a.wav', 1.5)):
        soundfile.write(tmp_path / 'sounds' / name, noise(seconds, seed=len(name)), SAMPLE_RATE)
    return tmp_path / 'sounds'


def test_a_folder_is_a_table(plain_folder, sounds, capsys):
    pytest.importorskip('pandas')
    (sounds / 'bad.wav').write_bytes(b'no sound')
    table = soundnet_tf.embed_folder(sounds, plain_folder, layer='conv5', pool='max')
    assert table.index.name == 'path'
    assert table.index.tolist() == ['a.wav', 'rain/b.wav']
    assert table.columns[0] == 'conv5_0_max'
    embedder = load(plain_folder)
    for name, row in table.iterrows():
        np.testing.assert_allclose(row, embedder.embed_file(sounds / name, 'conv5').max(), rtol=1e-5, atol=1e-6)
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith(f'{sounds}/bad.wav: ')
    assert err[1] == f'{sounds}: 2 done; 1 failed (1 unreadable)'
    assert soundnet_tf.embed_folder(sounds / 'a.wav', embedder).columns[0] == 'pool5_0_mean'


def test_an_embedding_is_a_table(plain_folder, sounds):
    pytest.importorskip('pandas')
    embedding = load(plain_folder).embed_file(sounds / 'a.wav')
    table = embedding.to_frame()
    assert table.index.name == 'seconds'
    np.testing.assert_array_equal(table.index, embedding.times)
    np.testing.assert_array_equal(table['pool5_3'], embedding.values[:, 3])


def test_bad_folders_are_one_line(plain_folder, tmp_path, monkeypatch):
    with pytest.raises(SoundNetError, match="pool='median': must be mean or max"):
        soundnet_tf.embed_folder(tmp_path, plain_folder, pool='median')
    with pytest.raises(SoundNetError, match='no sound files in this folder'):
        soundnet_tf.embed_folder(tmp_path, plain_folder)
    (tmp_path / 'bad.wav').write_bytes(b'no sound')
    with pytest.raises(SoundNetError, match=r'0 done; 1 failed \(1 unreadable\). The lines above say why'):
        soundnet_tf.embed_folder(tmp_path, plain_folder)
    soundfile.write(tmp_path / 'good.wav', noise(1), SAMPLE_RATE)
    monkeypatch.setitem(sys.modules, 'pandas', None)
    with pytest.raises(MissingTool, match=r'soundnet_tf\[pandas\]'):
        load(plain_folder).embed_file(tmp_path / 'good.wav').to_frame()
