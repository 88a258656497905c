"""Labelled sounds: each layout gives the same value, and errors are reported."""

import pathlib
import re
import shutil

import pytest

from soundnet_tf.errors import BadAudio, SoundNetError
from soundnet_tf.evaluation import datasets
from soundnet_tf.evaluation.datasets import DataSet, LabelledClip
from soundnet_tf.testing import noise
from tests.evaluation.made import folders, write


@pytest.fixture
def clips(tmp_path):
    for name in ('a.wav', 'b.wav', 'c, the third.wav'):
        write(tmp_path / 'clips' / name, noise(0.1))
    return tmp_path


def listing(folder, text, **how):
    (folder / 'some.csv').write_text(text, **how)
    return folder / 'some.csv'


def test_a_csv(clips):
    text = 'label,path,fold,source,remark\nrain,clips/a.wav,2,r1,"loud, wet"\n"a ""dog""",clips/b.wav,1,,\n'
    path = listing(clips, text + 'rain,"clips/c, the third.wav",,r1,\n', encoding='utf-8-sig')
    dataset = datasets.load(path)
    assert dataset == DataSet(
        'some',
        ('a "dog"', 'rain'),
        (
            LabelledClip(str(clips / 'clips/a.wav'), 'rain', 2, 'r1'),
            LabelledClip(str(clips / 'clips/b.wav'), 'a "dog"', 1),
            LabelledClip(str(clips / 'clips/c, the third.wav'), 'rain', None, 'r1'),
        ),
    )
    assert dataset.folds == (1, 2)
    assert dataset.targets == [1, 0, 1]
    assert dataset.table() == (
        'some     fold 1  fold 2  no fold  all\n'
        'a "dog"       1       0        0    1\n'
        'rain          0       1        1    2\n'
        'all           1       1        1    3'
    )


def test_class_folders(tmp_path):
    write(tmp_path / 'My Sounds' / '002 - Rain' / 'x.wav', noise(0.1))
    write(tmp_path / 'My Sounds' / '001 - Dog bark' / 'deep' / 'deeper' / 'y.WAV', noise(0.1))
    (tmp_path / 'My Sounds' / 'LICENSE').write_text('free')
    (tmp_path / 'My Sounds' / '.git').mkdir()
    dataset = datasets.load(tmp_path / 'My Sounds')
    assert (dataset.name, dataset.classes, dataset.folds) == ('my_sounds', ('Dog bark', 'Rain'), ())
    assert [pathlib.Path(clip.path).name for clip in dataset.clips] == ['y.WAV', 'x.wav']
    assert dataset.table().splitlines()[-1].split() == ['all', '2']


def test_numbers_stay_if_they_distinguish_classes(tmp_path):
    for name in ('1 - dog', '2 - dog'):
        write(tmp_path / name / 'x.wav', noise(0.1))
    assert datasets.load(tmp_path).classes == ('1 - dog', '2 - dog')


def test_esc_names_have_fold_and_recording(tmp_path):
    dataset = datasets.load(folders(tmp_path / 'esc', clips=2))
    assert dataset.folds == (1, 2)
    own = [(clip.fold, clip.source) for clip in dataset.clips if clip.label == 'middle']
    assert own == [(1, '110'), (1, '111'), (2, '120'), (2, '121')]
    # One name of another kind would take folds and recordings from all of them.
    write(tmp_path / 'esc' / 'low' / 'mine.wav', noise(0.1))
    with pytest.raises(
        SoundNetError, match=r'mine\.wav: not named fold-recording-take, as 12 of 13 files are\. Rename'
    ):
        datasets.load(tmp_path / 'esc')


def esc50(top):
    (top / 'meta').mkdir(parents=True)
    rows = ['filename,fold,target,category,esc10,src_file,take']
    for target, category, esc10 in ((0, 'dog', True), (11, 'sea_waves', True), (5, 'cat', False)):
        for fold in (1, 2):
            name = f'{fold}-{target}7-A-{target}.wav'
            write(top / 'audio' / name, noise(0.1))
            rows.append(f'{name},{fold},{target},{category},{esc10},{target}7,A')
    (top / 'meta' / 'esc50.csv').write_text('\n'.join(rows) + '\n')
    return top


def test_esc50(tmp_path):
    whole = datasets.load(esc50(tmp_path / 'ESC-50-master'))
    assert (whole.name, whole.classes) == ('esc_50_master', ('dog', 'cat', 'sea waves'))
    first = LabelledClip(str(tmp_path / 'ESC-50-master/audio/1-07-A-0.wav'), 'dog', 1, '07')
    assert (len(whole.clips), whole.clips[0]) == (6, first)
    ten = datasets.load(tmp_path / 'ESC-50-master', esc10=True)
    assert (ten.name, ten.classes, len(ten.clips)) == ('esc10', ('dog', 'sea waves'), 4)


