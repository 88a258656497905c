"""Words become a manifest of videos: Flickr is asked for each word, as the paper gathered its two million.

    export FLICKR_API_KEY=...
    soundnet-collect dog rain "street music" words.txt --out=videos.csv
    soundnet-prepare videos.csv --out=records/ ...

WORDS are tags or words to search for, or files with one on each line. Videos are found by title, tags and
description, come once, and are listed with licence, owner and page. A key is to be had from Flickr:
https://www.flickr.com/services/apps/create/

Only videos of the named licences are taken; what a licence asks of you (to name the owner, to share alike, not to
sell) is yours to honour, and so are Flickr's terms. OUT appears whole, at the end. A stopped run goes on when the same
command is given again, and more words can be added; OUT.journal is where that is remembered.

Flickr allows 3,600 requests an hour for each key. A video takes one, to ask where its file lies, and each 500 results
of a search one: two million videos take 23 days. The exit status is 1 if Flickr refused to search for a word.

Tested against a local server that imitates Flickr; never run against Flickr itself.
"""

from collections.abc import Sequence
from typing import Any, cast

from absl import flags

from soundnet_tf import cli

OUT = flags.DEFINE_string('out', None, 'The CSV to write, a manifest for soundnet-prepare.', required=True)
LICENCES = flags.DEFINE_list(
    'licences',
    'cc-by,cc-by-sa,cc0,pdm',
    'Take these: cc-by cc-by-sa cc-by-nd cc-by-nc cc-by-nc-sa cc-by-nc-nd cc0 pdm none-known us-gov '
    'all-rights-reserved, or all.',
)
PREFER = flags.DEFINE_enum(
    'prefer', 'small', ['small', 'large'], 'The smallest file with 240 lines, enough for teachers; or the largest.'
)
MOST = flags.DEFINE_integer('most', None, 'Stop after so many videos.', lower_bound=1)
MOST_PER_WORD = flags.DEFINE_integer(
    'most_per_word', None, 'So many videos for each word, the most relevant.', lower_bound=1
)
PER_HOUR = flags.DEFINE_float('per_hour', 3600.0, 'Requests in an hour, at most.', lower_bound=1.0)
API = flags.DEFINE_string('api', 'https://api.flickr.com/services/rest/', 'Whom to ask.')


def main(arguments: Sequence[str]) -> int:
    """Collect the videos for the words that the arguments name."""
    from soundnet_tf.prepare.web import collect, flickr

    words = collect.read_words(arguments)
    asked = flickr.Flickr(flickr.key(), API.value, per_hour=PER_HOUR.value)
    report = collect.collect(
        words,
        OUT.value,
        asked,
        LICENCES.value,
        prefer=cast(Any, PREFER.value),
        most=MOST.value,
        most_per_word=MOST_PER_WORD.value,
    )
    print(report)
    return 1 if report.failed else 0


def run() -> None:
    """The command `soundnet-collect`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
