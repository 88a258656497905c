"""The demo's story: a world is made, an eye learns to see it, an ear learns from the eye, and is put to the test.

Everything goes through the package as a user's own videos would: the same records, the same training
loop, the same saved net. Each step is left out when an earlier run has finished it.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from soundnet_tf import storage, teachers
from soundnet_tf.config import Experiment, Training
from soundnet_tf.demo import ear, eye, portrait, report, shipped, world
from soundnet_tf.demo.report import Outcome
from soundnet_tf.demo.stage import KINDS, Scene, scenes
from soundnet_tf.errors import SoundNetError
from soundnet_tf.export import tflite
from soundnet_tf.nets import model, saved
from soundnet_tf.prepare import local, manifest, stages
from soundnet_tf.training import trainer

SECONDS = 10.0
"""Of each video: two frames, and two steps of the 5-layer net's head."""

HEAD = 'eye'
STORY = 'story.json'


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much of a world; the default takes under six minutes on two cores."""

    videos: int = 600
    held_out: int = 160
    pictures: int = 3000
    epochs: int = 10
    steps: int = 400
    batch: int = 16
    width: float = 0.25
    learning_rate: float = 1e-3
    seed: int = 0
    shuffled: bool = False
    """The control: every picture gets another video's sound to learn from, so there is nothing to learn."""


def run(out: str, scale: Scale | None = None) -> Outcome:
    """Live through the whole journey in the folder `out`, and leave a report there."""
    scale, folder = scale or Scale(), pathlib.Path(out)
    ear.require()
    clock = _Clock()
    _agree(folder, scale)
    learned, held_out = scenes(scale.videos, 2 * scale.seed + 1), scenes(scale.held_out, 2 * scale.seed + 2)
    with clock('a world is made: what is seen and what is heard go together'):
        sounds = _others(learned) if scale.shuffled else learned
        world.write_world(folder / 'videos' / 'learned', learned, SECONDS, sounds)
        world.write_world(folder / 'videos' / 'held_out', held_out, SECONDS)
    with clock('an eye learns from labelled pictures, without any sound'):
        if not (folder / 'eye.keras').exists():
            pictures, kinds = world.labelled_frames(scale.pictures, 2 * scale.seed + 3)
            right = eye.learn(folder / 'eye.keras', pictures, kinds, scale.epochs, scale.seed)
            print(f'it names {right:.0%} of the pictures that were kept from it')
    with clock('videos become records: the sound, and what the eye sees in the frames'):
        storage.write_text(folder / 'kinds.txt', '\n'.join(KINDS) + '\n')
        seeing = teachers.parse(f'{HEAD}={folder / "eye.keras"},labels={folder / "kinds.txt"},crop=1')
        settings = stages.Settings(clip_s=SECONDS)
        for part in ('learned', 'held_out'):
            videos = manifest.videos([str(folder / 'videos' / part)])
            print(local.run(videos, [seeing], folder / 'records' / part, settings))
    with clock('an ear learns from the eye; it hears the sound and never sees a label'):
        config = Training(
            steps=scale.steps,
            batch=scale.batch,
            clip_s=SECONDS,
            learning_rate=scale.learning_rate,
            seed=scale.seed,
        )
        experiment = Experiment('demo', 'an ear learns from an eye', 'soundnet5', scale.width, config)
        net_folder = trainer.train(folder / 'records' / 'learned', experiment, folder / 'run').net
        if not (net_folder / saved.TFLITE).exists():
            tflite.add_tflite(net_folder)
    with clock('the ear is put to the test on videos that it never heard'):
        net = saved.load_net(net_folder)
        practice, test = _listen(net, folder, learned, held_out)
        untrained = _listen(model.build(net.spec), folder, learned, held_out)
    with clock('what the ear hears is drawn: its filters, its units, a map of the videos'):
        hears = portrait.draw(folder, net_folder, folder / 'run', test, held_out)
    with clock('a net that ships, which knows real sounds alone, listens to the made ones'):
        said_by_shipped = shipped.listen(folder / 'videos' / 'held_out', held_out)
    with clock('the original net, which learned from two million videos, listens to real clips'):
        said_by_original = shipped.original()
    outcome = Outcome(
        eye_right=test.eye_right,
        agreement=test.agreement,
        ear_right=test.ear_right,
        svm_trained=ear.svm_accuracy(practice, test),
        svm_untrained=ear.svm_accuracy(*untrained),
        chance=1 / len(KINDS),
        net=net_folder,
        report=folder / 'report.html',
        hears=hears,
        shipped=said_by_shipped,
        original=said_by_original,
    )
    prefix = _prefix()
    command, said = _tag(prefix, net_folder, folder / 'videos' / 'held_out' / f'{_clear(test)}')
    about = report.Story(outcome, test, folder, len(learned), scale.shuffled, clock.seconds, prefix, command, said)
    report.write_html(about, outcome.report)
    print(report.text(about))
    return outcome


class _Clock:
    """Says what begins, and keeps how long each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        print(f'\n{len(self.seconds) + 1}. {step[0].upper()}{step[1:]}', flush=True)
        began = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - began


def _listen(
    net: model.SoundNet, folder: pathlib.Path, learned: list[Scene], held_out: list[Scene]
) -> tuple[ear.Heard, ear.Heard]:
    records = folder / 'records'
    return (
        ear.listen(net, records / 'learned', learned, SECONDS),
        ear.listen(net, records / 'held_out', held_out, SECONDS),
    )


def _others(learned: list[Scene]) -> list[Scene]:
    """For each scene another one in turn, at random: its sound says nothing about the picture."""
    order = np.random.default_rng(0).permutation(len(learned))
    partner = dict(zip(order, np.roll(order, 1), strict=True))
    return [learned[partner[index]] for index in range(len(learned))]


def _clear(test: ear.Heard) -> str:
    """A held-out video that eye and ear agree on, the ear surest of all; any if there is none."""
    sure = test.ear.max(-1) * (test.ear.argmax(-1) == test.eye.argmax(-1))
    return test.ids[int(sure.argmax())]


def _prefix() -> str:
    if shutil.which('soundnet-tag'):
        return ''
    return f'{os.path.relpath(pathlib.Path(sys.executable).parent)}/'


def _tag(prefix: str, net: pathlib.Path, clip: pathlib.Path) -> tuple[str, str]:
    """The command that a user would type, and what it says."""
    arguments = [f'--model={net}', '--top=3', str(clip)]
    done = subprocess.run([sys.executable, '-m', 'soundnet_tf.bin.tag', *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SoundNetError(f'soundnet-tag failed on {clip}: {done.stderr.strip()}')
    return f'{prefix}soundnet-tag {" ".join(arguments)}', done.stdout.rstrip()


def _agree(folder: pathlib.Path, scale: Scale) -> None:
    """Begin the folder, or resume a demo of the same scale, whose finished parts are used again."""
    storage.begin(folder / STORY, dataclasses.asdict(scale))
