#!/usr/bin/env python3
"""Fault rounds on nodes with real containers: `make bench-faults`, as root. Prints what was seen beside what must hold and writes
Benchmarks/results-faults.md.

usage: run_faults.py EYRIE [--quick] [ROW...]     ROW: R9, R10, R11, R13; all without

--quick: fewer rounds, shorter tolerations and times; the results say so.
"""
import pathlib
import signal
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/outer"))
sys.path.insert(0, str(ROOT / "Benchmarks"))
import fault_containers  # noqa: E402
import fault_partition  # noqa: E402
import fault_pressure  # noqa: E402
import fault_rounds  # noqa: E402
from bed import registry  # noqa: E402
from conftest import leftovers  # noqa: E402
from figures import machine, write_section  # noqa: E402

ROWS = {"R9": fault_rounds, "R10": fault_containers, "R11": fault_partition, "R13": fault_pressure}


def main():
    # Who ends this ends the service and its machines.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    binary, *rest = sys.argv[1:]
    quick, names = "--quick" in rest, [name for name in rest if name != "--quick"] or list(ROWS)
    assert not leftovers(), f"an earlier run left: {leftovers()}"
    failed = False
    with registry() as mirror:
        for name in names:
            module, lines = ROWS[name], ["| what | must be | seen | holds |", "|---|---|---|---|"]
            print(f"{name}: {module.__doc__.splitlines()[0]}", flush=True)
            try:
                for what, wanted, seen, holds in module.run(binary, mirror, quick):
                    failed |= not holds
                    lines.append(f"| {what} | {wanted} | {'never' if seen is None else seen} | {'yes' if holds else 'no'} |")
                    print(lines[-1], flush=True)
            except Exception as error:  # The other rows go on; this one did not hold.
                failed = True
                lines.append(f"| the round itself | ends | {type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''} | no |")
                print(lines[-1], flush=True)
            about = " ".join(module.__doc__.split())
            content = "\n".join([f"## {about}", "", f"{machine()}, release build{', shortened (--quick)' if quick else ''}.", "", *lines])
            write_section(ROOT / "Benchmarks/results-faults.md", "# Results of `make bench-faults`\n", name, content)
    sys.exit(1 if failed else 0)


main()
