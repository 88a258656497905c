"""The live page in a real browser: its answers are Python's, for files and a microphone, without a network."""

import base64
import functools
import json
import threading
import zipfile

import numpy as np
import pytest
import soundfile
import soxr

import soundnet_tf
from soundnet_tf import clips
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.export import live
from soundnet_tf.inference.tags import clip_probabilities
from soundnet_tf.web import local
from tests import browsers

pytestmark = browsers.MARKS
MODEL = 'soundnet8-esc10'
OPEN_TRACKS = "streams.flatMap((stream) => stream.getTracks()).filter(({ readyState }) => readyState === 'live').length"


@pytest.fixture(scope='module')
def page_folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('live') / 'page'
    assert not live.is_current(MODEL, out)
    assert 'top-1 agrees: esc10 100%' in ' '.join(live.write(MODEL, out))
    return out


def served(folder):
    """The folder at an address, until the thread ends with the process."""
    found, ready = [], threading.Event()
    serve = functools.partial(local.serve, folder, 0, lambda address: (found.append(address), ready.set()))
    threading.Thread(target=serve, daemon=True).start()
    assert ready.wait(10)
    return found[0]


@pytest.fixture(scope='module')
def address(page_folder):
    return served(page_folder)


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    # The microphone hears the dog, again and again, as it comes from the sound card.
    samples, rate = soundfile.read(clips.path('dog_bark'))
    recording = tmp_path_factory.mktemp('microphone') / 'dog.wav'
    soundfile.write(recording, samples, rate)
    with browsers.launched(
        '--use-fake-ui-for-media-stream',
        '--use-fake-device-for-media-stream',
        f'--use-file-for-fake-audio-capture={recording}',
    ) as browser:
        yield browser


@pytest.fixture
def opened(browser, address):
    """A function that opens the page; at the end nothing may have gone wrong, and nothing been fetched elsewhere."""
    wrong, contexts = [], []

    def open_page(width=1440, scheme='light', permissions=('microphone',)):
        context = browser.new_context(
            viewport={'width': width, 'height': 900}, color_scheme=scheme, permissions=list(permissions)
        )
        contexts.append(context)
        page = context.new_page()
        page.on('console', lambda message: wrong.append(message.text))
        page.on('pageerror', lambda error: wrong.append(str(error)))
        page.on('request', lambda r: None if r.url.startswith((address, 'blob:', 'data:')) else wrong.append(r.url))
        page.goto(address)
        page.wait_for_selector('#microphone:enabled')
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def answers(page, path):
    """The answers for a file: [(start, end, {head: probabilities} or None)], in seconds."""
    page.set_input_files('#file', str(path))
    page.wait_for_selector('body[data-done]')
    found = page.evaluate("""shown.answers.map(({ start, end, heads }) =>
      [start, end, heads && Object.fromEntries(Object.entries(heads).map(([head, p]) => [head, Array.from(p)]))])""")
    return [(start, end, heads) for start, end, heads in found]


@pytest.fixture(scope='module')
def pythons():
    """The probabilities of the net, in Python, of samples at its rate."""
    embedder = soundnet_tf.load(MODEL)
    (head,) = embedder.spec.heads

    def run(samples):
        return clip_probabilities(head, embedder.embed(samples, SAMPLE_RATE, layer='esc10').values)

    return run


def test_the_answers_are_pythons(opened, pythons):
    page = opened()
    for name in clips.names():
        ((start, end, heads),) = answers(page, clips.path(name))
        assert (start, round(end, 3)) == (0, 5)
        np.testing.assert_allclose(heads['esc10'], pythons(decoding.read(clips.path(name))), atol=1e-3)
    assert 'An answer takes' in page.locator('#speed').text_content()


