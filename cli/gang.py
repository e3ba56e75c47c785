"""A gang: an allocation as what starts its processes wants to be told of it, by environment.

Three forms, each for what reads it: `torchrun` (and Lightning's own launcher), `mpi` (Open MPI,
MPICH, Intel MPI, DeepSpeed's and Horovod's hostfile), `slurm` (code that expects to run under
Slurm, one task a server). `allocate --export FORM` prints them, `run` gives them to its child.
docs/howto/several-servers.md tells every variable.

Ranks are places in the grant, which tells the same servers in the same order to everybody who
asks: the first one is rank 0, and the machine that others meet at.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby

import msgspec

from ..ledger.errors import StorageFailed
from ..replay.facts import Share
from ..replay.hosts import on_host
from ..replay.state import State
from .environment import cuda_list, variables
from .hostrange import fold, place_text

FIRST_PORT, PORTS = 20_000, 10_000
"""Below the ports that Linux gives to outgoing connections, so that none of these has taken it."""
SLOTS_FILE, COUNTS_FILE = "hostfile", "machinefile"
"""`host slots=8` for Open MPI, `host:8` for MPICH, either of which refuses the other's form."""
HERE = "127.0.0.1"


class Gang(msgspec.Struct, frozen=True, gc=False):
    """An allocation with the names of its hosts; `here` is this host's place among them.

    `here` is None where this host is none of them.
    """

    allocation: int
    task: str
    shares: tuple[Share, ...]
    hosts: tuple[str, ...]
    here: int | None = None

    @property
    def rank(self) -> int:
        """This host's place; 0 where it is none of them."""
        return self.here or 0

    @property
    def share(self) -> Share | None:
        """This host's part; None where it has none."""
        return None if self.here is None else self.shares[self.here]


def gang(
    state: State, allocation: int, task: str, shares: tuple[Share, ...], host: str | None
) -> Gang:
    """The gang of an allocation as `host` sees it, its hosts called as they call themselves."""
    servers = [state.server(share.server) for share in shares]
    found = on_host(state, host) if host else None
    here = [at for at, share in enumerate(shares) if found and share.server == found.facts.name]
    hosts = tuple(
        (server.facts.host if server else None) or share.server
        for server, share in zip(servers, shares, strict=True)
    )
    return Gang(allocation, task, shares, hosts, here[0] if here else None)


def environment(form: str | None, told: Gang, folder: str = "") -> dict[str, str]:
    """The variables of a form; `folder` holds what `write_hostfiles` wrote. None is the plain one.

    Of several servers the CUDA list is this host's, and empty on any other host.
    """
    plain = variables(told.allocation, told.shares, told.share)
    if form is None:
        return plain
    places = " ".join(place_text(share.server, share.gpus) for share in told.shares)
    plain |= {"GPULEDGER_TASK": told.task, "GPULEDGER_PLACES": places}
    if form == "torchrun":
        return plain | _torchrun(told)
    return plain | (_mpi(folder) if form == "mpi" else _slurm(told))


def unequal(counts: Sequence[int]) -> bool:
    """Whether servers have different numbers of GPUs, of which torchrun can make nothing."""
    return len(set(counts)) > 1


def port(allocation: int) -> int:
    """The port at which the processes of an allocation meet: the same wherever it is asked."""
    return FIRST_PORT + allocation % PORTS


def _torchrun(told: Gang) -> dict[str, str]:
    """What torchrun takes for options that were not given (`PET_…`), and the usual short names.

    RANK and WORLD_SIZE are not among them: torchrun sets them for each process.
    """
    address = told.hosts[0] if len(told.hosts) > 1 else HERE
    meeting = str(port(told.allocation))
    options = {
        "NNODES": str(len(told.shares)),
        "NPROC_PER_NODE": str(len(told.shares[0].gpus)),
        "NODE_RANK": str(told.rank),
        "MASTER_ADDR": address,
        "MASTER_PORT": meeting,
    }
    return {
        **options,
        **{f"PET_{name}": value for name, value in options.items()},
        "PET_RDZV_ENDPOINT": f"{address}:{meeting}",
        "PET_RDZV_ID": f"gpuledger-{told.allocation}",
    }


