import csv
import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import cells, manifest
from soundnet_tf.prepare.web import collect, flickr, journal
from soundnet_tf.web.client import PermanentError
from tests.prepare import served
from tests.prepare.served import Fault, Upload

FREE = ['cc-by', 'cc-by-sa', 'cc0', 'pdm']
AWAY = Fault(body=json.dumps({'stat': 'fail', 'code': 105, 'message': 'Service currently unavailable'}).encode())


@pytest.fixture
def server():
    with served.flickr() as server:
        yield server


@pytest.fixture
def small_pages(server, monkeypatch):
    """Flickr with pages of 3, and 9 results of a query."""
    monkeypatch.setattr(flickr, 'PER_PAGE', 3)
    monkeypatch.setattr(flickr, 'SERVED', 9)
    server.most = 9


def api(server, key='secret-key', **options):
    return flickr.Flickr(key, server.url + '/rest/', **({'per_hour': 1e9, 'tries': 3, 'backoff_s': 0.001} | options))


def run(server, out, *words, licences=FREE, **options):
    return collect.collect(words, str(out), api(server), licences, **options)


def rows(out):
    with open(out, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def asked(server, method):
    return [asked for asked in server.asked if asked['method'].endswith(method)]


def search(server, word='dog', **options):
    return [photo['id'] for photo in api(server).search(word, ['4'], 2_000_000_000, **options)]


def test_fields_of_a_manifest(server, tmp_path):
    server.uploads = [Upload('1', 'dog bark', title=' a "dog",\nto\tlook at \ud83d'), Upload('2', 'cat', licence=11)]
    report = run(server, tmp_path / 'deep' / 'v.csv', 'dog', 'cat')
    assert str(report) == f'2 videos from 2 words in {tmp_path}/deep/v.csv'
    dog, cat = rows(tmp_path / 'deep' / 'v.csv')
    assert dog == {
        'id': '1',
        'path': 'https://f/1/play/site/',
        'licence': 'cc-by',
        'licence_url': 'https://creativecommons.org/licenses/by/2.0/',
        'owner': 'Ann Other',
        'title': 'a "dog", to look at ?',
        'page': 'https://www.flickr.com/photos/1@N00/1/',
        'tags': 'dog bark',
        'query': 'dog',
    }
    assert (cat['licence'], cat['licence_url']) == ('cc-by', 'https://creativecommons.org/licenses/by/4.0/')
    videos = manifest.videos([str(tmp_path / 'deep' / 'v.csv')])
    assert videos == [manifest.Video('1', 'https://f/1/play/site/'), manifest.Video('2', 'https://f/2/play/site/')]


def test_the_requests(server, tmp_path):
    server.uploads = [Upload('1', 'dog')]
    run(server, tmp_path / 'v.csv', 'dog')
    licences, search, sizes = server.asked
    assert licences['method'] == 'flickr.photos.licenses.getInfo'
    expected = {'text': 'dog', 'media': 'videos', 'license': '4,5,9,10,11', 'per_page': '500', 'format': 'json'}
    assert expected.items() <= search.items()
    assert (sizes['method'], sizes['photo_id']) == ('flickr.photos.getSizes', '1')
    assert {asked['address'] for asked in server.asked} == {'/rest/'}, 'a key does not belong into an address'


def test_licences_have_short_names(server):
    names = {number: licence.name for number, licence in api(server).licences().items()}
    assert names == {
        '0': 'all-rights-reserved', '2': 'cc-by-nc', '4': 'cc-by', '5': 'cc-by-sa', '7': 'none-known',
        '8': 'us-gov', '9': 'cc0', '10': 'pdm', '11': 'cc-by',
    }  # fmt: skip
    assert flickr.short_name('x', 'http://creativecommons.org/licenses/by-nc-nd/2.0/') == 'cc-by-nc-nd'
    assert flickr.short_name('Some New One (5)', '') == 'some-new-one-5-'


def test_the_licences_of_answers_are_looked_at(server, tmp_path):
    server.forgets_licences = True
    server.uploads = [Upload(str(number), 'dog', licence=number) for number in served.LICENCES]
    report = run(server, tmp_path / 'v.csv', 'dog')
    assert {row['licence'] for row in rows(tmp_path / 'v.csv')} == set(FREE)
    assert str(report).endswith('; 4 skipped: 4 licence')
    assert len(asked(server, 'getSizes')) == 5
    report = run(server, tmp_path / 'all.csv', 'dog', licences=['all'])
    assert report.videos == len(served.LICENCES)


def test_each_video_comes_once(server, tmp_path):
    server.uploads = [Upload('1', 'dog cat'), Upload('2', 'dog'), Upload('3', 'cat')]
    report = run(server, tmp_path / 'v.csv', 'dog', 'cat')
    assert str(report).endswith('3 videos from 2 words in ' + str(tmp_path / 'v.csv') + '; 1 skipped: 1 duplicate')
    assert [(row['id'], row['query']) for row in rows(tmp_path / 'v.csv')] == [('1', 'dog'), ('2', 'dog'), ('3', 'cat')]


def test_videos_without_a_file(server, tmp_path):
    server.uploads = [
        Upload('1', 'dog', sizes=()),
        Upload('2', 'dog', may_download=0),
        Upload('3', 'dog', sizes=(('Site MP4', None, ''),)),
    ]
    report = run(server, tmp_path / 'v.csv', 'dog')
    assert str(report).endswith('; 2 skipped: 1 no source, 1 not for download')
    assert [row['id'] for row in rows(tmp_path / 'v.csv')] == ['3']
    with pytest.raises(PermanentError, match='no source'):
        api(server).source('gone')


@pytest.mark.parametrize(
    ('sizes', 'small', 'large'),
    [
        ([('Site MP4', 640, 360), ('Mobile MP4', 480, 360), ('HD MP4', 1280, 720)], 'Site MP4', 'HD MP4'),
        ([('100', 176, 100), ('360p', 360, 640), ('720p', 1280, 720)], '360p', '720p'),
        ([('100', 176, 100), ('iphone_wifi', 300, 200)], 'iphone_wifi', 'iphone_wifi'),
        ([('Video Original', 640, 360), ('720p', 1280, 720)], '720p', '720p'),
        ([('720p', 1280, 720), ('Video Original', 1280, 720)], '720p', 'Video Original'),
        ([('Video Original', None, None)], 'Video Original', 'Video Original'),
    ],
)
def test_which_file(sizes, small, large):
    films = [{'label': l, 'width': w, 'height': h, 'source': l, 'media': 'video'} for l, w, h in sizes]  # noqa: E741
    films.append({'label': 'Large', 'width': 9000, 'height': 9000, 'source': 'a picture', 'media': 'photo'})
    assert flickr.choose(films, 'small') == small
    assert flickr.choose(films, 'large') == large


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=st.lists(st.integers(1_300_000_000, 1_300_000_050), max_size=30))
def test_more_than_flickr_serves_is_found_by_parts_of_the_time(server, small_pages, times):
    server.uploads = [Upload(str(index), 'dog', time) for index, time in enumerate(times)]
    got = search(server)
    crowd = max((times.count(time) for time in times), default=0)
    if crowd <= 9:
        assert sorted(got, key=int) == [str(index) for index in range(len(times))]
    else:
        assert len(set(got)) >= len(set(times)), 'of a second with more than are served, those that are served'
    server.asked.clear()


