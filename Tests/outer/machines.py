"""Machines as the host sees them: their processes, their place in the kernel, and what they have of it."""
import json
import os
import pathlib
import subprocess


def processes(pattern):
    """Ids of processes whose command line holds the pattern."""
    found = []
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        if pattern in command:
            found.append(int(directory.name))
    return found


def agents(service):
    """Ids of the agents of all machines of a service."""
    return processes(f" node --directory {service.data}/machines/")


def containerds(service):
    return processes(f"containerd --config {service.data}/machines/")


def count_rules(listing):
    """Tables, chains, sets and rules of `nft -j list ruleset`, and the elements of sets and maps."""
    entries = [entry for entry in listing["nftables"] if "metainfo" not in entry]
    return len(entries) + sum(len(body.get("elem", [])) for entry in entries for body in entry.values())


def grown(before, after):
    """What there is more of than before: name to how many more."""
    return {name: after[name] - before.get(name, 0) for name in after if after[name] > before.get(name, 0)}


class Machine:
    """One machine of a service's data."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.id = self.directory.name
        self.namespace = f"eyrie-{self.id}"
        #: The host's end of its cable.
        self.cable = f"ey{self.id[-12:]}"

    @property
    def pid(self):
        """The process that holds its namespaces."""
        return json.loads((self.directory / "process.json").read_text())["pid"]

    @property
    def agent(self):
        """The agent's pid; None while it does not run."""
        return next(iter(processes(f" node --directory {self.directory}")), None)

    @property
    def containerd(self):
        return next(iter(processes(f"containerd --config {self.directory}/")), None)

    @property
    def socket(self):
        """containerd's socket, on a /run that only the machine sees."""
        return f"/proc/{self.pid}/root/run/containerd/containerd.sock"

    def cgroups(self):
        """Its control groups with those below, in every hierarchy."""
        root = pathlib.Path("/sys/fs/cgroup")
        bases = [root, *(entry for entry in root.iterdir() if entry.is_dir() and not entry.is_symlink())]
        return [folder for base in bases for folder, _, _ in os.walk(base / "eyrie" / self.id)]

    def run(self, *command):
        """What a command says in the machine's network."""
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.namespace}", *command], check=True, stdout=subprocess.PIPE, text=True).stdout

    def traces(self):
        """What it has of the kernel and of the VPC's addresses: kind to how many."""
        cgroups = self.cgroups()
        pids = set()
        for folder in cgroups:
            try:
                pids |= set(pathlib.Path(folder, "cgroup.procs").read_text().split())
            except OSError:
                continue  # It went meanwhile.
        pool = self.directory / "addresses.json"
        return {
            "cgroups": len(cgroups),
            "processes": len(pids),
            "mounts": len(pathlib.Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()),
            "nft rules and elements": count_rules(json.loads(self.run("nft", "-j", "list", "ruleset"))),
            "interfaces": len(self.run("ip", "-o", "link").splitlines()),
            "addresses": len(json.loads(pool.read_text())["owners"]) if pool.exists() else 0,
            "pod folders": len(list((self.directory / "kubelet/pods").glob("*"))),
            "log folders": len(list((self.directory / "pods").glob("*"))),
        }


def machines(service):
    """The machines of a service, by id."""
    return [Machine(directory) for directory in sorted((service.data / "machines").glob("i-*"))]
