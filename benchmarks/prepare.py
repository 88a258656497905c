"""What each stage of the preparation costs, beside PyAV's own calls, and what that means for many videos.

python benchmarks/prepare.py [FOLDER OF VIDEOS]

Without a folder it makes its own videos: 20 s, 640 by 360, 25 frames a second, H.264 and stereo AAC. The teacher is a
MobileNetV2 with random weights, as fast as one with good ones.
"""

import io
import os
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import av
import av.logging
import keras
import numpy as np

from soundnet_tf import records, teachers
from soundnet_tf.audio import SAMPLE_RATE, encoding
from soundnet_tf.prepare import local, manifest, sound
from soundnet_tf.prepare.media import Unusable
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.pictures import Pictures, unit_middles
from soundnet_tf.prepare.stages import Settings

VIDEOS, SECONDS, FPS, SIZE, ROUNDS, AGAIN = 8, 20, 25, (640, 360), 5, 6
MANY = 2_000_000


def make_video(path, seed):
    """Something that moves, and noise: neither a slide show nor snow."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 256, [SIZE[1] // 8, SIZE[0] // 8 + SECONDS * FPS, 3], np.uint8)
    texture = np.repeat(np.repeat(texture, 8, 0), 8, 1)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=FPS, options={'preset': 'veryfast'})
        stream.width, stream.height, stream.pix_fmt = *SIZE, 'yuv420p'
        track = container.add_stream('aac', rate=44_100, layout='stereo')
        for index in range(SECONDS * FPS):
            picture = np.ascontiguousarray(texture[:, 2 * index : 2 * index + SIZE[0]])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        wave = rng.normal(0, 0.1, [2, SECONDS * 44_100]).cumsum(axis=1).astype(np.float32)
        wave = 0.5 * (wave - wave.mean(axis=1, keepdims=True)) / abs(wave).max()
        frame = av.AudioFrame.from_ndarray(wave, format='fltp', layout='stereo')
        frame.sample_rate = 44_100
        container.mux(track.encode(frame) + stream.encode(None) + track.encode(None))


def teacher(folder):
    net: Any = keras.applications.MobileNetV2
    net(weights=None).save(f'{folder}/net.keras')
    return teachers.parse(f'imagenet={folder}/net.keras,scale=-1..1')


def ours(path):
    """The first 20 s as the MP3 of a record."""
    return sound.encode(next(sound.waveforms(path, SECONDS * SAMPLE_RATE)), 'mp3')


def pyav(path):
    """The same by PyAV's own calls alone: demux, decode, resample, encode."""
    buffer, samples = io.BytesIO(), 0
    resampler = av.AudioResampler('s16p', 'mono', SAMPLE_RATE)
    source: Any = av.open(path)
    with source as container, av.open(buffer, 'w', format='mp3') as out:
        track = out.add_stream('libmp3lame', rate=SAMPLE_RATE, layout='mono')
        track.bit_rate = encoding.MP3_BIT_RATE
        stream = container.streams.audio[0]
        stream.thread_type, stream.codec_context.thread_count = 'NONE', 1
        for frame in container.decode(stream):
            for part in resampler.resample(frame):
                out.mux(track.encode(part))
                samples += part.samples
            if samples >= SECONDS * SAMPLE_RATE:
                break
        out.mux(track.encode(None))
    return buffer.getvalue()


def jumping(path):
    return Pictures(path, 256).at(unit_middles(SECONDS, 5))


def decoding_all(path):
    pictures = Pictures(path, 256)
    pictures._may_jump = False
    return pictures.at(unit_middles(SECONDS, 5))


def ratio(one, other, paths):
    """Milliseconds per video of both, and how many times as long the first takes: the median of several rounds."""
    took = {one: [], other: []}
    for _ in range(ROUNDS):
        for function in took:
            began = time.perf_counter()
            for path in paths:
                function(path)
            took[function].append(1000 * (time.perf_counter() - began) / len(paths))
    ratios = [a / b for a, b in zip(took[one], took[other], strict=True)]
    return statistics.median(took[one]), statistics.median(took[other]), statistics.median(ratios)


def usable(path):
    try:
        return bool(ours(path) and jumping(path))
    except Unusable:
        return False


def processor_s():
    """Seconds of this process, and of those that it started and that have ended."""
    return sum(os.times()[:4])


def main():
    av.logging.set_level(None)
    with tempfile.TemporaryDirectory() as made:
        home = sys.argv[1] if len(sys.argv) > 1 else f'{made}/videos'
        if len(sys.argv) < 2:
            os.mkdir(home)
            for index in range(VIDEOS):
                make_video(f'{home}/{index}.mp4', index)
        videos = [video for video in manifest.videos([home]) if usable(video.path)]
        paths = [video.path for video in videos]
        net = teacher(made)

        # Often enough that the teacher, which is shown 16 videos at once, and the reader work side by side.
        count = AGAIN * len(videos)
        again = [manifest.Video(f'{index}/{video.id}', video.path) for index in range(AGAIN) for video in videos]
        clock, rates, cpu_s = Clock(), {}, 0.0
        plain, local.Clock = local.Clock, lambda: clock
        for jobs in (1, 2):
            clock.seconds.clear()
            began, worked = time.perf_counter(), processor_s()
            report = local.run(again, [net], f'{made}/records{jobs}', Settings(), number=1, jobs=jobs)
            rates[jobs] = count / (time.perf_counter() - began)
            if jobs == 1:
                seconds, cpu_s = dict(clock.seconds), processor_s() - worked
        local.Clock = plain
        (shard,) = records.shard_paths(f'{made}/records1', 1)
        size = pathlib.Path(shard).stat().st_size

        print(f'{len(videos)} videos, {report.hours * 3600 / count:.1f} s of sound each\n')
        print('| stage, one process reads | ms per video | share |\n|---|---|---|')
        for stage, took in seconds.items():
            print(f'| {stage} | {1000 * took / count:.1f} | {took / sum(seconds.values()):.0%} |')
        print(f'\nAll processes together: {1000 * cpu_s / count:.0f} ms of processor time per video.')
        print(f'Videos/s on two cores: {rates[1]:.2f} with one process that reads, {rates[2]:.2f} with two.\n')

        print('| | ours, ms | other, ms | times as long |\n|---|---|---|---|')
        for name, one, other in (
            ('sound: demux, resample, MP3; PyAV alone', ours, pyav),
            ('frames: jumping; decoding everything', jumping, decoding_all),
        ):
            print('| {} | {:.1f} | {:.1f} | {:.2f} |'.format(name, *ratio(one, other, paths)))

        print('\n| videos | hours of processor time | GB of records |\n|---|---|---|')
        for many in (1000, MANY):
            hours, gigabytes = many * cpu_s / count / 3600, many * size / count / 1e9
            print(f'| {many:,} | {hours:,.2f} | {gigabytes:,.2f} |')


if __name__ == '__main__':
    main()
