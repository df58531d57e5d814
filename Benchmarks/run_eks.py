#!/usr/bin/env python3
"""Measures the EKS API through the network: `make bench-eks`, as root. Prints each figure with its target and writes Benchmarks/results-eks.md.

usage: run_eks.py EYRIE AWS_BENCH [RUNS]

DescribeCluster: the service has one core to itself, the client (Benchmarks/loadgen, a signature of its own for each call) the other. Clusters: a hundred calls of CreateCluster at
once, until the last is ACTIVE; memory is what the service grew by, by their number, half a minute after. Tokens are verified in process on one core (Benchmarks/aws-bench).
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/outer"))
sys.path.insert(0, str(ROOT / "Benchmarks"))
from aws_setup import client, network, role, trust  # noqa: E402
from conftest import Service, leftovers, wait_for  # noqa: E402
from figures import Figure, machine, table  # noqa: E402
from loadgen_build import build_loadgen  # noqa: E402
from processes import cpu_seconds, resident_megabytes  # noqa: E402

CLUSTERS = 100
CALLS = 20_000
CLIENTS = 32
IDLE_SECONDS = 30

FIGURES = [
    Figure("DescribeCluster on one core", 5000, "/s", True),
    Figure("DescribeCluster, p99 with 32 clients", None, "ms", False),
    Figure("100 clusters created at once, until the last is ACTIVE", 20, "s", False),
    Figure("memory of an idle cluster", 10, "MB", False),
    Figure("idle CPU of a cluster", None, "% of a core", False),
    Figure("DescribeCluster beside 100 idle clusters", None, "/s", True),
    Figure("tokens verified, cold, on one core", 5000, "/s", True),
    Figure("tokens verified, cached, on one core", 50000, "/s", True),
]


def describe(generator, service, cluster):
    """Calls a second and the p99 in milliseconds."""
    output = subprocess.run(
        ["taskset", "-c", "1", generator, "-server", service.env["AWS_ENDPOINT_URL"], "-access-key", service.env["AWS_ACCESS_KEY_ID"],
         "-secret-key", service.env["AWS_SECRET_ACCESS_KEY"], "-cluster", cluster, "-n", str(CALLS), "-c", str(CLIENTS), "describe"],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    result = json.loads(output)
    assert result["errors"] == 0, output
    return result["per_second"], result["p99_ms"]


def pin(pid, cores):
    subprocess.run(["taskset", "-a", "-p", "-c", cores, str(pid)], check=True, stdout=subprocess.DEVNULL)


def run(binary, generator):
    figures = {}
    with tempfile.TemporaryDirectory(prefix="eyrie-bench-") as directory:
        os.environ["EYRIE"] = binary
        service = Service(directory, {})
        service.start()
        pid = service.process.pid
        try:
            eks, subnets = client(service, "eks"), network(service, "10.96")
            arn = role(service, "bench-cluster", trust("eks.amazonaws.com"), ["AmazonEKSClusterPolicy"])
            create = lambda name: eks.create_cluster(name=name, roleArn=arn, resourcesVpcConfig={"subnetIds": subnets})  # noqa: E731
            active = lambda name: eks.describe_cluster(name=name)["cluster"]["status"] == "ACTIVE"  # noqa: E731
            create("first")
            wait_for(lambda: active("first"), "the first cluster ACTIVE")

            pin(pid, "0")
            describe(generator, service, "first")
            rate, p99 = describe(generator, service, "first")
            figures["DescribeCluster on one core"], figures["DescribeCluster, p99 with 32 clients"] = rate, p99
            pin(pid, f"0-{os.cpu_count() - 1}")

            # The quota of an account is a hundred clusters; the first is one of them.
            time.sleep(5)
            before, names = resident_megabytes(pid), [f"c{number}" for number in range(CLUSTERS - 1)]
            start = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                list(pool.map(create, names))
            for name in reversed(names):
                wait_for(lambda: active(name), f"{name} ACTIVE", timeout=120, every=0.05)
            figures["100 clusters created at once, until the last is ACTIVE"] = (time.monotonic() - start) * CLUSTERS / len(names)
            time.sleep(IDLE_SECONDS)
            figures["memory of an idle cluster"] = (resident_megabytes(pid) - before) / len(names)
            used = cpu_seconds(pid)
            time.sleep(IDLE_SECONDS)
            figures["idle CPU of a cluster"] = (cpu_seconds(pid) - used) / IDLE_SECONDS / CLUSTERS * 100
            pin(pid, "0")
            figures["DescribeCluster beside 100 idle clusters"], _ = describe(generator, service, "c50")
        finally:
            service.stop()
            subprocess.run([binary, "down", "--data-dir", str(service.data), "--purge"], check=False, stdout=subprocess.DEVNULL)
    return figures


def tokens(aws_bench):
    output = subprocess.run(["taskset", "-c", "0", aws_bench, "20000"], check=True, stdout=subprocess.PIPE, text=True).stdout
    rates = {line.split()[0]: float(line.split()[1].removesuffix("/s")) for line in output.splitlines() if line.strip()}
    return {"tokens verified, cold, on one core": rates["token-cold"], "tokens verified, cached, on one core": rates["token-cached"]}


def main():
    binary, aws_bench = sys.argv[1:3]
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    left = leftovers()
    assert not left, f"an earlier run left: {left}"
    generator = build_loadgen()
    results = []
    for number in range(runs):
        print(f"run {number + 1} of {runs}")
        figures = run(binary, generator) | tokens(aws_bench)
        print(json.dumps(figures, indent=1))
        results.append(figures)
    rows, _ = table(FIGURES, results)
    lines = [
        "# Results of `make bench-eks`", "",
        f"Machine: {machine()}. Release build, TLS, HTTP/1.1 as AWS's SDKs. {runs} runs: median (least to most).", "", *rows]
    text = "\n".join(lines) + "\n"
    (ROOT / "Benchmarks/results-eks.md").write_text(text)
    print(text)


main()
