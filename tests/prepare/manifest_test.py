import os

import pytest

from soundnet_tf.audio import MEDIA_SUFFIXES, SOUND_SUFFIXES, VIDEO_SUFFIXES
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare.manifest import Video, is_remote, videos


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


def test_the_same_file_twice_is_one_video(home):
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


def test_addresses_stay_as_they_are(home):
    (home / 'list.csv').write_text(
        'title,path,id,tags\n'
        '"a, b",https://x.org/../y.mp4?a=1#b,,p q\n'
        ',gs://bucket/b.mp4,bee\n'
        ',videos/../videos/b.mp4,,,much,more\n'
    )
    assert videos(['list.csv', 'HTTP://x/y', 'file:///b.mp4']) == [
        Video('HTTP://x/y', 'HTTP://x/y'),
        Video('bee', 'gs://bucket/b.mp4'),
        Video('file:///b.mp4', 'file:///b.mp4'),
        Video('https://x.org/../y.mp4?a=1#b', 'https://x.org/../y.mp4?a=1#b'),
        Video('videos/../videos/b.mp4', str(home / 'videos/b.mp4')),
    ]


def test_what_is_an_address():
    for path in ('http://x', 'gs://b/c', 'a+b.c-1://x', 'FILE:///x'):
        assert is_remote(path) is True
    for path in ('a.mp4', 'C:/a.mp4', '12:30.mp4', 'folder/http://x', '://x', '1a://x', 'mailto:x'):
        assert is_remote(path) is False


def test_sha256(home):
    digits = 'aB' * 32
    (home / 'list.csv').write_text(f'sha256,path\n{digits},b.mp4\n  ,c.mp4\n')
    assert videos(['list.csv']) == [
        Video('b.mp4', str(home / 'b.mp4'), digits.lower()),
        Video('c.mp4', str(home / 'c.mp4'), ''),
    ]


def test_sounds_are_found_if_requested(home):
    for name in ('a.MP3', 'b.flac', 'c.opus'):
        (home / 'videos' / name).touch()
    assert not {'a.MP3', 'b.flac'} & {video.id for video in videos(['videos'])}
    found = {video.id for video in videos(['videos'], MEDIA_SUFFIXES)}
    assert {'a.MP3', 'b.flac', 'c.opus', 'b.mp4'} <= found
    assert not VIDEO_SUFFIXES & SOUND_SUFFIXES


def test_a_video_is_small():
    assert not hasattr(Video('a', 'b'), '__dict__')


def test_a_name_that_is_not_utf8(home):
    with open(os.fsencode(home / 'videos') + b'/\xff.mp4', 'wb'):
        pass
    odd = next(video for video in videos(['videos']) if '\ufffd' in video.id)
    assert odd.id == '\ufffd.mp4'
    assert os.path.exists(odd.path)


@pytest.mark.parametrize(
    ('sources', 'words'),
    [
        (['nowhere'], 'nowhere: no such file or folder'),
        (['nowhere.csv'], 'nowhere.csv: no such file or folder'),
        (['empty'], r'empty: no videos\. Pass a folder, a glob, a video or a CSV with a path column'),
        (['videos/*.avi'], r'videos/\*.avi: no videos'),
        (['videos/a/x.MKV', 'copy/x.MKV'], "x.MKV and .*x.MKV: both have the id 'x.MKV'. Use a CSV"),
        (['header.csv'], 'header.csv: no column path \\(its columns are file, id\\)'),
        (['blank.csv'], 'blank.csv: no column path \\(it is empty\\)'),
        (['gap.csv'], 'gap.csv: line 3 has no path'),
        (['latin.csv'], 'latin.csv: cannot be read as UTF-8 CSV'),
        (['none.csv'], 'none.csv: no videos'),
        (['sum.csv'], "sum.csv: line 4 has the sha256 'abc', not 64 hex digits"),
        (['twice.csv'], 'https://x/y: listed twice, with different sha256'),
        (['https://x/y.CSV'], 'https://x/y.CSV: a manifest must be a local file. Download it'),
    ],
)
def test_mistakes_are_reported(home, sources, words):
    for folder in ('empty', 'copy'):
        (home / folder).mkdir()
    (home / 'copy/x.MKV').touch()
    (home / 'header.csv').write_text('file,id\n')
    (home / 'blank.csv').write_text('')
    (home / 'none.csv').write_text('path\n')
    (home / 'gap.csv').write_text('path,id\na.mp4,a\n,b\n')
    (home / 'sum.csv').write_text('path,title,sha256\na.mp4,"two\nlines",\nb.mp4,,abc\n')
    (home / 'twice.csv').write_text(f'path,sha256\nhttps://x/y,{"0" * 64}\nhttps://x/y,{"1" * 64}\n')
    (home / 'latin.csv').write_bytes('path\ngröße.mp4\n'.encode('latin-1'))
    with pytest.raises(SoundNetError, match=words):
        videos(sources)


def test_ids_that_look_like_clips(tmp_path):
    (tmp_path / 'list.csv').write_text('path\nhttps://x/y.mp4#t=20\n')
    with pytest.raises(
        SoundNetError, match=r"the id 'https://x/y.mp4#t=20' has #t=, which marks clips. Use another id"
    ):
        videos([str(tmp_path / 'list.csv')])