def test_long_and_short_files_of_other_rates(opened, pythons, tmp_path):
    page = opened()
    dog, rooster = (soundfile.read(clips.path(name), dtype='float32')[0] for name in ('dog_bark', 'rooster'))
    both = soxr.resample(np.concatenate([dog, rooster[:90_000]]), 44_100, 48_000)
    soundfile.write(tmp_path / 'both.wav', np.stack([both, 0 * both], 1), 48_000)  # the first channel is taken
    waveform = decoding.read(tmp_path / 'both.wav')
    found = answers(page, tmp_path / 'both.wav')
    assert [end for _, end, _ in found] == pytest.approx(np.arange(5, len(waveform) / SAMPLE_RATE, 0.5))
    for start, end, heads in found[::3]:
        window = waveform[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        np.testing.assert_allclose(heads['esc10'], pythons(window), atol=2e-2)  # the browser resamples to 44.1 kHz
    assert 'answers: ' in page.locator('#status').inner_text()
    soundfile.write(tmp_path / 'short.wav', dog[:44_100], 44_100)
    ((_, end, heads),) = answers(page, tmp_path / 'short.wav')
    second = decoding.read(tmp_path / 'short.wav')
    assert end == 1
    np.testing.assert_allclose(heads['esc10'], pythons(np.resize(second, 5 * SAMPLE_RATE)), atol=1e-3)


def test_silence_and_files_that_are_no_sound(opened, tmp_path):
    page = opened()
    soundfile.write(tmp_path / 'silent.wav', np.full(3 * SAMPLE_RATE, 1e-4), SAMPLE_RATE)
    assert answers(page, tmp_path / 'silent.wav')[0][2] is None
    assert page.locator('.best').inner_text() == 'silence'
    assert page.locator('#status').inner_text() == 'silent.wav: 3.00 s, silence'
    (tmp_path / 'notes.mp3').write_text('no sound')
    page.set_input_files('#file', str(tmp_path / 'notes.mp3'))
    page.get_by_text('notes.mp3: no sound that this browser can decode. Convert it to wav, mp3 or ogg.').wait_for()
    assert page.locator('.best').inner_text() == ''
    soundfile.write(tmp_path / 'nan.wav', np.full(3 * SAMPLE_RATE, np.nan), SAMPLE_RATE, 'FLOAT')
    page.set_input_files('#file', str(tmp_path / 'nan.wav'))
    page.get_by_text('nan.wav: has NaN or infinite samples. Export it again.').wait_for()
    (tmp_path / 'empty.wav').touch()
    page.set_input_files('#file', str(tmp_path / 'empty.wav'))
    page.get_by_text('empty.wav is empty.').wait_for()
    answers(page, clips.path('helicopter'))
    assert page.locator('.best').inner_text().startswith('not sure (')
    answers(page, clips.path('rooster'))
    assert page.locator('.best').inner_text() == 'Rooster'


def test_the_microphone_by_keyboard(opened):
    page = opened()
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    page.wait_for_function('shown && shown.answers.some(({ heads }) => heads && Math.max(...heads.esc10) > 0.99)')
    assert page.locator('#microphone').get_attribute('aria-pressed') == 'true'
    page.get_by_text('Dog bark', exact=True).first.wait_for()
    page.get_by_role('status').get_by_text('Listening: Dog bark').wait_for()
    gaps = page.evaluate('shown.answers.slice(1).map(({ end }, n) => end - shown.answers[n].end)')
    assert min(gaps, default=0.5) >= 0.45, 'twice a second, or less often where the machine is slow'
    page.keyboard.press('Enter')
    page.get_by_text('Stopped.').wait_for()
    assert page.evaluate('document.activeElement.id') == 'microphone'


def test_the_last_that_a_person_began_wins(opened, tmp_path):
    """Whatever comes between: a long file is given up, and no microphone stays open."""
    page = opened()
    page.evaluate("""() => {
      const devices = navigator.mediaDevices, own = devices.getUserMedia.bind(devices);
      window.streams = [];
      devices.getUserMedia = async (wanted) => {
        const stream = await own(wanted);
        streams.push(stream);
        return stream;
      };
    }""")
    long = np.tile(decoding.read(clips.path('dog_bark')), 60)
    soundfile.write(tmp_path / 'long.wav', long, SAMPLE_RATE)
    page.set_input_files('#file', str(tmp_path / 'long.wav'))
    page.wait_for_function('shown && shown.answers.length > 3')
    assert len(answers(page, clips.path('rooster'))) == 1
    for _ in range(5):
        page.evaluate("document.querySelector('#microphone').click()")
    page.wait_for_function('shown && shown.live && shown.answers.length')
    page.evaluate("document.querySelector('#microphone').click()")
    page.get_by_text('Stopped.').wait_for()
    assert page.evaluate(OPEN_TRACKS) == 0
    page.click('#microphone')
    page.wait_for_function('shown && shown.live && shown.answers.length')
    page.set_input_files('#file', [str(tmp_path / 'long.wav')])
    answers(page, clips.path('sneeze'))
    assert page.locator('#microphone').inner_text() == 'Listen'
    assert page.evaluate(OPEN_TRACKS) == 0
    assert page.locator('#status').inner_text().startswith('sneeze.ogg: 5.00 s, ')


def test_a_first_channel_that_is_silent(opened, tmp_path):
    page = opened()
    dog = decoding.read(clips.path('dog_bark'))
    soundfile.write(tmp_path / 'right.wav', np.stack([0 * dog, dog], 1), SAMPLE_RATE)
    answers(page, tmp_path / 'right.wav')
    assert page.locator('.best').inner_text() == 'Dog bark'
    assert 'its first channel is silent; another is heard' in page.locator('#status').inner_text()


def test_several_files_dropped_at_once(opened):
    page = opened()
    encoded = [base64.b64encode(clips.path(name).read_bytes()).decode() for name in ('rooster', 'dog_bark')]
    page.evaluate(
        """async (encoded) => {
          const dropped = new DataTransfer();
          for (const [index, one] of encoded.entries()) {
            const data = await (await fetch(`data:audio/ogg;base64,${one}`)).arrayBuffer();
            dropped.items.add(new File([data], `${index}.ogg`));
          }
          document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: dropped }));
        }""",
        encoded,
    )
    page.wait_for_selector('body[data-done]')
    assert page.locator('.best').inner_text() == 'Rooster'
    assert page.locator('#status').inner_text().startswith('0.ogg (the first of 2 files; drop one at a time): 5.00 s')


def test_a_microphone_that_is_not_there_or_not_allowed(opened):
    page = opened()
    for name, words in (('NotAllowedError', 'Allow it for this page'), ('NotFoundError', 'There is no microphone')):
        page.evaluate(f"""() => {{
          navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{name}'); }};
        }}""")
        page.click('#microphone')
        page.get_by_text(words).wait_for()


@pytest.mark.parametrize(('width', 'scheme'), [(390, 'light'), (390, 'dark'), (1440, 'light'), (1440, 'dark')])
def test_the_layout(opened, width, scheme):
    page = opened(width, scheme)
    answers(page, clips.path('rooster'))
    page.get_by_text('How to read this page').click()
    assert page.evaluate(browsers.SIDEWAYS) == 0
    assert page.evaluate(browsers.OUTSIDE) == []
    assert page.evaluate(browsers.UNREADABLE) == []


def test_it_works_again_when_its_server_is_gone(opened):
    page = opened()
    page.evaluate('navigator.serviceWorker.ready')  # it has all files once it is ready
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector('#microphone:enabled')
    assert answers(page, clips.path('rooster'))[0][2]


@pytest.mark.parametrize('rate', [8_000, 16_000, 44_100, 48_000, 96_000])
def test_the_resampler_is_soxrs(opened, page_folder, rate):
    page = opened()
    page.add_script_tag(path=page_folder / 'sound.js')
    samples = np.random.default_rng(rate).uniform(-0.5, 0.5, rate // 4).astype(np.float32)
    found = page.evaluate(
        """([samples, rate]) => {
          const resampler = new Resampler(rate, 22050), parts = [];
          for (let at = 0, size = 1; at < samples.length; at += size, size = 2 * size + 1) {
            parts.push(...resampler.push(Float32Array.from(samples.slice(at, at + size))));
          }
          return parts.concat(...resampler.push(new Float32Array(0), true));
        }""",
        [samples.tolist(), rate],
    )
    expected = soxr.resample(samples, rate, SAMPLE_RATE)
    assert abs(len(found) - len(expected)) <= 1
    size = min(len(found), len(expected))
    # White noise, so the bands between 0.9 and 1 of the lower half rate are in it, where filters may differ.
    error = np.square(np.subtract(found[:size], expected[:size])).mean() / np.square(expected).mean()
    assert 10 * np.log10(error) < -25


def test_the_page_is_written_once_and_anew_where_it_is_old(page_folder, tmp_path, monkeypatch, capsys):
    assert live.is_current(MODEL, page_folder)
    assert not live.is_current('soundnet5-esc10', page_folder)
    page = page_folder / 'live.css'
    content = page.read_bytes()
    page.write_bytes(content + b'\n')
    assert not live.is_current(MODEL, page_folder)
    page.write_bytes(content)
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path))
    assert live.place(MODEL).parent == tmp_path / 'live'


def test_the_page_and_its_file_know_when_the_net_is_not_sure(page_folder):
    threshold = soundnet_tf.load(MODEL).confidence_threshold
    with zipfile.ZipFile(page_folder / 'model.tflite') as file:
        assert json.loads(file.read('confidence_threshold.json')) == threshold
    (head,) = json.loads((page_folder / 'net.json').read_text())['heads']
    assert {head['name']: head['threshold']} == threshold


def test_a_port_in_use_is_one_line(address, page_folder):
    port = int(address.rstrip('/').rpartition(':')[2])
    with pytest.raises(SoundNetError, match=f'--port={port}: address already in use. Use another, or 0 for a free one'):
        local.serve(page_folder, port, print)


def test_the_command_needs_a_free_folder(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(SoundNetError, match='exists and is not an export'):
        live.write(MODEL, tmp_path)
