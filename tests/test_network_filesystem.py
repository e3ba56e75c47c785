"""Where another machine may hold the same file, the embedded log refuses to start."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuledger.ledger import filesystem
from gpuledger.ledger.creation import create
from gpuledger.ledger.errors import NetworkFilesystem
from gpuledger.ledger.filesystem import is_network, kind_in, kind_of, refuse_network
from gpuledger.ledger.sqlite_log import SqliteLog
from plain_log import a_log, first, tell

MOUNTS = rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:40 / /home rw,relatime shared:9 master:3 - nfs4 filer:/home rw,vers=4.2
31 30 8:2 / /home/scratch rw - xfs /dev/sdb1 rw
32 22 0:41 / /data rw - btrfs /dev/sdc rw
33 22 0:42 / /data rw - cifs //nas/data rw
34 22 0:43 / /with\040space\134and\011tab rw - fuse.sshfs host: rw
35 22 0:44 / /homes rw - ext4 /dev/sdd rw
broken line
36 22 0:45 / /mnt/local rw - fuse.fuse-overlayfs fuse-overlayfs rw
37 22 0:46 / /ntfs rw - fuseblk /dev/sde1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib/gpuledger/ledger.db", "ext4", False),
        ("/home/ada/ledger.db", "nfs4", True),
        ("/home", "nfs4", True),
        ("/home/scratch/ledger.db", "xfs", False),
        ("/homes/ledger.db", "ext4", False),
        ("/data/ledger.db", "cifs", True),
        ("/with space\\and\ttab/ledger.db", "fuse.sshfs", True),
        ("/mnt/local/x", "fuse.fuse-overlayfs", False),
        ("/ntfs/x", "fuseblk", False),
    ],
)
def test_the_mount_that_covers_a_path(path: str, kind: str, network: bool) -> None:
    """The longest mount point counts, of equal ones the last; escapes are undone."""
    assert kind_in(MOUNTS, path) == kind
    assert is_network(kind) == network


@pytest.mark.parametrize(
    "kind",
    "nfs nfs4 cifs smb3 smbfs 9p fuse.sshfs glusterfs fuse.glusterfs lustre ceph fuse.ceph "
    "beegfs gpfs afs fuse.s3fs fuse.rclone fuse virtiofs vboxsf fuse.never-heard-of".split(),
)
def test_what_is_refused(kind: str) -> None:
    """Network filesystems, those of virtual machines, and unknown programs that serve one."""
    assert is_network(kind)


@pytest.mark.parametrize("kind", "ext4 xfs btrfs zfs tmpfs overlay apfs vfat f2fs".split())
def test_what_is_local(kind: str) -> None:
    """Filesystems of one machine are fine, and so is one whose kind is not known."""
    assert not is_network(kind)
    assert not is_network("")


@pytest.fixture
def on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the table of mounts says to lie on a file server."""
    folder = tmp_path.resolve() / "ledger"
    folder.mkdir()
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 8:1 / / rw - ext4 a rw\n2 1 0:4 / {folder} rw - nfs4 f:/x rw\n")
    monkeypatch.setattr(filesystem, "MOUNTINFO", str(table))
    return folder


def test_nothing_is_made_there(on_nfs: Path) -> None:
    """init refuses before it makes a file, and says which filesystem it is."""
    with pytest.raises(NetworkFilesystem) as caught:
        create(str(on_nfs / "ledger.db"), first())
    assert caught.value.filesystem == "nfs4"
    assert list(on_nfs.iterdir()) == []


def test_nothing_is_opened_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger_path: Path
) -> None:
    """A ledger that lies there is neither written nor read."""
    log = a_log(ledger_path)
    tell(log)
    log.close()
    table = tmp_path / "mountinfo"
    table.write_text(f"2 1 0:4 / {ledger_path.parent.resolve()} rw - cifs //f/x rw\n")
    monkeypatch.setattr(filesystem, "MOUNTINFO", str(table))
    log = SqliteLog(str(ledger_path))
    with pytest.raises(NetworkFilesystem):
        log.head()
    with pytest.raises(NetworkFilesystem):
        tell(log)


def test_without_a_table_nothing_is_refused(tmp_path: Path) -> None:
    """Where the platform has no table of mounts the kind is unknown, and that is not refused."""
    missing = str(tmp_path / "missing")
    assert kind_of(str(tmp_path), mountinfo=missing) == ""
    refuse_network(str(tmp_path), mountinfo=missing)


@pytest.mark.needs("linux")
def test_this_machine(tmp_path: Path) -> None:
    """The real table names the filesystem of a real folder, and one that is not there yet."""
    assert kind_of("/proc/self") == "proc"
    assert kind_of(str(tmp_path / "not" / "yet")) == kind_of(str(tmp_path)) != ""
