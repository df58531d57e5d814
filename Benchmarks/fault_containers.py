"""R10: a container's process is killed, ends again and again, runs out of memory, fails its probe, or has no image."""
import datetime
import os
import signal

from bed import bed, until
from cluster_api import PODS, Watch, pod
from machines import processes

BACKOFF = (0, 10, 20, 40, 80)
#: Times of statuses are whole seconds, and the agent has its own.
TOLERANCE = (-1, 4)


def container(api, name):
    found = api.pod(name)
    return (found or {"status": {}})["status"].get("containerStatuses", [{}])[0]


def ended(api, name):
    """(reason, exit code) of the container's last end."""
    state = container(api, name).get("lastState", {}).get("terminated") or container(api, name).get("state", {}).get("terminated") or {}
    return state.get("reason"), state.get("exitCode")


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def gaps(times):
    """Whole seconds between each end and the next start; `times` are (start, end) of a container's lives in order."""
    return [round(later[0] - earlier[1]) for earlier, later in zip(times, times[1:])]


def keeps_backoff(found, expected):
    return len(found) >= len(expected) and all(TOLERANCE[0] <= had - want <= TOLERANCE[1] for had, want in zip(found, expected))


def lives(watch, count, patience):
    """(start, end) of the container's first lives, as its statuses told. By a watch: the first end is seen for as long as a start takes."""
    def seen():
        found = {}
        for _, _, item in watch.events():
            for status in item.get("status", {}).get("containerStatuses", []):
                for state in (status.get("state", {}), status.get("lastState", {})):
                    if "terminated" in state:
                        ended = state["terminated"]
                        found[ended["containerID"]] = (seconds(ended["startedAt"]), seconds(ended["finishedAt"]))
        return found
    until(lambda: len(seen()) >= count, patience, every=0.2)
    return sorted(seen().values())[:count]


def waiting(api, name):
    return container(api, name).get("state", {}).get("waiting", {})


def run(binary, mirror, quick):
    backoff = BACKOFF[:3] if quick else BACKOFF
    with bed(binary, mirror, "10.82", instance_type="t3.large") as (_, api, _machines):
        # A number that no other process has.
        api.create(PODS, pod("killed", command=["sleep", "98765432"]))
        assert until(lambda: "running" in container(api, "killed").get("state", {}), 60) is not None
        for pid in processes("sleep 98765432"):
            os.kill(pid, signal.SIGKILL)
        took = until(lambda: container(api, "killed").get("restartCount") == 1 and "running" in container(api, "killed")["state"], 30)
        yield "process killed: restarted after", "1 s", took and f"{took:.2f} s", took is not None and took <= 1
        yield "process killed: reason, exit code", "Error, 137", ", ".join(map(str, ended(api, "killed"))), ended(api, "killed") == ("Error", 137)

        watch = Watch(api, f"{PODS}?labelSelector=app%3Dcrashing")
        api.create(PODS, pod("crashing", command=["sh", "-c", "exit 3"]))
        found = gaps(lives(watch, len(backoff) + 1, sum(backoff) + 60))
        yield "exits again and again: seconds before each start", list(backoff), found, keeps_backoff(found, backoff)
        until(lambda: waiting(api, "crashing"), 10)
        state = waiting(api, "crashing")
        message = state.get("message", "").split(" restarting")[0]
        yield "exits again and again: reason", "CrashLoopBackOff", f"{state.get('reason')} ({message})", (
            state.get("reason") == "CrashLoopBackOff" and message.startswith("back-off "))
        yield "exits again and again: reason, exit code", "Error, 3", ", ".join(map(str, ended(api, "crashing"))), ended(api, "crashing") == ("Error", 3)

        api.create(PODS, pod("greedy", command=["sh", "-c", "exec /bin/busybox tail -c 150m /dev/zero"], resources={"limits": {"memory": "32Mi"}}))
        until(lambda: ended(api, "greedy")[0], 60)
        yield "out of memory: reason, exit code", "OOMKilled, 137", ", ".join(map(str, ended(api, "greedy"))), ended(api, "greedy") == ("OOMKilled", 137)

        probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 2, "terminationGracePeriodSeconds": 1}
        api.create(PODS, pod("probed", livenessProbe=probe))
        until(lambda: container(api, "probed").get("restartCount", 0) >= 1, 60)
        yield "probe fails: reason, exit code", "Error, 137", ", ".join(map(str, ended(api, "probed"))), ended(api, "probed") == ("Error", 137)

        api.create(PODS, pod("absent", image="nginx:none"))
        reasons = []

        def backs_off():
            reason = waiting(api, "absent").get("reason")
            if reason and (not reasons or reasons[-1] != reason):
                reasons.append(reason)
            return {"ErrImagePull", "ImagePullBackOff"} <= set(reasons)
        until(backs_off, 60)
        wanted = {"ErrImagePull", "ImagePullBackOff"}
        yield "no such image: reasons", "ErrImagePull, ImagePullBackOff", ", ".join(reasons), wanted <= set(reasons)
