"""The published weights become a local file: fetched once, gone on with where it was broken off, verified, kept."""

import hashlib
import lzma
import os
import pathlib
import secrets
import zipfile
import zlib

from tqdm import tqdm

from soundnet_tf import locks, registry
from soundnet_tf.errors import SoundNetError
from soundnet_tf.web.client import Again, Client, Refused
from soundnet_tf.web.download import Download, Limits

LIMITS = Limits(tries=5, longest_s=6 * 3600.0, most_bytes=1 << 30)


def local(source: str | os.PathLike[str]) -> pathlib.Path:
    """The weight file that is meant: a path, or the name of published weights, which are fetched if need be.

    Raises SoundNetError where there is none.
    """
    path = pathlib.Path(source)
    if path.is_file():
        return path
    if os.fspath(source) not in registry.PUBLISHED:
        what = 'a folder' if path.is_dir() else 'no file'
        raise SoundNetError(
            f'{source} is {what}: give a weight file, or one of the published, {", ".join(registry.PUBLISHED)}'
        )
    return _published(registry.PUBLISHED[os.fspath(source)])


def _published(weights: registry.Published) -> pathlib.Path:
    folder = registry.home() / 'published'
    file, archive = folder / weights.member, folder / weights.url.rpartition('/')[2]
    if not file.exists():
        claim = locks.Claim.of(file)
        if claim is None:
            raise SoundNetError(f'{file} is being fetched by another run: wait for that')
        try:
            if not archive.exists():
                _download(weights, archive)
            _unpack(archive, file)
        finally:
            claim.release()
    if weights.sha256:  # until somebody has told it, the zip's own sums stand in
        with file.open('rb') as opened:
            got = hashlib.file_digest(opened, 'sha256').hexdigest()
        if got != weights.sha256:
            raise SoundNetError(
                f'{file} has sha256 {got}, not {weights.sha256}: delete it and {archive}, and try again'
            )
    return file


def _download(weights: registry.Published, archive: pathlib.Path) -> None:
    draft, tag = archive.with_name(archive.name + '.part'), archive.with_name(archive.name + '.tag')
    with draft.open('ab') as file, tqdm(unit='B', unit_scale=True, desc=archive.name, leave=False, disable=None) as bar:

        def tell(held: int, total: int | None) -> None:
            bar.total = total or weights.about_bytes
            bar.update(held - bar.n)

        try:
            Download(weights.url, file, tag, Client(per_second=10, timeout_s=30), LIMITS, tell).run()
        except (Refused, Again) as why:
            raise SoundNetError(
                f'{weights.url} was not fetched: {why}. Try again later, or get it elsewhere (about '
                f'{weights.about_bytes / 1e6:.0f} MB) and put it at {archive}, or {weights.member} from it at '
                f'{archive.with_name(weights.member)}'
            ) from None
    os.replace(draft, archive)
    tag.unlink(missing_ok=True)


def _unpack(archive: pathlib.Path, file: pathlib.Path) -> None:
    """The one weight file out of the zip, whose sums are checked on the way."""
    # A draft of its own, since not every disk has locks.
    draft = file.with_name(f'.{secrets.token_hex(8)}.part')
    try:
        with zipfile.ZipFile(archive) as opened:
            entry = next((name for name in opened.namelist() if name.rpartition('/')[2] == file.name), None)
            if entry is None:
                raise ValueError(f'it holds {", ".join(opened.namelist()) or "nothing"}')
            with opened.open(entry) as packed, draft.open('xb') as unpacked:
                while chunk := packed.read(1 << 20):
                    unpacked.write(chunk)
                    if unpacked.tell() > LIMITS.most_bytes:
                        raise ValueError('it is too large')
        os.replace(draft, file)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, EOFError, RuntimeError) as error:
        raise SoundNetError(f'{archive} does not give {file.name} ({error}): delete it and fetch it again') from None
    finally:
        draft.unlink(missing_ok=True)
