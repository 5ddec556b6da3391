"""The directory that salvage writes: accessible to its owner only, and either finished or empty.

Files grow under a name that ends in `.partial`. They get their final names when all of them are on the disk, the
manifest last.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Final

from auditwatch.errors import OutputTaken, OutputUnwritable
from auditwatch.files.reading import read_chunks
from auditwatch.host.durable import replace_file, sync_directory
from auditwatch.salvage.dissect import Confidence, FragmentKind, Method
from auditwatch.salvage.results import Leftover, RecoveredRecord
from auditwatch.trail.names import printable

RECOVERED, FRAGMENTS, MERGED, MANIFEST = "recovered.jsonl", "fragments.jsonl", "merged.jsonl", "manifest.json"

_PARTIAL: Final = ".partial"
_BUFFER_BYTES: Final = 1 << 18
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class OutputDirectory:
    """A new directory, or one that was empty.

    Raises:
        OutputTaken: Something is there already, or the parent directory is missing.
        OutputUnwritable: The directory cannot be created.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._files: list[OutputFile] = []
        self._is_new = True
        try:
            os.mkdir(path, 0o700)
        except FileExistsError as error:
            self._take(error)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise OutputTaken(f"{printable(path)}: its parent directory does not exist; create that first") from error
        except OSError as error:
            raise _unwritable(path, error) from error

    def create(self, name: str) -> OutputFile:
        """A new file in the directory, not finished yet."""
        with self._writing(name):
            created = OutputFile(self.path, name)
        self._files.append(created)
        return created

    def finish(self, manifest: dict[str, object]) -> None:
        """Put everything on the disk and give the files their names."""
        for file in self._files:
            file.finish()
        with self._writing(MANIFEST):
            for file in self._files:
                file.publish()
            sync_directory(self.path)
            replace_file(os.path.join(self.path, MANIFEST), json.dumps(manifest, indent=2).encode() + b"\n")
            sync_directory(os.path.dirname(os.path.abspath(self.path)))

    def abandon(self) -> None:
        """Remove everything: half a result must not be mistaken for a whole one."""
        for file in self._files:
            file.discard()
        with suppress(OSError):
            os.unlink(os.path.join(self.path, MANIFEST))
        if self._is_new:
            with suppress(OSError):
                os.rmdir(self.path)

    def _take(self, error: FileExistsError) -> None:
        """Use an existing directory, if it is empty."""
        self._is_new = False
        if os.path.islink(self.path) or not os.path.isdir(self.path):
            raise OutputTaken(f"{printable(self.path)} exists and is not a directory; name a new one") from error
        try:
            if os.listdir(self.path):
                raise OutputTaken(f"{printable(self.path)} is not empty; name a new directory") from error
            os.chmod(self.path, 0o700)
        except OSError as denied:
            raise _unwritable(self.path, denied) from denied

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unwritable(os.path.join(self.path, name), error) from error


