"""The published weights become a local file: fetched once, gone on with where it was broken off, verified, kept."""

import hashlib
import lzma
import os
import pathlib
import secrets
import zipfile
import zlib

from soundnet_tf import locks, registry
from soundnet_tf.errors import SoundNetError
from soundnet_tf.web import fetch


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
    way_out = (
        f'Try again later, or get it elsewhere (about {weights.about_bytes / 1e6:.0f} MB) and put it at {archive}, or '
        f'{weights.member} from it at {archive.with_name(weights.member)}'
    )
    fetch.fetch(weights.url, archive, way_out, weights.about_bytes)


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
                    if unpacked.tell() > fetch.LIMITS.most_bytes:
                        raise ValueError('it is too large')
        os.replace(draft, file)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, EOFError, RuntimeError) as error:
        raise SoundNetError(f'{archive} does not give {file.name} ({error}): delete it and fetch it again') from None
    finally:
        draft.unlink(missing_ok=True)
