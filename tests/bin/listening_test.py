"""The commands soundnet-embed and soundnet-tag, as a user runs them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from soundnet_tf import load
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.export import add_tflite
from soundnet_tf.nets import model, saved
from soundnet_tf.testing import enliven, noise, thin_spec

# The command, and then what it loaded, as the last line of stderr.
COMMAND = """
import sys
from soundnet_tf.bin import {name}
sys.argv[0] = 'soundnet-{name}'
try:
    {name}.run()
finally:
    print(sorted({{'tensorflow', 'keras'}} & set(sys.modules)), file=sys.stderr)
"""


def call(name, *arguments, cwd, stdin=b''):
    command = [sys.executable, '-c', COMMAND.format(name=name), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, input=stdin)
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    *err, loaded = done.stderr.splitlines()
    return done.returncode, done.stdout.splitlines(), err, loaded


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """A saved net with net.tflite, and a folder with a long, a short and a bad sound."""
    pytest.importorskip('ai_edge_litert')
    home = tmp_path_factory.mktemp('home')
    add_tflite(saved.save_net(enliven(model.build(thin_spec())), home / 'net'))
    (home / 'sounds').mkdir()
    soundfile.write(home / 'sounds' / 'long.wav', noise(12), SAMPLE_RATE)
    soundfile.write(home / 'sounds' / 'short.wav', noise(5), SAMPLE_RATE)
    (home / 'sounds' / 'bad.wav').write_text('dear sir')
    return home


def test_tag(home):
    status, out, err, loaded = call('tag', '--model=net', '--top=2', 'sounds/long.wav', 'sounds/short.wav', cwd=home)
    assert (status, loaded) == (0, '[]')
    assert err == [
        'sounds/short.wav: 5.00 s is too short for the heads of soundnet8-thin, so it was repeated',
        '2 done',
    ]
    best = load(home / 'net').tag_file(home / 'sounds' / 'long.wav', top=1)[0]
    assert out[:2] == ['sounds/long.wav', f'  imagenet  {best.probability:6.1%}  {best.name}']
    assert len(out) == 10


def test_tag_as_json_continues_after_a_bad_file(home):
    status, out, err, loaded = call('tag', '--model=net', '--format=json', 'sounds', cwd=home)
    assert (status, loaded) == (1, '[]')
    assert [(facts['path'], facts['tiled']) for facts in map(json.loads, out)] == [
        ('sounds/long.wav', False),
        ('sounds/short.wav', True),
    ]
    assert err[0].startswith('sounds/bad.wav: not a sound file')
    assert err[1:] == ['2 done; 1 failed (1 unreadable)']


def test_other_than_regular_files_are_counted(home):
    (home / 'odd').mkdir()
    os.mkfifo(home / 'odd' / 'pipe.wav')
    (home / 'odd' / 'short.wav').symlink_to('../sounds/short.wav')
    said = 'odd/pipe.wav: is a pipe, so it is left out. Pass it by name to read it, or remove it'
    status, out, err, _ = call('embed', '--model=net', '--out=odd_out', 'odd', cwd=home)
    assert (status, out, err) == (1, ['odd_out: 1 done; 1 failed (1 not a file)'], [said])


def test_embed_twice(home):
    status, out, err, loaded = call('embed', '--model=net', '--out=out', 'sounds', cwd=home)
    assert (status, out, loaded) == (1, ['out: 2 done; 1 failed (1 unreadable)'], '[]')
    assert len(err) == 1
    wanted = load(home / 'net').embed_file(home / 'sounds' / 'short.wav')
    with np.load(home / 'out' / 'short.wav.npz') as there:
        np.testing.assert_array_equal(there['values'], wanted.values)
    status, out, _, loaded = call('embed', '--model=net', '--out=out', 'sounds/long.wav', 'sounds/short.wav', cwd=home)
    assert (status, out, loaded) == (0, ['out: 0 done; 2 skipped, finished before'], '[]')


def test_embed_another_layer_with_keras(home):
    arguments = ['--model=net', '--out=out.jsonl', '--format=jsonl', '--pool=mean', '--layer=conv3', 'sounds/short.wav']
    status, out, err, loaded = call('embed', *arguments, cwd=home)
    assert (status, out, err, loaded) == (0, ['out.jsonl: 1 done'], [], "['keras', 'tensorflow']")
    wanted = load(home / 'net').embed_file(home / 'sounds' / 'short.wav', 'conv3').mean()
    given = json.loads((home / 'out.jsonl').read_text())['values']
    np.testing.assert_allclose(given, wanted, rtol=1e-5)


def test_embed_from_a_list_into_a_table(home):
    arguments = ['--model=net', '--out=table', '--format=parquet', '--paths_from=-', '--pool=max']
    parquet = pytest.importorskip('pyarrow.parquet')
    status, out, err, _ = call('embed', *arguments, cwd=home, stdin=b'sounds/l*.wav\nsounds/short.wav\n')
    assert (status, out, err) == (0, ['table: 2 done'], [])
    table = parquet.read_table(home / 'table').to_pylist()
    assert [row['path'] for row in table] == ['sounds/long.wav', 'sounds/short.wav']
    wanted = load(home / 'net').embed_file(home / 'sounds' / 'short.wav').max()
    np.testing.assert_allclose(table[1]['values'], wanted, rtol=1e-5)


def test_embed_several_layers(home):
    arguments = ['--model=net', '--out=layers', '--format=npy', '--layer=pool5', '--layer=places, imagenet']
    status, out, err, loaded = call('embed', *arguments, 'sounds/long.wav', cwd=home)
    assert (status, out, err, loaded) == (0, ['layers: 1 done'], [], '[]')
    wanted = load(home / 'net').embed_file(home / 'sounds' / 'long.wav', layers=['pool5', 'imagenet', 'places'])
    for layer, embedding in wanted.items():
        np.testing.assert_array_equal(np.load(home / 'layers' / f'long.wav.{layer}.npy'), embedding.values)


def test_embed_under_beam(home):
    pytest.importorskip('apache_beam')
    arguments = ['--model=net', '--out=beam', '--runner=DirectRunner', 'sounds', '--', '--direct_num_workers=1']
    status, out, err, _ = call('embed', *arguments, cwd=home)
    assert (status, out) == (1, ['beam: 2 done; 1 failed (1 unreadable)'])
    assert any(line.startswith('sounds/bad.wav: not a sound file') for line in err)
    wanted = load(home / 'net').embed_file(home / 'sounds' / 'short.wav')
    with np.load(home / 'beam' / 'short.wav.npz') as there:
        np.testing.assert_allclose(there['values'], wanted.values, rtol=1e-5)


def test_tag_live(home):
    sound = np.stack([noise(13, amplitude=0.3), noise(13, seed=1)], axis=1)
    arguments = ['--model=net', '--pcm=-', '--sample_rate=22050', '--channels=2', '--dtype=float32', '--top=1']
    status, out, err, _ = call('tag', *arguments, cwd=home, stdin=sound.tobytes())
    embedder = load(home / 'net')
    outputs = embedder.listener.listen_samples(sound, 22_050, embedder.listener.heads())
    assert (status, len(out)) == (0, 2 * len(outputs['places']))
    best = outputs['imagenet'].values[0]
    name = f'{embedder.labels["imagenet"][best.argmax()]} {best.max():.1%}'
    assert out[0].split(maxsplit=3) == [f'{outputs["places"].times[0]:.2f}', 's', 'imagenet', name]
    # Of what TensorFlow itself writes, no warning may be about our doing.
    assert err[-1] == '13.00 s of sound'
    assert not any('retracing' in line for line in err)


def test_tag_what_is_too_short_live(home):
    status, out, err, _ = call('tag', '--model=net', '--pcm=-', '--short=error', cwd=home, stdin=bytes(44_100))
    assert (status, out) == (2, [])
    assert err[-1].startswith(
        "soundnet-tag: stdin is 1.00 s; imagenet of soundnet8-thin needs 9.50 s. Use layer='conv7'"
    )


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--model=net', '--out=out', '--layer=conv9', 'sounds'], "soundnet8-thin has no layer 'conv9'"),
        (['--model=nobody', '--out=out', 'sounds'], 'nobody is not a saved net'),
        (['--model=sounds', '--out=out', 'sounds'], 'sounds is not a saved net'),
        (['--model=net', 'sounds'], '--out'),
        (
            ['--model=net', '--out=out', 'sounds', '--', '--flink_master=h'],
            'options of Apache Beam need a runner. Pass',
        ),
        (['--model=net', '--out=out', '--paths_from=gone.txt'], 'gone.txt: list cannot be read'),
        (['--model=net', '--out=new', '--decoder=mpg123', 'sounds/long.wav', '--layer=conv7'], "no decoder 'mpg123'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(home, arguments, words):
    status, out, err, _ = call('embed', *arguments, cwd=home)
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith('soundnet-embed: ')
    assert words in err[0]


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--pcm=-', 'sounds'], '--pcm reads from a pipe: leave out files and'),
        (['--pcm=-', '--per=clip'], '--pcm tags each time step: leave out --per=clip'),
        (['--pcm=-', '--speeds=1'], '--speeds is for the tags of whole clips: leave out --per=step and --pcm'),
        (['--per=step', '--speeds=1', 'sounds'], '--speeds is for the tags of whole clips'),
        (['--speeds=1,fast', 'sounds'], "speeds=['1', 'fast']: must be numbers from 0.5 to 2, such as"),
        (['--pcm=gone'], 'gone: cannot be read'),
        (['--pcm=-', '--dtype=int24'], 'should be one of <int16|int32|uint8|float32>'),
        ([], 'no input: pass sound files, globs or folders'),
    ],
)
def test_a_mistake_in_tagging(home, arguments, words):
    status, out, err, _ = call('tag', '--model=net', *arguments, cwd=home)
    assert (status, out) == (2, [])
    assert words in err[-1]
