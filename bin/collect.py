"""Search Flickr for videos by keyword and write a manifest, as the paper did for its two million videos.

    export FLICKR_API_KEY=...
    soundnet-collect dog rain "street music" words.txt --out=videos.csv
    soundnet-prepare videos.csv --out=records/ ...

Arguments are tags or search terms, or text files with one per line. Flickr searches titles, tags and descriptions.
Each video is listed once, with its licence, owner and page. Get an API key at
https://www.flickr.com/services/apps/create/

Only videos with the chosen licences are listed. You must meet the terms of each licence (credit the owner, share
alike, no commercial use) and Flickr's own terms. OUT is written at the end, in one step. To resume a stopped run, or to
add search terms, repeat the command; the state is in OUT.journal.

Flickr allows 3,600 requests per hour and key. Each video takes one request for the address of its file, and a search
takes one per 500 results: two million videos take 23 days. The exit status is 1 if Flickr rejected a search.

Tested against a local server that imitates Flickr; never run against Flickr itself.
"""

from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli

OUT = cli.out_flag('The CSV file to write, a manifest for soundnet-prepare.')
LICENCES = flags.DEFINE_list(
    'licences',
    'cc-by,cc-by-sa,cc0,pdm',
    'Licences to accept: cc-by cc-by-sa cc-by-nd cc-by-nc cc-by-nc-sa cc-by-nc-nd cc0 pdm none-known us-gov '
    'all-rights-reserved, or all.',
)
PREFER = cli.choice(
    'prefer', 'small', ('small', 'large'), 'The smallest file with at least 240 lines, or the largest file.'
)
MAX_VIDEOS = flags.DEFINE_integer('max_videos', None, 'Stop after this many videos.', lower_bound=1)
MAX_PER_WORD = flags.DEFINE_integer(
    'max_per_word', None, 'Use only the most relevant videos of each search term.', lower_bound=1
)
PER_HOUR = flags.DEFINE_float('per_hour', 3600.0, 'Maximum number of requests per hour.', lower_bound=1.0)
API = flags.DEFINE_string('api', 'https://api.flickr.com/services/rest/', "The address of Flickr's REST API.")


def main(arguments: Sequence[str]) -> int:
    """Search for the words in the arguments."""
    from soundnet_tf.prepare.web import collect, flickr

    words = collect.read_words(arguments)
    service = flickr.Flickr(flickr.key(), API.value, per_hour=PER_HOUR.value)
    report = collect.collect(
        words,
        OUT.value,
        service,
        LICENCES.value,
        prefer=PREFER.value,
        max_videos=MAX_VIDEOS.value,
        max_per_word=MAX_PER_WORD.value,
    )
    print(report)
    return 1 if report.failed else 0


def run() -> None:
    """The command `soundnet-collect`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
