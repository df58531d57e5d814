"""The outer ring: unmodified aws and kubectl against a running `eyrie serve`, with real containers. Needs root, containerd, and the programs of scripts/dependencies.sh."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-west-2"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what, timeout=60.0, every=0.2):
    """Waits until condition() returns something true and returns that; fails naming what was waited for."""
    deadline = time.monotonic() + timeout
    last = None
    while time.monotonic() < deadline:
        try:
            last = condition()
            if last:
                return last
        except subprocess.CalledProcessError as error:
            last = error.output
        time.sleep(every)
    raise AssertionError(f"{what}: not within {timeout} s; last seen: {last}")


class Service:
    """One `eyrie serve` with its data directory, and the real clients set up for it."""

    def __init__(self, directory, mirrors, host="127.0.0.1"):
        self.directory = pathlib.Path(directory)
        self.binary = os.environ.get("EYRIE", str(ROOT / ".build/debug/eyrie"))
        self.kubectl_binary = os.environ.get("KUBECTL", "kubectl")
        self.aws_binary = os.environ.get("AWS", "aws")
        #: The address of this host that it listens at.
        self.host = host
        self.port = free_port()
        self.data = self.directory / "data"
        self.mirrors = mirrors
        #: What `serve` is given beside.
        self.arguments = []
        self.kubeconfig = self.directory / "kubeconfig"
        self.process = None
        self.env = dict(os.environ, KUBECONFIG=str(self.kubeconfig), AWS_PAGER="", HOME=str(self.directory))
        for name in list(self.env):
            if name.startswith("AWS_") and name != "AWS_PAGER":
                del self.env[name]

    def start(self):
        log = open(self.directory / "serve.log", "ab")
        arguments = [self.binary, "serve", "--data-dir", str(self.data), "--listen", f"{self.host}:{self.port}"]
        for registry, mirror in self.mirrors.items():
            arguments += ["--registry-mirror", f"{registry}={mirror}"]
        arguments += self.arguments
        self.process = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(self.answers, "the service listens", timeout=30, every=0.05)
        # It listens a moment before it has written down where.
        for line in wait_for(self.exports, "the service says where it is", timeout=30, every=0.05).splitlines():
            if line.startswith("export "):
                name, value = line[len("export "):].split("=", 1)
                self.env[name] = value.strip('"\'')

    def exports(self):
        return subprocess.run([self.binary, "env", "--data-dir", str(self.data)], capture_output=True, text=True).stdout

    def answers(self):
        assert self.process.poll() is None, (self.directory / "serve.log").read_text()[-3000:]
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex((self.host, self.port)) == 0

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise AssertionError("the service did not end within 30 s of SIGTERM")

    def run(self, *arguments, check=True, timeout=120, input=None):
        return subprocess.run(
            [str(a) for a in arguments], env=self.env, check=check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, input=input)

    def aws(self, *arguments, check=True, timeout=180):
        """Runs the aws CLI; its answer as parsed JSON, or the text when it is none."""
        result = self.run(self.aws_binary, *arguments, check=False, timeout=timeout)
        if check and result.returncode != 0:
            raise AssertionError(f"aws {' '.join(map(str, arguments))}: {result.stdout}")
        if not check:
            return result
        try:
            return json.loads(result.stdout)
        except ValueError:
            return result.stdout

    def kubectl(self, *arguments, check=True, timeout=120, input=None):
        result = self.run(self.kubectl_binary, *arguments, check=False, timeout=timeout, input=input)
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {result.stdout}")
        return result.stdout if check else result

    def aws_token(self, cluster):
        """The ExecCredential of Eyrie's own token plug-in, as JSON text."""
        return self.run(self.binary, "token", "--data-dir", self.data, "--cluster", cluster).stdout

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))


def proxies():
    """The process ids of the proxies that serve Ingresses, one for each cluster that has some."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            # Workers have their master's words.
            if any(word.endswith(b"/ingress/haproxy.cfg") for word in words) and b"haproxy" not in pathlib.Path(f"/proc/{parent}/comm").read_bytes():
                found.append(int(entry.name))
    return found


def leftovers():
    """What Eyrie may leave on a host: processes, namespaces, bridges, cgroups, mounts, rules."""
    def lines(*command):
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    found = [f"netns {line}" for line in lines("ip", "netns", "list") if line.startswith("eyrie-")]
    found += [f"link {line.split(':')[1].strip()}" for line in lines("ip", "-o", "link") if line.split(":")[1].strip().startswith(("eyb", "eyrie0", "eyi"))]
    found += [f"rules {line}" for line in lines("nft", "list", "tables") if line.endswith((" eyrie", " eyrie-balancers")) or " eyrie-groups-" in line]
    found += [f"mount {line.split()[1]}" for line in open("/proc/mounts") if "/machines/i-" in line]
    found += [f"proxy {pid}" for pid in proxies()]
    # Groups of others may vanish during the walk.
    for folder, inner, _ in os.walk("/sys/fs/cgroup"):
        if os.path.basename(folder) == "eyrie":
            found += [f"cgroup {folder}/{name}" for name in inner if name.startswith("i-")]
    return found


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    """A registry on loopback with the fixture images; yields its URL."""
    directory = tmp_path_factory.mktemp("registry")
    port = free_port()
    script = ROOT / "Tests/fixtures/registry.sh"
    subprocess.run([script, "start", directory, str(port)], check=True)
    yield f"http://127.0.0.1:{port}"
    subprocess.run([script, "stop", directory], check=False)


@contextlib.contextmanager
def running_service(directory, mirrors, host="127.0.0.1"):
    """A service with its data in the directory, ended with all it made; its logs are kept where EYRIE_KEEP_LOGS says."""
    if os.geteuid() != 0:
        pytest.fail("the outer tests run real containers: run them as root")
    before = leftovers()
    assert not before, f"an earlier run left: {before}"
    service = Service(directory, mirrors, host)
    try:
        service.start()
        yield service
    finally:
        service.stop()
        keep = os.environ.get("EYRIE_KEEP_LOGS")
        if keep:
            pathlib.Path(keep).mkdir(parents=True, exist_ok=True)
            for log in service.directory.glob("*.log"):
                shutil.copy(log, keep)
        clean_up(service)


@pytest.fixture(scope="module")
def service(tmp_path_factory, registry):
    with running_service(tmp_path_factory.mktemp("eyrie"), {"docker.io": registry}) as service:
        yield service


def clean_up(service):
    """After a failed run: end what the service would have ended."""
    subprocess.run([service.binary, "down", "--data-dir", str(service.data), "--purge"], check=False)
