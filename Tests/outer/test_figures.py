"""What the benchmarks and fault rounds compute by themselves: without a service."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Benchmarks"))
import pytest  # noqa: E402
from cluster_api import containers, disturbed, running_since, settled  # noqa: E402
from fault_containers import gaps, keeps_backoff  # noqa: E402
from fault_partition import overlaps, read_beats  # noqa: E402
from fault_pressure import mebibytes, working_set  # noqa: E402
from figures import Figure, percentile, table, with_section  # noqa: E402
from machines import count_rules, grown  # noqa: E402
from wire import field, fields, mapping, number, text  # noqa: E402


@pytest.mark.parametrize("part, expected", [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1), (0.991, 100)])
def test_percentiles_are_nearest_ranks(part, expected):
    assert percentile(range(100, 0, -1), part) == expected
    assert percentile([7], part) == 7


def test_tables_have_medians_and_say_what_missed():
    figures = [Figure("time", 3, "s"), Figure("rate", 2000, "/s", True), Figure("other", None, "MB"), Figure("nowhere", 1, "s")]
    rows, missed = table(figures, [{"time": 1, "rate": 1500, "other": 9}, {"time": 4, "rate": 2500, "other": 7}, {"time": 3, "rate": 1000, "other": 8}])
    assert rows[2:] == [
        "| time | 3 s | 3 s | 1 to 4 | yes |", "| rate | 2,000 /s | 1,500 /s | 1,000 to 2,500 | no |", "| other |  | 8 MB | 7 to 9 |  |"]
    assert missed == ["rate"]


def test_sections_are_replaced_and_added():
    first = with_section("# Results\n", "a", "one")
    assert first == "# Results\n\n<!-- a -->\none\n<!-- end a -->\n"
    second = with_section(first, "b", "two")
    assert with_section(second, "a", "three") == "# Results\n\n<!-- a -->\nthree\n<!-- end a -->\n\n<!-- b -->\ntwo\n<!-- end b -->\n"


def test_lives_that_overlap_are_found():
    beats = read_beats("web-0 a 1.00\nweb-0 a 5.00\nweb-1 x 1.00\nweb-0 b 5.20\nweb-1 x 9.00\nweb-0 b 7.00\ntorn")
    assert len(beats) == 6 and overlaps(beats) == []
    assert overlaps(beats + [("web-0", "a", 5.2)]) == [("web-0", "a", "b")]
    assert overlaps([("p", "a", 1), ("p", "b", 2), ("p", "a", 3)]) == [("p", "a", "b")]


def test_backoff_is_between_an_end_and_the_next_start():
    lives = [(100, 100), (100, 101), (111, 111), (131, 131)]
    assert gaps(lives) == [0, 10, 20]
    assert keeps_backoff([0, 10, 20], (0, 10, 20)) and keeps_backoff([1, 9, 24], (0, 10, 20))
    assert not keeps_backoff([0, 10], (0, 10, 20)) and not keeps_backoff([0, 8, 20], (0, 10, 20)) and not keeps_backoff([0, 10, 25], (0, 10, 20))


def listed(name, ready=True, restarts=0, container="containerd://c", deleted=False):
    metadata = {"name": name} | ({"deletionTimestamp": "now"} if deleted else {})
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    return {"metadata": metadata, "status": {
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "containerStatuses": [{"containerID": container, "restartCount": restarts, "state": state}]}}


def test_pods_are_settled_when_all_are_ready_and_none_leaves():
    assert settled([listed("a"), listed("b")], 2)
    assert not settled([listed("a")], 2) and not settled([listed("a"), listed("b", ready=False)], 2)
    assert not settled([listed("a"), listed("b", deleted=True)], 2)


def test_containers_that_restarted_or_went_are_disturbed():
    before = containers([listed("a"), listed("b"), listed("c")])
    after = containers([listed("a"), listed("b", restarts=1), listed("d")])
    assert disturbed(before, after) == ["b", "c"] and disturbed(before, after, {"c"}) == ["b"]
    assert disturbed(before, containers([listed("a", container="containerd://x"), listed("b"), listed("c")])) == ["a"]


def test_a_container_is_seen_at_its_first_event():
    waiting = {"metadata": {}, "status": {"containerStatuses": [{"containerID": "", "state": {"waiting": {}}}]}}
    assert running_since([(1, "ADDED", waiting), (2, "MODIFIED", listed("a")), (3, "MODIFIED", listed("a"))]) == {"c": 2}


def test_rules_are_counted_with_the_elements_of_maps():
    listing = {"nftables": [
        {"metainfo": {}}, {"table": {"name": "t"}}, {"rule": {"expr": [1, 2]}}, {"map": {"name": "m", "elem": [["a", 1], ["b", 2]]}}, {"set": {"name": "s"}}]}
    assert count_rules(listing) == 6


def test_only_what_grew_is_left_over():
    assert grown({"a": 1, "b": 2}, {"a": 1, "b": 1, "c": 2}) == {"c": 2} and grown({"a": 1}, {"a": 4}) == {"a": 3}


def test_memory_is_counted_in_mebibytes():
    assert [mebibytes(text) for text in ("2048Ki", "5Mi", "1Gi", "3145728")] == [2, 5, 1024, 3]
    assert working_set("inactive_file 10\ntotal_inactive_file 30", 100) == 70 and working_set("inactive_file 10", 100) == 90


def test_messages_are_read_as_they_are_written():
    message = field(1, "name") + field(3, 300) + field(4, field(1, "key") + field(2, "value"))
    assert text(message, 1) == "name" and number(message, 3) == 300 and number(message, 9) == 0 and mapping(message, 4) == {"key": "value"}
    assert set(fields(message)) == {1, 3, 4}
