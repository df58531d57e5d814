"""Counts which conformance tests of Kubernetes v1.36 have a test here. `python3 Tests/outer/conformance/test_names.py` lists those that have none."""
import ast
import collections
import pathlib

HERE = pathlib.Path(__file__).resolve().parent


def known():
    """All names, as `kubetest` of v1.36 lists them."""
    return (HERE / "names-v1.36.txt").read_text().splitlines()


def exceptions():
    """Name → reason, of the names without a test."""
    lines = [line for line in (HERE / "not-covered.txt").read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("\t", 1) for line in lines)


def covered():
    """Name → the tests whose docstrings have it."""
    found = collections.defaultdict(list)
    for file in HERE.parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for line in (ast.get_docstring(node) or "").splitlines():
                    if line.startswith("[sig-"):
                        found[line.strip()].append(f"{file.name}::{node.name}")
    return found


def missing():
    done, reasons = covered(), exceptions()
    return [name for name in known() if name not in done and name not in reasons]


def test_every_name_has_a_test():
    assert missing() == []


def test_docstrings_have_names_that_exist_once():
    done = covered()
    assert set(done) - set(known()) == set()
    assert {name: tests for name, tests in done.items() if len(tests) > 1} == {}


def test_what_is_not_covered_has_a_reason_and_no_test():
    reasons = exceptions()
    assert set(reasons) - set(known()) == set() and all(reasons.values())
    assert set(reasons) & set(covered()) == set(), "these have a test now: take them out of not-covered.txt"


if __name__ == "__main__":
    names, done = known(), covered()
    print(f"{sum(name in done for name in names)} of {len(names)} names")
    for name in missing():
        print(f"no test: {name}")
    for name, reason in exceptions().items():
        print(f"not covered: {name}: {reason}")
