"""The mount table, read from a recorded one."""

from __future__ import annotations

import os

import pytest

from auditwatch.host import filesystems
from auditwatch.host.filesystems import FilesystemKind, Mount

RECORDED = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:40 / /srv/nfs rw master:2 shared:3 - nfs4 host:/export rw
31 30 0:41 / /srv/nfs/local\040disk rw - xfs /dev/sdb rw
32 22 0:42 / /var/lib/c rw - overlay overlay rw
33 22 0:43 / /home/me/remote rw - fuse.sshfs me@host: rw
34 22 0:44 / /home/me/cover rw - nfs host:/a rw
35 34 0:45 / /home/me/cover rw - tmpfs tmpfs rw
36 22 0:46 / /odd rw - somethingnew none rw
a line that makes no sense
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "mountinfo"
    path.write_text(RECORDED)
    return str(path)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/log/x", FilesystemKind.LOCAL),
        ("/srv/nfs", FilesystemKind.NETWORK),
        ("/srv/nfsx", FilesystemKind.LOCAL),
        ("/srv/nfs/a/b", FilesystemKind.NETWORK),
        ("/srv/nfs/local disk/a", FilesystemKind.LOCAL),
        ("/var/lib/c/a", FilesystemKind.OVERLAY),
        ("/home/me/remote/a", FilesystemKind.NETWORK),
        ("/home/me/cover/a", FilesystemKind.LOCAL),
        ("/odd/a", FilesystemKind.OTHER),
    ],
)
def test_the_nearest_and_last_mount_above_a_path_decides(table, path, kind):
    mount = filesystems.of_path(path, mountinfo=table)
    assert mount is not None
    assert mount.kind is kind


def test_links_are_resolved_before_the_mount_is_looked_up(table, tmp_path):
    link = tmp_path / "link"
    link.symlink_to("/srv/nfs")
    assert filesystems.is_network(filesystems.of_path(str(link / "a"), mountinfo=table))


def test_a_descriptor_is_looked_up_by_the_number_of_its_mount(table, tmp_path):
    (tmp_path / "7").write_text("pos:\t0\nflags:\t0100000\nmnt_id:\t30\n")
    found = filesystems.of_descriptor(7, mountinfo=table, fdinfo=str(tmp_path))
    assert found == Mount(30, "/srv/nfs", "nfs4")


def test_a_real_descriptor_and_its_path_agree(tmp_path):
    if not os.path.exists(filesystems.MOUNTINFO):
        pytest.skip("NOT RUN: no /proc here")
    with (tmp_path / "a").open("w") as file:
        assert filesystems.of_descriptor(file.fileno()) == filesystems.of_path(file.name)


def test_without_a_mount_table_nothing_is_known_and_nothing_fails(tmp_path):
    nowhere = str(tmp_path / "none")
    assert filesystems.of_path("/a", mountinfo=nowhere) is None
    assert filesystems.of_descriptor(0, mountinfo=nowhere, fdinfo=nowhere) is None
    assert not filesystems.is_network(None)
    assert not filesystems.reports_changes(None)


@pytest.mark.parametrize(("type_", "truth"), [("ext4", True), ("overlay", False), ("9p", False), ("nfs", False)])
def test_only_local_file_systems_tell_of_all_changes(type_, truth):
    assert filesystems.reports_changes(Mount(1, "/", type_)) is truth
