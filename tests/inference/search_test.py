"""Finding clips by sound: the order of a plain search, every format of embeddings, and errors."""

import json
import pathlib
import re

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.export import add_tflite
from soundnet_tf.inference import Embedder, files, load, search
from soundnet_tf.inference.write import FORMATS, embed_files
from soundnet_tf.nets import model, saved
from soundnet_tf.testing import enliven, noise, thin_spec
from soundnet_tf.visualize import found as page
from tests.bin.listening_test import call
from tests.inference.embed_test import FakeEngine

SETTINGS = dict.fromkeys(search.SETTINGS, '')


@given(clips=st.integers(1, 40), channels=st.integers(1, 8), top=st.integers(1, 50), seed=st.integers(0, 999))
def test_the_nearest_have_the_largest_cosines(clips, channels, top, seed):
    rng = np.random.default_rng(seed)
    vectors, query = rng.normal(size=(clips, channels)).astype(np.float32), rng.normal(size=channels)
    names = [f'{index}.wav' for index in range(clips)]
    matches = search.Index(names, vectors, 'pool5', SETTINGS).nearest(query, top)
    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    np.testing.assert_allclose([match.similarity for match in matches], np.sort(cosines)[::-1][:top], atol=1e-5)
    assert len({match.path for match in matches}) == min(top, clips)
    for match in matches:
        assert match.similarity == pytest.approx(cosines[names.index(match.path)], abs=1e-5)


def test_zeros_are_like_nothing():
    index = search.Index(['a', 'b'], np.array([[0, 0], [3, 4]], np.float32), 'pool5', SETTINGS)
    assert [(match.path, round(match.similarity, 5)) for match in index.nearest([0.6, 0.8])] == [('b', 1)]
    assert index.nearest([0, 0]) == []
    assert search.Found('a', ()).text() == 'a\n  nothing found'
    with pytest.raises(SoundNetError, match=r'all embeddings of pool5 are 0\. Use another layer or other sounds'):
        search.Index(['a'], np.zeros([1, 2], np.float32), 'pool5', SETTINGS)


@pytest.fixture
def embedder():
    return Embedder(FakeEngine(), facts={'weights_sha256': 'abc'})


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path('in').mkdir()
    for seconds in (2, 3, 14):
        soundfile.write(f'in/{seconds}.wav', noise(seconds), SAMPLE_RATE)
    return files.find(['in'])


@pytest.mark.parametrize('pool', ['none', 'mean', 'max'])
@pytest.mark.parametrize('format', FORMATS)
def test_every_format_is_an_index_but_for_silence(embedder, sounds, format, pool):
    soundfile.write('silent.wav', np.zeros(3 * SAMPLE_RATE), SAMPLE_RATE)
    silent = files.find(['silent.wav'])
    embed_files(embedder, silent, f'silent.{format}', format, ['conv7'], pool)
    with pytest.raises(SoundNetError, match=rf'silent\.{format}: only silence\. Embed other sounds'):
        search.read(f'silent.{format}')
    embed_files(embedder, [*sounds, *silent], f'out.{format}', format, ['conv7', 'pool5'], pool)
    for layer in ('conv7', 'pool5'):
        index = search.read(f'out.{format}', layer)
        wanted = [embedder.embed_file(sound.path, layer) for sound in sounds]
        vectors = np.stack([index.pooled(embedding) for embedding in wanted])
        truth = search.Index([sound.path for sound in sounds], vectors, layer, index.settings)
        assert index.paths == truth.paths
        assert (index.layer, index.settings['pool'], index.settings['weights_sha256']) == (layer, pool, 'abc')
        for vector in vectors:
            assert dict(index.nearest(vector)) == pytest.approx(dict(truth.nearest(vector)), abs=1e-6)
    with pytest.raises(
        SoundNetError, match=r'embeddings of several layers\. Choose one with --layer \(layer=\): pool5, conv7'
    ):
        search.read(f'out.{format}')
    with pytest.raises(SoundNetError, match=r"no embeddings of the layer 'conv1'\. Use pool5, conv7"):
        search.read(f'out.{format}', 'conv1')


