"""A real SLURM on this one machine, for the tests; called with a folder it starts one.

As root, without systemd and without cgroups, on 127.0.0.1 alone. Each node has a host name of its own (a UTS
namespace), so that launchers on two nodes take each other for other machines. GPUs are pretended: SLURM
counts them and sets CUDA_VISIBLE_DEVICES. Everything lies in one folder: key, sockets, logs, state of jobs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

CPUS, GPUS, MEMORY = 2, 2, 1024  # of each node; more cores in all than the machine has, the runs sleep
NODES = ("n1", "n2", "n3")

CONF = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# a requeued job starts again when its credential has expired
AuthInfo=socket={dir}/munge.socket,cred_expire=5
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool-%n
SlurmctldPidFile={dir}/slurmctld.pid
SlurmdPidFile={dir}/slurmd-%n.pid
SlurmctldLogFile={dir}/slurmctld.log
SlurmdLogFile={dir}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=64
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=100000
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
KillWait=5
MinJobAge=300
MaxArraySize=1001
SlurmctldTimeout=30
SlurmdTimeout=15
InactiveLimit=0
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
GresTypes=gpu
{nodes}
PartitionName=main Nodes={all} Default=YES MaxTime=1:00:00 DefaultTime=10 PriorityTier=10 PreemptMode=OFF
PartitionName=low Nodes={all} MaxTime=1:00:00 DefaultTime=10 PriorityTier=1 PreemptMode=REQUEUE
"""


class Cluster:
    """The daemons of a cluster; `stop` ends them with all that their jobs left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self._port = _free_ports(2 + len(NODES))
        self._mark = f"SLURM_CONF={self.conf}"

    @property
    def environ(self) -> dict[str, str]:
        """What SLURM's programs need to find this cluster and no other."""
        return {**os.environ, "SLURM_CONF": str(self.conf)}

    def start(self) -> Cluster:
        """Bring everything up; returns when all nodes are idle."""
        self._write_files()
        munge = (
            f"--key-file={self.folder}/key --seed-file={self.folder}/seed --log-file={self.folder}/munged.log"
        )
        socket_file = self.folder / "munge.socket"
        self._run(
            "munged",
            "--force",
            *munge.split(),
            f"--socket={socket_file}",
            f"--pid-file={self.folder}/munged.pid",
        )
        _wait_for(socket_file.exists, "munged makes its socket")
        self._run("slurmctld", "-f", str(self.conf))
        for node in NODES:
            self.start_node(node)
        _wait_for(lambda: self._idle() == len(NODES), "all nodes are idle", self._tell)
        return self

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node, on a host that is called like it."""
        self._run(
            "unshare", "--uts", "sh", "-c", f"hostname {node} && exec slurmd -f '{self.conf}' -N {node}"
        )

    def kill_node(self, node: str) -> None:
        """Kill the slurmd of a node; what its jobs run goes on."""
        os.kill(int((self.folder / f"slurmd-{node}.pid").read_text()), signal.SIGKILL)

    def ask(self, *command: str) -> str:
        """What a program of SLURM answers."""
        asked = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60)
        assert asked.returncode == 0, f"{command}: {asked.stderr}"
        return asked.stdout.strip()

    def jobs(self) -> list[str]:
        """The jobs that are pending or run."""
        return self.ask("squeue", "--noheader", "--array", "--format=%i %T").splitlines()

    def cancel_all(self) -> None:
        """End every job and wait until the nodes are idle."""
        self.ask("scancel", "--user=root", "--full")
        self.ask("scancel", "--user=root")
        _wait_for(lambda: not self.jobs(), "no job is left", self._tell)
        _wait_for(lambda: self._idle() == len(NODES), "all nodes are idle again", self._tell)

    def stop(self) -> None:
        """End jobs and daemons."""
        with contextlib.suppress(Exception):
            self.cancel_all()
        for file in self.folder.glob("*.pid"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if self._mark.encode() in environ and pid != os.getpid():
                    os.kill(pid, signal.SIGKILL)

    def _idle(self) -> int:
        found = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--partition=main", "--format=%N %T"],
            env=self.environ,
            capture_output=True,
            text=True,
        )
        return sum(line.split()[1:] == ["idle"] for line in found.stdout.splitlines())

    def _run(self, *command: str) -> None:
        """A daemon's start: it returns when the daemon stands."""
        log = self.folder / "starting.log"
        with log.open("ab") as file:
            started = subprocess.run(
                command, env=self.environ, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=60
            )
        assert started.returncode == 0, f"{command}: {log.read_text()[-3000:]}"

    def _tell(self) -> str:
        logs = [self.folder / "slurmctld.log", *self.folder.glob("slurmd-*.log")]
        return "\n".join("".join(log.open().readlines()[-10:]) for log in logs if log.exists())

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        key = self.folder / "key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(1024))
        (self.folder / "state").mkdir()
        host = socket.gethostname().partition(".")[0]
        lines = []
        for number, node in enumerate(NODES):
            (self.folder / f"spool-{node}").mkdir()
            lines.append(
                f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={self._port[2 + number]} "
                f"CPUs={CPUS} RealMemory={MEMORY} Gres=gpu:{GPUS} State=UNKNOWN"
            )
        self.conf.write_text(
            CONF.format(
                name="alfredtests",
                host=host,
                port=self._port[0],
                dir=self.folder,
                nodes="\n".join(lines),
                all=",".join(NODES),
            )
        )
        devices = [self._device(number) for number in range(GPUS)]
        (self.folder / "gres.conf").write_text(
            "".join(f"NodeName={node} Name=gpu File={device}\n" for node in NODES for device in devices)
        )
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")

    def _device(self, number: int) -> Path:
        """A device file that stands for a GPU; it has the numbers of /dev/null."""
        path = self.folder / f"gpu{number}"
        try:
            os.mknod(path, 0o666 | 0o020000, os.makedev(1, 3))
        except PermissionError:  # a container that makes no device files: terminals do as well
            return Path(f"/dev/tty{number}")
        return path


def _free_ports(how_many: int) -> list[int]:
    """Ports that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(how_many)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_for(what, why, tell=lambda: "", limit=60.0) -> None:
    end = time.monotonic() + limit
    while not what():
        assert time.monotonic() < end, f"{limit:g} seconds have passed before {why}: {tell()}"
        time.sleep(0.1)


if __name__ == "__main__":
    started = Cluster(Path(sys.argv[1]).absolute()).start()
    print(f"export SLURM_CONF={started.conf}")
