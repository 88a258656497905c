"""Embeddings as files: their contents, atomic writing, and no embedding computed twice."""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import soundfile

from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference import Embedder, listening, table_files
from soundnet_tf.inference.array_files import ARRAYS, read_npz
from soundnet_tf.inference.files import find
from soundnet_tf.inference.write import FORMATS, embed_files, output_path
from soundnet_tf.testing import noise
from tests.inference.embed_test import FakeEngine


@pytest.fixture
def embedder():
    return Embedder(FakeEngine(), short='error', facts={'weights_sha256': 'abc'})


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('in/a/rain.wav', 'in/b/rain.wav', 'in/b/rain.flac'):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        soundfile.write(name, noise(2), SAMPLE_RATE)
    return find(['in'])


def written(folder):
    return sorted(
        os.path.relpath(os.path.join(top, name), folder) for top, _, names in os.walk(folder) for name in names
    )


def test_an_npz_for_each_sound(embedder, sounds):
    tally = embed_files(embedder, sounds, 'out', layers=['conv7'])
    assert (tally.done, tally.status) == (3, 0)
    assert written('out') == ['a/rain.wav.npz', 'b/rain.flac.npz', 'b/rain.wav.npz']
    wanted = embedder.embed_file('in/a/rain.wav', 'conv7')
    with np.load('out/a/rain.wav.npz', allow_pickle=False) as there:
        np.testing.assert_array_equal(there['values'], wanted.values)
        assert there['values'].dtype == np.float32
        np.testing.assert_array_equal(there['times'], wanted.times)
        plain = {key: there[key].item() for key in there.files if key not in ('values', 'times')}
    assert plain == {
        'path': 'in/a/rain.wav',
        'layer': 'conv7',
        'pool': 'none',
        'short': 'error',
        'channel': 'first',
        'precision': 'float32',
        'edges': 'keep',
        'model': 'soundnet8-thin',
        'weights_sha256': 'abc',
        'source_bytes': os.path.getsize('in/a/rain.wav'),
        'source_mtime_ns': os.stat('in/a/rain.wav').st_mtime_ns,
        'sample_rate': 22_050,
        'seconds': 2.0,
        'tiled': False,
        'padded': False,
        'silent': False,
    }


def test_an_npz_is_as_numpy_writes_it(tmp_path):
    rows: list[dict[str, Any]] = [{'silent': silent, 'count': 1, 'times': np.arange(3.0)} for silent in (True, False)]
    for number, row in enumerate(rows):
        ARRAYS['npz'].write(tmp_path / f'{number}.npz', row)
        np.savez(tmp_path / 'numpy.npz', **row)
        with zipfile.ZipFile(tmp_path / f'{number}.npz') as ours, zipfile.ZipFile(tmp_path / 'numpy.npz') as numpys:
            own, others = ([(info.filename, info.external_attr) for info in z.infolist()] for z in (ours, numpys))
            assert own == others
            assert [ours.read(name) for name in ours.namelist()] == [numpys.read(name) for name in ours.namelist()]


@pytest.mark.parametrize('format', ['npz', 'npy'])
def test_finished_files_are_skipped(embedder, sounds, format):
    embed_files(embedder, sounds, 'out', format)
    before = os.stat(f'out/a/rain.wav.{format}').st_mtime_ns
    again = embed_files(embedder, sounds, 'out', format)
    assert (again.done, again.skipped) == (0, 3)
    assert os.stat(f'out/a/rain.wav.{format}').st_mtime_ns == before


@pytest.mark.parametrize('format', ['npz', 'npy'])
def test_unfinished_outputs_are_written_again(embedder, sounds, format):
    embed_files(embedder, sounds, 'out', format)
    os.truncate(f'out/a/rain.wav.{format}', 100)
    os.utime('in/b/rain.wav', (0, 0))  # an older file that took its place
    assert embed_files(embedder, sounds, 'out', format).done == 2
    nameless = Embedder(FakeEngine())  # a net in memory may have learned since
    for _ in range(2):
        assert embed_files(nameless, sounds, 'nameless', format).done == 3


