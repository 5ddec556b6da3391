"""How a trail is rotated: by the real logrotate, by our writer, or by the same calls as other programs make."""

from __future__ import annotations

import gzip
import lzma
import os
import random
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from auditwatch import AuditWriter

LOGROTATE_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_ENDINGS: Final = (".gz", ".xz", ".zst", ".bz2")

LOGROTATE: Final[dict[str, str]] = {
    "create": "create",
    "create, compress": "create\ncompress",
    "create, compress, delaycompress": "create\ncompress\ndelaycompress",
    "nocreate": "nocreate",
    "nocreate, compress": "nocreate\ncompress",
    "nocreate, compress, delaycompress": "nocreate\ncompress\ndelaycompress",
    "create, dateext": "create\ndateext\ndateformat -%Y%m%d-%s",
    "create, compress, dateext": "create\ncompress\ndateext\ndateformat -%Y%m%d-%s",
    "create, extension": "create\nextension .jsonl",
    "create, xz": "create\ncompress\ncompresscmd /usr/bin/xz\nuncompresscmd /usr/bin/unxz\ncompressext .xz",
    "create, zstd": "create\ncompress\ncompresscmd /usr/bin/zstd\ncompressoptions -q\nuncompresscmd /usr/bin/unzstd"
    "\ncompressext .zst",
    "create, olddir": "create\nolddir {directory}/old\ncreateolddir 755 root root",
    "create, compress, olddir": "create\ncompress\nolddir {directory}/old\ncreateolddir 755 root root",
}
"""Settings of logrotate by name, without how many files it keeps."""


@dataclass
class Rotator:
    """Rotates one trail, at once.

    Attributes:
        trail: The path that producers append to.
        keep: How many closed files are left; older ones are deleted.
        dice: Decides what is left open.
    """

    trail: Path
    keep: int
    dice: random.Random

    def rotate(self) -> bool:
        """Rotate; False if this program could not do it now."""
        raise NotImplementedError

    def closed(self) -> list[Path]:
        """Closed files that are there, oldest first; only of rotators that delete old files themselves."""
        raise NotImplementedError

    def retain(self) -> None:
        """Delete the oldest files, as retention does."""
        found = self.closed()
        for path in found[: max(0, len(found) - self.keep)]:
            path.unlink()


@dataclass
class Logrotate(Rotator):
    """The real one.

    Attributes:
        settings: For its configuration file.
        directory: Where that is put, outside the trail's own.
    """

    settings: str
    directory: Path
    _last: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.config = self.directory / "logrotate.conf"
        settings = self.settings.format(directory=self.trail.parent)
        self.config.write_text(
            f"{self.trail} {{\nrotate {self.keep}\nmissingok\nallowhardlink\nsu root root\n{settings}\n}}\n"
        )
        self.config.chmod(0o644)

    def rotate(self) -> bool:
        """Dated names have seconds: two rotations in one second would have one name, which logrotate refuses."""
        if "dateext" in self.settings and time.time() < self._last + 1.1:
            return False
        program = shutil.which("logrotate", path=LOGROTATE_PATH)
        command = [str(program), "--force", "--state", str(self.directory / "logrotate.status"), str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self._last = time.time()
        assert done.returncode == 0, done.stderr
        return True

    def closed(self) -> list[Path]:
        return []  # it deletes them itself


@dataclass
class Cascade(Rotator):
    """NAME becomes NAME.1, which became NAME.2 before: Python's RotatingFileHandler, Docker's json-file."""

    is_created: bool = True
    is_compressed: bool = False

    def rotate(self) -> bool:
        if not self.trail.exists():
            return False
        for number in range(self.keep, 0, -1):
            for ending in ("", ".gz"):
                old = Path(f"{self.trail}.{number}{ending}")
                if old.exists():
                    if number == self.keep:
                        old.unlink()
                    else:
                        old.rename(f"{self.trail}.{number + 1}{ending}")
        first = Path(f"{self.trail}.1")
        self.trail.rename(first)
        if self.is_created:
            self.trail.touch()
        if self.is_compressed:
            compressed(first)
        return True

    def closed(self) -> list[Path]:
        found = self.trail.parent.glob(f"{self.trail.name}.*")
        numbered = [path for path in found if number_of(path).isdigit()]
        return sorted(numbered, key=lambda path: -int(number_of(path)))


@dataclass
class Dated(Rotator):
    """NAME becomes a name with the time in it, of which no two are the same; loguru, lumberjack, kube-apiserver.

    Attributes:
        style: For strftime; {us} and {ms} are microseconds and milliseconds, {stem} and {name} are the trail's.
    """

    style: str = "{name}.%Y-%m-%d_%H-%M-%S_{us}"
    is_created: bool = True
    is_compressed: bool = False
    names: list[str] = field(default_factory=list)

    def rotate(self) -> bool:
        name = self._name()
        if not self.trail.exists() or self.names[-1:] == [name]:
            return False
        self.names.append(name)
        path = self.trail.rename(self.trail.parent / name)
        if self.is_created:
            self.trail.touch()
        if self.is_compressed:
            compressed(path)
        return True

    def _name(self) -> str:
        now = time.time_ns()
        dated = time.strftime(self.style, time.gmtime(now // 1_000_000_000))
        micros = now // 1000 % 1_000_000
        return dated.format(us=f"{micros:06}", ms=f"{micros // 1000:03}", name=self.trail.name, stem=self.trail.stem)

    def closed(self) -> list[Path]:
        paths = [self.trail.parent / (name + ending) for name in self.names for ending in ("", ".gz")]
        return [path for path in paths if path.exists()]


@dataclass
class Rising(Dated):
    """NAME.1, NAME.2, ... with the newest last: log4j's `fileIndex="max"`."""

    def _name(self) -> str:
        return f"{self.trail.name}.{len(self.names) + 1}"


@dataclass
class Ours(Rotator):
    """AuditWriter's own rotation: at the next append, because the file is too large already."""

    is_stamped: bool = True

    def rotate(self) -> bool:
        if not self.trail.exists() or not self.trail.stat().st_size:
            return False
        with AuditWriter(self.trail, stamp=self.is_stamped, rotate_bytes=1024) as writer:
            before = len(self.closed())
            while len(self.closed()) == before:
                writer.append({"event": "FILL", "text": "x" * 200})
        return True

    def closed(self) -> list[Path]:
        found = self.trail.parent.glob(f"{self.trail.stem}-*Z-*{self.trail.suffix}*")
        return sorted(path for path in found if plain_name(path.name).endswith(self.trail.suffix))


def number_of(path: Path) -> str:
    """What stands after the last dot of a name, compressed or not."""
    return plain_name(path.name).rpartition(".")[2]


def plain_name(name: str) -> str:
    """The name without the ending of compressed files."""
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def compressed(path: Path) -> Path:
    """What gzip does with a file: another one beside it with its mode and time, then the old one is gone."""
    packed = Path(f"{path}.gz")
    status = path.stat()
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()
    return packed


def content(path: Path) -> bytes:
    """What a file holds, uncompressed if it is compressed."""
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"\xfd7zXZ"):
        return lzma.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
    return data
