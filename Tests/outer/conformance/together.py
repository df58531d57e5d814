"""Tests of a module that run at once, each in a thread and a namespace of its own: most of what they do is wait for containers.

Such a test is a function of (cluster, namespace). One that takes a name, too, is run for each name of its docstring, and does what that name says."""
import collections
import concurrent.futures
import inspect

import pytest

# As many as have room for their pods on two nodes, and as two cores can feed. A module may have an AT_ONCE of its own.
AT_ONCE = 12


def names_of(test):
    return [line.strip() for line in test.__doc__.splitlines() if line.strip().startswith("[sig-")]


def together(test):
    """The test that waits for the outcome of the run which `outcomes` began."""
    takes_name = "name" in inspect.signature(test).parameters

    if takes_name:
        @pytest.mark.parametrize("name", names_of(test), ids=names_of(test))
        def waits(outcomes, name):
            outcomes.result(test, name)
    else:
        def waits(outcomes):
            outcomes.result(test, None)
    waits.__name__, waits.__doc__, waits.__module__, waits.together = test.__name__, test.__doc__, test.__module__, test
    return waits


class Outcomes:
    def __init__(self, cluster, wanted, at_once):
        self.cluster = cluster
        self.pool = concurrent.futures.ThreadPoolExecutor(at_once)
        self.begun = collections.OrderedDict((key, self.pool.submit(self.run, *key)) for key in wanted)

    def run(self, test, name):
        with self.cluster.namespace() as namespace:
            return test(self.cluster, namespace, *([name] if name else []))

    def result(self, test, name):
        """Of the run that was begun with all others; who asks once more (a repetition) gets a new one."""
        begun = self.begun.pop((test, name), None)
        return begun.result() if begun else self.run(test, name)

    def end(self):
        self.pool.shutdown(wait=True, cancel_futures=True)


@pytest.fixture(scope="module")
def outcomes(request, node_cluster):
    """Begins all of the module's tests that were asked for."""
    items = [item for item in request.session.items if item.module is request.module and hasattr(item.function, "together")]
    wanted = [(item.function.together, getattr(item, "callspec", None) and item.callspec.params.get("name")) for item in items]
    found = Outcomes(node_cluster, wanted, getattr(request.module, "AT_ONCE", AT_ONCE))
    yield found
    found.end()
