#!/usr/bin/env python3
"""Measures the API server: `make bench-apiserver`. Prints each figure with its target and writes Benchmarks/results-apiserver.md.

usage: run_apiserver.py APISERVER_BENCH [RUNS]

The server is Benchmarks/apiserver-bench: SQLite store with one fsync a commit group, TLS with client certificates, all admission, no controllers. The
client is Benchmarks/loadgen, on the same cores. KBENCH=PROGRAM measures creates, gets and lists with that generator instead (same flags and columns as
the one that measured the reference).
"""
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Benchmarks"))
from figures import Figure, machine, table  # noqa: E402
from loadgen_build import build_loadgen  # noqa: E402

PODS = 10_000
CLIENTS = 64
WATCHERS = 1_000
CHANGES_A_SECOND = 200
COLD_OBJECTS = 100_000
# A virtual machine gives memory that it does not use back to its host: the first start after a pause pays for getting it again.
STARTS = 3

FIGURES = [
    Figure("durable creates by 64 clients", 3000, "/s", True),
    Figure("get by name", 12000, "/s", True),
    Figure("list of 10,000 pods", 0.3, "s", False),
    Figure("lag of 1,000 watchers at 200 changes a second, p99", 50, "ms", False),
    Figure("events lost by watchers", 0, "", False),
    Figure("resident memory of a cached pod, times its JSON", 1.5, "", False),
    Figure("cold start with 100,000 objects", 1.0, "s", False),
    Figure("the same, of the first start after they were written", None, "s", False),
    Figure("fsync calls a second while creating", None, "/s", True),
    Figure("writes of the store alone, 64 writers of 2.5 KB", None, "/s", True),
]


class Server:
    """A running apiserver-bench on a store of its own."""

    def __init__(self, binary, directory, traced=False):
        self.directory = directory
        command = [binary, "serve", directory]
        self.trace = f"{directory}/trace" if traced and shutil.which("strace") else None
        if self.trace:
            command = ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", self.trace] + command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().split()
        assert line[:1] == ["ready"], f"the server did not start: {line}"
        self.url = f"https://127.0.0.1:{line[1]}"

    def resident(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def settled(self):
        """Resident bytes once they no longer fall: memory of a burst is given back a moment later."""
        lowest = self.resident()
        for _ in range(20):
            time.sleep(0.5)
            now = self.resident()
            if now >= lowest:
                return lowest
            lowest = now
        return lowest

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)

    def syncs(self):
        calls = 0
        for line in open(self.trace) if self.trace else []:
            fields = line.split()
            if fields and fields[-1] in ("fsync", "fdatasync"):
                calls += int(fields[3])
        return calls


def load(generator, server, *steps, **flags):
    """Runs steps; gives a dictionary of each."""
    common = ["-server", server.url, "-cert", f"{server.directory}/client.pem", "-key", f"{server.directory}/client.key"]
    options = [text for name, value in flags.items() for text in (f"-{name}", str(value))]
    kbench = os.environ.get("KBENCH")
    if kbench and "watch" not in steps:
        out = subprocess.run([kbench, *common, *options, "-json", "-steps", ",".join(steps)], check=True, stdout=subprocess.PIPE, text=True).stdout
        results = json.loads(out)
    else:
        out = subprocess.run([generator, *common, *options, *steps], check=True, stdout=subprocess.PIPE, text=True).stdout
        results = [json.loads(line) for line in out.splitlines()]
    for result in results:
        print("   ", result)
        if result["step"] != "watch":
            assert result["errors"] == 0, result
    return {result["step"]: result for result in results}


def run(binary, generator):
    figures = {}
    with tempfile.TemporaryDirectory(prefix="eyrie-bench-", dir=os.environ.get("BENCH_DIRECTORY")) as directory:
        server = Server(binary, directory)
        try:
            before = server.settled()
            done = load(generator, server, "create", n=PODS, c=CLIENTS)
            figures["durable creates by 64 clients"] = done["create"]["per_second"]
            grown = server.settled() - before
            done = load(generator, server, "get", n=PODS, c=CLIENTS)
            figures["get by name"] = done["get"]["per_second"]
            done = load(generator, server, "list", n=PODS)
            figures["list of 10,000 pods"] = done["list"]["p50_ms"] / 1000
            figures["resident memory of a cached pod, times its JSON"] = grown / (done["list"]["bytes"] / 5)
            done = load(generator, server, "watch", w=WATCHERS, rate=CHANGES_A_SECOND, seconds=10)
            figures["lag of 1,000 watchers at 200 changes a second, p99"] = done["watch"]["p99_ms"]
            figures["events lost by watchers"] = done["watch"]["errors"]
        finally:
            server.stop()
    with tempfile.TemporaryDirectory(prefix="eyrie-bench-", dir=os.environ.get("BENCH_DIRECTORY")) as directory:
        subprocess.run([binary, "fill", directory, str(COLD_OBJECTS)], check=True)
        starts = []
        for _ in range(STARTS):
            out = subprocess.run([binary, "open", directory], check=True, stdout=subprocess.PIPE, text=True).stdout
            print("   ", out.strip())
            starts.append(json.loads(out)["seconds"])
        figures["cold start with 100,000 objects"] = statistics.median(starts)
        figures["the same, of the first start after they were written"] = starts[0]
        out = subprocess.run([binary, "store", directory, "20000", "64", "2500"], check=True, stdout=subprocess.PIPE, text=True).stdout
        figures["writes of the store alone, 64 writers of 2.5 KB"] = json.loads(out)["writes_per_second"]
    with tempfile.TemporaryDirectory(prefix="eyrie-bench-", dir=os.environ.get("BENCH_DIRECTORY")) as directory:
        server = Server(binary, directory, traced=True)
        try:
            done = load(generator, server, "create", n=500, c=CLIENTS)
        finally:
            server.stop()
        if server.trace:
            figures["fsync calls a second while creating"] = server.syncs() / done["create"]["seconds"]
    return figures


def report(runs):
    generator = "the generator that measured the reference (KBENCH)" if os.environ.get("KBENCH") else "Benchmarks/loadgen"
    rows, missed = table(FIGURES, runs)
    lines = [
        "# Results of `make bench-apiserver`", "",
        f"Machine: {machine()}, client and server on the same cores. Release build, TLS, HTTP/2, SQLite with",
        f"synchronous=FULL. Creates, gets and lists by {generator}; watches by Benchmarks/loadgen. {len(runs)} runs: median (least to most).", "",
        "Memory is what the server grew by while 10,000 pods were created, by the bytes of their list. The fsync calls were counted by strace, which slows "
        f"the server. A cold start is the median of {STARTS}, one after another, in each run.", "",
        *rows]
    text = "\n".join(lines) + "\n"
    (ROOT / "Benchmarks/results-apiserver.md").write_text(text)
    print(text)
    return bool(missed)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    binary = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    generator = build_loadgen()
    runs = []
    for number in range(count):
        print(f"run {number + 1} of {count}")
        runs.append(run(binary, generator))
    sys.exit(1 if report(runs) else 0)


main()
