"""The folder of a report: atomic, resumed, replaced; and no name can break its page."""

import dataclasses
import json
import os
import re
import shutil

import numpy as np
import pytest
import soundfile

from soundnet_tf import geometry, load, storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import files
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8
from soundnet_tf.testing import thin_spec
from soundnet_tf.visualize import excerpts, page, report
from tests.nets.hashes import forget_hashes
from tests.visualize.conftest import NASTY


def data_of(folder):
    text = (folder / 'index.html').read_text()
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_the_layers_of_the_paper():
    assert report.default_layers(SOUNDNET8) == ('conv5', 'conv7')
    assert report.default_layers(SOUNDNET5) == ('conv3', 'conv4')


def test_contents_of_a_report(written, net, sounds):
    data = data_of(written)
    assert [layer['name'] for layer in data['layers']] == ['conv5', 'conv7', 'imagenet', 'places']
    assert [view['name'] for view in data['maps']['views']] == ['conv5', 'pool5', 'conv7', 'vision']
    assert data['failed'] == {'unreadable': 1}
    assert data['lost'] == ['002 - noises/bad.wav']
    assert {clip['label'] for clip in data['clips'].values()} == {'tones', 'noises'}
    assert data['timeline']['name'] == 'long.wav'
    embedder = load(net, short='tile')
    of_imagenet = [
        row['name'] for head in data['timeline']['heads'] if head['name'] == 'imagenet' for row in head['rows']
    ]
    of_imagenet += [clip['top_classes']['imagenet'][0] for clip in data['clips'].values()]
    assert of_imagenet
    assert not [name for name in of_imagenet if ', ' in name], 'the first of the synonyms'
    for layer in data['layers']:
        assert layer['field'] == pytest.approx(geometry.receptive_field(embedder.spec, layer['name']) / 22_050)
        assert layer['shown'] == layer['field']
        order = [-unit['selectivity'] for unit in layer['units']]
        assert order == sorted(order)
        for unit in layer['units'][:2]:
            for best in unit['best'][:2]:
                clip = data['clips'][str(best['clip'])]
                heard = embedder.embed_file(sounds / clip['name'], layer['name'])
                # Of a clip that is repeated for the heads, what sees none of the repetition, if there is any.
                own = geometry.final_frames(embedder.spec, layer['name'], round(heard.seconds * 22_050))
                values = heard.values[:own] if heard.seconds < 9.4 and own else heard.values
                assert values[:, unit['unit']].max() == pytest.approx(best['value'], rel=2e-3)
    shown = {best['excerpt'] for layer in data['layers'] for unit in layer['units'] for best in unit['best']}
    shown |= {clip['excerpt'] for clip in data['maps']['clips']}
    assert {path.stem for path in (written / 'sounds').iterdir()} == shown
    assert {path.stem for path in (written / 'pictures').iterdir()} == shown == set(data['excerpts'])
    assert sorted(path.name for path in written.iterdir()) == [
        'index.html', 'pictures', 'report.css', 'report.js', 'report.json', 'sounds', 'timeline.mp3', 'timeline.png',
    ]  # fmt: skip


def test_names_cannot_break_out(written):
    """The name stands in the page, and only as data."""
    text = (written / 'index.html').read_text()
    assert any(NASTY in clip['name'] for clip in data_of(written)['clips'].values())
    assert '<img' not in text
    assert '<!--' not in text
    assert '<b>kitchen' not in text
    assert page.embedded('</script><!--') == '"\\u003c/script>\\u003c!--"'


def test_finished_before(written, net, sounds, wanted, capsys):
    before = (written / 'index.html').stat().st_mtime_ns
    tally = report.write(load(net, short='tile'), net, files.find([str(sounds)]), written, wanted)
    assert (tally.skipped, tally.done, tally.failed.total()) == (12, 0, 1)
    assert 'bad.wav: skipped, as in the previous run' in capsys.readouterr().err
    assert (written / 'index.html').stat().st_mtime_ns == before


@pytest.fixture
def small(net, sounds, tmp_path):
    """How to write a small report."""
    found = files.find([str(sounds / '001 - tones')])

    def write(**changes):
        wanted = dataclasses.replace(report.Wanted(units=2, top=2, layers=('conv7',)), **changes)
        return report.write(load(net, short='tile'), net, found, tmp_path / 'out', wanted)

    return write


