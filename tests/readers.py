"""Every reader of a file of the package: a small file that it reads, and how it is read. See `tools.fuzz`."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from soundnet_tf import storage
from soundnet_tf.nets import saved

SAVEDMODELS = pathlib.Path(__file__).parents[1] / 'savedmodels'


@dataclasses.dataclass(frozen=True)
class Reader:
    """One kind of file."""

    name: str
    make: Callable[[pathlib.Path], pathlib.Path]
    """Fill a folder, and return the file that is damaged."""
    read: Callable[[pathlib.Path], Any]
    """Read the file at that path: its content, or one line in a SoundNetError."""
    is_hashed: bool = False
    """Whether a changed file is always refused."""


def _net(name: str, *, hashed: bool = False, compressed: bool = False) -> Callable[[pathlib.Path], pathlib.Path]:
    """Make a saved net, as older versions did or with hashes; its file of this name is damaged."""

    def make(folder: pathlib.Path) -> pathlib.Path:
        from soundnet_tf.testing import thin_spec

        spec, rng = thin_spec(heads={'places': 4}, fraction=1 / 64), np.random.default_rng(0)
        storage.write_json(folder / 'spec.json', spec.to_dict())
        weights = {key: rng.random(shape, np.float32) for key, shape in saved.shapes(spec).items()}
        (np.savez_compressed if compressed else np.savez)(folder / saved.WEIGHTS, **weights)
        storage.write_text(folder / 'labels' / 'places.txt', 'sea\nstreet\nwood\nkitchen\n')
        about: dict[str, Any] = {
            'format': 1,
            'origin': {'measured': {'accuracy': 0.5}},
            'confidence_threshold': {'places': 0.5},
        }
        if hashed:
            storage.write_bytes(folder / saved.TFLITE, rng.bytes(5000))  # it is never run
            files = [path for path in folder.rglob('*') if path.is_file()]
            about['files'] = {f'{path.relative_to(folder)}': {'sha256': storage.sha256(path)} for path in files}
        storage.write_json(folder / 'model.json', about)
        return folder / name

    return make


def _tables(folder: pathlib.Path) -> Any:
    """All that is known of a net without its weights."""
    from soundnet_tf.nets import catalog

    spec, labels = saved.read_spec(folder), saved.read_labels(folder)
    return spec, labels, saved.read_facts(folder), catalog._saved('net', folder, 'here')


def _weights(folder: pathlib.Path) -> Any:
    return dict(saved.Tensors(folder, saved.read_spec(folder)))


def _text(name: str, text: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(folder: pathlib.Path) -> pathlib.Path:
        storage.write_text(folder / name, text)
        return folder / name

    return make


def _json(name: str, values: Any) -> Callable[[pathlib.Path], pathlib.Path]:
    return _text(name, json.dumps(values, indent=1))


def _models(path: pathlib.Path) -> Any:
    from soundnet_tf.nets import registry

    return registry._nets(path)


RUN = {'experiment': {'training': {'steps': 40, 'schedule': 'cosine', 'rates': [1, 2]}}, 'spec': {'name': 'x'}}
RUN |= {'data': {'folder': 'records', 'sha256': 'abc'}}


def _run(path: pathlib.Path) -> Any:
    from soundnet_tf.training import runs

    data = path.read_bytes()
    try:
        storage.begin(path, RUN, fixed=runs._fixed)
    finally:
        path.write_bytes(data)


def _material(path: pathlib.Path) -> Any:
    from soundnet_tf.study import material

    return material.read(path)


MATERIAL = {
    'name': 'made',
    'data': {'esc10': {'path': 'ESC-10', 'stands_for': 'esc10', 'test_folds': [1, 2]}},
    'records': {'vgg': 'records'},
    'teachers': {'vgg': {'objects': 'imagenet', 'scenes': 'places'}},
}


def _manifest(path: pathlib.Path) -> Any:
    from soundnet_tf.prepare import manifest

    return manifest.videos([str(path)])


def _posteriors(folder: pathlib.Path) -> pathlib.Path:
    rows = np.random.default_rng(0).random([4, 5], np.float32)
    np.save(folder / 'a.npy', rows / rows.sum(1, keepdims=True))
    return folder / 'a.npy'


def _rows(found: Any) -> Any:
    wrong = found if isinstance(found, str) else found.misfit(5)
    taken = wrong or found.take(0, 4)
    if isinstance(taken, str):
        assert '\n' not in taken
    return taken


def _ready(path: pathlib.Path) -> Any:
    from soundnet_tf.teachers import ready

    return _rows(ready.Folder(path.parent).find('a.mp4'))


def _hdf5(folder: pathlib.Path) -> pathlib.Path:
    import h5py

    with h5py.File(folder / 'a.h5', 'w') as file:
        for name in ('a', 'folder/b'):
            file[name] = np.full([4, 5], 0.2, np.float32)
    return folder / 'a.h5'


def _ready_hdf5(path: pathlib.Path) -> Any:
    from soundnet_tf.teachers import hdf5

    store = hdf5.load('places', path)
    with contextlib.closing(store.file):
        store.first(lambda rows: _rows(rows) and None)
        return _rows(store.find('folder/b.mp4'))


def _released(folder: pathlib.Path) -> pathlib.Path:
    np.full([8, 5], 0.2, '<f4').tofile(folder / 'rows.bin')
    (folder / 'labels.txt').write_text('a\nb\nc\nd\ne\n')
    lines = [f'/data/{video}/{frame:08}.jpg' for video in ('x/a', 'x/b') for frame in range(4)]
    (folder / 'frames.txt').write_text('\n'.join(lines) + '\n')
    return folder / 'frames.txt'


def _of_listing(path: pathlib.Path) -> Any:
    from soundnet_tf.teachers import ready
    from soundnet_tf.teachers.options import take_apart

    options = f'frames={path},labels={path.parent / "labels.txt"}'
    return _rows(ready.load(take_apart(f'places={path.parent / "rows.bin"},{options}')).store.find('x/b'))


def _teacher_labels(path: pathlib.Path) -> Any:
    from soundnet_tf.teachers import options

    return options.read_labels('places', {'labels': str(path)})


def _shard(folder: pathlib.Path) -> pathlib.Path:
    """A folder of records of one shard, with its summary."""
    from soundnet_tf import records
    from soundnet_tf.prepare import shards
    from soundnet_tf.testing import make_records

    make_records(folder, count=3, shards=1, seconds=1, teachers={'places': 4})
    (path,) = records.shard_paths(folder, 1)
    summary = shards._Summary(skipped=[{'id': 'x', 'path': 'x.mp4', 'reason': 'no sound', 'detail': ''}])
    for sample in records.read_shard(path, {'places': 4}):
        summary.add(sample, len(records.encode(sample)))
    summary.write(path)
    return pathlib.Path(path)


def _of_shard(name: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(folder: pathlib.Path) -> pathlib.Path:
        path = _shard(folder)
        return path.with_suffix('.json') if name == 'summary' else folder / name

    return make


def _records(path: pathlib.Path) -> Any:
    from soundnet_tf import records

    card, labels = records.read_card(path.parent), records.read_labels(path.parent)
    return card, labels


def _read_shard(path: pathlib.Path) -> Any:
    from soundnet_tf import records

    return [sample.id for sample in records.read_shard(path, {'places': 4})]


def _summary(path: pathlib.Path) -> Any:
    from soundnet_tf import records
    from soundnet_tf.prepare import shards

    shard = str(path.with_suffix('.tfrecord'))
    return shards._finished(shard, {'places': 4}), [sample.id for sample in records.read_shard(shard, {'places': 4})]


def _lock(folder: pathlib.Path) -> Any:
    from soundnet_tf.prepare import plan
    from soundnet_tf.prepare.manifest import Video
    from soundnet_tf.prepare.stages import Settings

    videos = [Video(id, f'/{id}.mp4') for id in 'abc']
    with plan.lock(str(folder), videos, [], Settings()) as layout:
        return layout


def _planned(name: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(folder: pathlib.Path) -> pathlib.Path:
        _lock(folder)
        return folder / name

    return make


def _history(folder: pathlib.Path) -> pathlib.Path:
    from soundnet_tf.finetune import journal

    journal.write_history(folder, [{'epoch': n, 'loss': 1 / (n + 1), 'validation_loss': None} for n in range(5)])
    return folder / journal.HISTORY


def _read_history(path: pathlib.Path) -> Any:
    from soundnet_tf.finetune import journal

    return journal.read_history(path.parent, 3)


def _held_out(folder: pathlib.Path) -> pathlib.Path:
    from soundnet_tf.finetune import journal

    journal.write_held_out(folder, {'test_clips': np.arange(3), 'test_logits': np.zeros([3, 4], np.float32)})
    return folder / journal.HELD_OUT


def _read_held_out(path: pathlib.Path) -> Any:
    from soundnet_tf.finetune import journal

    return journal.read_held_out(path.parent)


def _result(path: pathlib.Path) -> Any:
    from soundnet_tf.finetune import journal

    (path.parent / 'net').mkdir(exist_ok=True)
    return journal.read_result(path.parent)


VALIDATION = 'step,loss,places/loss\n10,0.5,0.5\n20,0.4,0.4\n'


def _validation(path: pathlib.Path) -> Any:
    from soundnet_tf.training import runs

    runs.log_validation(path.parent, 20, {'loss': 0.3, 'places/loss': 0.3})
    return path.read_text()


def _curves(path: pathlib.Path) -> Any:
    from soundnet_tf.visualize import learning

    return learning.curves(path.parent)


def _confusions(path: pathlib.Path) -> Any:
    from soundnet_tf.visualize import learning

    return learning.confusions(path)


def _checkpoint(file: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(folder: pathlib.Path) -> pathlib.Path:
        import tensorflow as tf

        from soundnet_tf.training.checkpoints import Checkpoints

        what = tf.train.Checkpoint(count=tf.Variable(1), ballast=tf.Variable(tf.zeros([100])))
        checkpoints = Checkpoints(what, folder)
        for step in (1, 2):
            checkpoints.save(step)
        return folder / file

    return make


def _restore(path: pathlib.Path) -> Any:
    import tensorflow as tf

    from soundnet_tf.training.checkpoints import Checkpoints

    # Restoring removes what is damaged.
    with tempfile.TemporaryDirectory() as copy, contextlib.redirect_stdout(io.StringIO()):
        shutil.copytree(path.parent, copy, dirs_exist_ok=True)
        what = tf.train.Checkpoint(count=tf.Variable(0), ballast=tf.Variable(tf.ones([100])))
        return Checkpoints(what, pathlib.Path(copy)).restore()


def _collected(folder: pathlib.Path) -> pathlib.Path:
    from soundnet_tf.prepare.web.journal import COLUMNS, Journal

    with Journal(folder / 'videos.csv', {'words': ['dog']}) as journal:
        for id in 'ab':
            journal.note(video=dict.fromkeys(COLUMNS, 'x') | {'id': id, 'query': 'dog'})
        journal.note(skipped='c', query='dog', reason='too long')
        journal.note(finished='dog', duplicates=1)
        journal.write_manifest()
    return folder / 'videos.csv.journal'


def _collect(path: pathlib.Path) -> Any:
    from soundnet_tf.prepare.web.journal import Journal

    with Journal(path.with_suffix(''), {'words': ['dog']}) as journal:
        journal.write_manifest()
        return journal.videos


def _words(path: pathlib.Path) -> Any:
    from soundnet_tf.prepare.web import collect

    return collect.read_words([str(path)])


FACTS: dict[str, Any] = {'layer': 'pool5', 'pool': 'mean', 'short': 'error', 'channel': 'first'}
FACTS |= {'precision': 'float32', 'edges': 'drop', 'model': 'soundnet8', 'weights_sha256': 'abc'}


def _embedded(format: str) -> Callable[[pathlib.Path], pathlib.Path]:
    """Embeddings of two sounds, as soundnet-embed writes them."""

    def make(folder: pathlib.Path) -> pathlib.Path:
        from soundnet_tf.inference import array_files, table_files

        values = np.random.default_rng(0).random(8, np.float32)
        stamps = {'source_bytes': 5, 'source_mtime_ns': 7}
        rows = [{'path': name, **FACTS, **stamps, 'seconds': 1.0, 'values': values} for name in ('a.wav', 'b.wav')]
        path = folder / f'out.{format}'
        if format in array_files.ARRAYS:
            path = folder / f'a.wav{array_files.ARRAYS[format].suffix}'
            array_files.ARRAYS[format].write(path, rows[0])
        else:
            with path.open('wb+') as file:
                table_files.TABLES[format]().write(file, rows)
        return path

    return make


def _table(path: pathlib.Path) -> Any:
    from soundnet_tf.inference import table_files, write

    table = table_files.TABLES[path.suffix[1:]]()
    return write._is_whole(table, path, [], dict(FACTS))


def _arrays(path: pathlib.Path) -> Any:
    from soundnet_tf.inference import array_files, write

    format = 'npz' if path.suffix == '.npz' else 'npy'
    facts = array_files.ARRAYS[format].facts(path, ['path', *FACTS, *write.STAMPS])
    return facts, array_files.read_npz(path) if format == 'npz' else None


FEATURES = ('rain.npy', 'rain.wav.npz', 'rain.h5', 'all.npz', 'all.csv')


def _features(name: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(folder: pathlib.Path) -> pathlib.Path:
        values = np.random.default_rng(0).random([4, 3], np.float32)
        if name == 'all.npz':
            np.savez_compressed(folder / name, rain=values, dog=values)
        elif name.endswith('.npz'):
            np.savez(folder / name, values=values, times=np.arange(4.0))
        elif name.endswith('.csv'):
            rows = [f'rain.wav,{step},{",".join(map(str, channels))}' for step, channels in enumerate(values)]
            (folder / name).write_text('\n'.join(['path,time,a,b,c', *rows]) + '\n')
        elif name.endswith('.h5'):
            import h5py

            with h5py.File(folder / name, 'w') as file:
                file['values'], file['times'] = values, np.arange(4.0)
        else:
            np.save(folder / name, values)
        return folder / name

    return make


def _precomputed(path: pathlib.Path) -> Any:
    from soundnet_tf.evaluation import features
    from soundnet_tf.evaluation.embedders.precomputed import Precomputed

    if path.suffix == '.npy':
        features._read(path)  # the cache of features, of the same form
    is_table = path.stem == 'all'
    embedder = Precomputed(str(path if is_table else path.parent), 0.5 if path.suffix == '.npy' else None)
    return embedder.of_file('rain.wav'), path.name == 'all.npz' or embedder.hop_s('precomputed')


def _weight_file(form: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(folder: pathlib.Path) -> pathlib.Path:
        from tests.importing import made

        weights = made.weights(made.TINY5)
        state = made.state_dict(made.TINY5, weights, 'batchnorm')
        data = {
            'sound8.npy': lambda: made.npy(made.TINY5, weights),
            'net.pth': lambda: made.zipped(state),
            'old.pth': lambda: made.legacy(state),
            'net.t7': lambda: made.t7(made.TINY5, weights),
        }[form]()
        (folder / form).write_bytes(data)
        return folder / form

    return make


def _imported(path: pathlib.Path) -> Any:
    from soundnet_tf.importing import names, recognise

    return names.best_fit(recognise.read(path, path.read_bytes())).wrong


def _survey(folder: pathlib.Path) -> pathlib.Path:
    from soundnet_tf.testing import thin_spec
    from soundnet_tf.visualize.survey import Survey

    Survey.begin(thin_spec(), np.arange(3), ['conv1'], ['conv1'], np.arange(3), 3).save(folder / 'survey.npz')
    return folder / 'survey.npz'


def _read_survey(path: pathlib.Path) -> Any:
    from soundnet_tf.visualize.survey import Survey

    return Survey.load(path)


def _excerpts(path: pathlib.Path) -> Any:
    from soundnet_tf.visualize import excerpts

    return excerpts._read(path)


def _about(path: pathlib.Path) -> Any:
    from soundnet_tf.visualize import report

    return report._read_about(path.parent)


def _labelled(folder: pathlib.Path) -> pathlib.Path:
    storage.write_text(folder / 'labels.csv', 'path,label\na.wav,dog\nb.wav,"rain, heavy"\n')
    return folder / 'labels.csv'


def _read_labelled(path: pathlib.Path) -> Any:
    from soundnet_tf.inference.files import SoundFile
    from soundnet_tf.visualize import labels

    sound = SoundFile(os.path.abspath(path.parent / 'a.wav'), pathlib.PurePath('a.wav'))
    return labels.of_csv(path, [sound])


def _data_set(path: pathlib.Path) -> Any:
    from soundnet_tf.evaluation import csv_rows

    return [
        (row, csv_rows.integer(row['fold'], 'fold', where)) for where, row in csv_rows.rows(path, ['path'], ['fold'])
    ]


def _evaluation(folder: pathlib.Path) -> pathlib.Path:
    from tests.evaluation.comparison_test import evaluation

    storage.write_json(folder / 'out.json', [evaluation('first', [1, 0, 1, 1]).to_dict()])
    return folder / 'out.json'


def _read_evaluation(path: pathlib.Path) -> Any:
    from soundnet_tf.evaluation import comparison
    from soundnet_tf.visualize import learning

    return str(comparison.Table(comparison.read(str(path)))), learning.confusions(path)


def _scenes(path: pathlib.Path) -> Any:
    from soundnet_tf.evaluation import dcase

    return list(dcase.rows(path.parent))


def _study(path: pathlib.Path) -> Any:
    from soundnet_tf.study import grid

    return grid._value(path)


def _sound(codec: str, format: str) -> Callable[[pathlib.Path], pathlib.Path]:
    """Make a second of sound, by FFmpeg."""

    def make(folder: pathlib.Path) -> pathlib.Path:
        from tests.audio.wild_test import LOW, RATE, muxed

        storage.write_bytes(folder / 'rain', muxed(LOW[:RATE], codec, format))
        return folder / 'rain'

    return make


def _chained(folder: pathlib.Path) -> pathlib.Path:
    from tests.audio.wild_test import HIGH, LOW, ogg

    storage.write_bytes(folder / 'rain.ogg', ogg(LOW[:8000]) + ogg(HIGH[:8000], channels=2))
    return folder / 'rain.ogg'


def _heard(path: pathlib.Path) -> int:
    from soundnet_tf.audio import blocks

    return sum(map(len, blocks.read(path)))


def _video(folder: pathlib.Path) -> pathlib.Path:
    from tests.prepare import made

    return made.video(folder / 'a.mp4', 1.5)


def _extracted(path: pathlib.Path) -> Any:
    from soundnet_tf.prepare import manifest, stages
    from soundnet_tf.prepare.pace import Clock

    found = list(stages.read(manifest.Video('a', str(path)), str(path), stages.Settings(), 32, Clock()))
    assert not [skip for skip in found if isinstance(skip, stages.Skipped) and skip.reason == stages.ERROR], found
    return found


SOUNDS = [
    ('libmp3lame', 'mp3'), ('pcm_s16le', 'wav'), ('pcm_f32le', 'wav'), ('flac', 'flac'), ('flac', 'ogg'),
    ('aac', 'mp4'), ('aac', 'mpegts'), ('aac', 'matroska'), ('pcm_s16be', 'aiff'), ('wmav2', 'asf'),
]  # fmt: skip

CONFUSION = {'classes': ['dog', 'rain'], 'confusion': {'test': [[3, 1], [0, 4]]}, 'accuracy': 0.875}

READERS = [
    Reader('model.json', _net('model.json'), lambda path: _tables(path.parent)),
    Reader('spec.json', _net('spec.json'), lambda path: (_tables(path.parent), _weights(path.parent))),
    Reader('labels of a net', _net('labels/places.txt'), lambda path: _tables(path.parents[1])),
    Reader('weights', _net('weights.npz'), lambda path: _weights(path.parent)),
    Reader('compressed weights', _net('weights.npz', compressed=True), lambda path: _weights(path.parent)),
    Reader('hashed weights', _net('weights.npz', hashed=True), lambda path: _weights(path.parent), True),
    Reader('hashed spec', _net('spec.json', hashed=True), lambda path: _tables(path.parent), True),
    Reader('net.tflite', _net('net.tflite', hashed=True), lambda path: saved.read_tflite(path.parent), True),
    Reader('models.json', lambda f: pathlib.Path(shutil.copy(SAVEDMODELS / 'models.json', f)), _models),
    Reader('run.json', _json('run.json', RUN), _run),
    Reader('material of a study', _json('material.json', MATERIAL), _material),
    Reader('result of a study', _json('value.json', {'value': 0.5}), _study),
    Reader('manifest', _text('videos.csv', 'path,id\na.mp4,1\n"b, c.mp4",2\nhttps://x/d.mp4,3\n'), _manifest),
    Reader('posteriors, npy', _posteriors, _ready),
    Reader('posteriors, HDF5', _hdf5, _ready_hdf5),
    Reader('list of frames', _released, _of_listing),
    Reader('labels of a teacher', _text('labels.txt', 'tench, Tinca tinca\ngoldfish\nwhale\n'), _teacher_labels),
    Reader('card of records', _of_shard('dataset.json'), _records),
    Reader('labels of records', _of_shard('labels/places.txt'), lambda path: _records(path.parent)),
    Reader('shard', _shard, _read_shard),
    Reader('summary of a shard', _of_shard('summary'), _summary),
    Reader('plan', _planned('plan.json'), lambda path: _lock(path.parent)),
    Reader('planned videos', _planned('videos-00000.jsonl'), lambda path: _lock(path.parent)),
    Reader('history.csv', _history, _read_history),
    Reader('held_out.npz', _held_out, _read_held_out),
    Reader('result.json', _json('result.json', CONFUSION), _result),
    Reader('validation.csv', _text('validation.csv', VALIDATION), _validation),
    Reader('learning curves', _history, _curves),
    Reader('confusions', _json('result.json', CONFUSION), _confusions),
    Reader('index of a checkpoint', _checkpoint('step-2.index'), _restore),
    Reader('data of a checkpoint', _checkpoint('step-2.data-00000-of-00001'), _restore),
    Reader('journal of a search', _collected, _collect),
    Reader('words', _text('words.txt', 'dog # animals\nrain\nsea waves\n'), _words),
    *(Reader(f'embeddings, {format}', _embedded(format), _table) for format in ('jsonl', 'csv', 'parquet')),
    Reader('embeddings, h5', _embedded('h5'), _table, is_hashed=True),
    *(Reader(f'embeddings, {format}', _embedded(format), _arrays) for format in ('npz', 'npy')),
    *(Reader(f'features, {name}', _features(name), _precomputed) for name in FEATURES),
    *(
        Reader(f'weight file {name}', _weight_file(name), _imported)
        for name in ('sound8.npy', 'net.pth', 'old.pth', 'net.t7')
    ),
    Reader('survey of a report', _survey, _read_survey),
    Reader('excerpts of a report', _text('index', '{"id": "a", "start": 0.5}\n\n{"id": "b"}\n'), _excerpts),
    Reader('report', _json('report.json', {'fingerprint': 'x', 'failed': {}, 'lost': []}), _about),
    Reader('labels of sounds', _labelled, _read_labelled),
    Reader('evaluation', _evaluation, _read_evaluation),
    Reader('data set', _text('clips.csv', 'path,fold\na.wav,1\nb.wav,2\n'), _data_set),
    Reader('scenes', _text('meta.txt', 'audio/a.wav\tbus\ta\naudio/b.wav\tpark\tb\n'), _scenes),
    *(Reader(f'sound, {codec} in {format}', _sound(codec, format), _heard) for codec, format in SOUNDS),
    Reader('sound, chained Ogg', _chained, _heard),
    Reader('video', _video, _extracted),
]
"""All kinds of files that are read."""
