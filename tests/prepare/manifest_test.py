import os

import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare.manifest import Video, videos


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ('b.mp4', 'a/x.MKV', 'a/y.webm', 'c/x.mp4', 'c/notes.txt', '.hidden.mp4', 'größe 猫.mp4'):
        path = tmp_path / 'videos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ids(*sources):
    return [video.id for video in videos(sources)]


def test_a_folder_is_searched_through(home):
    assert ids('videos') == ['a/x.MKV', 'a/y.webm', 'b.mp4', 'c/x.mp4', 'größe 猫.mp4']
    assert videos(['videos'])[0] == Video('a/x.MKV', str(home / 'videos/a/x.MKV'))


def test_every_spelling_of_a_folder_gives_the_same(home):
    assert videos(['videos']) == videos([str(home / 'videos')]) == videos(['./videos/']) == videos(['videos/../videos'])


def test_a_glob_names_by_the_path_below_its_fixed_part(home):
    assert ids('videos/*/x.*') == ['a/x.MKV', 'c/x.mp4']
    assert ids('videos/**/*.mp4') == ['b.mp4', 'c/x.mp4', 'größe 猫.mp4']
    assert ids(str(home / 'videos' / 'b*')) == ['b.mp4'] == ids('videos/b*')


def test_files_of_any_name(home):
    assert ids('videos/c/notes.txt', 'videos/b.mp4') == ['b.mp4', 'notes.txt']


def test_the_same_file_named_twice_comes_once(home):
    assert ids('videos/*.mp4', 'videos/b.mp4') == ['b.mp4', 'größe 猫.mp4']


def test_a_manifest(home):
    (home / 'list.csv').write_text(
        f'\ufeffpath,id,note\nvideos/b.mp4,bee,x\n{home}/videos/a/x.MKV,,\nvideos/none.mp4,\n'
    )
    assert videos(['list.csv']) == [
        Video(f'{home}/videos/a/x.MKV', f'{home}/videos/a/x.MKV'),
        Video('bee', f'{home}/videos/b.mp4'),
        Video('videos/none.mp4', f'{home}/videos/none.mp4'),
    ]


def test_a_name_that_is_no_text(home):
    with open(os.fsencode(home / 'videos') + b'/\xff.mp4', 'wb'):
        pass
    odd = next(video for video in videos(['videos']) if '\ufffd' in video.id)
    assert odd.id == '\ufffd.mp4'
    assert os.path.exists(odd.path)


@pytest.mark.parametrize(
    ('sources', 'words'),
    [
        (['nowhere'], 'there is no file or folder nowhere'),
        (['nowhere.csv'], 'there is no file or folder nowhere.csv'),
        (['empty'], 'empty holds no video: give a folder, a glob, a video or a CSV with a path column'),
        (['videos/*.avi'], r'videos/\*.avi holds no video'),
        (['videos/a/x.MKV', 'copy/x.MKV'], "x.MKV and .*x.MKV would both be 'x.MKV': name them apart in a CSV"),
        (['header.csv'], 'header.csv: the first line must name a column path; it names file, id'),
        (['blank.csv'], 'blank.csv: the first line must name a column path; it is empty'),
        (['gap.csv'], 'gap.csv: line 3 has no path'),
        (['latin.csv'], 'latin.csv cannot be read as CSV in UTF-8'),
        (['none.csv'], 'none.csv holds no video'),
    ],
)
def test_mistakes_in_words(home, sources, words):
    for folder in ('empty', 'copy'):
        (home / folder).mkdir()
    (home / 'copy/x.MKV').touch()
    (home / 'header.csv').write_text('file,id\n')
    (home / 'blank.csv').write_text('')
    (home / 'none.csv').write_text('path\n')
    (home / 'gap.csv').write_text('path,id\na.mp4,a\n,b\n')
    (home / 'latin.csv').write_bytes('path\ngröße.mp4\n'.encode('latin-1'))
    with pytest.raises(SoundNetError, match=words):
        videos(sources)