def test_a_stopped_run_resumes(small, tmp_path, monkeypatch):
    made = excerpts._write_excerpt

    def stops(one, folder):
        if len(list((folder / excerpts.SOUNDS).iterdir())) >= 3:
            raise KeyboardInterrupt
        return made(one, folder)

    with monkeypatch.context() as patch:
        patch.setattr(excerpts, '_write_excerpt', stops)
        with pytest.raises(KeyboardInterrupt):
            small()
    assert not (tmp_path / 'out').exists()
    first = {path.name: path.stat().st_mtime_ns for path in (tmp_path / 'out.parts' / 'sounds').iterdir()}
    index = (tmp_path / 'out.parts' / excerpts.INDEX).read_text()
    tally = small()
    assert (tally.skipped, tally.done) == (6, 0)
    kept = {name for name in first if name.removesuffix('.mp3') in index}
    assert kept
    for name in kept:
        assert (tmp_path / 'out' / 'sounds' / name).stat().st_mtime_ns == first[name]
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_other_labels_do_not_repeat_the_inference(small, sounds, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(excerpts, '_write_excerpt', None)
        with pytest.raises(TypeError):
            small(top=2)
    rows = [f'{path},tone' for path in (sounds / '001 - tones').iterdir() if path.stem.isdigit()]
    (tmp_path / 'labels.csv').write_text('\n'.join(['path,label', *rows]))
    tally = small(labels=str(tmp_path / 'labels.csv'), units=1)
    assert (tally.skipped, tally.done) == (6, 0)
    data = data_of(tmp_path / 'out')
    assert {clip['label'] for clip in data['clips'].values()} == {'tone', None}
    assert {path.stem for path in (tmp_path / 'out' / 'sounds').iterdir()} == set(data['excerpts'])
    assert small(top=1).done == 6


def test_stopped_between_two_names(small, tmp_path, monkeypatch):
    small()
    rename = os.rename

    def stops(one, other):
        if str(one).endswith('.parts'):
            raise KeyboardInterrupt
        rename(one, other)

    with monkeypatch.context() as patch:
        patch.setattr(report.os, 'rename', stops)
        with pytest.raises(KeyboardInterrupt):
            small(top=1)
    assert not (tmp_path / 'out').exists()
    with monkeypatch.context() as patch:
        patch.setattr(report.survey, 'conduct', None)
        assert small(top=1).skipped == 6
    assert max(len(unit['best']) for unit in data_of(tmp_path / 'out')['layers'][0]['units']) == 1
    small(top=2)
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_files_added_meanwhile_are_kept(small, tmp_path, monkeypatch):
    small()
    written = page.write

    def meanwhile(*arguments):
        (tmp_path / 'out' / 'sounds' / 'mine.wav').touch()
        written(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(page, 'write', meanwhile)
        with pytest.raises(
            SoundNetError, match=r'out: sounds/mine\.wav is not part of the report and would be deleted'
        ):
            small(top=1)
    (tmp_path / 'out' / 'sounds' / 'mine.wav').rename(tmp_path / 'mine.wav')
    assert small(top=1).skipped == 6
    (tmp_path / 'out' / 'film.part').touch()
    with pytest.raises(SoundNetError, match=r'out: film\.part is not part of the report'):
        small()


def test_a_report_inside_the_run_that_it_shows(net, sounds, given, tmp_path):
    shutil.copytree(given / 'run', tmp_path / 'run')
    found, wanted = files.find([str(sounds / '001 - tones')]), report.Wanted(units=1, top=1, run=str(tmp_path / 'run'))
    done = []
    for _ in range(2):
        done.append(report.write(load(net, short='tile'), net, found, tmp_path / 'run' / 'report', wanted).done)
        (tmp_path / 'run' / 'ckpt-7').touch()
    assert done == [6, 0]
    with (tmp_path / 'run' / 'log.csv').open('a') as log:
        log.write('\n401,1,1,1,0.001')
    assert report.write(load(net, short='tile'), net, found, tmp_path / 'run' / 'report', wanted).done == 6


def test_files_that_became_readable_are_read(small, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(report.decoding, 'installed', lambda decoder: decoder.name == 'soundfile')
        small()
    assert small().done == 6


def test_a_second_run_needs_no_tensorflow(small, monkeypatch):
    small()
    monkeypatch.setattr(report.decoding.decoders, 'load_tfio', lambda: pytest.fail('tensorflow-io was loaded'))
    assert small().skipped == 6


def test_names_count_too(net, sounds, tmp_path):
    """The same files by links of other names: the page is written anew, from the earlier survey where it can be."""
    store = shutil.copytree(sounds / '001 - tones', tmp_path / 'store')
    for label in ('cat', 'dog'):
        (tmp_path / 'in' / label).mkdir(parents=True)
    for number in range(4):
        (tmp_path / 'in' / ('cat' if number % 2 else 'dog') / f'{number}.wav').symlink_to(store / f'{number}.wav')
    wanted = report.Wanted(units=1, top=1, layers=('conv7',))

    def labels():
        report.write(load(net, short='tile'), net, files.find([str(tmp_path / 'in')]), tmp_path / 'out', wanted)
        return {clip['label'] for clip in data_of(tmp_path / 'out')['clips'].values()}

    assert labels() == {'cat', 'dog'}
    (tmp_path / 'in' / 'cat').rename(tmp_path / 'in' / 'bird')
    assert labels() == {'bird', 'dog'}


def test_a_skipped_file_of_any_name_is_reported_again(net, sounds, tmp_path, capsys):
    shutil.copytree(sounds / '001 - tones', tmp_path / 'in')
    (tmp_path / 'in' / os.fsdecode(b'caf\xe9.wav')).write_text('dear sir')
    wanted = report.Wanted(units=1, top=1, layers=('conv7',))
    found = files.find([str(tmp_path / 'in')])
    for done, skipped in ((6, 0), (0, 6)):
        tally = report.write(load(net, short='tile'), net, found, tmp_path / 'out', wanted)
        assert (tally.done, tally.skipped, tally.failed) == (done, skipped, {'unreadable': 1})
        assert 'caf' in capsys.readouterr().err
    assert str(tmp_path) not in (tmp_path / 'out' / 'report.json').read_text()


def test_an_unfinished_report_under_the_finished_name_is_written_again(small, tmp_path):
    small()
    about = json.loads((tmp_path / 'out' / 'report.json').read_text())
    (tmp_path / 'out' / 'report.json').write_text(json.dumps({key: about[key] for key in ('survey', 'fingerprint')}))
    assert small().done == 6


def test_system_files_in_a_report_do_not_block_it(small, tmp_path):
    small()
    for place in ('.', 'sounds'):
        (tmp_path / 'out' / place / '.DS_Store').write_text('looked at')
    assert small(units=1).done == 6


def test_a_file_that_becomes_shorter_loses_its_last_excerpts(net, sounds, tmp_path, monkeypatch, capsys):
    shutil.copytree(sounds / '001 - tones', tmp_path / 'tones')
    conduct = report.survey.conduct

    def shortens(*arguments):
        tally = conduct(*arguments)
        for path in (tmp_path / 'tones').glob('*.wav'):
            samples, rate = soundfile.read(path)
            soundfile.write(path, samples[: len(samples) // 10], rate)
        return tally

    monkeypatch.setattr(report.survey, 'conduct', shortens)
    found = files.find([str(tmp_path / 'tones')])
    report.write(
        load(net, short='tile'), net, found, tmp_path / 'out', report.Wanted(units=16, top=2, layers=('conv5',))
    )
    assert re.search(r'changed while the report was written: \d+ excerpts are missing', capsys.readouterr().err)
    data = data_of(tmp_path / 'out')
    shown = {best['excerpt'] for layer in data['layers'] for unit in layer['units'] for best in unit['best']}
    assert shown <= set(data['excerpts'])


def test_every_shown_input_rebuilds_the_report(net, sounds, tmp_path):
    own = tmp_path / 'net'
    shutil.copytree(net, own)
    vision = tmp_path / 'vision' / '001 - tones'
    vision.mkdir(parents=True)
    found = files.find([str(sounds)])

    def written():
        wanted = report.Wanted(units=1, top=1, layers=('conv7',), vision=str(tmp_path / 'vision'))
        return report.write(load(own, short='tile'), own, found, tmp_path / 'out', wanted).done

    for value in (1, 2):
        for sound in found:
            np.save(vision / f'{sound.name.stem}.npy', np.float32([[value, sound.name.stem > '2', 3]]))
        assert written() > 0
    assert written() == 0
    (own / 'labels' / 'places.txt').write_text('a\nb\nc\nd\n')
    forget_hashes(own)
    assert written() > 0


def test_a_report_among_its_sounds_leaves_out_its_own(net, sounds, tmp_path):
    shutil.copytree(sounds / '001 - tones', tmp_path / 'sounds')
    for _ in range(2):
        found = files.find([str(tmp_path / 'sounds')])
        wanted = report.Wanted(units=1, top=1, layers=('conv7',))
        tally = report.write(load(net, short='tile'), net, found, tmp_path / 'sounds' / 'report', wanted)
    assert (tally.done, tally.skipped) == (0, 6)


def test_another_report_takes_the_place(small, tmp_path):
    small()
    assert small(top=1).done == 6
    assert all(len(unit['best']) <= 1 for unit in data_of(tmp_path / 'out')['layers'][0]['units'])


def test_something_else_is_left_alone(small, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'thesis.tex').touch()
    with pytest.raises(SoundNetError, match=r'out: exists and is not a report\. Use another --out'):
        small()
    (tmp_path / 'out' / 'report.json').write_text('{}')
    with pytest.raises(SoundNetError, match=r'out: exists and is not a report\. Use another --out'):
        small()
    assert (tmp_path / 'out' / 'thesis.tex').exists()
    shutil.rmtree(tmp_path / 'out')
    (tmp_path / 'out.parts').mkdir()
    (tmp_path / 'out.parts' / 'notes.txt').touch()
    with pytest.raises(SoundNetError, match=r'out\.parts: exists and is not a report'):
        small()
    shutil.rmtree(tmp_path / 'out.parts')
    (tmp_path / 'out.old').mkdir()
    (tmp_path / 'there').mkdir()
    (tmp_path / 'out').symlink_to('there')
    small()
    assert (tmp_path / 'out').is_symlink()
    (tmp_path / 'out').unlink()
    (tmp_path / 'there').rename(tmp_path / 'out')
    small(top=1)
    (tmp_path / 'out' / 'notes.txt').touch()
    with pytest.raises(SoundNetError, match=r'out: notes\.txt is not part of the report and would be deleted'):
        small()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['out', 'out.old']
    shutil.rmtree(tmp_path / 'out')
    claim = storage.Claim.of(tmp_path / 'out.parts')
    with pytest.raises(SoundNetError, match=r'out\.parts: another run is writing to it\. Wait for it, or stop'):
        small()
    claim.release()


def test_mistakes_are_reported_before_processing(small, tmp_path):
    for changes, words in (
        ({'layers': ('conv9',)}, "has no layer 'conv9'"),
        ({'run': str(tmp_path)}, ': no log.csv'),
        ({'evaluation': str(tmp_path / 'no.json')}, r'cannot be read \(No such file'),
        ({'labels': str(tmp_path / 'no.csv')}, r'no\.csv: cannot be read'),
        ({'vision': str(tmp_path)}, 'no vision features for any sound'),
        ({'timeline': str(tmp_path / 'no.wav')}, 'there is no such file or folder. Check the path'),
        ({'timeline': __file__}, 'not a sound file'),
    ):
        with pytest.raises(SoundNetError, match=words):
            small(**changes)
        assert not (tmp_path / 'out.parts').exists(), words


def test_no_usable_sounds(net, tmp_path):
    (tmp_path / 'bad.wav').write_text('dear sir')
    with pytest.raises(SoundNetError, match=r'no usable sounds: all of them failed or are too short\. Pass other'):
        report.write(load(net), net, files.find([str(tmp_path)]), tmp_path / 'out', report.Wanted())
    assert not (tmp_path / 'out').exists()


def test_a_net_without_heads(sounds, tmp_path):
    net = saved.save_net(model.build(thin_spec(heads={})), tmp_path / 'net')
    found = files.find([str(sounds / '001 - tones')])
    with pytest.raises(SoundNetError, match=r'--timeline: .* has no heads to plot\. Omit this flag'):
        report.write(load(net), net, found, tmp_path / 'out', report.Wanted(timeline=found[0].path))
    report.write(load(net), net, found, tmp_path / 'out', report.Wanted(units=1, top=1))
    data = data_of(tmp_path / 'out')
    assert [layer['name'] for layer in data['layers']] == ['conv5', 'conv7']
    assert (data['timeline'], data['net']['heads']) == (None, {})


def test_few_sounds_have_no_map(net, sounds, tmp_path):
    found = files.find([str(sounds / '001 - tones' / f'{n}.wav') for n in range(3)])
    report.write(load(net, short='tile'), net, found, tmp_path / 'out', report.Wanted(units=1, top=1))
    assert data_of(tmp_path / 'out')['maps']['views'] == []
    assert np.isfinite(data_of(tmp_path / 'out')['net']['seconds'])
