#!/usr/bin/env python3
"""Measures the figures of the README through the real clients, five runs each, and writes Benchmarks/results.md. Run as root: `make bench`.

usage: run.py EYRIE [RUNS]
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/outer"))
sys.path.insert(0, str(ROOT / "Benchmarks"))
from conftest import REGION, Service, free_port, leftovers, wait_for  # noqa: E402
from figures import Figure, machine, table  # noqa: E402
from machines import agents  # noqa: E402
from processes import cpu_seconds, resident_megabytes  # noqa: E402

import boto3  # noqa: E402

FIGURES = [
    Figure("create-cluster call to ACTIVE with kubectl answering", 2.0, "s"),
    Figure("node group of one to Ready", 5.0, "s"),
    Figure("kubectl apply to three Running, image present", 1.5, "s"),
    Figure("resident memory of the service, one idle cluster", 80, "MB"),
    Figure("resident memory of a node's agent", 40, "MB"),
    Figure("idle CPU of the service", 1.0, "% of a core"),
    Figure("idle CPU of a node's agent", 1.0, "% of a core"),
]
IDLE_SECONDS = 10


def run(binary, registry):
    figures = {}
    with tempfile.TemporaryDirectory(prefix="eyrie-bench-") as directory:
        os.environ["EYRIE"] = binary
        service = Service(directory, {"docker.io": registry})
        service.start()
        try:
            client = lambda name: boto3.client(  # noqa: E731
                name, endpoint_url=service.env["AWS_ENDPOINT_URL"], region_name=REGION, verify=service.env["AWS_CA_BUNDLE"],
                aws_access_key_id=service.env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=service.env["AWS_SECRET_ACCESS_KEY"])
            eks, iam, ec2 = client("eks"), client("iam"), client("ec2")
            vpc = ec2.create_vpc(CidrBlock="10.89.0.0/16")["Vpc"]["VpcId"]
            subnets = [
                ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.89.{i}.0/24", AvailabilityZone=REGION + z)["Subnet"]["SubnetId"] for i, z in enumerate("ab")]
            roles = {}
            for name, principal, policy in (("cluster", "eks", "AmazonEKSClusterPolicy"), ("node", "ec2", "AmazonEKSWorkerNodePolicy")):
                trust = {"Version": "2012-10-17", "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": f"{principal}.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
                roles[name] = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
                iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")

            start = time.monotonic()
            eks.create_cluster(name="bench", roleArn=roles["cluster"], resourcesVpcConfig={"subnetIds": subnets})
            wait_for(lambda: eks.describe_cluster(name="bench")["cluster"]["status"] == "ACTIVE", "ACTIVE", every=0.01)
            active = time.monotonic() - start
            subprocess.run([binary, "env", "--data-dir", service.data], check=True, stdout=subprocess.DEVNULL)
            service.aws("eks", "update-kubeconfig", "--name", "bench")
            start = time.monotonic()
            service.kubectl("get", "--raw", "/readyz")
            # kubectl's own start and the AWS CLI's get-token are part of the answer's time, not of the cluster's.
            figures["create-cluster call to ACTIVE with kubectl answering"] = active
            print(f"  active {active:.2f} s, first kubectl {time.monotonic() - start:.2f} s")

            time.sleep(5)  # The burst of the start is over; what follows is idle.
            pid = service.process.pid
            before = cpu_seconds(pid)
            time.sleep(IDLE_SECONDS)
            figures["idle CPU of the service"] = (cpu_seconds(pid) - before) / IDLE_SECONDS * 100
            figures["resident memory of the service, one idle cluster"] = resident_megabytes(pid)

            start = time.monotonic()
            eks.create_nodegroup(
                clusterName="bench", nodegroupName="one", scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1}, subnets=subnets[:1], nodeRole=roles["node"])
            wait_for(
                lambda: eks.describe_nodegroup(clusterName="bench", nodegroupName="one")["nodegroup"]["status"] == "ACTIVE", "node group ACTIVE", every=0.02)
            figures["node group of one to Ready"] = time.monotonic() - start

            deployment = (ROOT / "docs/examples/nginx.yaml").read_text()
            service.kubectl("apply", "-f", "-", input=deployment)
            service.kubectl("rollout", "status", "deployment/nginx", "--timeout=120s")
            service.kubectl("delete", "deployment", "nginx")
            wait_for(lambda: not service.get("pods")["items"], "pods gone")
            token = json.loads(service.aws_token("bench"))["status"]["token"]
            endpoint = eks.describe_cluster(name="bench")["cluster"]["endpoint"]
            start = time.monotonic()
            service.run(service.kubectl_binary, "--server", endpoint, "--insecure-skip-tls-verify", "--token", token, "apply", "-f", "-", input=deployment)
            wait_for(
                lambda: json.loads(service.run(
                    "curl", "-sk", "-H", f"Authorization: Bearer {token}", f"{endpoint}/apis/apps/v1/namespaces/default/deployments/nginx").stdout
                )["status"].get("readyReplicas") == 3,
                "three ready", every=0.01)
            figures["kubectl apply to three Running, image present"] = time.monotonic() - start

            agent = agents(service)[0]
            time.sleep(5)
            before = cpu_seconds(agent)
            time.sleep(IDLE_SECONDS)
            figures["idle CPU of a node's agent"] = (cpu_seconds(agent) - before) / IDLE_SECONDS * 100
            figures["resident memory of a node's agent"] = resident_megabytes(agent)
        finally:
            service.stop()
            subprocess.run([binary, "down", "--data-dir", str(service.data), "--purge"], check=False)
    return figures


def main():
    binary = sys.argv[1]
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    left = leftovers()
    assert not left, f"an earlier run left: {left}"
    with tempfile.TemporaryDirectory(prefix="eyrie-registry-") as directory:
        port = free_port()
        script = ROOT / "Tests/fixtures/registry.sh"
        subprocess.run([script, "start", directory, str(port)], check=True)
        try:
            results = []
            for number in range(runs):
                print(f"run {number + 1} of {runs}")
                results.append(run(binary, f"http://127.0.0.1:{port}"))
        finally:
            subprocess.run([script, "stop", directory], check=False)
    rows, _ = table(FIGURES, results)
    lines = [
        "# Results of `make bench`", "",
        f"Machine: {machine()}, client and server on the same cores. Release build. "
        f"Median of {runs} runs (least to most). Idle is {IDLE_SECONDS} s.", "", *rows]
    text = "\n".join(lines) + "\n"
    (ROOT / "Benchmarks/results.md").write_text(text)
    print(text)


main()
