"""One service with one cluster of two nodes for the conformance tests of workloads and of the scheduler."""
import pathlib

import pytest
from conftest import Service, clean_up

from .kube import Kube, cron_job


@pytest.fixture(scope="package")
def apps_service(tmp_path_factory, registry):
    service = Service(pathlib.Path(tmp_path_factory.mktemp("apps")), {"docker.io": registry})
    service.start()
    try:
        service.run(service.binary, "up", "apps", "--data-dir", service.data, "--nodes", "2", timeout=180)
        yield service
    finally:
        service.stop()
        clean_up(service)


@pytest.fixture(scope="package")
def started(apps_service):
    """CronJobs that are started before all else, because their minutes take long; the last tests look at them."""
    kube = Kube(apps_service, "cron")
    kube.kubectl("create", "namespace", "cron")
    kube.create(cron_job("concurrent", "Allow"), cron_job("forbid", "Forbid"), cron_job("replace", "Replace"), cron_job("suspended", "Allow", suspend=True))
    return kube


@pytest.fixture
def kube(apps_service, started, request):
    """A namespace of the test's own."""
    name = request.node.name.replace("_", "-").removeprefix("test-")[:60].rstrip("-")
    kube = Kube(apps_service, name)
    kube.kubectl("create", "namespace", name)
    try:
        yield kube
    finally:
        kube.kubectl("delete", "namespace", name, "--wait=false", check=False)