class OutputFile:
    """A file that grows under a temporary name, with its size and digest."""

    def __init__(self, directory: str, name: str) -> None:
        self.name = name
        self._path = os.path.join(directory, name)
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._stream = os.fdopen(os.open(self._path + _PARTIAL, _FLAGS, 0o600), "wb", _BUFFER_BYTES)

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            OutputUnwritable: The bytes cannot be written, for instance because the disk is full.
        """
        self._sha256.update(data)
        self._size += len(data)
        try:
            self._stream.write(data)
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def finish(self) -> None:
        """Make sure that all of the file is on the disk.

        Raises:
            OutputUnwritable: It cannot be written.
        """
        try:
            self._stream.flush()
            os.fchmod(self._stream.fileno(), 0o600)
            os.fsync(self._stream.fileno())
            self._stream.close()
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def publish(self) -> None:
        """Give the file its name."""
        os.rename(self._path + _PARTIAL, self._path)

    def discard(self) -> None:
        """Remove the file, under either name."""
        with suppress(OSError):  # flushing the rest may fail once more
            self._stream.close()
        for path in (self._path + _PARTIAL, self._path):
            with suppress(OSError):
                os.unlink(path)

    def described(self) -> dict[str, object]:
        """Size and digest of the file, for the manifest."""
        return {"bytes": self._size, "sha256": self._sha256.hexdigest()}


class FileSink:
    """Writes what salvage finds into files, and counts it.

    Args:
        recovered: Gets one line per record.
        fragments: Gets one line per piece that is not a record.
        merged: Gets the copy of the trail, if one is asked for.
    """

    def __init__(self, recovered: OutputFile, fragments: OutputFile, merged: MergedCopy | None = None) -> None:
        self.by_confidence = Counter[Confidence](dict.fromkeys(Confidence, 0))
        self.by_method = Counter[Method](dict.fromkeys(Method, 0))
        self.by_kind = Counter[FragmentKind](dict.fromkeys(FragmentKind, 0))
        self.recovered_bytes = self.fragment_bytes = 0
        self._recovered = recovered
        self._fragments = fragments
        self._merged = merged

    def recovered(self, found: RecoveredRecord) -> None:
        """Write one record."""
        self.by_confidence[found.confidence] += 1
        self.by_method[found.method] += 1
        self.recovered_bytes += len(found.record)
        self._recovered.write(recovered_line(found))

    def leftover(self, left: Leftover) -> None:
        """Write one piece that is not a record."""
        self.by_kind[left.kind] += 1
        self.fragment_bytes += left.source.length
        self._fragments.write(fragment_line(left))

    def replaced(self, start: int, end: int, found: list[RecoveredRecord]) -> None:
        """Put the records of a damaged line in its place in the copy."""
        if self._merged is not None:
            self._merged.replace(start, end, found)


class MergedCopy:
    """A copy of the trail in which damaged lines are replaced by the records they contained.

    Args:
        file: The file to write.
        descriptor: Descriptor of the trail.
        confidences: Confidences of the records to put in.
    """

    def __init__(self, file: OutputFile, descriptor: int, confidences: frozenset[Confidence]) -> None:
        self.records = 0
        self.confidences = confidences
        self._file = file
        self._descriptor = descriptor
        self._copied = 0

    def replace(self, start: int, end: int, found: list[RecoveredRecord]) -> None:
        """Copy everything up to a damaged line, and put the line's records in its place."""
        self.copy_until(start)
        for one in found:
            if one.confidence in self.confidences:
                self._file.write(one.record + b"\n")
                self.records += 1
        self._copied = end

    def copy_until(self, end: int) -> None:
        """Copy the whole lines up to this offset."""
        for chunk in read_chunks(self._descriptor, self._copied, end):
            self._file.write(chunk)
        self._copied = max(self._copied, end)


def recovered_line(found: RecoveredRecord) -> bytes:
    r"""One line of `recovered.jsonl`: the record is the last member, byte for byte as it was in the trail.

    >>> from auditwatch.salvage.results import Source
    >>> recovered_line(RecoveredRecord(Confidence.CERTAIN, Method.LINE_START, (Source(2, 8, 7),), b'{"a":1}'))[-34:]
    b'"length": 7}], "record": {"a":1}}\n'
    """
    about = {"confidence": found.confidence, "method": found.method, "sources": [asdict(s) for s in found.sources]}
    return json.dumps(about).encode()[:-1] + b', "record": ' + found.record + b"}\n"


def fragment_line(left: Leftover) -> bytes:
    """One line of `fragments.jsonl`: where the piece is, and its bytes as text, or in base64 if they are not UTF-8."""
    about = {**asdict(left.source), "kind": left.kind, "line_kind": left.line_kind}
    return json.dumps({**about, **_content(left.data)}).encode() + b"\n"


def _content(data: bytes | None) -> dict[str, str]:
    if data is None:
        return {}
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _unwritable(path: str, error: OSError) -> OutputUnwritable:
    return OutputUnwritable(f"{printable(path)} cannot be written: {error.strerror}; nothing was salvaged")
