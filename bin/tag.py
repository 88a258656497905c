"""Tag sounds: the most probable classes of each head of a net, per clip or per time step.

    soundnet-tag rain.wav
    soundnet-tag --model=soundnet8-esc10 rain.wav
    soundnet-tag --model=runs/first/net --format=csv --per=step --top=3 recordings/ > tags.csv

Live from a microphone, with a line per time step and head as soon as it is final (docs/live.md: other systems, delay):
    arecord -q -t raw -f S16_LE -r 22050 -c 1 | \\
      soundnet-tag --model=runs/first/net --pcm=- --sample_rate=22050 --channels=1 --dtype=int16

The default is the original net, soundnet8; its weights are converted once, at first use.
A clip that is too short for the heads is repeated, with a message. Nets with a calibrated confidence threshold, as
those included, print "not sure" below it: docs/models.md. Some nets are better by the mean over several --speeds.
"""

from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli

MODEL = cli.model_flag()
FORMAT = cli.choice(
    'format', 'text', ('text', 'json', 'csv'), 'Output format: text, json (a line per file) or csv (a line per tag).'
)
TOP = flags.DEFINE_integer('top', 5, 'Classes per head.', lower_bound=1)
PER = cli.choice('per', 'clip', ('clip', 'step'), 'Tags per clip (mean over time) or per time step.')
SPEEDS = flags.DEFINE_list(
    'speeds',
    None,
    'Tag the mean over these speeds, such as 0.8,1,1.25, in sounds of up to a minute (default: as the net states).',
)
SHORT = cli.short_flag()
PATHS_FROM = cli.paths_from_flag()
OUT = flags.DEFINE_string('out', None, 'Write the tags to this file, which appears at the end; by default to stdout.')
DECODER = cli.decoder_flag()
CHANNEL = cli.channel_flag()
STRICT = cli.strict_flag()
EDGES = cli.edges_flag()
ENGINE = cli.engine_flag()
PCM = flags.DEFINE_string('pcm', None, 'Tag raw samples live: - for stdin, or the path of a pipe.')
SAMPLE_RATE = flags.DEFINE_integer('sample_rate', 22_050, 'Sample rate of --pcm in Hz.', lower_bound=1)
CHANNELS = flags.DEFINE_integer('channels', 1, 'Interleaved channels of --pcm.', lower_bound=1, upper_bound=64)
DTYPE = cli.choice('dtype', 'int16', ('int16', 'int32', 'uint8', 'float32'), 'Sample format of --pcm.')
GROUPS = {'Live input': ('pcm', 'sample_rate', 'channels', 'dtype')}


def main(arguments: Sequence[str]) -> int:
    """Tag the files and folders in the arguments, or a live signal."""
    import collections

    from soundnet_tf import inference
    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.inference import files, pcm, printing
    from soundnet_tf.inference.speeds import check

    speeds = check(SPEEDS.value) if SPEEDS.value is not None else None

    def load() -> inference.Embedder:
        return inference.load(
            MODEL.value,
            short=SHORT.value,
            decoder=DECODER.value,
            channel=CHANNEL.value,
            edges=EDGES.value,
            engine=ENGINE.value,
            strict=STRICT.value,
            speeds=speeds,
        )

    if speeds and (PCM.value or PER.value == 'step'):
        raise SoundNetError('--speeds is for the tags of whole clips: leave out --per=step and --pcm')

    if PCM.value:
        if arguments or PATHS_FROM.value:
            raise SoundNetError('--pcm reads from a pipe: leave out files and --paths_from')
        if flags.FLAGS['per'].present and PER.value == 'clip':
            raise SoundNetError('--pcm tags each time step: leave out --per=clip')
        pieces = pcm.pieces(PCM.value, CHANNELS.value, DTYPE.value)
        name = 'stdin' if PCM.value == '-' else PCM.value
        seconds = printing.tag_live(load(), pieces, SAMPLE_RATE.value, name, FORMAT.value, TOP.value, OUT.value)
        files.echo(f'{seconds:.2f} s of sound')
        return 0
    left_out = collections.Counter[str]()
    sounds = files.find(arguments, files.listed(PATHS_FROM.value) if PATHS_FROM.value else [], left_out=left_out)
    tally = printing.tag_files(load(), sounds, FORMAT.value, TOP.value, PER.value, OUT.value)
    tally.failed += left_out
    if len(sounds) > 1 or tally.failed or tally.incomplete:
        files.echo(str(tally))
    return tally.status


def run() -> None:
    """The command `soundnet-tag`."""
    cli.run(main, __name__, __doc__, GROUPS)


if __name__ == '__main__':
    run()