def test_npy_arrays_with_the_settings_beside_them(embedder, sounds):
    assert embed_files(embedder, sounds, 'out', 'npy').done == 3
    assert written('out/a') == ['rain.wav.npy', 'rain.wav.npy.json']
    embed_files(embedder, sounds, 'npz')
    wanted = read_npz('npz/a/rain.wav.npz')
    np.testing.assert_array_equal(np.load('out/a/rain.wav.npy'), wanted.pop('values'))
    facts = json.loads(pathlib.Path('out/a/rain.wav.npy.json').read_text())
    assert facts == {**wanted, 'times': wanted['times'].tolist(), 'arrays': ['values']}
    os.remove('out/a/rain.wav.npy')
    assert embed_files(embedder, sounds, 'out', 'npy').done == 1


LAYERS = ('conv7', 'places')


def read_rows(format, out, sound):
    """What a run of LAYERS wrote of a sound, as `{layer: (values, times)}`."""
    if format == 'npz':
        there = read_npz(output_path(out, sound))
        return {layer: (there[f'values_{layer}'], there[f'times_{layer}']) for layer in LAYERS}
    if format == 'npy':
        facts = json.loads(output_path(out, sound, '.npy.json').read_text())
        return {layer: (np.load(f'{out}/{sound.name}.{layer}.npy'), facts[f'times_{layer}']) for layer in LAYERS}
    if format == 'jsonl':
        rows = [json.loads(line) for line in pathlib.Path(out).read_text().splitlines()]
    elif format == 'parquet':
        rows = pytest.importorskip('pyarrow.parquet').read_table(out).to_pylist()
    elif format == 'h5':
        with pytest.importorskip('h5py').File(out) as file:
            groups = [file[str(index)] for index in range(len(file))]
            rows = [{**group.attrs, 'values': group['values'][:], 'times': group['times'][:]} for group in groups]
    else:
        with open(out, newline='') as file:
            rows = list(csv.DictReader(file))
        return {
            layer: csv_arrays([row for row in rows if (row['path'], row['layer']) == (sound.path, layer)])
            for layer in LAYERS
        }
    return {row['layer']: (np.array(row['values']), row['times']) for row in rows if row['path'] == sound.path}


def csv_arrays(lines):
    cells = [[float(text) for name, text in line.items() if name.startswith('channel_') and text] for line in lines]
    return np.array(cells), [float(line['time']) for line in lines]


@pytest.mark.parametrize('format', FORMATS)
def test_several_layers_from_one_pass(embedder, sounds, format, monkeypatch):
    if format == 'parquet':
        pytest.importorskip('pyarrow')
    embedder.listener.short, passes, clips = 'tile', [], embedder.listener.listen_clips
    soundfile.write(sounds[0].path, noise(12), SAMPLE_RATE)  # the others are too short for a head
    monkeypatch.setattr(embedder.listener, 'listen_clips', lambda *it: passes.append(it[1]) or clips(*it))
    # In the order of the net, however they are named.
    assert embed_files(embedder, sounds, 'out', format, ['places', 'conv7', 'places']).done == 3
    assert passes == [['conv7', 'places']] * 2  # one batch for each length
    for sound in sounds:
        given = read_rows(format, 'out', sound)
        for layer, wanted in embedder.embed_file(sound.path, layers=LAYERS).items():
            values, times = given[layer]
            np.testing.assert_array_equal(values, wanted.values)
            assert list(times) == wanted.times.tolist()
    passes.clear()
    assert embed_files(embedder, sounds, 'out', format, LAYERS).skipped == 3
    os.utime(sounds[0].path, (0, 0))
    assert embed_files(embedder, sounds, 'out', format, LAYERS).done >= 1
    with pytest.raises(SoundNetError, match=r'started with other settings \(layer was conv7,places, is conv7\)'):
        embed_files(embedder, sounds, 'out', format, ['conv7'])


def test_a_pooled_table_of_several_layers(embedder, sounds):
    embed_files(embedder, sounds, 'out.csv', 'csv', ['pool5', 'conv7'], 'mean')
    with open('out.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['path'], row['layer'], row['time']) for row in rows] == [
        (sound.path, layer, '') for sound in sounds for layer in ('pool5', 'conv7')
    ]


@pytest.mark.parametrize('format', ['npz', 'npy', 'jsonl', 'csv', 'h5'])
def test_outputs_of_other_settings_are_not_overwritten(embedder, sounds, format):
    embed_files(embedder, sounds, 'out', format)
    other = Embedder(FakeEngine(), short='error', facts={'weights_sha256': 'def'})
    for listener, options, words in [
        (embedder, {'layers': ['conv7']}, 'layer was pool5, is conv7'),
        (embedder, {'layers': ['conv7'], 'pool': 'max'}, 'layer was pool5, is conv7; pool was none, is max'),
        (other, {}, 'weights_sha256 was abc, is def'),
    ]:
        with pytest.raises(
            SoundNetError, match=rf'started with other settings \({words}\)\. Use another --out, or remove it'
        ):
            embed_files(listener, sounds, 'out', format, **options)
    assert embed_files(embedder, sounds, 'out', format).skipped == 3


