"""The synthetic world: scenes repeat, videos play, and both eye and ear have something to learn."""

import os
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from soundnet_tf import audio
from soundnet_tf.demo import looks, stage, synthesis, world


def _lone(kind: str, seed: int = 7) -> world.Scene:
    return world.Scene('lone', kind, None, seed)


def _heard(path: Path) -> tuple[np.ndarray, int]:
    """`[channels, samples]` and the rate."""
    with av.open(str(path)) as file:
        frames = list(file.decode(audio=0))
        return np.concatenate([frame.to_ndarray() for frame in frames], axis=1), frames[0].sample_rate


def _bands(waveform: np.ndarray) -> np.ndarray:
    """Mean and spread over time of the loudness of 16 bands: enough for an ear of no great skill."""
    spectra = abs(np.fft.rfft(waveform[: waveform.size // 1024 * 1024].reshape(-1, 1024))[:, 1:])
    edges = np.unique(np.geomspace(1, 512, 17).astype(int)) - 1
    loud = np.log(np.add.reduceat(spectra, edges[:-1], axis=1) + 1e-4)
    loud -= loud.mean()
    return np.concatenate([loud.mean(0), loud.std(0), abs(np.diff(loud, axis=0)).mean(0)])


def _nearest_centroid(train: np.ndarray, train_kinds: np.ndarray, test: np.ndarray, test_kinds: np.ndarray) -> float:
    scale = train.std(0) + 1e-9
    centroids = np.stack([train[train_kinds == kind].mean(0) for kind in range(len(world.KINDS))])
    distances = (((test[:, None] - centroids) / scale) ** 2).sum(-1)
    return float((distances.argmin(1) == test_kinds).mean())


def test_every_kind_has_a_look_a_sound_and_a_pace():
    assert 8 <= len(world.KINDS) <= 10
    assert set(world.KINDS) == set(looks.LOOKS) == set(synthesis.SOUNDS) == set(synthesis.PERIOD_S)


def test_scenes_are_balanced_repeatable_and_differ_by_seed():
    made = world.scenes(105, 3)
    assert made == world.scenes(105, 3)
    assert made != world.scenes(105, 4)
    assert len({scene.id for scene in made + world.scenes(105, 4)}) == 210
    per_kind = Counter(scene.kind for scene in made)
    assert max(per_kind.values()) - min(per_kind.values()) <= 1
    company = [scene for scene in made if scene.other]
    assert 0.15 < len(company) / len(made) < 0.42
    assert all(scene.other != scene.kind for scene in company)


@pytest.mark.parametrize('kind', world.KINDS)
def test_picture_and_sound_follow_from_the_scene_alone(kind: str):
    scene = world.Scene('a', kind, world.KINDS[world.KINDS.index(kind) - 1], 11)
    picture, waveform = stage.Stage(scene).frame(1.2), world.sound(scene, 2.0)
    stage.Stage(scene).frame(0.4), world.sound(_lone(kind, 12), 1.0)
    np.testing.assert_array_equal(stage.Stage(scene).frame(1.2), picture)
    np.testing.assert_array_equal(world.sound(scene, 2.0), waveform)
    assert (stage.Stage(_lone(kind, 12)).frame(1.2) != picture).any()


@pytest.mark.parametrize('kind', world.KINDS)
def test_a_sound_is_a_waveform_and_not_silent(kind: str):
    waveform = world.sound(_lone(kind), 3.0)
    assert waveform.shape == (3 * audio.SAMPLE_RATE,)
    assert waveform.dtype == np.float32
    assert np.isfinite(waveform).all()
    assert 0.1 < abs(waveform).max() <= 1
    assert waveform.std() > 0.002


def test_a_sound_too_short_for_an_onset_is_still_a_sound():
    for kind in world.KINDS:
        assert np.isfinite(world.sound(_lone(kind), 0.05)).all()


@pytest.mark.parametrize('kind', world.KINDS)
def test_a_frame_is_a_picture_and_moves(kind: str):
    first, later = (stage.Stage(_lone(kind)).frame(time_s) for time_s in (0.0, 2.0))
    assert first.shape == (world.SIZE, world.SIZE, 3)
    assert first.dtype == np.uint8
    assert first.std() > 3
    assert abs(first.astype(int) - later).mean() > 0.5


def test_the_onsets_of_a_longer_sound_begin_with_those_of_a_shorter_one():
    for kind in world.KINDS:
        short, long = (synthesis.onsets(kind, 5, seconds) for seconds in (4.0, 60.0))
        np.testing.assert_array_equal(long[long < 4.0], short)
        assert long.max() > 55


@pytest.fixture(scope='module')
def small_world(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[world.Scene], list[Path]]:
    made = world.scenes(3, 9)
    return made, world.write_world(tmp_path_factory.mktemp('world'), made, seconds=2.0)


def test_a_video_plays_and_has_both_tracks(small_world: tuple[list[world.Scene], list[Path]]):
    made, paths = small_world
    for scene, path in zip(made, paths, strict=True):
        with av.open(str(path)) as file:
            assert file.duration == pytest.approx(2.0e6, abs=0.15e6)
            pictures = [frame.to_ndarray(format='rgb24') for frame in file.decode(video=0)]
        assert len(pictures) == 2 * world.FRAMES_PER_SECOND
        assert abs(pictures[world.FRAMES_PER_SECOND].astype(int) - stage.Stage(scene).frame(1.0)).mean() < 25
        stereo, rate = _heard(path)
        assert rate == world.FILE_SAMPLE_RATE
        assert stereo.shape[0] == 2
        assert stereo.shape[1] == pytest.approx(2 * rate, abs=2200)


def test_the_sound_track_is_that_of_the_scene_or_the_requested_one(tmp_path: Path):
    seen, heard = _lone('clock', 1), _lone('siren', 2)
    own = _heard(world.write_video(seen, tmp_path / 'own.mp4', 2.0))[0][0]
    swapped = _heard(world.write_video(seen, tmp_path / 'swapped.mp4', 2.0, sound_of=heard))[0][0]

    def likeness(track: np.ndarray, scene: world.Scene) -> float:
        expected = audio.resample(world.sound(scene, 2.0), audio.SAMPLE_RATE, world.FILE_SAMPLE_RATE)
        length = min(track.size, expected.size)
        return float(np.corrcoef(track[:length], expected[:length])[0, 1])

    assert likeness(own, seen) > 0.8
    assert likeness(swapped, heard) > 0.8
    assert abs(likeness(swapped, seen)) < 0.3


def test_a_second_run_writes_only_what_is_missing(small_world: tuple[list[world.Scene], list[Path]]):
    made, paths = small_world
    paths[1].unlink()
    before = {path: os.stat(path).st_mtime_ns for path in (paths[0], paths[2])}
    assert world.write_world(paths[0].parent, made, seconds=2.0) == paths
    assert {path: os.stat(path).st_mtime_ns for path in before} == before
    assert sorted(paths[0].parent.iterdir()) == sorted(paths)


def test_many_videos_are_written_by_several_processes_and_alike(tmp_path: Path):
    made = world.scenes(world.BATCH + 1, 21)
    paths = world.write_world(tmp_path, made, seconds=1.0, sounds=made[::-1], jobs=2)
    alone = world.write_video(made[0], tmp_path / 'alone.mp4', 1.0, sound_of=made[-1])
    np.testing.assert_array_equal(_heard(paths[0])[0], _heard(alone)[0])


def test_the_kinds_differ_in_sound_but_not_by_a_trick():
    made = world.scenes(300, 31)
    kinds = np.array([world.KINDS.index(scene.kind) for scene in made])
    waveforms = [world.sound(scene, 3.0) for scene in made]
    bands = np.stack([_bands(waveform) for waveform in waveforms])
    level = np.array([[waveform.std(), abs(waveform).max()] for waveform in waveforms])
    assert 0.35 < _nearest_centroid(bands[:200], kinds[:200], bands[200:], kinds[200:]) < 0.9
    assert _nearest_centroid(level[:200], kinds[:200], level[200:], kinds[200:]) < 0.4


def test_the_kinds_differ_in_pictures_but_not_by_colour():
    frames, kinds = world.labelled_frames(1000, 41, company=0.0)
    assert frames.shape == (1000, world.SIZE, world.SIZE, 3)
    assert max(np.bincount(kinds)) - min(np.bincount(kinds)) <= 1
    colour = frames.mean((1, 2))
    assert _nearest_centroid(colour[:700], kinds[:700], colour[700:], kinds[700:]) < 0.2
    likeness = _likeness_to_patches(frames, 150)
    likeness = (likeness - likeness.mean(0)) / likeness.std(0)
    seen, wanted = likeness[:700], np.eye(len(world.KINDS))[kinds[:700]] - 1 / len(world.KINDS)
    weights = np.linalg.solve(seen.T @ seen + 50 * np.eye(150), seen.T @ wanted)
    assert 0.5 < ((likeness[700:] @ weights).argmax(1) == kinds[700:]).mean() < 0.97


def _likeness_to_patches(frames: np.ndarray, count: int) -> np.ndarray:
    """How well each of so many strongly marked patches, of the first pictures, is found anywhere in each picture."""
    grey = frames.reshape(-1, world.SIZE // 2, 2, world.SIZE // 2, 2, 3).mean((2, 4, 5), dtype=np.float32)
    patches = np.lib.stride_tricks.sliding_window_view(grey, (9, 9), axis=(1, 2))[:, ::2, ::2].reshape(
        len(grey), -1, 81
    )
    patches = patches - patches.mean(-1, keepdims=True)
    spread = patches.std(-1, keepdims=True)
    marked = patches[:500][spread[:500, :, 0] > np.quantile(spread[:500], 0.8)]
    chosen = marked[np.random.default_rng(0).integers(len(marked), size=count)]
    chosen /= np.linalg.norm(chosen, axis=1, keepdims=True)
    return np.stack(
        [abs(one / (its_spread + 5) @ chosen.T).max(0) for one, its_spread in zip(patches, spread, strict=True)]
    )
