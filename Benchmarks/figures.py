"""Figures as results are written: percentiles, medians with their range, the machine, tables and sections of Benchmarks/results-*.md."""
import math
import os
import platform
import statistics
import typing


class Figure(typing.NamedTuple):
    name: str
    #: None: there is none.
    target: float | None
    unit: str
    #: Whether more is better.
    more: bool = False

    def is_met(self, value):
        return value >= self.target if self.more else value <= self.target


def percentile(values, part):
    """The smallest of the values that at least `part` of all do not exceed: the nearest rank."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(part * len(ordered))) - 1]


def model():
    """The processor's name."""
    return next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())


def machine():
    release = ".".join(platform.release().split(".")[:2])
    return f"{os.cpu_count()} × {model()}, Linux {release}"


def shown(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(figures, runs):
    """The lines of a table of the figures that the runs (a dictionary each) have, and the names of those that miss their targets."""
    lines, missed = ["| figure | target | measured | range | met |", "|---|---|---|---|---|"], []
    for figure in figures:
        values = sorted(run[figure.name] for run in runs if figure.name in run)
        if not values:
            continue
        median = statistics.median(values)
        goal = met = ""
        if figure.target is not None:
            goal, met = f"{figure.target:,} {figure.unit}", "yes" if figure.is_met(median) else "no"
        if met == "no":
            missed.append(figure.name)
        lines.append(f"| {figure.name} | {goal} | {shown(median)} {figure.unit} | {shown(values[0])} to {shown(values[-1])} | {met} |")
    return lines, missed


def with_section(text, section, content):
    """The text with what stands between a section's marks replaced; a section that is not there yet comes last."""
    begin, end = f"<!-- {section} -->", f"<!-- end {section} -->"
    if begin not in text:
        text = f"{text.rstrip()}\n\n{begin}\n{end}\n"
    head, rest = text.split(begin, 1)
    return f"{head}{begin}\n{content}\n{end}{rest.split(end, 1)[1]}"


def write_section(path, heading, section, content):
    """Writes a section of a file of results, which has the heading if it is new."""
    text = path.read_text() if path.exists() else heading
    path.write_text(with_section(text, section, content))