def test_two_lists_do_not_write_over_each_other(embedder, sounds, capsys):
    one, other = find([sounds[0].path]), find([sounds[2].path])
    assert one[0].name == other[0].name
    assert embed_files(embedder, one, 'out').done == 1
    assert str(embed_files(embedder, other, 'out')) == '0 done; 1 failed (1 output name taken)'
    name = one[0].name
    assert capsys.readouterr().err.startswith(
        f'{sounds[2].path}: out/{name}.npz has the embedding of {sounds[0].path}. Use'
    )
    assert embed_files(embedder, one, 'out').skipped == 1
    rooted = [find([file.path], root='in')[0] for file in sounds]
    assert sum(embed_files(embedder, [file], 'rooted').done for file in rooted) == 3
    # Named another way, or moved as a whole, it is the same sound.
    assert embed_files(embedder, find([os.path.abspath(one[0].path)]), 'out').skipped == 1
    os.rename('in', 'moved')
    assert embed_files(embedder, find(['moved'])[:1], 'rooted').done == 1


def test_a_sound_that_changes_meanwhile_is_embedded_again(embedder, sounds, monkeypatch):
    clips = embedder.listener.listen_clips

    def changed(batch, layers):
        soundfile.write(sounds[0].path, noise(3), SAMPLE_RATE)
        return clips(batch, layers)

    monkeypatch.setattr(embedder.listener, 'listen_clips', changed)
    embed_files(embedder, sounds, 'out')
    monkeypatch.setattr(embedder.listener, 'listen_clips', clips)
    assert str(embed_files(embedder, sounds, 'out')) == '1 done; 2 skipped, finished before'
    with np.load(output_path('out', sounds[0])) as there:
        assert there['seconds'] == 3


def test_a_table_has_a_row_for_all_that_was_done(embedder, sounds, monkeypatch):
    clips = embedder.listener.listen_clips

    def gone(batch, layers):
        os.utime(sounds[0].path, (0, 0))
        os.remove(sounds[1].path)
        return clips(batch, layers)

    monkeypatch.setattr(embedder.listener, 'listen_clips', gone)
    assert str(embed_files(embedder, sounds, 'out.jsonl', 'jsonl')) == '3 done'
    assert len(pathlib.Path('out.jsonl').read_text().splitlines()) == 3


def test_a_sound_that_is_bad_by_now_has_no_row(embedder, sounds):
    pathlib.Path('in/bad.wav').write_text('dear sir')
    embed_files(embedder, find(['in']), 'out.jsonl', 'jsonl')
    pathlib.Path(sounds[0].path).write_text('dear madam')
    tally = embed_files(embedder, find(['in']), 'out.jsonl', 'jsonl')
    assert str(tally) == '0 done; 2 skipped, finished before; 2 failed (2 unreadable)'
    assert len(pathlib.Path('out.jsonl').read_text().splitlines()) == 2


def test_long_names(embedder, sounds):
    long = 'in/a/' + 'r' * 251 + '.wav'
    os.rename(sounds[0].path, long)
    files = find(['in'])
    assert embed_files(embedder, files, 'out').done == 3
    assert embed_files(embedder, files, 'out').skipped == 3
    (short,) = pathlib.Path('out').glob('*/rrr*.npz')
    with np.load(short) as there:
        assert there['path'] == long


@pytest.mark.parametrize('format', [*table_files.TABLES])
def test_file_names_that_are_not_utf8(embedder, sounds, format):
    if format == 'parquet':
        pytest.importorskip('pyarrow')
    os.rename(sounds[0].path, b'in/bad\xff.wav')
    assert embed_files(embedder, find(['in']), 'out', format).done == 3
    assert embed_files(embedder, find(['in']), 'out', format).skipped == 3


