import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf import storage
from soundnet_tf.audio import MEDIA_SUFFIXES, SOUND_SUFFIXES, VIDEO_SUFFIXES
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import cells
from soundnet_tf.prepare.manifest import Video, refusal, videos


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
        ',videos/../videos/b.mp4,,,,\n'
    )
    assert videos(['list.csv', 'HTTP://x/y']) == [
        Video('HTTP://x/y', 'HTTP://x/y'),
        Video('bee', 'gs://bucket/b.mp4'),
        Video('https://x.org/../y.mp4?a=1#b', 'https://x.org/../y.mp4?a=1#b'),
        Video('videos/../videos/b.mp4', str(home / 'videos/b.mp4')),
    ]


def test_which_paths_are_remote():
    for path in ('http://x', 'gs://b/c', 'a+b.c-1://x', 'FILE:///x'):
        assert storage.is_remote(path) is True
    for path in ('a.mp4', 'C:/a.mp4', '12:30.mp4', 'folder/http://x', '://x', '1a://x', 'mailto:x'):
        assert storage.is_remote(path) is False


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
        (['a\0b'], r'^a\\x00b: no such file or folder'),
        (['x' * 5000], r'^x{5000}: (cannot be read \(File name too long\)|no such file or folder)\. Check the path$'),
        (['empty'], r'empty: no videos\. Pass a folder, a glob, a video or a CSV with a path column'),
        (['videos/*.avi'], r'videos/\*.avi: no videos'),
        (['videos/a/x.MKV', 'copy/x.MKV'], "x.MKV and .*x.MKV: both have the id 'x.MKV'. Use a CSV"),
        (['header.csv'], 'header.csv: no column path \\(its columns are file, id\\)'),
        (['blank.csv'], 'blank.csv: no column path \\(it is empty\\)'),
        (['gap.csv'], 'gap.csv: line 3 has no path'),
        (['latin.csv'], 'latin.csv: line 2 is not UTF-8'),
        (['utf16.csv'], r'^utf16.csv: not text in UTF-8\. Save it as CSV in UTF-8$'),
        (['zeros.csv'], r'^zeros.csv: not text in UTF-8\. Save it as CSV in UTF-8$'),
        (['many.csv'], r'^many.csv: no column path \(its columns are (c,  ){50}\)\. Add a header line'),
        (['two.csv'], r'^two.csv: 2 columns path\. Rename all but one$'),
        (['open.csv'], r'^open.csv: line 1 has a quote that is not closed\. Add a header line with a column path$'),
        (['quote.csv'], 'quote.csv: line 2 has a quote that is not closed'),
        (['break.csv'], 'break.csv: line 3 has a line break or a zero byte in its path or id. Close its quotes'),
        (['wide.csv'], 'wide.csv: line 3 has 4 cells for 2 columns. Quote cells that have commas'),
        (['/dev/zero'], '/dev/zero: a device or a file of the system'),
        (['file:///x.mp4'], 'file:///x.mp4: file:///x.mp4: file:// is not supported. Use a path, or http://, https://'),
        (['none.csv'], 'none.csv: no videos'),
        (['sum.csv'], "sum.csv: line 4 has the sha256 'abc', not 64 hex digits"),
        (['twice.csv'], 'twice.csv: line 3 lists the same path again, with another sha256'),
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
    (home / 'utf16.csv').write_bytes('path\na.mp4\n'.encode('utf-16'))
    (home / 'zeros.csv').write_bytes(bytes(5000))
    (home / 'many.csv').write_text(', '.join(['c'] * 5000))
    (home / 'two.csv').write_text('path,path\na.mp4,b.mp4\n')
    (home / 'open.csv').write_text('"path\na.mp4\n')
    (home / 'break.csv').write_text('path\n"a.mp4\nb.mp4"\n')
    (home / 'quote.csv').write_text('path\n"a.mp4\nb.mp4\nc.mp4')
    (home / 'wide.csv').write_text('path,title\na.mp4,a,\nb.mp4,one, two,three\n')
    (home / 'latin.csv').write_bytes('path\ngröße.mp4\n'.encode('latin-1'))
    with pytest.raises(SoundNetError, match=words):
        videos(sources)


def test_other_than_regular_files_are_listed(home):
    """In a folder, in a glob, and named."""
    os.mkfifo('videos/pipe.mp4')
    os.symlink('loop.mp4', 'videos/loop.mp4')
    os.mkfifo('videos/pipe.txt')
    kinds = {'loop.mp4': 'a link to itself, not a regular file', 'pipe.mp4': 'a pipe, not a regular file'}
    for source in ('videos', 'videos/*.mp4'):
        skipped = []
        good = [video for video in videos([source], skip=skipped.append) if video.id in kinds]
        assert good == []
        assert [(skip.id, skip.path, skip.reason, skip.detail) for skip in skipped] == [
            (name, str(home / 'videos' / name), 'refused', f'{source}: videos/{name}: {kind}')
            for name, kind in kinds.items()
        ]
    for name, kind in kinds.items():
        with pytest.raises(SoundNetError, match=rf'^videos/{name}: no video can be used \({kind}\)\. Fix them'):
            videos([f'videos/{name}'], skip=print)


def test_ids_that_look_like_clips(tmp_path):
    (tmp_path / 'list.csv').write_text('path\nhttps://x/y.mp4#t=20\n')
    with pytest.raises(
        SoundNetError, match=r"the id 'https://x/y.mp4#t=20' has #t=, which marks clips. Use another id"
    ):
        videos([str(tmp_path / 'list.csv')])


