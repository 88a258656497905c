"""Generate the synthetic data set: sounds, labelled pictures and videos of scenes.

The pictures and the sound of a scene are determined by its `Scene` value. Some scenes contain a second kind, smaller
and softer than the main one.
"""

import functools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from soundnet_tf import audio, progress, storage
from soundnet_tf.demo.stage import KINDS, SIZE, Picture, Scene, Stage, scenes
from soundnet_tf.demo.synthesis import SOUNDS, echo, log_uniform, onsets, random, surroundings

FRAMES_PER_SECOND = 4
FILE_SAMPLE_RATE = 44_100
"""The videos' sound tracks are stereo at this rate, so that readers have to resample and downmix."""
BATCH = 4
"""Number of videos per task of a worker process; no more than these are written in the main process."""


def sound(scene: Scene, seconds: float = 10.0) -> audio.Waveform:
    """`[samples]` float32 in [-1, 1] at audio.SAMPLE_RATE: the kind, the other kind softer, and background sound."""
    samples, rng = round(seconds * audio.SAMPLE_RATE), random(scene.seed, 'mix')
    mixed = _voice(scene.kind, scene.seed, seconds, samples)
    if scene.other:
        mixed = mixed + log_uniform(rng, 0.25, 0.7) * _voice(scene.other, scene.seed, seconds, samples)
    if rng.random() < 0.5:
        mixed = echo(rng, mixed)
    mixed = mixed + log_uniform(rng, 0.1, 1.2) * surroundings(rng, samples)
    mixed[1:] += rng.uniform(-0.8, 0.8) * mixed[:-1]  # a dull or a thin microphone
    peak = log_uniform(rng, 0.15, 0.95)
    return (mixed * np.float32(peak / max(abs(mixed).max(), 1e-6))).astype(np.float32)


def _voice(kind: str, seed: int, seconds: float, samples: int) -> audio.Waveform:
    voice = SOUNDS[kind](random(seed, f'sound of {kind}'), onsets(kind, seed, seconds), samples)
    # A compromise: equal energy makes clicks too loud, equal peaks makes them too quiet against the background.
    return voice / np.sqrt(voice.std() * abs(voice).max() / 3 + 1e-9)


def labelled_frames(count: int, seed: int, company: float = 0.28) -> tuple[Picture, NDArray[np.int64]]:
    """Pictures `[count, 96, 96, 3]` and the index in KINDS of what each shows: one frame of each of `count` scenes."""
    shown = scenes(count, seed, company)
    times_s = random(seed, 'moments').uniform(0, 10, count)
    frames = np.stack([Stage(scene).frame(time_s) for scene, time_s in zip(shown, times_s, strict=True)])
    return frames, np.array([KINDS.index(scene.kind) for scene in shown])


def write_video(scene: Scene, path: Path | str, seconds: float = 10.0, sound_of: Scene | None = None) -> Path:
    """Write an mp4 of the scene, with its own sound or another scene's; the file appears when it is complete."""
    path = Path(path)
    stage = Stage(scene)
    with storage.whole_file(path) as draft, av.open(draft, 'w', format='mp4') as file:
        picture_track = file.add_stream(_picture_codec(), rate=FRAMES_PER_SECOND)
        picture_track.width = picture_track.height = SIZE
        picture_track.pix_fmt = 'yuv420p'
        picture_track.codec_context.thread_count = 1
        if _picture_codec() == 'libx264':
            picture_track.options = {'preset': 'ultrafast', 'crf': '24'}
        # The default AAC coder takes three times as long.
        sound_track = file.add_stream(
            'aac', rate=FILE_SAMPLE_RATE, layout='stereo', options={'aac_coder': 'fast', 'cutoff': '11025'}
        )
        sound_track.bit_rate = 96_000
        for index in range(round(seconds * FRAMES_PER_SECOND)):
            picture = stage.frame(index / FRAMES_PER_SECOND)
            file.mux(picture_track.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        file.mux(picture_track.encode())
        audio_frame = av.AudioFrame.from_ndarray(_stereo(sound_of or scene, seconds), format='fltp', layout='stereo')
        audio_frame.sample_rate, audio_frame.pts, audio_frame.time_base = (
            FILE_SAMPLE_RATE,
            0,
            Fraction(1, FILE_SAMPLE_RATE),
        )
        file.mux(sound_track.encode(audio_frame))
        file.mux(sound_track.encode())
    return path


@functools.cache
def _picture_codec() -> Literal['libx264', 'mpeg4']:
    return 'libx264' if 'libx264' in av.codecs_available else 'mpeg4'


def _stereo(scene: Scene, seconds: float) -> NDArray[np.float32]:
    """`[2, samples]` at FILE_SAMPLE_RATE: panned slightly left or right."""
    mono = audio.resample(sound(scene, seconds), audio.SAMPLE_RATE, FILE_SAMPLE_RATE)
    left_and_right = random(scene.seed, 'place').uniform(0.6, 1, (2, 1)).astype(np.float32)
    return left_and_right * np.clip(mono, -1, 1)


def write_world(
    folder: Path | str,
    scenes: list[Scene],
    seconds: float = 10.0,
    sounds: list[Scene] | None = None,
    jobs: int | None = None,
) -> list[Path]:
    """Write `<scene id>.mp4` for every scene that has none yet, in `jobs` processes, and return all the paths.

    `sounds`, one scene per video, replaces the sound by that of another scene. The processes import the caller's main
    module, as Python's multiprocessing does: a script must keep its work under `if __name__ == '__main__'`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f'{scene.id}.mp4' for scene in scenes]
    rows = zip(scenes, paths, [seconds] * len(scenes), sounds or scenes, strict=True)
    missing = [row for row in rows if not row[1].exists()]
    jobs = min(jobs or os.cpu_count() or 1, -(-len(missing) // BATCH))
    if jobs > 1:
        # Processes, because drawing holds the GIL: two processes are 1.5 times as fast as two threads.
        # Spawned, because forking is unsafe once the parent has loaded TensorFlow and started its threads.
        with ProcessPoolExecutor(jobs, multiprocessing.get_context('spawn')) as pool:
            done = pool.map(write_video, *zip(*missing, strict=True), chunksize=BATCH)
            list(progress.bar(done, total=len(missing), desc='videos', keep=True))
    else:
        for row in progress.bar(missing, desc='videos', disable=not missing, keep=True):
            write_video(*row)
    return paths