def test_a_line_of_json_for_each_sound(plain_folder, sounds):
    from soundnet_tf.inference import load

    embedder = load(plain_folder)
    embed_files(embedder, sounds, 'out.jsonl', 'jsonl')
    lines = [json.loads(line) for line in pathlib.Path('out.jsonl').read_text().splitlines()]
    assert [line['path'] for line in lines] == [sound.path for sound in sounds]
    # Batched as here: alone a clip may be rounded otherwise.
    wanted = next(embedder.embed_files([sound.path for sound in sounds]))
    np.testing.assert_array_equal(np.array(lines[0]['values'], np.float32), wanted.values)
    assert lines[0]['times'] == wanted.times.tolist()
    assert lines[0]['seconds'] == 2.0


@pytest.mark.parametrize('pool', ['none', 'mean'])
def test_a_parquet_table(embedder, sounds, pool, monkeypatch):
    parquet = pytest.importorskip('pyarrow.parquet')
    monkeypatch.setattr(table_files, 'BYTES_TOGETHER', 10_000)
    embed_files(embedder, sounds, 'out.parquet', 'parquet', pool=pool)
    assert sorted(os.listdir('.')) == ['in', 'out.parquet']
    table = parquet.read_table('out.parquet')
    assert table.column('path').to_pylist() == [sound.path for sound in sounds]
    assert str(table.schema.field('values').type).count('list') == (2 if pool == 'none' else 1)
    for row, sound in zip(table.to_pylist(), sounds, strict=True):
        wanted = embedder.embed_file(sound.path)
        np.testing.assert_array_equal(row['values'], wanted.values if pool == 'none' else wanted.mean())
        assert (row['seconds'], row['layer'], row['weights_sha256']) == (2.0, 'pool5', 'abc')
        assert pool != 'none' or row['times'] == wanted.times.tolist()


@pytest.mark.parametrize('pool', ['none', 'mean'])
def test_csv_and_hdf5_hold_the_same_numbers(embedder, sounds, pool):
    h5py = pytest.importorskip('h5py')
    embed_files(embedder, sounds, 'out.csv', 'csv', pool=pool)
    embed_files(embedder, sounds, 'out.h5', 'h5', pool=pool)
    with open('out.csv', newline='') as file:
        lines = list(csv.DictReader(file))
    with h5py.File('out.h5') as file:
        for index, sound in enumerate(sounds):
            wanted, group = embedder.embed_file(sound.path), file[str(index)]
            values = wanted.values if pool == 'none' else wanted.mean()
            np.testing.assert_array_equal(group['values'], values)
            assert (group.attrs['path'], group.attrs['layer']) == (sound.path, 'pool5')
            rows = [row for row in lines if row['path'] == sound.path]
            given = [[float(row[f'channel_{i}']) for i in range(values.shape[-1])] for row in rows]
            np.testing.assert_array_equal(np.array(given, np.float32), np.atleast_2d(values))
            times = [] if pool == 'mean' else wanted.times.tolist()
            assert [float(row['time']) for row in rows if row['time']] == times
            assert times == ([] if pool == 'mean' else group['times'][:].tolist())


def test_a_table_through_a_pipe_leaves_nothing_behind(embedder, sounds, tmp_path, monkeypatch):
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
    os.mkfifo('pipe')
    with subprocess.Popen(['cat', 'pipe'], stdout=subprocess.PIPE, text=True) as reader:
        assert embed_files(embedder, sounds, 'pipe', 'jsonl').done == 3
        assert len(reader.stdout.read().splitlines()) == 3
    assert os.listdir(temporary) == []
    assert '.pipe.parts' not in os.listdir('.')


@pytest.mark.parametrize('format', [*table_files.TABLES])
def test_a_table_into_an_open_file_and_an_empty_one(embedder, sounds, format):
    if format == 'parquet':
        pytest.importorskip('pyarrow')
    with open('open', 'wb') as file:
        assert embed_files(embedder, sounds, f'/dev/fd/{file.fileno()}', format).done == 3
    open('empty', 'wb').close()  # as mktemp makes it
    assert embed_files(embedder, sounds, 'empty', format).done == 3
    keys = ['path', 'layer', 'weights_sha256']
    rows = [list(table_files.TABLES[format]().facts(pathlib.Path(name), keys)) for name in ('open', 'empty')]
    assert rows[0] == rows[1] == [{'path': file.path, 'layer': 'pool5', 'weights_sha256': 'abc'} for file in sounds]
    assert sorted(os.listdir('.')) == ['empty', 'in', 'open']


def test_a_table_cannot_be_a_link_to_itself(embedder, sounds):
    os.symlink('loop', 'loop')
    with pytest.raises(OSError, match='Too many levels'):
        embed_files(embedder, sounds, 'loop', 'csv')
    assert sorted(os.listdir('.')) == ['in', 'loop']


