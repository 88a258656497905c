"""Find clips by sound: the most similar ones among those that soundnet-embed has embedded.

    soundnet-embed --out=embeddings --pool=mean recordings/
    soundnet-search --index=embeddings query.wav
    soundnet-search --index=embeddings --top=20 --format=page --out=found queries/     # then open found/index.html
    soundnet-search --index=embeddings.parquet --layer=conv6 --format=json query.wav

--index is what soundnet-embed wrote: a folder of npz or npy files, or a table. A clip's embedding is its mean over time
(its maximum, if it was embedded with --pool=max), and two clips are as similar as the cosine of their embeddings: 1 for
the same. The query is embedded in the same way, by the net of the index: pass it as --model if it is not the default.
A query that is in the index itself is left out of what is found, and so are silent sounds.
"""

from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli

INDEX = flags.DEFINE_string('index', None, 'What soundnet-embed wrote: a folder, or a table.', required=True)
LAYER = flags.DEFINE_string('layer', None, 'The layer to compare, if the index has several.')
TOP = flags.DEFINE_integer('top', 10, 'Clips to find for each query.', lower_bound=1)
FORMAT = cli.choice(
    'format', 'text', ('text', 'json', 'page'), 'Output format: text, json (a line per query), or a page that plays.'
)
OUT = flags.DEFINE_string('out', None, 'The folder of the page.')
MODEL = cli.model_flag()
PATHS_FROM = cli.paths_from_flag()
DECODER = cli.decoder_flag()


def main(arguments: Sequence[str]) -> int:
    """Search for the sounds in the arguments."""
    import collections

    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.inference import files, search

    if (FORMAT.value == 'page') != bool(OUT.value):
        raise SoundNetError('--format=page needs --out, the folder of the page, and only it')
    left_out = collections.Counter[str]()
    sounds = files.find(arguments, files.listed(PATHS_FROM.value) if PATHS_FROM.value else [], left_out=left_out)
    damaged, found = list[str](), list[search.Found]()
    index = search.read(INDEX.value, LAYER.value or '', damaged)
    for line in damaged:
        files.echo(line)

    def show(one: search.Found) -> None:
        found.append(one)
        if FORMAT.value != 'page':
            files.echo(one.json() if FORMAT.value == 'json' else one.text(), to_stdout=True)

    tally = search.search_files(index, index.embedder(MODEL.value, DECODER.value), sounds, TOP.value, show)
    tally.failed += left_out
    if OUT.value and found:
        from soundnet_tf.visualize import found as page

        for line in page.write(OUT.value, found):
            files.echo(line)
        files.echo(f'the page is {OUT.value}/{page.PAGE}', to_stdout=True)
    if damaged:
        tally.failed['embeddings damaged'] += len(damaged)
    if len(sounds) > 1 or tally.failed or tally.incomplete:
        files.echo(str(tally))
    return tally.status


def run() -> None:
    """The command `soundnet-search`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