def test_unusable_indices_are_reported(embedder, sounds):
    pathlib.Path('empty').mkdir()
    with pytest.raises(SoundNetError, match=r'empty: no embeddings\. Write it again with soundnet-embed'):
        search.read('empty')
    with pytest.raises(SoundNetError, match=r'no: cannot be read .*\. Write it again with soundnet-embed'):
        search.read('no')
    with pytest.raises(SoundNetError, match=r'in/2\.wav: .*\. Write it again with soundnet-embed'):
        search.read('in/2.wav')
    embed_files(embedder, sounds, 'out')
    pathlib.Path('out/3.wav.npz').write_bytes(b'PK')
    with pytest.raises(SoundNetError, match=r'out/3\.wav\.npz: '):
        search.read('out')
    damaged = []
    assert search.read('out', damaged=damaged).paths == ['in/14.wav', 'in/2.wav']
    assert [line.split(':')[0] for line in damaged] == ['out/3.wav.npz']
    embed_files(Embedder(FakeEngine(), short='pad', facts={'weights_sha256': 'abc'}), sounds[:1], 'out/more')
    with pytest.raises(SoundNetError, match=r'out: .*short was tile, is pad\)\. Write each into a place of its own'):
        search.read('out', damaged=damaged)


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """A saved net, the embeddings of four sounds, and a query that is one of them."""
    pytest.importorskip('ai_edge_litert')
    home = tmp_path_factory.mktemp('home')
    for name, seed in (('net', 0), ('other', 1)):
        add_tflite(saved.save_net(enliven(model.build(thin_spec()), seed), home / name))
    (home / 'sounds').mkdir()
    for index in range(4):
        soundfile.write(home / 'sounds' / f'{index} <&>.wav', noise(3, 0.02 * (1 + index), index), SAMPLE_RATE)
    embedder = load(home / 'net')
    embed_files(embedder, files.find([str(home / 'sounds')]), str(home / 'index'))
    return home


def test_the_command(home):
    arguments = '--index=index', '--model=net', '--top=2'
    status, out, err, loaded = call('search', *arguments, 'sounds/0 <&>.wav', cwd=home)
    assert (status, err, loaded) == (0, [], '[]')
    assert out[0] == 'sounds/0 <&>.wav'
    assert len(out) == 3
    assert all(re.fullmatch(r'   [01]\.\d{3}  .*sounds/[123] <&>\.wav', line) for line in out[1:])
    status, lines, err, _ = call('search', *arguments, '--format=json', 'sounds', cwd=home)
    assert (status, err) == (0, ['4 done'])
    first = json.loads(lines[0])
    assert [f'  {match["similarity"]:6.3f}  {match["path"]}' for match in first['matches']] == out[1:]
    soundfile.write(home / 'silence.wav', np.zeros(3 * SAMPLE_RATE), SAMPLE_RATE)
    status, lines, err, _ = call('search', *arguments, 'silence.wav', cwd=home)
    assert (status, lines, err) == (0, ['silence.wav', '  silence (below -70 dBFS)'], [])
    (home / 'sounds' / 'bad.wav').write_text('dear sir')
    status, lines, err, _ = call('search', *arguments, '--format=page', '--out=page', 'sounds', cwd=home)
    (home / 'sounds' / 'bad.wav').unlink()
    assert (status, lines) == (1, ['the page is page/index.html'])
    assert err[-1] == '4 done; 1 failed (1 unreadable)'
    text = (home / 'page' / 'index.html').read_text()
    assert text.count('<section>') == 4
    assert '0 &lt;&amp;&gt;.wav' in text
    for name in set(re.findall('src="(.*?)"', text)):
        assert abs(len(decoding.read(home / 'page' / name)) - 3 * SAMPLE_RATE) < SAMPLE_RATE / 10


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--index=index', '--model=other'], 'the embeddings are of another net, a soundnet8-thin. Pass it as --model'),
        (['--index=index', '--model=net', '--format=page'], '--format=page needs --out, the folder of the page'),
        (['--index=index', '--model=net', '--out=x'], '--format=page needs --out, the folder of the page'),
        (['--index=nothing', '--model=net'], 'nothing: cannot be read (No such file or directory). Write it again'),
    ],
)
def test_mistakes_are_one_line(home, arguments, words):
    status, out, err, _ = call('search', *arguments, 'sounds', cwd=home)
    assert (status, out, len(err)) == (2, [], 1)
    assert words in err[0]


def test_a_sound_that_is_gone_is_said_on_the_page(home, monkeypatch):
    monkeypatch.chdir(home)
    found = search.Found('sounds/0 <&>.wav', (search.Match('gone.wav', 0.5),))
    assert [line.split(':')[0] for line in page.write('gone', [found])] == ['gone.wav']
    assert '<b>gone.wav</b> (not there any more)' in pathlib.Path('gone/index.html').read_text()