def test_the_fingerprint_is_of_the_sounds_wherever_they_lie(tmp_path):
    one = datasets.load(folders(tmp_path / 'here' / 'esc', clips=2))
    shutil.copytree(tmp_path / 'here', tmp_path / 'there')
    other = datasets.load(tmp_path / 'there' / 'esc')
    assert one.fingerprint() == other.fingerprint()
    pathlib.Path(other.clips[0].path).write_bytes(b'shorter')
    assert one.fingerprint() != other.fingerprint()


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('path,label\nclips/a.wav,rain\nclips/x.wav,dog\n', r'1 of 2 clips are missing: .*x\.wav$'),
        ('path,label\nclips/a.wav,rain\nclips/b.wav,rain\n', r"some: only one class, 'rain'"),
        ('path,label\n', 'some: no clips'),
        ('', r"no column 'path' in the header; it is empty"),
        ('file,label\n', r"no column 'path' in the header; it has file, label"),
        ('path;label\n', r'it has path;label, and columns are separated by commas'),
        ('path,label\nclips/a.wav,\n', r'some\.csv: line 2: no label'),
        ('path,label,fold\nclips/a.wav,dog,one\n', r"line 2: fold must be a whole number, got 'one'"),
        ('path,label\nclips/a.wav,rain\nclips/a.wav,dog\n', r'clips/a\.wav is listed twice'),
    ],
)
def test_csv_errors_are_reported(text, words, clips):
    with pytest.raises(SoundNetError, match=words):
        datasets.load(listing(clips, text))


def test_folder_errors_are_reported(tmp_path, clips):
    with pytest.raises(SoundNetError, match='nowhere: no such file or folder'):
        datasets.load('nowhere')
    with pytest.raises(SoundNetError, match=re.escape(f'{clips / "clips"}: no class folders. Use a CSV')):
        datasets.load(clips / 'clips')
    folders(tmp_path / 'esc', clips=1)
    (tmp_path / 'esc' / 'silent').mkdir()
    with pytest.raises(
        SoundNetError, match=r'class folder .*silent: no sound files in this folder.*or remove the folder'
    ):
        datasets.load(tmp_path / 'esc')
    with pytest.raises(SoundNetError, match=r'not ESC-50, it has no meta/esc50\.csv'):
        datasets.load(tmp_path / 'esc', esc10=True)
    (clips / 'not.csv').write_bytes(b'path,label\n\xff\xfe')
    with pytest.raises(SoundNetError, match=r'not\.csv: cannot be read \(not text in UTF-8'):
        datasets.load(clips / 'not.csv')


def test_invalid_data_sets_are_reported():
    with pytest.raises(SoundNetError, match="class 'b' has no clip"):
        DataSet('own', ('a', 'b'), (LabelledClip('x', 'a'),))
    with pytest.raises(SoundNetError, match="label 'c' is not one of the classes a, b"):
        DataSet('own', ('a', 'b'), tuple(LabelledClip(label, label) for label in 'abc'))
    with pytest.raises(SoundNetError, match="'my own': invalid name for a head"):
        DataSet('my own', ('a', 'b'), tuple(LabelledClip(label, label) for label in 'ab'))


def test_missing_is_a_kind_of_its_own(clips):
    with pytest.raises(BadAudio):
        datasets.load(listing(clips, 'path,label\nno.wav,rain\nclips/x.wav,dog\n'))


def scenes(top, names):
    for name in names:
        write(top / name, noise(0.1))
    return top


def test_dcase_since_2016(tmp_path):
    top = scenes(tmp_path / 'TUT', [f'audio/{name}.wav' for name in ('b1_0_30', 'b1_30_60', 'b2_0_30', 'c1_0_30')])
    rows = [f'audio/{name}.wav\t{label}\n' for name, label in (('b1_0_30', 'beach'), ('b1_30_60', 'beach'))]
    rows += ['audio/b2_0_30.wav\tbeach\n', 'audio/c1_0_30.wav\tcity_center\n']
    (top / 'meta.txt').write_text(''.join(rows))
    (top / 'evaluation_setup').mkdir()
    (top / 'evaluation_setup' / 'fold1_train.txt').write_text(''.join(rows[:2]))
    (top / 'evaluation_setup' / 'fold1_evaluate.txt').write_text(rows[3])
    (top / 'evaluation_setup' / 'fold2_evaluate.txt').write_text(''.join(rows[:2]))
    (top / 'evaluation_setup' / 'fold1_test.txt').write_text('audio/c1_0_30.wav\n')
    dataset = datasets.load(top)
    assert dataset.classes == ('beach', 'city center')
    # b2 is learned from in no fold, nor tested.
    assert [(pathlib.Path(c.path).stem, c.fold, c.source) for c in dataset.clips] == [
        ('b1_0_30', 2, 'b1'),
        ('b1_30_60', 2, 'b1'),
        ('c1_0_30', 1, 'c1'),
    ]
    (top / 'evaluation_setup' / 'fold3_evaluate.txt').write_text(rows[3])
    with pytest.raises(
        SoundNetError, match=r'fold3_evaluate\.txt: line 1: audio/c1_0_30\.wav is already in test fold 1'
    ):
        datasets.load(top)
    (top / 'evaluation_setup' / 'fold3_evaluate.txt').write_text('audio/x.wav\tbeach\n')
    with pytest.raises(SoundNetError, match=r'evaluation_setup lists audio/x\.wav, which is not in meta\.txt'):
        datasets.load(top)


