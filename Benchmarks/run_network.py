#!/usr/bin/env python3
"""Measures a node's network: `make bench-network`, as root. Prints each figure with its target and writes Benchmarks/results-network.md.

usage: run_network.py NETWORK_BENCH [RUNS [PART...]]     PART: proxy, names, path; all without

The program is Benchmarks/network-bench. It makes network namespaces of its own, which the kernel removes when it ends.
"""
import pathlib
import signal
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Benchmarks"))
from figures import Figure, machine, percentile, table, write_section  # noqa: E402
from processes import json_lines  # noqa: E402

SERVICES = 10_000
CHANGES = 200
SECONDS = 5
ROUNDS = 5
#: Less than this of the hand-written rule is not the same throughput: runs of one and the same rule spread as far.
SAME = 0.95

WHOLE = f"{SERVICES:,} Services of 3 endpoints, from nothing to the kernel's rules"
CHANGE = "an endpoint's change to the kernel's rules"
NAMES = {"service": "a Service's address", "absent": "no such name, by the search path", "headless": "a headless Service, 3 addresses"}
TRANSPORTS = {"udp": "UDP", "tcp": "TCP"}
PATHS = {"connect": ("connections", "/s", "per_second"), "transfer": ("transfer", "MB/s", "megabytes_per_second")}
HOW = {"proxy": "the proxy's rules", "hand": "one hand-written rule"}

FIGURES = {
    "proxy": [
        Figure(WHOLE, 3, "s"),
        Figure(f"{CHANGE}, median", 20, "ms"),
        Figure(f"{CHANGE}, p99 of {CHANGES}", 20, "ms"),
        Figure("resident memory of the proxy with its informers", None, "MB"),
    ],
    "names": [
        figure for transport in TRANSPORTS.values() for name in NAMES.values() for figure in (
            Figure(f"{transport}, {name}", 20_000, "answers/s", True),
            Figure(f"{transport}, {name}: p99", 5, "ms"),
            Figure(f"{transport}, {name}: lost or wrong", 0, ""))
    ],
    "path": [
        figure for what, unit, _ in PATHS.values() for figure in (
            *(Figure(f"{what}, {how}", None, unit, True) for how in HOW.values()), Figure(f"{what}, the proxy's by the hand-written", SAME, "", True))
    ],
}

METHODS = {
    "proxy": "The service proxy as a node's agent runs it, with its informers, on an API that answers from memory. From the start of the informers, or from the watch's "
             "event, until the kernel's rules are of another generation; then the kernel's maps are counted.",
    "names": f"The cluster's DNS with {SERVICES:,} Services and 100 headless ones on one core, a program with 16 questions on their way on the other; {SECONDS} s each. "
             "Every answer's code and number of records is looked at.",
    "path": f"Two network namespaces, and between them two ways by veth: a node with the proxy's rules of {SERVICES:,} Services, and one with a single DNAT rule. Measured in turn, "
            f"{ROUNDS} rounds a run: 10,000 connections one after another with a byte there and back, and 4 GB in one.",
}


def proxy(bench):
    whole, change = json_lines(bench, "proxy", str(SERVICES), str(CHANGES))
    milliseconds = [value / 1000 for value in change["microseconds"]]
    return {
        WHOLE: whole["microseconds"] / 1e6,
        f"{CHANGE}, median": statistics.median(milliseconds),
        f"{CHANGE}, p99 of {CHANGES}": percentile(milliseconds, 0.99),
        "resident memory of the proxy with its informers": whole["resident_bytes"] / 2**20,
    }


def names(bench):
    figures = {}
    for line in json_lines(bench, "names", str(SERVICES), str(SECONDS)):
        name = f"{TRANSPORTS[line['transport']]}, {NAMES[line['what']]}"
        assert line["microseconds"], f"no answers: {name}"
        figures[name] = len(line["microseconds"]) / line["seconds"]
        figures[f"{name}: p99"] = percentile(line["microseconds"], 0.99) / 1000
        figures[f"{name}: lost or wrong"] = line["lost"] + line["wrong"]
    return figures


def path(bench):
    figures, lines = {}, json_lines(bench, "path", str(SERVICES), str(ROUNDS))
    for kind, (what, _, member) in PATHS.items():
        medians = {how: statistics.median(line[member] for line in lines if (line["what"], line["how"]) == (kind, how)) for how in HOW}
        figures |= {f"{what}, {HOW[how]}": value for how, value in medians.items()}
        figures[f"{what}, the proxy's by the hand-written"] = medians["proxy"] / medians["hand"]
    return figures


PARTS = {"proxy": proxy, "names": names, "path": path}


def main():
    # Who ends this ends the program, and with it its namespaces.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    failed = False
    for part in sys.argv[3:] or PARTS:
        results = []
        for number in range(runs):
            results.append(PARTS[part](bench))
            print(f"{part}, run {number + 1} of {runs}: {results[-1]}", flush=True)
        rows, missed = table(FIGURES[part], results)
        failed |= bool(missed)
        content = "\n".join([f"{machine()}. Release build. {runs} runs: median (least to most). {METHODS[part]}", "", *rows])
        write_section(ROOT / "Benchmarks/results-network.md", "# Results of `make bench-network`\n", part, content)
        print(content)
    sys.exit(1 if failed else 0)


main()
