r"""Videos become TFRecords: sound, and what visual teachers see in the frames.

    soundnet-prepare videos/ --out=records/ \
      --teacher=imagenet=mobilenet.tflite,labels=imagenet.txt \
      --teacher=places=places365.keras,labels=places.txt

VIDEOS are folders, globs, files, or CSV manifests with a column `path` (and `id`, if you like).
A stopped run goes on when the same command is given again. Videos without usable sound are
counted by reason and listed in OUT/skipped.csv; the exit status is 1 if any was damaged or missing.

A teacher is NAME=WHERE[,option=value...]; the name becomes that of the net's head:
  imagenet=net.tflite,labels=names.txt      a TFLite file (a first class `background` is dropped)
  imagenet=keras:VGG16,weights=vgg16.h5     a Keras application
  places=net.keras,labels=names.txt         a saved Keras model
  places=net/,labels=names.txt              a SavedModel
  places=posteriors/,labels=names.txt       ready: posteriors/ID.npy, [frames, classes]
Options: labels, scale (0..255, 0..1, -1..1, caffe), crop (0.875), drop (a class), kind, weights.
"""

from collections.abc import Sequence
from typing import Any, cast

from absl import flags

from soundnet_tf import cli

OUT = flags.DEFINE_string('out', None, 'The folder for the records.', required=True)
TEACHER = flags.DEFINE_multi_string('teacher', None, 'A teacher, as above; give one flag per teacher.', required=True)
AUDIO = flags.DEFINE_enum('audio', 'mp3', ['mp3', 'pcm16'], 'Sound as MP3, or as int16 samples: 5.5 times the size.')
CLIP_S = flags.DEFINE_float('clip_s', 20.0, 'Seconds of sound to take from each video.', lower_bound=0.1)
FRAME_EVERY_S = flags.DEFINE_float('frame_every_s', 5.0, 'Seconds from frame to frame.', lower_bound=0.1)
MIN_S = flags.DEFINE_float('min_s', 1.0, 'Skip videos with less sound than this.', lower_bound=0.0)
CHANNEL = flags.DEFINE_enum('channel', 'first', ['first', 'mean'], 'Which mono signal a stereo track becomes.')
SHARDS = flags.DEFINE_integer('shards', None, 'Files to spread over; by default 256 videos each.', lower_bound=1)
JOBS = flags.DEFINE_integer('jobs', None, 'Threads that read videos; by default one per core.', lower_bound=1)


def main(arguments: Sequence[str]) -> int:
    """Prepare the videos that the arguments name."""
    from soundnet_tf.errors import SoundNetError

    if not arguments:
        raise SoundNetError('name the videos: a folder, a glob, files or a CSV manifest')
    from soundnet_tf.prepare import manifest

    videos = manifest.videos(arguments)
    # After the first mistakes could be told: TensorFlow takes seconds to load.
    from soundnet_tf import teachers
    from soundnet_tf.prepare import local, stages

    settings = stages.Settings(
        clip_s=CLIP_S.value,
        frame_every_s=FRAME_EVERY_S.value,
        min_s=MIN_S.value,
        audio_format=cast(Any, AUDIO.value),
        channel=cast(Any, CHANNEL.value),
    )
    loaded = [teachers.parse(text) for text in TEACHER.value]
    if len({teacher.name for teacher in loaded}) < len(loaded):
        raise SoundNetError('two teachers have the same name: a name is a head of the net')
    report = local.run(videos, loaded, OUT.value, settings, shards=SHARDS.value, jobs=JOBS.value)
    print(report)
    return 1 if report.failures else 0


def run() -> None:
    """The command `soundnet-prepare`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