def _mpi(folder: str) -> dict[str, str]:
    """Where the hostfiles lie: Open MPI up to 4, from 5 on, MPICH, Intel MPI."""
    slots, counts = os.path.join(folder, SLOTS_FILE), os.path.join(folder, COUNTS_FILE)
    return {
        "GPULEDGER_HOSTFILE": slots,
        "OMPI_MCA_orte_default_hostfile": slots,
        "PRTE_MCA_prte_default_hostfile": slots,
        "HYDRA_HOST_FILE": counts,
        "I_MPI_HYDRA_HOST_FILE": counts,
    }


def _slurm(told: Gang) -> dict[str, str]:
    """What a step with one task a server finds, of what training code reads of it.

    One task a server, since nothing here starts one for each GPU; the task that is told is
    this host's.
    """
    rank, count = str(told.rank), str(len(told.shares))
    share = told.shares[told.rank]
    nodes, tasks = _node_list(told.hosts), _repeated([1] * len(told.shares))
    return {
        **_both("SLURM_JOB_ID", "SLURM_JOBID", str(told.allocation)),
        "SLURM_JOB_NAME": told.task,
        **_both("SLURM_JOB_NODELIST", "SLURM_NODELIST", nodes),
        **_both("SLURM_JOB_NUM_NODES", "SLURM_NNODES", count),
        "SLURM_NODEID": rank,
        "SLURMD_NODENAME": told.hosts[told.rank],
        **_both("SLURM_NTASKS", "SLURM_NPROCS", count),
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_TASKS_PER_NODE": tasks,
        "SLURM_PROCID": rank,
        "SLURM_LOCALID": "0",
        **_both("SLURM_CPUS_ON_NODE", "SLURM_CPUS_PER_TASK", str(share.cpus)),
        "SLURM_JOB_CPUS_PER_NODE": _repeated([one.cpus for one in told.shares]),
        "SLURM_GPUS_ON_NODE": str(len(share.gpus)),
        **_both("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", cuda_list(share)),
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_NUM_NODES": count,
        "SLURM_STEP_NUM_TASKS": count,
        "SLURM_STEP_TASKS_PER_NODE": tasks,
        "SLURM_LAUNCH_NODE_IPADDR": told.hosts[0],
        "SLURM_SUBMIT_DIR": _working_folder(),
    }


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # It was deleted.
        return os.sep


def _both(name: str, other: str, value: str) -> dict[str, str]:
    """A value under its name and under the older or narrower one that code reads as well."""
    return {name: value, other: value}


def _node_list(hosts: Sequence[str]) -> str:
    """Hosts as Slurm lists them: folded, unless something stands behind a bracket, which some
    readers drop.
    """
    parts = [text for text, _count in fold(hosts)]
    return ",".join(hosts if any("]" in part[:-1] for part in parts) else parts)


def _repeated(counts: Sequence[int]) -> str:
    """Counts as Slurm tells them: `64(x2),32`."""
    runs = [(count, len(list(run))) for count, run in groupby(counts)]
    return ",".join(f"{count}(x{times})" if times > 1 else str(count) for count, times in runs)


def hostfiles(told: Gang) -> Mapping[str, str]:
    """The two hostfiles by name, a line a host with as many slots as it has GPUs."""
    pairs = [(host, len(one.gpus)) for host, one in zip(told.hosts, told.shares, strict=True)]
    return {
        SLOTS_FILE: "".join(f"{host} slots={count}\n" for host, count in pairs),
        COUNTS_FILE: "".join(f"{host}:{count}\n" for host, count in pairs),
    }


def ready_for_hostfiles() -> None:
    """Make sure that hostfiles can be written, before anything is granted. Raises StorageFailed."""
    import tempfile

    try:
        tempfile.gettempdir()
    except OSError as error:
        raise StorageFailed(os.environ.get("TMPDIR") or os.sep, str(error.strerror)) from error


def write_hostfiles(told: Gang) -> str:
    """Write both hostfiles, for this user's eyes alone; the new folder in which they lie.

    Raises StorageFailed.
    """
    import tempfile

    folder = ""
    try:
        folder = tempfile.mkdtemp(prefix=f"gpuledger-{told.allocation}-")
        for name, text in hostfiles(told).items():
            handle = os.open(
                os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
            )
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = error.strerror or str(error)
        raise StorageFailed(folder or tempfile.gettempdir(), why, full=full) from error
    return folder


def remove_hostfiles(folder: str) -> None:
    """Remove what `write_hostfiles` wrote, and the folder."""
    with suppress(OSError):
        for name in (SLOTS_FILE, COUNTS_FILE):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
