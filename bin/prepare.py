r"""Videos become TFRecords: sound, and what visual teachers see in the frames.

    soundnet-prepare videos/ --out=records/ \
      --teacher=imagenet=mobilenet.tflite,labels=imagenet.txt \
      --teacher=places=places365.keras,labels=places.txt

VIDEOS are folders, globs, files, web addresses, or CSV manifests with a column `path` (a file or an
address; and `id` and `sha256`, if you like). A video longer than --clip_s becomes several records.
A stopped run goes on when the same command is given again. What gives no record is counted by
reason and listed in OUT/skipped.csv; the exit status is 1 if anything was damaged or missing.

A teacher is NAME=WHERE[,option=value...]; the name becomes that of the net's head:
  imagenet=net.tflite,labels=names.txt      a TFLite file (a first class `background` is dropped)
  imagenet=keras:VGG16,weights=vgg16.h5     a Keras application
  places=net.keras,labels=names.txt         a saved Keras model
  places=net/,labels=names.txt              a SavedModel
  places=posteriors/,labels=names.txt       ready: posteriors/ID.npy, [frames, classes]
  places=posteriors.h5,labels=names.txt     ready: a dataset ID, [frames, classes], per video
  imagenet=B%04d/prob,frames=list_%04d.txt  ready: as SoundNet's authors keep theirs (docs/prepare.md)
Options: labels, scale (0..255, 0..1, -1..1, caffe), crop (0.875), drop (a class), kind, weights.
Where all posteriors are ready, sound files do instead of videos.

What is in a dataset, or in one of its shards:
    soundnet-prepare --inspect=records/records-00000-of-00008.tfrecord | less

On a cluster, through Apache Beam; what follows `--` goes to its runner untouched:
    soundnet-prepare list.csv --out=gs://bucket/records --teacher=... --runner=DataflowRunner \
      -- --project=P --region=R --temp_location=gs://bucket/temp
"""

import functools
import sys
from collections.abc import Sequence
from typing import Any, cast

from absl import flags

from soundnet_tf import cli

OUT = flags.DEFINE_string('out', None, 'The folder for the records (required).')
TEACHER = flags.DEFINE_multi_string('teacher', None, 'A teacher, as above; one flag per teacher (required).')
AUDIO = flags.DEFINE_enum('audio', 'mp3', ['mp3', 'pcm16'], 'Sound as MP3, or as int16 samples: 5.5 times the size.')
CLIP_S = flags.DEFINE_float('clip_s', 20.0, 'Seconds of sound in a record.', lower_bound=0.1)
MOST_CLIPS = flags.DEFINE_integer('most_clips', None, 'Records of one video; by default all, 1 as in the paper.', 1)
FRAME_EVERY_S = flags.DEFINE_float('frame_every_s', 5.0, 'Seconds from frame to frame.', lower_bound=0.1)
MIN_S = flags.DEFINE_float('min_s', 1.0, 'Skip clips with less sound than this.', lower_bound=0.0)
CHANNEL = flags.DEFINE_enum('channel', 'first', ['first', 'mean'], 'Which mono signal a stereo track becomes.')
SHARDS = flags.DEFINE_integer('shards', None, 'Files to spread over; by default 256 videos each.', lower_bound=1)
JOBS = flags.DEFINE_integer('jobs', None, 'Threads that read videos; by default one per core.', lower_bound=1)
BATCH = flags.DEFINE_integer('teacher_batch', 64, 'Frames that go through a teacher together.', lower_bound=1)
DOWNLOADS = flags.DEFINE_string('downloads', None, 'Keep fetched videos here; by default they are removed after use.')
FETCH_PER_S = flags.DEFINE_float('fetch_per_s', 10.0, 'Requests to the web per second, at most.', lower_bound=0.01)
RUNNER = flags.DEFINE_string('runner', None, 'Run under Apache Beam: DirectRunner, DataflowRunner, FlinkRunner, ...')
RETRY = flags.DEFINE_boolean('retry', False, 'Try again the videos that gave no record because something failed.')
INSPECT = flags.DEFINE_string('inspect', None, 'Print the records of a shard, or of a whole dataset, and do no more.')


OPTIONS: list[str] = []
"""What stands after `--`."""


def main(arguments: Sequence[str]) -> int:
    """Prepare the videos that the arguments name."""
    from soundnet_tf.errors import SoundNetError

    if INSPECT.value:
        from soundnet_tf.prepare import inspect

        for lines in inspect.describe(INSPECT.value):
            print(lines)
        return 0
    if not arguments:
        raise SoundNetError('name the videos: a folder, a glob, files, addresses or a CSV manifest')
    if not OUT.value or not TEACHER.value:
        raise SoundNetError('--out and at least one --teacher are needed. See soundnet-prepare --help')
    if OPTIONS and not RUNNER.value:
        raise SoundNetError(f'{OPTIONS[0]} after -- is for a runner of Apache Beam: name one with --runner')
    if RUNNER.value and (JOBS.value or DOWNLOADS.value):
        raise SoundNetError('--jobs and --downloads are for this machine: a runner has options of its own, after --')
    from soundnet_tf.audio import MEDIA_SUFFIXES
    from soundnet_tf.prepare import manifest

    # Sounds do where no frame is asked for; where one is, they are skipped and listed.
    report = _prepare(manifest.videos(arguments, MEDIA_SUFFIXES))
    if report.pace:
        print(report.pace, file=sys.stderr)
    print(report)
    return 1 if report.failures else 0


def _prepare(videos: Any) -> Any:
    out, texts = cast(str, OUT.value), tuple(cast(list[str], TEACHER.value))
    # After the first mistakes could be told: TensorFlow takes seconds to load.
    from soundnet_tf import teachers
    from soundnet_tf.prepare import local, stages

    settings = stages.Settings(
        clip_s=CLIP_S.value,
        most_clips=MOST_CLIPS.value,
        frame_every_s=FRAME_EVERY_S.value,
        min_s=MIN_S.value,
        audio_format=cast(Any, AUDIO.value),
        channel=cast(Any, CHANNEL.value),
    )
    shared: dict[str, Any] = {
        'number': SHARDS.value,
        'frames_per_batch': BATCH.value,
        'fetches_per_s': FETCH_PER_S.value,
        'retry': RETRY.value,
    }
    make_teachers = functools.partial(teachers.parse_all, texts)
    if RUNNER.value:
        from soundnet_tf.prepare import beam

        return beam.run(videos, make_teachers, out, settings, **shared, runner=RUNNER.value, options=OPTIONS)
    own = {'jobs': JOBS.value, 'downloads': DOWNLOADS.value}
    return local.run(videos, make_teachers(), out, settings, **shared, **own)


def run() -> None:
    """The command `soundnet-prepare`."""
    if '--' in sys.argv:
        at = sys.argv.index('--')
        OPTIONS[:], sys.argv[at:] = sys.argv[at + 1 :], []
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
