r"""Convert videos to TFRecords: their sound, and the predictions of teachers for their frames, or for the sound.

    soundnet-prepare videos/ --out=records/ \
      --teacher=imagenet=mobilenet.tflite,labels=imagenet.txt \
      --teacher=places=places365.keras,labels=places.txt

Arguments are folders, globs, video files, web addresses, or CSV manifests with a column `path` (a file or an address;
optionally also `id` and `sha256`). A video longer than --clip_s gives several records. To resume a stopped run, repeat
the command; with more videos, they are added. Videos without a record, and bad rows of manifests, are counted by reason
and listed in OUT/skipped.csv; the exit status is 1 if any was damaged or missing.

A teacher is NAME=SOURCE[,option=value...]; NAME is also the name of the net's head:
  imagenet=net.tflite,labels=names.txt      a TFLite file (a first class `background` is dropped)
  imagenet=keras:VGG16,weights=vgg16.h5     a Keras application
  places=net.keras,labels=names.txt         a saved Keras model
  places=net/,labels=names.txt              a SavedModel
  imagenet=hear:soundnet8                   a saved net that listens: its head imagenet, or head=NAME
  places=posteriors/,labels=names.txt       precomputed: posteriors/ID.npy, [frames, classes]
  places=posteriors.h5,labels=names.txt     precomputed: a dataset ID, [frames, classes], per video
  imagenet=B%04d/prob,frames=list_%04d.txt  precomputed: in the format of SoundNet's authors (docs/prepare.md)
Options: labels, scale (0..255, 0..1, -1..1, caffe), crop (0.875), drop (a class), kind, weights.
If all teachers listen or are precomputed, sound files can replace the videos.

To inspect a dataset, or one of its shards:
    soundnet-prepare --inspect=records/records-00000-of-00008.tfrecord | less

On a cluster, through Apache Beam; options after `--` are passed to the runner:
    soundnet-prepare list.csv --out=gs://bucket/records --teacher=... --runner=DataflowRunner \
      -- --project=P --region=R --temp_location=gs://bucket/temp
"""

import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from soundnet_tf import cli

if TYPE_CHECKING:
    from soundnet_tf.prepare.manifest import Skipped, Video

OUT = flags.DEFINE_string('out', None, 'The folder for the records (required).')
TEACHER = flags.DEFINE_multi_string('teacher', None, 'A teacher, as above; repeat for more (required).')
AUDIO = cli.choice('audio', 'mp3', ('mp3', 'pcm16'), 'Sound as MP3, or as int16 samples (5.5 times the size).')
CLIP_S = flags.DEFINE_float('clip_s', 20.0, 'Seconds of sound per record.', lower_bound=0.1)
MAX_CLIPS = flags.DEFINE_integer('max_clips', None, 'Maximum records per video (default: all; the paper: 1).', 1)
FRAME_EVERY_S = flags.DEFINE_float('frame_every_s', 5.0, 'Seconds between frames.', lower_bound=0.1)
MIN_S = flags.DEFINE_float('min_s', 1.0, 'Skip clips with less sound, in seconds.', lower_bound=0.0)
CHANNEL = cli.channel_flag()
STRICT = cli.strict_flag()
SHARDS = flags.DEFINE_integer(
    'shards',
    None,
    'Number of TFRecord files, of new videos (default: one per 256, of a new dataset at least 8).',
    lower_bound=1,
)
JOBS = flags.DEFINE_integer('jobs', None, 'Videos that are read at once (default: one per core).', lower_bound=1)
BATCH = flags.DEFINE_integer('teacher_batch', 64, 'Frames per batch of a teacher.', lower_bound=1)
DOWNLOADS = flags.DEFINE_string('downloads', None, 'Keep downloaded videos here (default: delete them after use).')
FETCH_PER_S = flags.DEFINE_float('fetch_per_s', 10.0, 'Maximum web requests per second.', lower_bound=0.01)
RUNNER = cli.runner_flag()
RETRY = flags.DEFINE_boolean('retry', False, 'Retry videos that failed before.')
INSPECT = flags.DEFINE_string('inspect', None, 'Print the records of a shard or a dataset, and exit.')

OPTIONS: list[str] = []
"""What follows `--`."""


def main(arguments: Sequence[str]) -> int:
    """Prepare the videos in the arguments."""
    from soundnet_tf.errors import SoundNetError

    if INSPECT.value:
        from soundnet_tf.prepare import inspect

        for lines in inspect.describe(INSPECT.value):
            print(lines)
        return 0
    if not arguments:
        raise SoundNetError('no input: pass a folder, a glob, video files, web addresses or a CSV manifest')
    if not OUT.value or not TEACHER.value:
        raise SoundNetError('--out and at least one --teacher are required. See soundnet-prepare --help')
    cli.check_runner_options(OPTIONS, RUNNER.value)
    if RUNNER.value and (JOBS.value or DOWNLOADS.value):
        raise SoundNetError('--jobs and --downloads do not work with --runner. Pass its own options after --')
    from soundnet_tf.audio import MEDIA_SUFFIXES
    from soundnet_tf.prepare import manifest

    # Sound files are enough for precomputed posteriors; where frames are needed they are skipped and listed.
    left_out: list[manifest.Skipped] = []
    videos = manifest.videos(arguments, MEDIA_SUFFIXES, left_out.append)
    report = _prepare(videos, left_out, OUT.value, tuple(TEACHER.value))
    if report.pace:
        print(report.pace, file=sys.stderr)
    print(report)
    return 1 if report.failures else 0


def _prepare(videos: 'Sequence[Video]', left_out: 'Sequence[Skipped]', out: str, texts: tuple[str, ...]) -> Any:
    # Loads the teachers' libraries, so the flags are checked first.
    from soundnet_tf import teachers
    from soundnet_tf.prepare import local, stages

    settings = stages.Settings(
        clip_s=CLIP_S.value,
        max_clips=MAX_CLIPS.value,
        frame_every_s=FRAME_EVERY_S.value,
        min_s=MIN_S.value,
        audio_format=AUDIO.value,
        channel=CHANNEL.value,
        strict=STRICT.value,
    )
    shared: dict[str, Any] = {
        'number': SHARDS.value,
        'frames_per_batch': BATCH.value,
        'fetches_per_s': FETCH_PER_S.value,
        'retry': RETRY.value,
        'left_out': left_out,
    }
    make_teachers = functools.partial(teachers.parse_all, texts)
    if RUNNER.value:
        from soundnet_tf.prepare import beam

        return beam.run(videos, make_teachers, out, settings, **shared, runner=RUNNER.value, options=OPTIONS)
    own = {'jobs': JOBS.value, 'downloads': DOWNLOADS.value}
    return local.run(videos, make_teachers(), out, settings, **shared, **own)


def run() -> None:
    """The command `soundnet-prepare`."""
    OPTIONS[:] = cli.take_runner_options()
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
