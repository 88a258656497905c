"""The demo really learns: its accuracy disappears when sound and vision are shuffled against each other."""

import dataclasses
import json
import shutil

import av
import numpy as np
import pytest

from soundnet_tf.audio import decoding
from soundnet_tf.demo import journey, report
from soundnet_tf.demo.ear import Predictions
from soundnet_tf.errors import SoundNetError

SMALL = journey.Scale(videos=200, held_out=80, pictures=1500, epochs=8, steps=100)


def exchange_sounds(folder):
    """Give each video but the first the sound that a shuffled demo gives it, as it stands in the other's file.

    Returns the sound of the first one's partner, `[samples]`, and removes the first.
    """
    rows = journey.scenes(SMALL.videos, 2 * SMALL.seed + 1)
    own = folder.rename(folder.with_name('own'))
    folder.mkdir()
    for scene, other in list(zip(rows, journey._others(rows), strict=True))[1:]:
        with (
            av.open(str(own / f'{scene.id}.mp4')) as seen,
            av.open(str(own / f'{other.id}.mp4')) as heard,
            av.open(str(folder / f'{scene.id}.mp4'), 'w') as file,
        ):
            tracks = [
                (part, file.add_stream_from_template(part)) for part in (seen.streams.video[0], heard.streams.audio[0])
            ]
            for part, track in tracks:
                for packet in part.container.demux(part):
                    if packet.size:
                        packet.stream = track
                        file.mux(packet)
    np.testing.assert_array_equal(decoding.read(folder / f'{scene.id}.mp4'), decoding.read(own / f'{other.id}.mp4'))
    return rows[0], decoding.read(own / f'{journey._others(rows)[0].id}.mp4')


# On a busy machine it takes ten minutes.
@pytest.mark.timeout(1800)
@pytest.mark.slow
def test_the_ear_learns_from_the_eye_and_nothing_from_a_shuffled_one(tmp_path, capsys, monkeypatch):
    folder = tmp_path / 'demo'
    true = journey.run(str(folder), SMALL)
    page, printed = true.report.read_text(), capsys.readouterr().out
    assert true.eye_right > 0.7
    # Chance is 0.1; its spread over 80 videos 0.034.
    assert true.agreement > 0.24
    assert true.ear_right > 0.24
    # So short a training adds little to what random filters hear; the spread of both over 80 videos is 0.055.
    assert true.svm_trained > 0.24
    assert true.svm_trained > true.svm_untrained - 0.11
    assert page.count('<audio') == report.SHOWN
    assert f'What its units respond to:           {true.hears}' in printed
    assert '"name":"vision"' in true.hears.read_text()
    assert f'soundnet-tag --model={true.net}' in page
    assert f'{true.agreement:.1%}' in printed
    # The included net was not trained on this world, and is not confident.
    assert [one.kind for one in true.shipped] == sorted(journey.KINDS)
    assert sum(not one.confident for one in true.shipped) >= 3
    assert printed.count('not sure (best guess ') == page.count('not sure (best guess ') >= 3
    assert 'soundnet-prepare VIDEOS/' in printed
    assert 'learned to agree with an' in printed

    # The same eye and the same held-out videos: only what the ear learns from differs.
    for part in ('records/learned', 'run'):
        shutil.rmtree(folder / part)
    control = dataclasses.replace(SMALL, shuffled=True)
    (folder / journey.STORY).write_text(json.dumps(dataclasses.asdict(control)))
    first, sound = exchange_sounds(folder / 'videos' / 'learned')
    # Not of this ear: the other nets had the same input before.
    monkeypatch.setattr(journey.portrait, 'draw', lambda *_: true.hears)
    monkeypatch.setattr(journey.shipped, 'listen', lambda *_: true.shipped)
    monkeypatch.setattr(journey.shipped, 'original', lambda: true.original)
    shuffled = journey.run(str(folder), control)
    np.testing.assert_array_equal(decoding.read(folder / 'videos' / 'learned' / f'{first.id}.mp4'), sound)
    assert true.eye_right == shuffled.eye_right
    assert shuffled.agreement < 0.2
    assert true.agreement > shuffled.agreement + 0.1
    assert 'so there was nothing to learn' in capsys.readouterr().out


def test_shuffled_sounds_are_of_other_videos():
    rows = journey.scenes(50, 1)
    others = journey._others(rows)
    assert sorted(scene.id for scene in others) == sorted(scene.id for scene in rows)
    assert all(own.id != other.id for own, other in zip(rows, others, strict=True))


def test_a_folder_keeps_to_one_world(tmp_path):
    journey._agree(tmp_path, SMALL)
    journey._agree(tmp_path, SMALL)
    with pytest.raises(SoundNetError, match=r'started with other settings \(seed was 0, is 5\)\. Use another --out'):
        journey._agree(tmp_path, dataclasses.replace(SMALL, seed=5))


def test_counts_of_predictions():
    certain = np.eye(10, dtype=np.float32)
    predictions = Predictions(
        ['a', 'b', 'c'], np.array([0, 1, 2]), certain[[0, 1, 1]], certain[[0, 2, 1]], np.zeros([3, 1])
    )
    assert (predictions.agreement, predictions.eye_right, predictions.ear_right) == pytest.approx((2 / 3, 2 / 3, 1 / 3))
    assert predictions.confusion[:3, :3].tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert journey._clear(predictions) in ('a', 'c')
