#!/usr/bin/env python3
"""Measures the scheduler: `make bench-scheduler`. Prints each figure with its target and writes Benchmarks/results-scheduler.md.

usage: run_scheduler.py SCHEDULER_BENCH [RUNS] [NODES]

usage: run_scheduler.py SCHEDULER_BENCH envelope [NODES [PODS [SECONDS]]]

The workloads are those of Kubernetes' scheduler_perf, rebuilt from their description: through an API server of the same process (SQLite store with one
fsync a commit group; authorisation, flow control and admission), and by the scheduler alone with an API that keeps nothing.
"""
import json
import pathlib
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Benchmarks"))
from figures import machine, write_section  # noqa: E402
from processes import json_lines  # noqa: E402


def write(section, note, table):
    write_section(ROOT / "Benchmarks/results-scheduler.md", "# The scheduler's figures\n", section, f"{note}\n\n{table}")
    print(table)


def envelope(bench, nodes="5000", pods="150000", seconds="120"):
    """A control plane with all controllers, a client over TLS in the same process, on simulated nodes."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="scheduler-bench-") as directory:
        for line in json_lines(bench, "envelope", directory, nodes, pods, seconds):
            found[line["what"]] = line
    with tempfile.TemporaryDirectory(prefix="scheduler-bench-") as directory:
        for line in json_lines(bench, "idle", directory, "10000"):
            found.setdefault(line["what"] + " ", line)
    churn, idle, small = found["churn"], found["idle pods"], found["idle "]
    gigabyte = 1 << 30
    rows = [
        ("API p99 of changes at 20 a second", "100 ms", f"{churn['change_p99_ms']:.1f} ms", churn["change_p99_ms"] <= 100),
        ("API p99 of gets meanwhile", "100 ms", f"{churn['get_p99_ms']:.1f} ms", churn["get_p99_ms"] <= 100),
        (f"list of a namespace ({int(pods) // 15:,} pods), p99", "3 s", f"{churn['list_p99_s']:.2f} s", churn["list_p99_s"] <= 3),
        ("resident memory with the pods", "2 GB", f"{idle['resident_bytes'] / gigabyte:.2f} GB", idle["resident_bytes"] <= 2e9),
        ("pods made, scheduled and Running", "", f"{found['pods']['pods_per_second']:,.0f}/s", True),
        ("nodes registered and Ready", "", f"{int(nodes) / found['nodes']['seconds']:,.0f}/s", True),
        ("CPU of the process, nodes only, their leases renewed", "", f"{found['idle nodes']['cpu_percent']:.1f} % of a core", True),
        ("CPU of the process, 10,000 pods on 100 nodes, idle", "1 % of a core", f"{small['cpu_percent']:.2f} %", small["cpu_percent"] <= 1),
    ]
    table = "\n".join(
        ["| figure | target | measured |", "|---|---|---|"]
        + [f"| {what} | {target} | {value}{'' if ok else ', missed'} |" for what, target, value, ok in rows])
    write("envelope", f"{machine()}; {int(nodes):,} simulated nodes, {int(pods):,} pods of 150 Deployments.", table)


def main():
    if sys.argv[2:3] == ["envelope"]:
        return envelope(sys.argv[1], *sys.argv[3:])
    bench, runs, nodes = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3, sys.argv[3] if len(sys.argv) > 3 else "5000"
    figures = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="scheduler-bench-") as directory:
            for line in json_lines(bench, "served", directory, nodes) + json_lines(bench, "alone", nodes):
                figures.setdefault(line["workload"], {}).setdefault(line["how"], []).append(line)
                print(json.dumps(line), flush=True)
    rows = []
    for name, figure in figures.items():
        def median(how, what):
            return statistics.median(line[what] for line in figure[how])
        served = median("served", "pods_per_second")
        target = figure["served"][0]["target"]
        rows.append(
            f"| {name} | {f'{target}/s' if target else ''} | {served:,.0f}/s{'' if served >= (target or 0) else ', missed'} | {median('served', 'cpu_ms_per_pod'):.2f} ms "
            f"| {median('alone', 'pods_per_second'):,.0f}/s | {median('alone', 'cpu_ms_per_pod'):.2f} ms |")
    table = "\n".join(
        ["| workload | target | through the API server | CPU a pod | scheduler alone | CPU a pod |", "|---|---|---|---|---|---|"] + rows)
    write("workloads", f"{machine()}; {nodes} nodes; medians of {runs} runs.", table)


main()
