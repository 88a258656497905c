"""A net as a step of a scikit-learn pipeline."""

import importlib.util
import pathlib
import pickle
import sys

import numpy as np
import pytest
import soundfile

import soundnet_tf
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import BadAudio, MissingTool, ShortClip, SoundNetError
from soundnet_tf.inference import load
from soundnet_tf.testing import noise, tone

sklearn = pytest.importorskip('sklearn')


@pytest.fixture
def paths(tmp_path):
    """Low and high tones in noise."""
    for index in range(12):
        sound = tone(1, 300 if index % 2 else 2000) + noise(1, seed=index)
        soundfile.write(tmp_path / f'{index:02}.wav', sound, SAMPLE_RATE)
    return sorted(map(str, tmp_path.glob('*.wav')))


def test_a_pipeline_on_paths_distinguishes_tones(plain_folder, paths):
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    step = soundnet_tf.SoundNetTransformer(plain_folder, layer='conv3')
    names = ['low' if index % 2 else 'high' for index in range(len(paths))]
    pipeline = make_pipeline(step, StandardScaler(), LinearSVC())
    assert cross_val_score(pipeline, np.array(paths), names, cv=3).mean() == 1
    assert pipeline.fit(paths, names).predict(paths[:2]).tolist() == ['high', 'low']


@pytest.mark.parametrize('pool', ['mean', 'max', 'mean+max'])
def test_the_numbers_are_those_of_the_embedder(plain_folder, paths, pool):
    embedder = load(plain_folder)
    given = soundnet_tf.SoundNetTransformer(embedder, layer='conv5', pool=pool).transform(paths)
    assert given.dtype == np.float32
    for row, path in zip(given, paths, strict=True):
        embedding = embedder.embed_file(path, 'conv5')
        wanted = np.concatenate([getattr(embedding, name)() for name in pool.split('+')])
        np.testing.assert_allclose(row, wanted, rtol=1e-4, atol=1e-5)
    names = soundnet_tf.SoundNetTransformer(embedder, layer='conv5', pool=pool).get_feature_names_out()
    assert names.shape == given.shape[1:]
    assert names[-1] == f'conv5_15_{pool.rpartition("+")[2]}'


def test_arrays_of_any_rate_and_length(plain_folder):
    step = soundnet_tf.SoundNetTransformer(plain_folder, sample_rate=44_100)
    sounds = [tone(1, sample_rate=44_100), tone(0.1, sample_rate=44_100).tolist()]
    given = step.transform(sounds)
    wanted = load(plain_folder, short='tile').embed(sounds[1], 44_100).mean()
    np.testing.assert_allclose(given[1], wanted, rtol=1e-4, atol=1e-5)
    assert step.transform([]).shape == (0, 16)


class Table:
    """What a table of pandas is to us."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return np.array(self.values, object if isinstance(self.values, list) else None)


@pytest.mark.parametrize(
    'kind',
    [list, iter, tuple, np.array, lambda paths: map(pathlib.Path, paths), lambda paths: (path for path in paths), Table,
     lambda paths: Table([[path] for path in paths]), lambda paths: np.array(paths)[:, None]],
)  # fmt: skip
def test_paths_come_in_any_iterable(quick_folder, paths, kind):
    step = soundnet_tf.SoundNetTransformer(quick_folder)
    wanted = step.transform(paths)
    np.testing.assert_array_equal(step.transform(kind(paths)), wanted)
    np.testing.assert_array_equal(step.fit_transform(kind(paths)), wanted)


def test_waveforms_come_in_any_iterable(quick_folder):
    step = soundnet_tf.SoundNetTransformer(quick_folder)
    sounds = np.stack([noise(1, seed=seed) for seed in range(3)])
    wanted = step.transform(list(sounds))
    for kind in (sounds, iter(sounds), (sound for sound in sounds), Table(sounds)):
        np.testing.assert_array_equal(step.fit_transform(kind), wanted)


def test_scikit_learns_tools(quick_folder, paths):
    """Searches, copies in other threads and processes, names of the columns."""
    from joblib import Parallel, delayed
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    step, y = soundnet_tf.SoundNetTransformer(load(quick_folder)), np.arange(12) % 2
    search = GridSearchCV(
        make_pipeline(step, LinearSVC()), {'soundnettransformer__layer': ['conv7', 'pool5']}, cv=2, error_score='raise'
    )
    assert len(search.fit(paths, y).cv_results_['mean_test_score']) == 2
    wanted = step.transform(paths)
    for backend in ('threading', 'loky'):
        parts = Parallel(2, backend=backend)(delayed(step.transform)(paths[at::2]) for at in range(2))
        np.testing.assert_allclose(parts, [wanted[::2], wanted[1::2]], rtol=1e-4, atol=1e-5)
    assert step.get_feature_names_out().shape == wanted.shape[1:]
    if importlib.util.find_spec('pandas'):
        table = step.set_output(transform='pandas').transform(paths)
        assert list(table.columns) == list(step.get_feature_names_out())


def test_settings_are_cloned_and_pickled_without_the_net(plain_folder, paths):
    from sklearn.base import clone

    step = soundnet_tf.SoundNetTransformer(str(plain_folder), layer='conv3', pool='max')
    before = step.transform(paths[:2])
    data = pickle.dumps(step)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data).transform(paths[:2]), before)
    assert clone(step).get_params() == step.get_params()
    step.set_params(layer='conv4')
    assert step.transform(paths[:2]).shape == (2, 8)
    assert repr(step).startswith('SoundNetTransformer(')


def test_mistakes(plain_folder, paths, tmp_path):
    step = soundnet_tf.SoundNetTransformer(plain_folder, short='error')
    (tmp_path / 'bad.wav').write_text('dear sir')
    for sounds, error, words in [
        ([paths[0], noise(1)], SoundNetError, 'sounds mix paths and arrays'),
        ([paths[0], str(tmp_path / 'bad.wav')], BadAudio, 'bad.wav: not a sound file'),
        ([noise(0.1)], ShortClip, 'clip 0 is 0.10 s'),
    ]:
        with pytest.raises(error, match=words):
            step.transform(sounds)
    with pytest.raises(SoundNetError, match="pool='sum': must be mean, max or mean"):
        soundnet_tf.SoundNetTransformer(plain_folder, pool='sum').fit(paths)
    with pytest.raises(SoundNetError, match="no layer 'conv9'"):
        soundnet_tf.SoundNetTransformer(plain_folder, layer='conv9').fit(paths)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn', None)
    monkeypatch.setitem(sys.modules, 'sklearn.base', None)
    monkeypatch.delitem(sys.modules, 'soundnet_tf.inference.sklearn', raising=False)
    monkeypatch.delitem(vars(soundnet_tf), 'SoundNetTransformer', raising=False)
    with pytest.raises(MissingTool, match=r"needs scikit-learn, .* pip install 'soundnet_tf\[transfer\]'"):
        soundnet_tf.SoundNetTransformer  # noqa: B018
