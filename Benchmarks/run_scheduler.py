#!/usr/bin/env python3
"""Measures the scheduler: `make bench-scheduler`. Prints each figure with its target and writes Benchmarks/results-scheduler.md.

usage: run_scheduler.py SCHEDULER_BENCH [RUNS] [NODES]

The workloads are those of Kubernetes' scheduler_perf, rebuilt from their description: through an API server of the same process (SQLite store with one
fsync a commit group; authorisation, flow control and admission), and by the scheduler alone with an API that keeps nothing.
"""
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]


def lines(*command):
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}"


def main():
    bench, runs, nodes = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3, sys.argv[3] if len(sys.argv) > 3 else "5000"
    figures = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="scheduler-bench-") as directory:
            for line in lines(bench, "served", directory, nodes) + lines(bench, "alone", nodes):
                figures.setdefault(line["workload"], {}).setdefault(line["how"], []).append(line)
                print(json.dumps(line), flush=True)
    rows = []
    for name, figure in figures.items():
        def median(how, what):
            return statistics.median(line[what] for line in figure[how])
        served = median("served", "pods_per_second")
        target = figure["served"][0]["target"]
        rows.append(
            f"| {name} | {target}/s | {served:,.0f}/s{'' if served >= target else ', missed'} | {median('served', 'cpu_ms_per_pod'):.2f} ms "
            f"| {median('alone', 'pods_per_second'):,.0f}/s | {median('alone', 'cpu_ms_per_pod'):.2f} ms |")
    table = "\n".join(
        ["| workload | target | through the API server | CPU a pod | scheduler alone | CPU a pod |", "|---|---|---|---|---|---|"] + rows)
    path = ROOT / "Benchmarks/results-scheduler.md"
    text = path.read_text() if path.exists() else "# The scheduler's figures\n\n<!-- workloads -->\n<!-- end -->\n"
    head, rest = text.split("<!-- workloads -->")
    tail = rest.split("<!-- end -->", 1)[1]
    note = f"{machine()}; {nodes} nodes; medians of {runs} runs."
    path.write_text(f"{head}<!-- workloads -->\n{note}\n\n{table}\n<!-- end -->{tail}")
    print(table)


main()