def test_dcase_since_2018_has_a_header_one_fold_and_names_the_recording(tmp_path):
    top = scenes(tmp_path / 'TAU', ['audio/a-1.wav', 'audio/b-2.wav', 'audio/b-3.wav'])
    head = 'filename\tscene_label\tidentifier\tsource_label\n'
    rows = [
        'audio/a-1.wav\tairport\tparis-1\ta\n',
        'audio/b-2.wav\tbus\tlyon-2\ta\n',
        'audio/b-3.wav\tbus\tlyon-3\ta\n',
    ]
    (top / 'meta.csv').write_text(head + ''.join(rows))
    (top / 'evaluation_setup').mkdir()
    (top / 'evaluation_setup' / 'fold1_train.csv').write_text('filename\tscene_label\n' + ''.join(rows[:2]))
    (top / 'evaluation_setup' / 'fold1_evaluate.csv').write_text('filename\tscene_label\n' + rows[2])
    dataset = datasets.load(top)
    assert [(c.label, c.fold, c.source) for c in dataset.clips] == [
        ('airport', None, 'paris-1'),
        ('bus', None, 'lyon-2'),
        ('bus', 1, 'lyon-3'),
    ]


def test_dcase_of_2013(tmp_path):
    dataset = datasets.load(scenes(tmp_path / 'scenes', ['bus01.wav', 'bus02.wav', 'busystreet01.wav']))
    assert (dataset.classes, dataset.folds) == (('bus', 'busystreet'), ())
    scenes(tmp_path / 'scenes', ['mine.wav'])
    with pytest.raises(SoundNetError, match='no class folders'):
        datasets.load(tmp_path / 'scenes')


def test_dcase_of_2013_by_its_parent_folder(tmp_path):
    top = scenes(tmp_path / 'DCASE 2013', ['a/scenes_stereo/bus01.wav', 'a/scenes_stereo/tube10.WAV', '.x/._bus01.wav'])
    (top / 'readme.txt').write_text('scenes')
    dataset = datasets.load(top)
    assert (dataset.name, dataset.classes, len(dataset.clips)) == ('dcase_2013', ('bus', 'tube'), 2)
    assert datasets.load(top / 'a' / 'scenes_stereo').clips == dataset.clips
    scenes(top, ['private/bus01.wav', 'private/tube01.wav'])
    with pytest.raises(SoundNetError, match=r'several folders with the scenes of DCASE 2013: a/scenes_stereo, private'):
        datasets.load(top)
    # Folders of other sounds are classes, whatever the files are called.
    own = scenes(
        tmp_path / 'own', ['dog/left01.wav', 'dog/right01.wav', 'cat/left01.wav', 'cat/right01.wav', 'x01.wav']
    )
    assert datasets.load(own).classes == ('cat', 'dog')


def test_folds_are_assigned_evenly_and_in_whole_recordings(tmp_path):
    clips = [
        LabelledClip(f'{label}{n}{take}', label, 7, f'{label}{n}') for label in 'ab' for n in range(5) for take in '01'
    ]
    dataset = DataSet('own', ('a', 'b'), tuple(clips))
    dealt = datasets.assign_folds(dataset, 3)
    assert dealt.folds == (1, 2, 3)
    assert datasets.assign_folds(dataset, 3) == dealt != datasets.assign_folds(dataset, 3, seed=1)
    for label in 'ab':
        counts = [sum(c.label == label and c.fold == fold for c in dealt.clips) for fold in dealt.folds]
        assert sorted(counts) == [2, 4, 4]
    assert all(len({c.fold for c in dealt.clips if c.source == source}) == 1 for source in {c.source for c in clips})
    for folds in (1, 6):
        with pytest.raises(SoundNetError, match=f"'a' has 5 recordings, not enough for {folds} folds"):
            datasets.assign_folds(dataset, folds)


def test_clips_that_are_only_tested(tmp_path):
    for name in ('dog/1-100032-A', 'dog/2-100032-B-0', 'rain/1-7001-A', 'rain/2-7002-A'):
        write(tmp_path / 'made' / f'{name}.wav', noise(0.1))
    dataset, listed = datasets.load(tmp_path / 'made'), tmp_path / 'not_free.tsv'
    listed.write_text('clip\tlicence\n2-100032-B\tCC-BY-NC\n1-7001-A.wav,CC-BY-NC\n\n3-9-A\tanother\n')
    marked = datasets.mark_test_only(dataset, listed)
    only = [pathlib.Path(clip.path).stem for clip in marked.clips if clip.test_only]
    assert only == ['2-100032-B-0', '1-7001-A']
    assert [pathlib.Path(path).stem for path in marked.learnable] == ['1-100032-A', '2-7002-A']
    assert marked.fingerprint() != dataset.fingerprint()
    listed.write_text('clip\n1-100032\n')
    with pytest.raises(SoundNetError, match=r'not_free\.tsv: no line names a clip of made\. List file names, one per'):
        datasets.mark_test_only(dataset, listed)