def test_without_pyarrow(embedder, sounds, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    monkeypatch.setitem(sys.modules, 'pyarrow.parquet', None)
    with pytest.raises(MissingTool, match=r"needs pyarrow, .* pip install 'soundnet_tf\[parquet\]'"):
        embed_files(embedder, sounds, 'out.parquet', 'parquet')
    assert os.listdir('.') == ['in']


@pytest.mark.parametrize('format', [*table_files.TABLES])
def test_a_finished_table_is_skipped_and_another_is_rebuilt(embedder, sounds, format):
    if format == 'parquet':
        pytest.importorskip('pyarrow')
    assert embed_files(embedder, sounds, 'out', format).done == 3
    before = os.stat('out').st_mtime_ns
    assert embed_files(embedder, sounds, 'out', format).skipped == 3
    assert os.stat('out').st_mtime_ns == before
    assert embed_files(embedder, sounds[:2], 'out', format).done == 2
    os.utime('in/a/rain.wav', (0, 0))
    assert embed_files(embedder, sounds[:2], 'out', format).done == 2
    os.truncate('out', 20)
    with pytest.raises(SoundNetError, match=r'out: cannot be read .* Use another --out'):
        embed_files(embedder, sounds[:2], 'out', format)
    pathlib.Path('out').write_text('[1, 2]\n')
    with pytest.raises(SoundNetError, match='out: cannot be read'):
        embed_files(embedder, sounds[:2], 'out', format)


# As text an hour takes five seconds to write.
@pytest.mark.slow
@pytest.mark.parametrize(('format', 'steps', 'most_mb'), [('jsonl', 24_000, 150), ('parquet', 97_000, 600)])
def test_a_table_of_hours_takes_little_memory(tmp_path, format, steps, most_mb):
    """Two rows of 2.5 or 10 hours of pool5 each, 25 or 99 MB, are written, and looked through."""
    if format == 'parquet':
        pytest.importorskip('pyarrow')
    code = f"""
import pathlib, re, numpy as np
from soundnet_tf.inference import table_files
def peak():
    return int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024
table, path = table_files.TABLES[{format!r}](), pathlib.Path({str(tmp_path / 'table')!r})
values = np.random.default_rng(0).normal(size=({steps}, 256)).astype(np.float32)
before = peak()
rows = ({{'path': str(i), 'times': np.arange({steps}.0), 'values': values}} for i in range(2))
with path.open('wb') as file:
    table.write(file, rows)
assert [row['path'] for row in table.facts(path, ['path'])] == ['0', '1']
print(peak() - before)
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < most_mb


def test_a_stopped_table_resumes(embedder, sounds, monkeypatch):
    """What was finished before the stop is not done again, and neither is it after a file that failed."""
    calls, clips = [], embedder.listener.listen_clips

    def some(batch, layers):
        calls.append(len(batch))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return clips(batch, layers)

    monkeypatch.setattr(embedder.listener, 'listen_clips', some)
    monkeypatch.setattr(listening, 'CLIPS_WAITING', 1)
    with pytest.raises(KeyboardInterrupt):
        embed_files(embedder, sounds, 'out.jsonl', 'jsonl')
    assert not os.path.exists('out.jsonl')
    soundfile.write('in/z.wav', noise(0.1), SAMPLE_RATE)
    again = embed_files(embedder, [*sounds, *find(['in/z.wav'])], 'out.jsonl', 'jsonl')
    assert str(again) == '2 done; 1 skipped, finished before; 1 failed (1 too short)'
    assert len(pathlib.Path('out.jsonl').read_text().splitlines()) == 3
    soundfile.write('in/z.wav', noise(1), SAMPLE_RATE)
    last = embed_files(embedder, [*sounds, *find(['in/z.wav'])], 'out.jsonl', 'jsonl')
    assert (last.done, last.skipped) == (1, 3)
    assert sorted(os.listdir('.')) == ['in', 'out.jsonl']


def test_work_claimed_by_another_run_is_left_to_it(embedder, sounds):
    claim = storage.Claim.of(output_path('out', sounds[1]))
    tally = embed_files(embedder, sounds, 'out')
    assert (tally.done, tally.elsewhere) == (2, 1)
    claim.release()
    assert embed_files(embedder, sounds, 'out').done == 1
    assert all(name.endswith('.npz') for name in written('out'))
    claim = storage.Claim.of(pathlib.Path('.out.jsonl.parts'))
    with pytest.raises(SoundNetError, match=r'out\.jsonl: another run is writing to it\. Wait for it'):
        embed_files(embedder, sounds, 'out.jsonl', 'jsonl')
    claim.release()


def test_several_runs_share_the_work(embedder, sounds, tmp_path, monkeypatch):
    """As threads, whose locks hold against each other as those of processes do."""
    for index in range(30):
        soundfile.write(f'in/{index}.wav', noise(1, seed=index), SAMPLE_RATE)
    files = find(['in'])
    monkeypatch.setattr(listening, 'CLIPS_WAITING', 2)
    wait = threading.Barrier(3)

    def one(_):
        wait.wait()
        return embed_files(Embedder(FakeEngine(), short='error', facts={'weights_sha256': 'abc'}), files, 'out')

    with ThreadPoolExecutor(3) as pool:
        tallies = list(pool.map(one, range(3)))
    assert sum(tally.done for tally in tallies) == len(files) == 33
    assert all(tally.files == 33 for tally in tallies)
    assert len(written('out')) == 33
    assert embed_files(embedder, files, 'out').skipped == 33


@pytest.mark.parametrize('pool', ['mean', 'max'])
def test_pooled(embedder, sounds, pool):
    wanted = getattr(embedder.embed_file(sounds[0].path), pool)()
    embed_files(embedder, sounds[:1], 'out', pool=pool)
    with np.load('out/a/rain.wav.npz') as there:
        np.testing.assert_array_equal(there['values'], wanted)
        assert 'times' not in there.files
    embed_files(embedder, sounds[:1], 'out.jsonl', 'jsonl', pool=pool)
    line = json.loads(pathlib.Path('out.jsonl').read_text())
    assert line['values'] == wanted.tolist()
    assert 'times' not in line


def test_a_bad_sound_leaves_no_file(embedder, sounds, capsys):
    pathlib.Path('in/a/bad.wav').write_text('dear sir')
    soundfile.write('in/a/short.wav', noise(0.1), SAMPLE_RATE)
    tally = embed_files(embedder, find(['in']), 'out')
    assert str(tally) == '3 done; 2 failed (1 unreadable, 1 too short)'
    assert written('out/a') == ['rain.wav.npz']
    bad, short = capsys.readouterr().err.splitlines()
    assert bad.startswith('in/a/bad.wav: not a sound file')
    assert short.startswith('in/a/short.wav is 0.10 s; pool5 of soundnet8-thin needs 0.21 s.')


def test_a_broken_run_leaves_no_half_file(embedder, sounds, monkeypatch):
    embed_files(embedder, sounds[:1], 'out.jsonl', 'jsonl')
    before = pathlib.Path('out.jsonl').read_bytes()
    monkeypatch.setattr(embedder.listener, 'listen_clips', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        embed_files(embedder, sounds, 'out.jsonl', 'jsonl')
    assert pathlib.Path('out.jsonl').read_bytes() == before
    with pytest.raises(ZeroDivisionError):
        embed_files(embedder, sounds, 'out')
    assert written('out') == written('.out.jsonl.parts') == []
    assert sorted(os.listdir('.')) == ['.out.jsonl.parts', 'in', 'out', 'out.jsonl']


def test_mistakes_come_before_any_work(embedder, sounds):
    os.mkdir('folder')
    for wrong, words in [
        ({'out': 'folder', 'format': 'jsonl'}, 'folder is a folder: jsonl needs a file'),
        ({'out': 'new/', 'format': 'jsonl'}, 'new/ is a folder: jsonl needs a file'),
        ({'out': sounds[0].path}, 'is a file: npz needs a folder'),
        ({'out': sounds[0].path, 'format': 'npy'}, 'is a file: npy needs a folder'),
        ({'out': sounds[0].path, 'format': 'csv'}, f'{sounds[0].path}: is one of the inputs. Use another --out'),
        ({'out': 'out', 'layers': ['conv9']}, "no layer 'conv9'"),
        ({'out': 'out', 'pool': 'sum'}, "pool='sum': must be one of none, mean, max"),
        ({'out': 'out', 'format': 'xls'}, "format='xls': must be one of npz, npy, jsonl, csv"),
    ]:
        with pytest.raises(SoundNetError, match=words):
            embed_files(embedder, sounds, **wrong)
    assert sorted(os.listdir('.')) == ['folder', 'in']
