"""Tags: the best of each head, for people and for programs."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

from soundnet_tf import geometry, storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder, load
from soundnet_tf.inference.files import find
from soundnet_tf.inference.printing import _Text, tag_files, tag_live
from soundnet_tf.inference.tags import Tag, clip_probabilities, confident_heads, top_classes
from soundnet_tf.nets import saved
from soundnet_tf.spec import Head
from soundnet_tf.testing import noise
from tests.inference.embed_test import FakeEngine


def test_top():
    names = ['sea', 'street', 'wood']
    given = top_classes('places', names, np.array([0.25, 0.5, 0.25], np.float32), 2)
    assert given == [('places', 'street', 0.5), ('places', 'sea', 0.25)]
    assert len(top_classes('places', names, np.zeros(3, np.float32), 9)) == 3


def test_as_text():
    tags = [Tag('imagenet', 'bell', 0.5), Tag('imagenet', 'dog, hound', 0.0312), Tag('esc10', 'rain', 1.0)]
    assert _Text({})({'path': 'rain.wav', 'tiled': False}, [(None, tags)]).splitlines() == [
        'rain.wav',
        '  imagenet   50.0%  bell',
        '              3.1%  dog',
        '  esc10     100.0%  rain',
    ]


def test_not_sure_as_text():
    tags = [Tag('imagenet', 'bell', 0.5), Tag('esc10', 'rain', 0.6), Tag('esc10', 'sea', 0.3)]
    file = {'path': 'rain.wav', 'tiled': False}
    assert _Text({'esc10': 0.61})(file, [(None, tags)]).splitlines()[1:] == [
        '  imagenet   50.0%  bell',
        '  esc10     not sure (best guess rain)',
        '             60.0%  rain',
        '             30.0%  sea',
    ]
    assert 'not sure' not in _Text({'esc10': 0.6})(file, [(None, tags)])


def test_live_as_text():
    tags = [Tag('imagenet', 'dog, hound', 0.5), Tag('esc10', 'rain', 0.6), Tag('esc10', 'sea', 0.3)]
    assert _Text({'esc10': 0.61})({'path': 'stdin', 'silence': False}, [(1.5, tags)]).splitlines() == [
        '     1.50 s  imagenet  dog 50.0%',
        '             esc10     not sure: rain 60.0%, sea 30.0%',
    ]
    silent = _Text({})({'path': 'stdin', 'silence': True}, [(12.0, tags)])
    assert silent == '    12.00 s  silence (below -70 dBFS)'


def test_confident_by_the_best_class():
    tags = [Tag('esc10', 'rain', 0.6), Tag('esc10', 'sea', 0.3), Tag('imagenet', 'bell', 0.1)]
    assert confident_heads(tags, {'esc10': 0.6}) == {'esc10': True}
    assert confident_heads(tags, {'esc10': 0.61, 'imagenet': 0.1, 'places': 0.5}) == {'esc10': False, 'imagenet': True}
    assert confident_heads([Tag('esc10', 'rain', 1.0)], {'esc10': 1.0}) == {'esc10': False}


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(2, 6)), elements=st.floats(-30, 30)),
    st.sampled_from(['probabilities', 'logits']),
)
def test_the_whole_clip_by_its_steps(logits, mean):
    """Mean logits are found in the probabilities of the steps."""
    softmax = special.softmax(logits, axis=1)
    said = clip_probabilities(Head('esc10', logits.shape[1], 1, clip_mean=mean), softmax.astype(np.float32))
    wanted = softmax.mean(axis=0) if mean == 'probabilities' else special.softmax(logits.mean(axis=0))
    np.testing.assert_allclose(said, wanted, atol=1e-5)


@pytest.fixture(scope='module')
def unsure_folder(net, tmp_path_factory):
    """A saved net whose places are never sure, and whose objects always are."""
    folder = saved.save_net(net, tmp_path_factory.mktemp('unsure') / 'net')
    facts = saved.read_facts(folder) | {'confidence_threshold': {'places': 1.0, 'imagenet': 0.0}}
    storage.write_json(folder / 'model.json', facts)
    return folder


@pytest.mark.parametrize('per', ['clip', 'step'])
def test_not_sure_in_all_forms(unsure_folder, wav, capsys, per):
    embedder = load(unsure_folder)
    for format in ('text', 'json', 'csv'):
        tag_files(embedder, wav, format, 1, per)
        out = capsys.readouterr().out
        if format == 'text':
            assert out.count('not sure (best guess ') == (2 if per == 'step' else 1)
        elif format == 'json':
            facts = json.loads(out)
            steps = facts['steps'] if per == 'step' else [facts]
            assert all(step['confident'] == {'places': False, 'imagenet': True} for step in steps)
        else:
            answers = {(row['head'], row['confident']) for row in csv.DictReader(io.StringIO(out))}
            assert answers == {('imagenet', 'yes'), ('places', 'no')}


@pytest.mark.parametrize('per', ['clip', 'step'])
def test_silence_in_all_forms(plain_folder, tmp_path, monkeypatch, capsys, per):
    monkeypatch.chdir(tmp_path)
    soundfile.write('quiet.wav', noise(14, 1e-4), SAMPLE_RATE, subtype='FLOAT')
    soundfile.write('rain.wav', noise(14), SAMPLE_RATE)
    embedder, files = load(plain_folder), find(['quiet.wav', 'rain.wav'])
    tag_files(embedder, files, 'text', 1, per)
    lines = capsys.readouterr().out.splitlines()
    quiet, rain = lines[1 : lines.index('rain.wav')], lines[lines.index('rain.wav') + 1 :]
    assert quiet[-1] == '  silence (below -70 dBFS)'
    assert len(quiet) == (4 if per == 'step' else 1)
    assert not any('silence' in line for line in rain)
    tag_files(embedder, files, 'json', 1, per)
    quiet, rain = map(json.loads, capsys.readouterr().out.splitlines())
    assert (quiet['silence'], rain['silence']) == (True, False)
    for step in quiet['steps'] if per == 'step' else [quiet]:
        silent = [{'name': 'silence', 'probability': 1.0}]
        assert step['tags'] == {'imagenet': silent, 'places': silent}
    tag_files(embedder, files, 'csv', 1, per)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row['path'], row['silence']) for row in rows} == {('quiet.wav', 'yes'), ('rain.wav', 'no')}


@pytest.mark.parametrize('format', ['text', 'json', 'csv'])
def test_live_silence(plain_folder, capsys, format):
    """A microphone that is muted: silence is reported once a step sees nothing else."""
    embedder, muted = load(plain_folder), np.zeros([SAMPLE_RATE, 1], np.float32)
    tag_live(embedder, iter([noise(14)[:, None], *[muted] * 31]), SAMPLE_RATE, 'stdin', format, 1)
    out = capsys.readouterr().out
    if format == 'json':
        heard = [json.loads(line)['silence'] for line in out.splitlines()]
    elif format == 'csv':
        rows = csv.DictReader(io.StringIO(out))
        heard = [row['silence'] == 'yes' for row in rows if row['head'] == 'places']
    else:
        heard = ['silence' in line for line in out.splitlines() if 'places' in line or 'silence' in line]
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == (False, True)


@pytest.mark.parametrize('format', ['text', 'json'])
def test_tiled_clips_are_reported(tmp_path, capsys, format):
    path = str(tmp_path / 'rain.wav')
    soundfile.write(path, noise(5), SAMPLE_RATE)
    tally = tag_files(Embedder(FakeEngine(), short='tile'), find([path]), format, 1)
    out, err = capsys.readouterr()
    assert tally.done == 1
    if format == 'text':
        assert err == f'{path}: 5.00 s is too short for the heads of soundnet8-thin, so it was repeated\n'
        assert out.splitlines()[0] == path
        assert len(out.splitlines()) == 3
    else:
        facts = json.loads(out)
        assert (facts['path'], facts['seconds'], facts['tiled'], err) == (path, 5.0, True, '')
        assert [(head, tags[0]['name']) for head, tags in facts['tags'].items()] == [
            ('imagenet', 'imagenet 9'),
            ('places', 'places 3'),
        ]


@pytest.fixture
def wav(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write('rain.wav', noise(14), SAMPLE_RATE)
    return find(['rain.wav'])


def test_each_time_step(plain_folder, wav, capsys):
    embedder = load(plain_folder)
    tag_files(embedder, wav, 'json', 2, 'step')
    facts = json.loads(capsys.readouterr().out)
    heard = embedder.listener.listen_file('rain.wav', embedder.listener.heads())
    assert facts['seconds'] == 14.0
    assert [step['time'] for step in facts['steps']] == heard['places'].times.tolist()
    for index, step in enumerate(facts['steps']):
        for head, tags in step['tags'].items():
            best = np.argsort(-heard[head].values[index])[:2]
            assert [tag['name'] for tag in tags] == [embedder.labels[head][i] for i in best]
            probabilities = heard[head].values[index][best]
            np.testing.assert_allclose([tag['probability'] for tag in tags], probabilities, atol=1e-6)
    tag_files(embedder, wav, 'text', 1, 'step')
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[1].strip(), len(lines)) == ('rain.wav', '4.75 s', 1 + 2 * 3)


def test_tags_never_replace_a_sound(plain_folder, wav):
    with pytest.raises(SoundNetError, match=r'^\./rain\.wav: is one of the inputs\. Use another --out$'):
        tag_files(load(plain_folder), wav, out='./rain.wav')


@pytest.mark.parametrize('per', ['clip', 'step'])
def test_csv_is_one_table(plain_folder, wav, capsys, per):
    embedder = load(plain_folder)
    tag_files(embedder, [*wav, *wav], 'csv', 2, per)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 2 * 2 * 2 * (2 if per == 'step' else 1)
    best = embedder.tag_file('rain.wav', top=2)
    if per == 'clip':
        for row, tag in zip(rows[:4], best, strict=True):
            assert (row['path'], row['time'], row['head'], row['name']) == ('rain.wav', '', tag.head, tag.name)
            assert float(row['probability']) == pytest.approx(tag.probability, abs=1e-6)
        assert [row['rank'] for row in rows[:4]] == ['1', '2', '1', '2']
    else:
        assert [row['time'] for row in rows[::4]] == ['4.748', '7.72'] * 2


@pytest.mark.parametrize('format', ['text', 'json', 'csv'])
def test_live_sound_is_tagged_as_it_comes(plain_folder, capsys, format):
    """Each step is out before the next piece is asked for, with the tags that the whole file has there."""
    embedder, sound = load(plain_folder), (noise(17) * 32767).astype(np.int16)
    known = [geometry.final_frames(embedder.spec, 'places', samples) for samples in range(0, len(sound) + 1, 22_050)]
    shown = []

    def pieces():
        for at in range(0, len(sound), 22_050):
            shown.append(capsys.readouterr().out)
            yield sound[at : at + 22_050, None]

    assert tag_live(embedder, pieces(), SAMPLE_RATE, '-', format, 1) == 17.0
    shown.append(capsys.readouterr().out)
    counts = [text.count('imagenet') for text in shown]
    assert np.cumsum(counts)[:-1].tolist() == known[:-1]
    assert sum(counts) == 3
    wanted = embedder.listener.listen_samples(sound, SAMPLE_RATE, ['imagenet'])['imagenet']
    names = [embedder.labels['imagenet'][i] for i in wanted.values.argmax(axis=1)]
    text = ''.join(shown)
    if format == 'json':
        steps = [json.loads(line) for line in text.splitlines()]
        assert [step['time'] for step in steps] == wanted.times.tolist()
        assert [step['tags']['imagenet'][0]['name'] for step in steps] == names
    elif format == 'csv':
        rows = [row for row in csv.DictReader(io.StringIO(text)) if row['head'] == 'imagenet']
        assert [row['name'] for row in rows] == names
    else:
        lines = text.splitlines()
        assert [float(line.split()[0]) for line in lines[::2]] == [round(time, 2) for time in wanted.times]
        assert [line.split('imagenet  ')[1].rpartition(' ')[0] for line in lines[::2]] == names


def test_ctrl_c_ends_live_sound(plain_folder, capsys):
    """Whenever it comes: the sound before it is tagged to its end."""
    embedder = load(plain_folder, short='tile')

    def pieces():
        yield noise(5)[:, None]
        raise KeyboardInterrupt

    assert tag_live(embedder, pieces(), SAMPLE_RATE, 'stdin', 'text', 1) == 5.0
    out, err = capsys.readouterr()
    assert out.count('imagenet') == 1
    assert err == 'stdin: 5.00 s is too short for the heads of soundnet8-thin, so it was repeated\n'


def test_odd_names_are_printed(tmp_path, capsys):
    path = str(tmp_path / 'r\udce4in.wav')  # a name that is not UTF-8, as Python gives it
    soundfile.write(tmp_path / 'x.wav', noise(10), SAMPLE_RATE)
    (tmp_path / 'x.wav').rename(path)
    for format in ('text', 'json'):
        assert tag_files(Embedder(FakeEngine()), find([path]), format, 1).done == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith('r\\udce4in.wav')
    assert json.loads(out[-1])['path'] == path