def test_rows_that_cannot_be_used_are_listed_all_at_once(home):
    (home / 'list.csv').write_bytes(
        b'path,id,sha256\n'
        b'a.mp4,a,\n'
        b',b,\n'
        b'c.mp4,a,\n'
        b'd.mp4,d,abc\n'
        b'e.mp4,e,,f\n'
        b'list.m3u8,g,\n'
        b'/proc/self/mem,h,\n'
        b'rtsp://x/y,i,\n'
        b'\xff.mp4,j,\n'
        b'k.mp4,k#t=3,\n'
        b'a.mp4,a,\n'
    )
    skipped = []
    assert videos(['list.csv', 'videos/b.mp4'], skip=skipped.append) == [
        Video('a', f'{home}/a.mp4'),
        Video('b.mp4', f'{home}/videos/b.mp4'),
    ]
    lists = 'a list of other files (.m3u8), which are not opened. List the files themselves'
    addresses = 'rtsp:// is not supported. Use a path, or http://, https://, gs://, s3://, hdfs://'
    assert [(row.id, row.path, row.reason, row.detail) for row in skipped] == [
        ('b', '', 'bad row', 'list.csv: line 3 has no path'),
        ('a', f'{home}/c.mp4', 'bad row', f"list.csv: line 4 has the id 'a' of {home}/a.mp4"),
        ('d', 'd.mp4', 'bad row', "list.csv: line 5 has the sha256 'abc', not 64 hex digits"),
        ('e', 'e.mp4', 'bad row', 'list.csv: line 6 has 4 cells for 3 columns. Quote cells that have commas'),
        ('g', f'{home}/list.m3u8', 'refused', f'list.csv: line 7: {home}/list.m3u8: {lists}'),
        ('h', '/proc/self/mem', 'refused', 'list.csv: line 8: /proc/self/mem: a device or a file of the system'),
        ('i', 'rtsp://x/y', 'refused', f'list.csv: line 9: rtsp://x/y: {addresses}'),
        ('j', '?.mp4', 'bad row', 'list.csv: line 10 is not UTF-8'),
        (
            'k#t=3', f'{home}/k.mp4', 'bad row',
            "list.csv: line 11: the id 'k#t=3' has #t=, which marks clips. Use another id",
        ),
    ]  # fmt: skip


def test_unclosed_quotes_and_long_cells_cost_one_row_each(home):
    others = [f'v{number:05}' for number in range(20_000)]
    (home / 'list.csv').write_text('path\n' + 'x' * 200_000 + '\n"a.mp4\n' + '\n'.join(others))
    skipped = []
    assert [video.id for video in videos(['list.csv'], skip=skipped.append)] == others
    assert [(row.reason, row.detail) for row in skipped] == [
        ('bad row', 'list.csv: line 2 has a cell of more than 131,072 characters'),
        ('bad row', 'list.csv: line 3 has a quote that is not closed'),
    ]


def test_ids_stay_inside_a_folder(home):
    rows = ['a.mp4,../../x', 'b.mp4,/etc/x', 'c.mp4,y/../../x', 'd.mp4,..x', f'{home}/e.mp4,{home}/e.mp4', '../f.mp4,']
    (home / 'list.csv').write_text('path,id\n' + '\n'.join(rows))
    skipped = []
    good = videos(['list.csv'], skip=skipped.append)
    assert {video.id for video in good} == {'../f.mp4', '..x', f'{home}/e.mp4'}
    assert [(row.reason, row.detail) for row in skipped] == [
        (
            'bad row',
            f"list.csv: line {line} has the id '{id}', which leads out of a folder. Leave out .. and the first /",
        )
        for line, id in ((2, '../../x'), (3, '/etc/x'), (4, 'y/../../x'))
    ]


def test_no_good_row_is_an_error(home):
    (home / 'list.csv').write_text('path,id\n' + ',x\n' * 5)
    with pytest.raises(
        SoundNetError,
        match=r'^list\.csv: no video can be used \(line 2 has no path; line 3 has no path; line 4 has no path; '
        r'and 2 more\)\. Fix them, or pass others$',
    ):
        videos(['list.csv'], skip=[].append)


@pytest.mark.parametrize(
    ('path', 'refused'),
    [
        ('/a/x.mp4', False),
        ('/dev/shm/x.mp4', False),
        ('/devices/x.mp4', False),
        ('/a/x.pls', True),
        ('/a/x.MPD', True),
        ('/a/x.sdp', True),
        ('/dev/video0', True),
        ('/sys/x', True),
        ('/dev', True),
        ('https://x/y.mp4?list=z.m3u', False),
        ('HTTPS://x/y.m3u8?a=b.mp4', True),
        ('https://x/y%2Em3u8', True),
        ('gs://x/y.mp4', False),
        ('FILE:///etc/passwd', True),
        ('concat://a|b', True),
        ('http://[x', True),
    ],
)
def test_unusable_paths_are_refused(path, refused):
    assert bool(refusal(path)) is refused


@given(st.text() | st.from_regex("^'*[=+@\t\r-]"))
def test_cells_are_never_formulas_and_are_read_back(cell):
    written = cells.neutral(cell)
    assert written[:1] not in ('=', '+', '-', '@', '\t', '\r')
    assert cells.plain(written) == cell


def test_skipped_rows_can_be_a_manifest(home):
    (home / 'list.csv').write_text("path,id\n'=x.mp4,'-1\n''=y.mp4,'z\n")
    assert videos(['list.csv']) == [Video("'z", f"{home}/'=y.mp4"), Video('-1', f'{home}/=x.mp4')]
