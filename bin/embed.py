"""Compute embeddings of sound files: the activations of one or several layers over time.

    soundnet-embed --out=embeddings recordings/
    soundnet-embed --out=embeddings --layer=pool5,conv7 recordings/
    soundnet-embed --model=runs/first/net --out=embeddings.parquet --format=parquet --pool=mean 'tapes/**/*.mp3'
    find /tapes -name '*.flac' | soundnet-embed --model=runs/first/net --out=embeddings --paths_from=-

Arguments are sound files of any length, folders or globs; --paths_from reads more of them from a file.
npz, npy: one output per sound in the folder --out, with the inputs' folder structure. npz has arrays and settings in
one file (rain.wav.npz); npy has the values alone (rain.wav.npy), and the rest beside them (rain.wav.npy.json). Several
runs can share the folder; if each has its own list of sounds, pass the same --root to all.
jsonl, csv, parquet, h5: one table, the file --out, with a row per sound and layer. It is rebuilt when the list of
sounds changes.
Several layers come from one pass over each sound. A sound that is too short for one of them is extended for all.
To resume a stopped run, repeat the command; finished outputs are skipped. Files that cannot be used are reported and
counted by reason, and the exit status is then 1.

On a cluster, through Apache Beam; options after `--` are passed to the runner:
    soundnet-embed --model=/disk/net --out=/disk/embeddings --paths_from=list.txt --runner=FlinkRunner \\
      -- --flink_master=host:8081
"""

from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli

MODEL = cli.model_flag()
OUT = cli.out_flag('The folder for npz or npy files, or the file of a table.')
FORMAT = cli.choice(
    'format',
    'npz',
    ('npz', 'npy', 'jsonl', 'csv', 'parquet', 'h5'),
    'npz or npy (an output per sound), or a table: jsonl, csv, parquet, h5.',
)
LAYERS = cli.layers_flag()
POOL = cli.choice('pool', 'none', ('none', 'mean', 'max'), 'Pooling over time; none keeps every time step.')
SHORT = cli.short_flag()
PATHS_FROM = cli.paths_from_flag()
ROOT = flags.DEFINE_string(
    'root', None, "Name outputs by the inputs' paths below this folder (default: the folder that contains all inputs)."
)
DECODER = cli.decoder_flag()
CHANNEL = cli.channel_flag()
STRICT = cli.strict_flag()
PRECISION = cli.precision_flag()
ENGINE = cli.engine_flag()
EDGES = cli.edges_flag()
RUNNER = cli.runner_flag()

OPTIONS: list[str] = []
"""What follows `--`."""


def main(arguments: Sequence[str]) -> int:
    """Embed the files and folders in the arguments."""
    import collections
    import functools

    from soundnet_tf import inference, storage
    from soundnet_tf.inference import files

    cli.check_runner_options(OPTIONS, RUNNER.value)
    left_out = collections.Counter[str]()
    listed = files.listed(PATHS_FROM.value) if PATHS_FROM.value else []
    sounds = files.find(arguments, listed, ROOT.value, left_out)
    load = functools.partial(
        inference.load,
        MODEL.value,
        short=SHORT.value,
        decoder=DECODER.value,
        channel=CHANNEL.value,
        precision=PRECISION.value,
        engine=ENGINE.value,
        edges=EDGES.value,
        strict=STRICT.value,
    )
    shared = (sounds, OUT.value, FORMAT.value, cli.split(LAYERS.value), POOL.value)
    if RUNNER.value:
        from soundnet_tf.inference import beam

        tally = beam.embed_files(load, *shared, runner=RUNNER.value, options=OPTIONS)
    else:
        from soundnet_tf.inference import write

        tally = write.embed_files(load(), *shared)
    tally.failed += left_out
    # Not into a table that is written to stdout.
    files.echo(f'{OUT.value}: {tally}', to_stdout=not storage.is_stream(OUT.value))
    return tally.status


def run() -> None:
    """The command `soundnet-embed`."""
    OPTIONS[:] = cli.take_runner_options()
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
