"""One service for all conformance tests, with two clusters: one without nodes for what needs only the API, one with two nodes for what runs pods."""
import pytest
from conftest import running_service

from .cluster import Cluster


@pytest.fixture(scope="package")
def conformance_service(tmp_path_factory, registry):
    with running_service(tmp_path_factory.mktemp("conformance"), {"docker.io": registry}) as service:
        yield service


@pytest.fixture(scope="package")
def cluster(conformance_service):
    """The cluster without nodes: pods stay Pending."""
    return Cluster(conformance_service, "bare", nodes=0)


@pytest.fixture(scope="package")
def node_cluster(conformance_service):
    """The cluster that runs pods."""
    return Cluster(conformance_service, "nodes", nodes=2)


@pytest.fixture
def namespace(cluster):
    with cluster.namespace() as name:
        yield name


@pytest.fixture
def node_namespace(node_cluster):
    with node_cluster.namespace() as name:
        yield name
