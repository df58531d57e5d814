"""Terraform itself, unmodified, with HashiCorp's AWS provider: a network, roles, a cluster with node groups, add-ons and access are made, planned again
without a difference, changed, and destroyed. Where Terraform or the provider is not installed (TF_PLUGINS names the provider's mirror), the tests are
skipped and say so: neither can be fetched from the registries that tests reach. test_terraform_sequences.py has the provider's calls for those."""
import base64
import json
import os
import pathlib
import shutil
import subprocess

import boto3
import pytest

from conftest import REGION, clean_up, Service

HERE = pathlib.Path(__file__).resolve().parent
PLUGINS = pathlib.Path(os.environ.get("TF_PLUGINS", "/opt/tf-plugins"))

pytestmark = pytest.mark.skipif(
    shutil.which("terraform") is None or not any(PLUGINS.glob("registry.terraform.io/hashicorp/aws/*")),
    reason="terraform or its AWS provider is not installed here")


class Terraform:
    """A working directory of terraform's, with the service's environment."""

    def __init__(self, service, directory):
        self.directory = directory
        shutil.copytree(HERE / "terraform", directory)
        settings = directory / "terraformrc"
        settings.write_text(f'disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = "{PLUGINS}"\n  }}\n}}\n')
        self.env = dict(service.env, TF_CLI_CONFIG_FILE=str(settings), TF_IN_AUTOMATION="1", CHECKPOINT_DISABLE="1")
        #: The variables as they were set last.
        self.variables = {}

    def run(self, command, *arguments, codes=(0,), timeout=400):
        words = ["terraform", command, *arguments]
        if command in ("plan", "apply", "destroy"):
            for name, value in self.variables.items():
                words += ["-var", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        result = subprocess.run(
            words, cwd=self.directory, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
        assert result.returncode in codes, f"{' '.join(words)} ended with {result.returncode}:\n{result.stdout[-6000:]}"
        return result.stdout

    def apply(self, **variables):
        self.variables.update(variables)
        return self.run("apply", "-no-color", "-auto-approve", "-input=false")

    def assert_no_changes(self):
        """A plan after an apply finds nothing to do: all that was set came back as it was set."""
        self.run("plan", "-no-color", "-detailed-exitcode", "-input=false")

    def value(self, expression):
        """What an expression is, by the state: a string."""
        result = subprocess.run(
            ["terraform", "console"], cwd=self.directory, env=self.env, input=f"nonsensitive({expression})", capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def outputs(self):
        return {name: entry["value"] for name, entry in json.loads(self.run("output", "-json")).items()}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.fail("the service needs root")
    service = Service(tmp_path_factory.mktemp("terraform"), {})
    service.start()
    yield service
    service.stop()
    clean_up(service)


@pytest.fixture(scope="module")
def terraform(service):
    terraform = Terraform(service, service.directory / "work")
    terraform.run("init", "-no-color", "-input=false")
    return terraform


@pytest.fixture(scope="module")
def eks(service):
    return boto3.client(
        "eks", region_name=REGION, endpoint_url=service.env["AWS_ENDPOINT_URL"], verify=service.env["AWS_CA_BUNDLE"],
        aws_access_key_id=service.env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=service.env["AWS_SECRET_ACCESS_KEY"])


def test_a_cluster_is_made_and_planned_again_without_a_difference(service, terraform):
    assert "Apply complete!" in terraform.apply()
    outputs = terraform.outputs()
    assert outputs["clusters"] == ["tf"] and outputs["node_group_status"] == "ACTIVE" and "1.35" in outputs["versions"]
    terraform.assert_no_changes()
    # What it made is a cluster: the token it was given opens it.
    authority = service.directory / "ca.pem"
    authority.write_bytes(base64.b64decode(outputs["certificate_authority"]))
    nodes = service.kubectl(
        "--server", outputs["endpoint"], "--certificate-authority", authority, "--token", terraform.value("data.aws_eks_cluster_auth.this.token"), "get", "nodes", "-o", "name")
    assert len(nodes.split()) == 1


def test_changes_in_place(terraform, eks):
    terraform.apply(
        nodes=2, labels={"tier": "general", "team": "a"}, taints=[{"key": "dedicated", "value": "a", "effect": "NO_SCHEDULE"}], max_unavailable=2,
        log_types=["api"], public_cidrs=["10.0.0.0/8", "0.0.0.0/0"], zonal_shift=True)
    terraform.assert_no_changes()
    cluster = eks.describe_cluster(name="tf")["cluster"]
    assert cluster["zonalShiftConfig"] == {"enabled": True} and set(cluster["resourcesVpcConfig"]["publicAccessCidrs"]) == {"10.0.0.0/8", "0.0.0.0/0"}
    group = eks.describe_nodegroup(clusterName="tf", nodegroupName=eks.list_nodegroups(clusterName="tf")["nodegroups"][0])["nodegroup"]
    assert group["scalingConfig"]["desiredSize"] == 2 and group["labels"]["team"] == "a" and group["taints"][0]["effect"] == "NO_SCHEDULE"
    terraform.apply(zonal_shift=False, taints=[], nodes=1)
    terraform.assert_no_changes()


def test_auto_mode_is_switched_on_and_off(terraform, eks):
    terraform.apply(auto_mode=True)
    terraform.assert_no_changes()
    assert eks.describe_cluster(name="tf")["cluster"]["computeConfig"]["enabled"]
    terraform.apply(auto_mode=False)
    terraform.assert_no_changes()
    assert not eks.describe_cluster(name="tf")["cluster"]["computeConfig"]["enabled"]


def test_a_version_upgrade_rolls_the_nodes(terraform, eks):
    terraform.apply(kubernetes_version="1.36")
    terraform.assert_no_changes()
    assert eks.describe_cluster(name="tf")["cluster"]["version"] == "1.36"
    group = eks.list_nodegroups(clusterName="tf")["nodegroups"][0]
    assert eks.describe_nodegroup(clusterName="tf", nodegroupName=group)["nodegroup"]["version"] == "1.36"


def test_all_is_destroyed(terraform, eks, service):
    assert "Destroy complete!" in terraform.run("destroy", "-no-color", "-auto-approve", "-input=false")
    assert eks.list_clusters()["clusters"] == []
    vpcs = json.loads(service.run(service.aws_binary, "ec2", "describe-vpcs", "--filters", "Name=is-default,Values=false").stdout)["Vpcs"]
    assert vpcs == []