def test_the_most_relevant_need_no_parts(server, small_pages, tmp_path):
    server.uploads = [Upload(str(index), 'dog', 1_300_000_000 - index) for index in range(30)]
    assert search(server, wanted=9) == [str(index) for index in range(9)]
    report = run(server, tmp_path / 'v.csv', 'dog', max_per_word=5)
    assert [row['id'] for row in rows(tmp_path / 'v.csv')] == ['0', '1', '2', '3', '4']
    assert (report.words, len(asked(server, 'getSizes'))) == (1, 5)


def test_max_videos_and_resuming(server, small_pages, tmp_path):
    server.uploads = [Upload(str(index), 'dog' if index < 5 else 'cat') for index in range(8)]
    out = tmp_path / 'v.csv'
    assert str(run(server, out, 'dog', 'cat', max_videos=3)) == f'3 videos from 0 of 2 words in {out}'
    assert len(rows(out)) == 3
    assert run(server, out, 'dog', 'cat', max_videos=6).videos == 6 == len(asked(server, 'getSizes'))
    assert str(run(server, out, 'dog', 'cat')) == f'8 videos from 2 words in {out}'
    assert len(asked(server, 'getSizes')) == 8
    server.asked.clear()
    # Finished: nothing more is asked but the licences; another word is added.
    assert run(server, out, 'dog', 'cat').videos == 8
    assert [a['method'] for a in server.asked] == ['flickr.photos.licenses.getInfo']
    server.uploads.append(Upload('9', 'cow cat'))
    assert str(run(server, out, 'dog', 'cat', 'cow')) == f'9 videos from 3 words in {out}'


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_run_stopped_anywhere_resumes_to_the_same_result(server, small_pages, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp('runs')
    server.forgets_licences = True
    server.uploads = [
        Upload(str(index), ' '.join(words), 1_300_000_000 + index % 7, licence, sizes=(('Site MP4', 640, 360),) * films)
        for index, (words, licence, films) in enumerate(
            data.draw(
                st.lists(
                    st.tuples(
                        st.lists(st.sampled_from(['dog', 'cat', 'cow']), min_size=1, max_size=3, unique=True),
                        st.sampled_from([4, 4, 5, 0]),
                        st.sampled_from([1, 1, 0]),
                    ),
                    max_size=20,
                )
            )
        )
    ]
    words = ('dog', 'cat', 'cow')
    whole = run(server, folder / 'whole.csv', *words)
    for _ in range(data.draw(st.integers(1, 3))):
        # After some good answers Flickr is away for too long.
        server.faults = [None] * data.draw(st.integers(0, 30)) + [AWAY] * 3
        try:
            run(server, folder / 'v.csv', *words)
        except SoundNetError as error:
            assert 'Run the same command again to resume' in str(error)  # noqa: PT017
        server.faults = []
        if data.draw(st.booleans()) and (folder / 'v.csv.journal').exists():
            # Killed while it wrote a line.
            torn = (folder / 'v.csv.journal').read_bytes()
            (folder / 'v.csv.journal').write_bytes(torn[: -data.draw(st.integers(1, 30))])
    again = run(server, folder / 'v.csv', *words)
    # In whatever order: the parts of the time end at the second in which a run began.
    assert sorted(map(str, rows(folder / 'v.csv'))) == sorted(map(str, rows(folder / 'whole.csv')))
    assert (again.videos, again.words, again.skipped) == (whole.videos, whole.words, whole.skipped)


def test_temporary_faults(server, tmp_path):
    server.uploads = [Upload('1', 'dog')]
    server.faults = [
        Fault(503),
        Fault(429, {'Retry-After': '0'}),
        None,  # the licences
        Fault(200, body=b'<html>soon back</html>'),
        AWAY,
        None,  # the search
        Fault(200, body=b'[]'),
    ]
    assert run(server, tmp_path / 'v.csv', 'dog').videos == 1
    assert server.faults == []


@pytest.mark.parametrize(
    ('faults', 'words'),
    [
        ([AWAY] * 3, r'Flickr: no answer \(Service currently unavailable, 3 times\)\. Run the same command'),
        ([Fault(500)] * 3, r'Flickr: no answer \(HTTP 500 Internal Server Error, 3 times\)'),
        ([Fault(200, body=b'')] * 3, r'Flickr: no answer \(the answer is not JSON, 3 times\)'),
        ([Fault(404)], r'http://127.0.0.1:\d+/rest/: request failed \(HTTP 404 Not Found\)'),
        ([Fault(200, body=b'{"stat":"fail","code":112,"message":"Method \\"x\\" not found secret-key"}')],
         r'Flickr: Method "x" not found \.\.\. \(code 112\)'),
    ],
)  # fmt: skip
def test_failures_are_reported(server, tmp_path, faults, words):
    server.faults = list(faults)
    with pytest.raises(SoundNetError, match=words):
        run(server, tmp_path / 'v.csv', 'dog')
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_key_is_reported_and_never_shown(server, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SoundNetError, match=r'Flickr: the key in FLICKR_API_KEY is rejected \(Invalid API Key'):
        collect.collect(['dog'], str(tmp_path / 'v.csv'), api(server, 'my-own-key'), FREE)
    gone = flickr.Flickr('my-own-key', 'http://127.0.0.1:9/', tries=2, backoff_s=0.001, per_hour=1e9)
    with pytest.raises(SoundNetError, match=r'no answer \(cannot be reached \(connection refused\), 2 times\)'):
        gone.licences()
    server.uploads, server.faults = [Upload('1', 'dog')], [None, Fault(503)]
    run(server, tmp_path / 'v.csv', 'dog')
    said = [
        *capfd.readouterr(),
        caplog.text,
        *(path.read_text() for path in tmp_path.iterdir()),
        repr(vars(gone).keys()),
    ]
    assert '/rest/' in caplog.text, 'urllib3 writes its requests here'
    assert not any('my-own-key' in text or 'secret-key' in text for text in said)


def test_a_failed_word_does_not_stop_the_run(server, tmp_path, capfd):
    server.uploads = [Upload('1', 'dog')]
    report = run(server, tmp_path / 'v.csv', '???', 'dog')
    assert str(report) == f'1 video from 1 of 2 words in {tmp_path}/v.csv; 1 word failed'
    assert '???: Flickr: Parameterless searches have been disabled (code 3)' in capfd.readouterr().err


def test_other_settings_are_an_error(server, tmp_path):
    out = tmp_path / 'v.csv'
    run(server, out, 'dog')
    with pytest.raises(
        SoundNetError,
        match=r"started with other settings \(licences was \['cc-by', .*\], is \['cc0'\]\)\. Use another --out",
    ):
        run(server, out, 'dog', licences=['cc0'])
    with pytest.raises(SoundNetError, match='max_per_word was unset, is 3'):
        run(server, out, 'dog', max_per_word=3)
    with pytest.raises(SoundNetError, match=r"unknown licence 'free'\. Use all-rights-reserved, cc-by, "):
        run(server, out, 'dog', licences=['free'])
    notes = tmp_path / 'v.csv.journal'
    same = json.loads(notes.read_text().splitlines()[0])['settings']
    with (
        journal.Journal(out, same),
        pytest.raises(SoundNetError, match=r'v\.csv: another run is writing to it'),
    ):
        run(server, out, 'dog')
    notes.write_text(notes.read_text().replace('{', 'x', 1))
    with pytest.raises(SoundNetError, match=r'v.csv.journal: line 1: cannot be read .*Remove it to start over'):
        run(server, out, 'dog')
    notes.unlink()
    with pytest.raises(SoundNetError, match=r'v.csv: exists without its v.csv.journal. Use another --out'):
        run(server, out, 'dog')


def test_words_and_files_of_words(tmp_path):
    (tmp_path / 'words.txt').write_text('\ufeff# animals\ndog\n\n  street   music # of all kinds\nDog\n')
    (tmp_path / 'none.txt').write_text('# nothing\n')
    (tmp_path / 'latin.txt').write_bytes('größe'.encode('latin-1'))
    assert collect.read_words(['cat', str(tmp_path / 'words.txt'), 'DOG']) == ['cat', 'dog', 'street music']
    for arguments in ([], [str(tmp_path / 'none.txt')]):
        with pytest.raises(SoundNetError, match='no words: pass words to search for, or files'):
            collect.read_words(arguments)
    with pytest.raises(
        SoundNetError,
        match=r'latin.txt: cannot be read \(not text in UTF-8: .*\)\. Pass a text file with one word per line',
    ):
        collect.read_words([str(tmp_path / 'latin.txt')])


def test_the_rate_limit_is_kept(server, tmp_path):
    import time

    client = api(server, per_hour=3600 * 50)
    began = time.monotonic()
    for _ in range(11):
        client.licences()
    assert time.monotonic() - began > 10 / 50 * 0.9


ODD = {
    'licences': [b'{"stat":"ok"}', b'{"stat":"ok","licenses":[]}', b'{"stat":"ok","licenses":{"license":[{"id":1}]}}'],
    'search': [
        b'{"stat":"ok","photos":{"total":"many","photo":[]}}',
        b'{"stat":"ok","photos":{"total":1,"photo":[{"id":"=1","owner":"a"}]}}',
        b'{"stat":"ok","photos":{"total":1,"photo":[7]}}',
        b'{"stat":"ok","photos":{"total":1e999,"photo":[]}}',
        b'{"stat":"ok","photos":{"total":' + b'9' * 5000 + b',"photo":[]}}',
        b'{"stat":"fail","code":"x","message":"y"}',
        b'{"stat":"fail"}',
    ],
    'sizes': [
        b'{"stat":"ok","sizes":{}}',
        b'{"stat":"ok","sizes":{"size":[{"media":"video","label":"x","source":"file:///etc/passwd"}]}}',
        b'{"stat":"ok","sizes":{"size":[{"media":"video","label":"x","source":"https://x/?k=secret%2dkey"}]}}',
        b'{"stat":"ok","sizes":{"size":[{"media":"video","label":"x","source":"https://x","width":"wide"}]}}',
    ],
}


@pytest.mark.parametrize(('call', 'body'), [(call, body) for call, bodies in ODD.items() for body in bodies])
def test_json_of_an_odd_shape_is_one_line(server, tmp_path, call, body, capfd):
    server.uploads = [Upload('1', 'dog'), Upload('2', 'dog')]
    server.faults = [None] * list(ODD).index(call) + [Fault(200, body=body)]
    if call == 'licences':
        with pytest.raises(SoundNetError, match=r'^Flickr: its answer for .* has an unexpected form \(\w+\)\. Check'):
            run(server, tmp_path / 'v.csv', 'dog')
        return
    report = run(server, tmp_path / 'v.csv', 'dog', 'cat')
    said = capfd.readouterr().err
    if call == 'search' and b'9999' not in body:
        assert report.failed.keys() == {'dog'}
        assert 'dog: Flickr: its answer for ' in said
    if call == 'sizes':
        assert (report.videos, sum(report.skipped.values())) == (1, 1)
    assert 'secret-key' not in said.replace('%2d', '-')


@pytest.mark.parametrize('text', ['secret%2Dkey', '&#115;ecret-key', 'c2VjcmV0LWtleQ==', '\\u0073ecret-key'])
def test_a_key_in_encoded_form_is_never_shown(server, tmp_path, text, capfd):
    body = json.dumps({'stat': 'fail', 'code': 112, 'message': f'no {text}\x1b[2J'}).encode()
    for fault in (Fault(200, body=body), Fault(404, reason=text)):
        server.faults = [fault]
        with pytest.raises(SoundNetError, match='text withheld, since it contains the key') as caught:
            run(server, tmp_path / 'v.csv', 'dog')
        assert text not in str(caught.value)
    server.uploads = [Upload('1', 'dog', title=text)]
    run(server, tmp_path / 'v.csv', 'dog')
    assert rows(tmp_path / 'v.csv')[0]['title'] == '(text withheld, since it contains the key)'
    assert text not in (tmp_path / 'v.csv.journal').read_text()


def test_titles_are_never_formulas(server, tmp_path):
    server.uploads = [
        Upload(str(number), 'dog', title=title)
        for number, title in enumerate(['=HYPERLINK("x")', '+1', '-1', '@a', "'=1", "it's", 'a=b'])
    ]
    run(server, tmp_path / 'v.csv', 'dog')
    written = [row['title'] for row in rows(tmp_path / 'v.csv')]
    assert written == ['\'=HYPERLINK("x")', "'+1", "'-1", "'@a", "''=1", "it's", 'a=b']
    assert [cells.plain(title) for title in written] == [upload.title for upload in server.uploads]
    assert len(manifest.videos([str(tmp_path / 'v.csv')])) == 7


@pytest.mark.parametrize('line', ['7', '[]', '{}', '{"video": {}}', '{"skipped": "1"}', '[' * 9000, '{"video": 3}'])
def test_an_odd_journal_is_one_line(server, tmp_path, line):
    run(server, tmp_path / 'v.csv', 'dog')
    with (tmp_path / 'v.csv.journal').open('a') as file:
        file.write(line + '\n')
    with pytest.raises(
        SoundNetError, match=r'v\.csv\.journal: line 3: cannot be read \(.*\)\. Remove it to start over'
    ):
        run(server, tmp_path / 'v.csv', 'dog')
