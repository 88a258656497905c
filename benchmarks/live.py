"""Time of an answer in the live page, in Chromium, beside LiteRT's in Python; and how smoothly the page draws.

python -m benchmarks.live
"""

import argparse
import functools
import os
import pathlib
import statistics
import tempfile
import threading
import time

import numpy as np
import soundfile
from ai_edge_litert.interpreter import Interpreter
from playwright import sync_api

from soundnet_tf import clips
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.export import lite, live
from soundnet_tf.web import local

TIMES = 20
FRAMES_S = 5.0

_FRAMES = """(seconds) => new Promise((resolve) => {
  let count = 0;
  const began = performance.now(), next = () => {
    count += 1;
    const passed = (performance.now() - began) / 1000;
    if (passed < seconds) requestAnimationFrame(next); else resolve(count / passed);
  };
  requestAnimationFrame(next);
})"""


def in_browser(folder: pathlib.Path, recording: pathlib.Path) -> tuple[list[float], float, int]:
    """Milliseconds of each answer, the first left out; frames a second and answers while the microphone is heard."""
    found, ready = [], threading.Event()
    serve = functools.partial(local.serve, folder, 0, lambda address: (found.append(address), ready.set()))
    threading.Thread(target=serve, daemon=True).start()
    ready.wait()
    options = [
        '--disable-gpu',
        '--mute-audio',
        '--use-fake-ui-for-media-stream',
        '--use-fake-device-for-media-stream',
        f'--use-file-for-fake-audio-capture={recording}',
        *(['--no-sandbox'] if os.geteuid() == 0 else []),
    ]
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path='/usr/bin/chromium', args=options)
        page = browser.new_page()
        page.goto(found[0])
        page.wait_for_selector('#microphone:enabled')
        page.set_input_files('#file', str(recording))
        page.wait_for_selector('body[data-done]')
        answers = page.evaluate('shown.milliseconds')
        page.click('#microphone')
        page.wait_for_timeout(1000 * lite.TAGS_S)
        before = page.evaluate('shown.answers.length')
        frames = page.evaluate(_FRAMES, FRAMES_S)
        return answers[1:], frames, page.evaluate('shown.answers.length') - before


def in_python(folder: pathlib.Path, waveform: np.ndarray) -> list[float]:
    """Milliseconds of LiteRT with one thread for the same window."""
    run = Interpreter(str(folder / 'model.tflite'), num_threads=1).get_signature_runner('tags')
    taken = []
    for _ in range(TIMES + 1):
        began = time.perf_counter()
        run(waveform=waveform[None])
        taken.append(1000 * (time.perf_counter() - began))
    return taken[1:]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='soundnet8-esc10')
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder, recording = pathlib.Path(home, 'page'), pathlib.Path(home, 'dog.wav')
        live.write(given.model, folder)
        waveform = np.tile(decoding.read(clips.path('dog_bark')), 4)
        soundfile.write(recording, waveform, SAMPLE_RATE)
        browser, frames, answers = in_browser(folder, recording)
        python = in_python(folder, waveform[: round(lite.TAGS_S * SAMPLE_RATE)])
    ours, theirs = statistics.median(browser), statistics.median(python)
    print(f'an answer about {lite.TAGS_S:g} s: {ours:.1f} ms in Chromium; LiteRT in Python: {theirs:.1f} ms')
    print(f'the page takes {ours / theirs:.2f} times as long')
    print(f'microphone: {frames:.0f} frames, {answers / FRAMES_S:.1f} answers a second ({1 / live.HOP_S:g} wanted)')


if __name__ == '__main__':
    main()
