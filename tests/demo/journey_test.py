"""The demo's learning is real: it is there, and it goes when sound and vision are shuffled against each other."""

import dataclasses
import shutil

import numpy as np
import pytest

from soundnet_tf.demo import journey, report
from soundnet_tf.demo.ear import Heard
from soundnet_tf.errors import SoundNetError

SMALL = journey.Scale(videos=200, held_out=80, pictures=1500, epochs=8, steps=130)


# Two demos: beside other tests and on a busy machine they take ten minutes.
@pytest.mark.timeout(1800)
@pytest.mark.slow
def test_the_ear_learns_from_the_eye_and_nothing_from_a_shuffled_one(tmp_path, capsys):
    true = journey.run(str(tmp_path / 'true'), SMALL)
    page = true.report.read_text()
    printed = capsys.readouterr().out
    # The same eye and the same held-out videos: only what the ear learned from differs.
    control = dataclasses.replace(SMALL, shuffled=True)
    journey._agree(tmp_path / 'shuffled', control)
    for part in ('eye.keras', 'videos/held_out'):
        source, target = tmp_path / 'true' / part, tmp_path / 'shuffled' / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    shuffled = journey.run(str(tmp_path / 'shuffled'), control)
    assert true.eye_right > 0.7
    assert true.eye_right == shuffled.eye_right
    # Chance is 0.1; its spread over 80 videos 0.034.
    assert true.agreement > 0.24
    assert true.ear_right > 0.24
    assert shuffled.agreement < 0.2
    assert true.agreement > shuffled.agreement + 0.1
    assert true.svm_trained > true.svm_untrained
    assert page.count('<audio') == report.SHOWN
    assert f'What its units respond to:           {true.hears}' in printed
    assert '"name":"vision"' in true.hears.read_text()
    assert f'soundnet-tag --model={true.net}' in page
    assert f'{true.agreement:.1%}' in printed
    # The net that ships has never heard this world, and says so.
    assert [said.kind for said in true.shipped] == sorted(journey.KINDS)
    assert sum(not said.sure for said in true.shipped) >= 3
    assert printed.count('not sure (best guess ') == page.count('not sure (best guess ') >= 3
    assert 'soundnet-prepare VIDEOS/' in printed
    assert 'learned to agree with an' in printed
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


def test_what_is_counted():
    sure = np.eye(10, dtype=np.float32)
    heard = Heard(['a', 'b', 'c'], np.array([0, 1, 2]), sure[[0, 1, 1]], sure[[0, 2, 1]], np.zeros([3, 1]))
    assert (heard.agreement, heard.eye_right, heard.ear_right) == pytest.approx((2 / 3, 2 / 3, 1 / 3))
    assert heard.confusion[:3, :3].tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert journey._clear(heard) in ('a', 'c')
