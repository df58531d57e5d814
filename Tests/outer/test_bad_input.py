"""Bad input, over the real endpoints: every mistake gets an error in the form its client expects, the service goes on, and nothing acknowledged is lost."""
import base64
import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import time

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import REGION, Service, clean_up, free_port, leftovers, wait_for

# Limits the tests stand at and one beyond.
CLUSTER_NAME, NODEGROUP_NAME, ROLE_NAME, OBJECT_NAME, LABEL_VALUE = 100, 63, 64, 253, 63
KUBERNETES_BODY, JSON_DEPTH, PATCH_OPERATIONS = 3 << 20, 10_000, 10_000


class Cloud:
    """AWS's own client library against the service, one try for each call: an error is what the service said first."""

    def __init__(self, service):
        self.service = service
        session = botocore.session.get_session()
        self.credentials = botocore.credentials.Credentials(service.env["AWS_ACCESS_KEY_ID"], service.env["AWS_SECRET_ACCESS_KEY"])
        options = dict(
            region_name=REGION, endpoint_url=service.env["AWS_ENDPOINT_URL"], verify=service.env["AWS_CA_BUNDLE"],
            aws_access_key_id=self.credentials.access_key, aws_secret_access_key=self.credentials.secret_key,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, connect_timeout=5, read_timeout=30))
        self.eks, self.ec2, self.iam, self.sts = (session.create_client(name, **options) for name in ("eks", "ec2", "iam", "sts"))

    def signed(self, method, path, body=b"", at=None, service="eks", credentials=None, headers=None):
        """A request signed at `at` (default: now) and sent exactly so; the answer's status, fields and body."""
        request = botocore.awsrequest.AWSRequest(method, self.service.env["AWS_ENDPOINT_URL"] + path, data=body, headers=headers or {})
        original = botocore.auth.get_current_datetime
        if at is not None:
            botocore.auth.get_current_datetime = lambda *_, **__: at
        try:
            botocore.auth.SigV4Auth(credentials or self.credentials, service, REGION).add_auth(request)
        finally:
            botocore.auth.get_current_datetime = original
        return send("127.0.0.1", self.service.port, self.service.env["AWS_CA_BUNDLE"], method, path, body, dict(request.headers))


class Answer:
    def __init__(self, status, fields, body, seconds):
        self.status, self.fields, self.body, self.seconds = status, fields, body, seconds

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:400]}"


def connection(host, port, authority):
    context = ssl.create_default_context(cafile=authority)
    return http.client.HTTPSConnection(host, port, context=context, timeout=30)


def send(host, port, authority, method, path, body, fields):
    """One request with the path as it stands, dots and percent signs too."""
    link = connection(host, port, authority)
    link.connect()
    start = time.monotonic()
    link.putrequest(method, path, skip_accept_encoding=True)
    for name, value in fields.items():
        link.putheader(name, value)
    if body and "Content-Length" not in fields:
        link.putheader("Content-Length", str(len(body)))
    link.endheaders()
    try:
        if body:
            link.send(body)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        pass  # Refused before it was all sent: the answer says why.
    response = link.getresponse()
    content = response.read()
    answer = Answer(response.status, response.headers, content, time.monotonic() - start)
    link.close()
    return answer


class Kubernetes:
    """The API server of a cluster, raw: for what kubectl would not send."""

    def __init__(self, service, name, cloud):
        cluster = cloud.eks.describe_cluster(name=name)["cluster"]
        self.host, port = cluster["endpoint"].removeprefix("https://").split(":")
        self.port, self.name, self.service = int(port), name, service
        self.authority = str(service.directory / f"{name}.pem")
        pathlib.Path(self.authority).write_bytes(base64.b64decode(cluster["certificateAuthority"]["data"]))
        self.token = json.loads(service.aws_token(name))["status"]["token"]
        self.base = ("--server", cluster["endpoint"], "--certificate-authority", self.authority, "--kubeconfig", "/dev/null")

    def request(self, method, path, body=b"", content_type="application/json", token=None, **fields):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        fields = {"Authorization": f"Bearer {token or self.token}", "Content-Type": content_type, **fields}
        return send(self.host, self.port, self.authority, method, path, body, fields)

    def ready(self):
        try:
            return self.request("GET", "/readyz").body == b"ok"
        except OSError:
            return False

    def kubectl(self, *arguments, token=None, **options):
        return self.service.kubectl(*self.base, "--token", token or self.token, *arguments, **options)


def refused(call, code, text="", **arguments):
    """Calls and expects AWS's error `code` with `text` in its message."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    assert error["Code"] == code and text in error["Message"], error
    assert caught.value.response["ResponseMetadata"].get("RequestId"), "every error carries a request id"
    return caught.value.response


def is_status(answer, code, reason=None, text=""):
    """Whether the answer is a Kubernetes Status of that code."""
    assert answer.status == code, answer
    status = answer.json
    assert status["kind"] == "Status" and status["apiVersion"] == "v1" and status["status"] == "Failure" and status["code"] == code, status
    assert reason is None or status["reason"] == reason, status
    assert text in status["message"], status
    return status


def config_map(name, data=None):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {}}


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def start(directory, env=None):
    service = Service(directory, {})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        service.start()
    return service


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.fail("the service's nodes are real: run it as root")
    service = start(tmp_path_factory.mktemp("bad"))
    service.found, service.has_ended = set(leftovers()), False
    try:
        yield service
    finally:
        service.stop()
        clean_up(service)
        keep = os.environ.get("EYRIE_KEEP_LOGS")
        if keep:
            pathlib.Path(keep).mkdir(parents=True, exist_ok=True)
            for log in list(service.directory.glob("*.log")) + list(service.data.glob("machines/*/*.log")):
                shutil.copy(log, pathlib.Path(keep) / f"bad-{log.parent.name}-{log.name}")


@pytest.fixture(autouse=True)
def goes_on(service):
    """After each test the service is the process it was, and answers."""
    process = service.process.pid
    yield
    if service.process.pid == process and not service.has_ended:
        assert service.process.poll() is None, (service.directory / "serve.log").read_text()[-3000:]
        assert service.answers()


@pytest.fixture(scope="module")
def cloud(service):
    return Cloud(service)


class World:
    pass


def make_world(cloud, third_octet=0):
    """A VPC, three subnets (the last tiny) and the two roles."""
    world = World()
    world.vpc = cloud.ec2.create_vpc(CidrBlock=f"10.97.{third_octet}.0/20")["Vpc"]["VpcId"]
    ranges = [f"10.97.{third_octet}.0/24", f"10.97.{third_octet + 1}.0/24", f"10.97.{third_octet + 2}.0/28"]
    world.subnets = [
        cloud.ec2.create_subnet(VpcId=world.vpc, CidrBlock=block, AvailabilityZone=REGION + zone)["Subnet"]["SubnetId"]
        for block, zone in zip(ranges, "abc")]
    world.tiny = world.subnets.pop()
    world.roles = {}
    for name, principal, policies in (("cluster", "eks", ["AmazonEKSClusterPolicy"]), ("node", "ec2", ["AmazonEKSWorkerNodePolicy"])):
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": f"{principal}.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        world.roles[name] = cloud.iam.create_role(RoleName=f"bad-{name}", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        for policy in policies:
            cloud.iam.attach_role_policy(RoleName=f"bad-{name}", PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    world.request = dict(roleArn=world.roles["cluster"], resourcesVpcConfig={"subnetIds": world.subnets})
    return world


def active(cloud, name):
    def check():
        cluster = cloud.eks.describe_cluster(name=name)["cluster"]
        assert cluster["status"] != "FAILED", cluster["health"]
        return cluster["status"] == "ACTIVE"
    wait_for(check, f"cluster {name} ACTIVE", every=0.05)


def gone(cloud, name):
    wait_for(lambda: name not in cloud.eks.list_clusters()["clusters"], f"cluster {name} deleted", every=0.05)


@pytest.fixture(scope="module")
def world(cloud):
    return make_world(cloud)


@pytest.fixture(scope="module")
def cluster(service, cloud, world):
    """A cluster without nodes."""
    cloud.eks.create_cluster(name="bad", **world.request)
    active(cloud, "bad")
    return Kubernetes(service, "bad", cloud)


# The command line: what, why, fix, and an exit code.


def eyrie(service, *arguments, timeout=20):
    return subprocess.run(
        [service.binary, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, cwd=service.directory)


def explains(result, *texts, fix=True, code=1):
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    assert result.stderr.startswith("Error: "), result.stderr
    for text in texts + (("  Why   ", "  Fix   ") if fix else ()):
        assert text in result.stderr, result.stderr


def test_wrong_flags_are_usage_errors(service, tmp_path):
    here = ("--data-dir", tmp_path / "data")
    for arguments, text in (
        (("serve", "--bogus"), "Unknown option '--bogus'"), (("serve", *here, "--listen", "7443"), "--listen takes HOST:PORT"),
        (("serve", *here, "--listen", "127.0.0.1:65536"), "--listen takes HOST:PORT"), (("serve", *here, "--listen", ":7443"), "--listen takes HOST:PORT"),
        (("serve", *here, "--log-level", "loud"), "trace, debug, info"), (("serve", *here, "--registry-mirror", "docker.io"), "REGISTRY=URL"),
        (("serve", *here, "--registry-mirror", "docker.io=ftp://x"), "http://HOST:PORT"), (("serve", *here, "--region", "../.."), "--region"),
        (("serve", "--data-dir", ""), "--data-dir"), (("token", *here), "--cluster"), (("env", *here, "--shell", "csh"), "'bash', 'fish' or 'json'"),
        (("up", "a/b", *here), "letters, digits"), (("up", *here, "--nodes", "many"), "--nodes"), (("frobnicate",), "frobnicate"),
    ):
        result = eyrie(service, *arguments)
        assert text in result.stderr and "Error: " in result.stderr, (arguments, result.stderr)
        assert result.returncode == 64 and "sage: eyrie " + (arguments[0] if arguments[0] != "frobnicate" else "") in result.stderr, (arguments, result.stderr)
    assert not (tmp_path / "data").exists(), "a refused command leaves nothing"


def test_commands_without_a_service_say_how_to_start_one(service, tmp_path):
    for command in (("env",), ("token", "--cluster", "x")):
        explains(eyrie(service, *command, "--data-dir", tmp_path / "none"), "No Eyrie service has run", "eyrie serve --data-dir")
    result = eyrie(service, "down", "--data-dir", tmp_path / "none")
    assert result.returncode == 0 and "No Eyrie service has run" in result.stdout, result
    assert not (tmp_path / "none").exists()


def test_a_port_in_use(service, tmp_path):
    explains(
        eyrie(service, "serve", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{service.port}"), f"cannot listen on 127.0.0.1:{service.port}",
        "another process listens there", "--listen")
    explains(eyrie(service, "serve", "--data-dir", tmp_path / "data", "--listen", "192.0.2.1:0"), "this machine has no such address", "--listen")


def test_a_second_service_on_the_data_directory(service):
    explains(
        eyrie(service, "serve", "--data-dir", service.data, "--listen", f"127.0.0.1:{free_port()}"), "Another Eyrie service works on", f"process {service.process.pid}",
        "--data-dir")


def test_a_data_directory_that_cannot_be_used(service, tmp_path):
    def serve(path):
        return eyrie(service, "serve", "--data-dir", path, "--listen", "127.0.0.1:0")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "file").chmod(0o644)
    explains(serve(tmp_path / "file"), "cannot be used", "Not a directory", "--data-dir")
    explains(serve(tmp_path / "file/data"), "cannot be used", "Not a directory")
    assert (tmp_path / "file").read_text() == "mine" and (tmp_path / "file").stat().st_mode & 0o777 == 0o644, "what is not ours is left as it is"
    explains(serve("/proc/eyrie"), "cannot be used")
    (tmp_path / "read-only").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", tmp_path / "read-only"], check=True)
    try:
        explains(serve(tmp_path / "read-only"), "cannot be used", "Read-only file system")
        explains(serve(tmp_path / "read-only/data"), "cannot be used", "Read-only file system")
    finally:
        subprocess.run(["umount", tmp_path / "read-only"], check=True)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/records.db").write_bytes(b"this is no database" * 1000)
    explains(serve(tmp_path / "damaged"), "records.db", "not a database")
    assert (tmp_path / "damaged/records.db").read_bytes().startswith(b"this is no database"), "a damaged file is left for whoever mends it"


# The AWS endpoint.


def test_badly_signed_requests(service, cloud):
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    minutes = datetime.timedelta(minutes=1)
    assert cloud.signed("GET", "/clusters").status == 200
    for answer, status, code, text in (
        (cloud.signed("GET", "/clusters", at=now - 16 * minutes), 403, "InvalidSignatureException", "Signature expired"),
        (cloud.signed("GET", "/clusters", at=now + 6 * minutes), 403, "InvalidSignatureException", "not yet current"),
        (cloud.signed("GET", "/clusters", credentials=botocore.credentials.Credentials(cloud.credentials.access_key, "x" * 40)), 403, "InvalidSignatureException", "does not match"),
        (cloud.signed("GET", "/clusters", credentials=botocore.credentials.Credentials("AKIANOBODY", "x" * 40)), 403, "UnrecognizedClientException", "security token"),
        (cloud.signed("GET", "/clusters", credentials=botocore.credentials.Credentials("", "x")), 403, None, ""),
        (cloud.signed("GET", "/clusters", service="s3"), 403, None, "Credential should be scoped to correct service"),
    ):
        assert answer.status == status and text in answer.json["message"], answer
        assert code is None or answer.fields["x-amzn-ErrorType"].split(":")[0] == code, (code, answer.fields.items())
    # A signature for other content.
    good = botocore.awsrequest.AWSRequest("POST", service.env["AWS_ENDPOINT_URL"] + "/clusters", data=b'{"name":"a"}')
    botocore.auth.SigV4Auth(cloud.credentials, "eks", REGION).add_auth(good)
    for method, path, body, changes in (
        ("POST", "/clusters", b'{"name":"b"}', {}), ("PUT", "/clusters", b'{"name":"a"}', {}), ("POST", "/clusters/x", b'{"name":"a"}', {}),
        ("POST", "/clusters?x=y", b'{"name":"a"}', {}), ("POST", "/clusters", b'{"name":"a"}', {"Host": "elsewhere.example"}),
        ("POST", "/clusters", b'{"name":"a"}', {"Authorization": "AWS4-HMAC-SHA256 "}), ("POST", "/clusters", b'{"name":"a"}', {"Authorization": "Bearer x"}),
        ("POST", "/clusters", b'{"name":"a"}', {"Authorization": "AWS4-HMAC-SHA256 Credential=///, SignedHeaders=, Signature=zz"}),
        ("POST", "/clusters", b'{"name":"a"}', {"X-Amz-Date": "yesterday"}),
    ):
        fields = dict(good.headers)
        fields.setdefault("Host", f"127.0.0.1:{service.port}")
        answer = send("127.0.0.1", service.port, service.env["AWS_CA_BUNDLE"], method, path, body, {**fields, **changes})
        assert answer.status in (400, 403) and answer.json["message"] and answer.fields["x-amzn-ErrorType"], (method, path, changes, answer)
    # The query protocols in their own form.
    answer = cloud.signed(
        "POST", "/", b"Action=DescribeVpcs&Version=2016-11-15", at=now - 16 * minutes, service="ec2", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status in (400, 401, 403) and b"<Code>" in answer.body and b"<RequestID>" in answer.body, answer
    assert cloud.eks.list_clusters()["clusters"] is not None


def test_malformed_aws_requests(cloud, world):
    json_type = {"Content-Type": "application/json"}
    for method, path, body, status, code in (
        ("POST", "/clusters", b"{", 400, "SerializationException"), ("POST", "/clusters", b"[]", 400, "SerializationException"),
        ("POST", "/clusters", b"\xff\xfe{}", 400, "SerializationException"), ("POST", "/clusters", b'{"name":1}', 400, "InvalidParameterException"),
        ("POST", "/clusters", b"{}", 400, "InvalidParameterException"), ("POST", "/clusters", b"[" * (JSON_DEPTH + 1), 400, "SerializationException"),
        ("POST", "/clusters", b'{"name":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400, "SerializationException"),
        ("POST", "/clusters", b'{"name":"' + b"a" * (1 << 22) + b'"}', 413, "RequestEntityTooLargeException"),
        ("GET", "/clusters?maxResults=0", b"", 400, "InvalidParameterException"), ("GET", "/clusters?maxResults=101", b"", 400, "InvalidParameterException"),
        ("GET", "/clusters?maxResults=99999999999999999999", b"", 400, "InvalidParameterException"),
        ("GET", "/clusters?nextToken=bogus", b"", 400, "InvalidParameterException"), ("PATCH", "/clusters", b"", 404, "UnknownOperationException"),
        ("GET", "/no/such/thing", b"", 404, "UnknownOperationException"),
    ):
        answer = cloud.signed(method, path, body, headers=json_type)
        assert answer.status == status and answer.fields["x-amzn-ErrorType"] == code, (method, path, body[:40], answer)
        assert answer.json["message"], answer
        assert answer.seconds < 4, (path, answer.seconds)
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    for service, body, code in (
        ("ec2", b"Action=Frobnicate&Version=2016-11-15", "InvalidAction"), ("ec2", b"Version=2016-11-15", "MissingAction"),
        ("ec2", b"Action=CreateVpc&Version=2016-11-15", "MissingParameter"), ("ec2", b"Action=CreateVpc&CidrBlock=%zz&Version=2016-11-15", "MalformedQueryString"),
        ("ec2", b"Action=DescribeVpcs&Version=2016-11-15&VpcId.99999999999999999999=x", None), ("ec2", b"Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=bogus", "InvalidParameterValue"),
        ("iam", b"Action=Frobnicate&Version=2010-05-08", "InvalidAction"), ("iam", b"Action=CreateRole&Version=2010-05-08", "ValidationError"),
        ("iam", b"Action=GetRole&RoleName=nobody&Version=2010-05-08", "NoSuchEntity"), ("sts", b"Action=Frobnicate&Version=2011-06-15", "InvalidAction"),
    ):
        answer = cloud.signed("POST", "/", body, service=service, headers=form)
        assert answer.status < 500, (body, answer)
        if code:
            assert answer.status >= 400 and f"<Code>{code}</Code>".encode() in answer.body and b"<Message>" in answer.body, (body, answer)


def test_bad_fields_of_clusters_and_networks(cloud, world):
    create, request, network = cloud.eks.create_cluster, world.request, world.request["resourcesVpcConfig"]
    refused(cloud.eks.describe_cluster, "ResourceNotFoundException", "No cluster found for name: nobody.", name="nobody")
    refused(cloud.eks.delete_cluster, "ResourceNotFoundException", "No cluster found for name: nobody.", name="nobody")
    refused(cloud.eks.list_nodegroups, "ResourceNotFoundException", "No cluster found for name: nobody.", clusterName="nobody")
    for changes, text in (
        ({"roleArn": "arn:aws:iam::1:user/x"}, "is not the ARN of an IAM role"), ({"roleArn": "x"}, "is not the ARN"),
        ({"roleArn": world.roles["cluster"] + "x"}, "does not exist"), ({"roleArn": world.roles["node"]}, "trusted entity is not correct"),
        ({"version": "1.2"}, "unsupported Kubernetes version"), ({"version": ""}, "unsupported Kubernetes version"),
        ({"resourcesVpcConfig": {"subnetIds": []}}, ""), ({"resourcesVpcConfig": {"subnetIds": world.subnets[:1]}}, "two different AZs"),
        ({"resourcesVpcConfig": {"subnetIds": world.subnets + ["subnet-0"]}}, "The subnet ID 'subnet-0' does not exist"),
        ({"resourcesVpcConfig": {**network, "securityGroupIds": ["sg-0"]}}, "The security group 'sg-0' does not exist"),
        ({"resourcesVpcConfig": {**network, "publicAccessCidrs": ["10.0.0.0/33"]}}, "CIDRs are invalid"),
        ({"resourcesVpcConfig": {**network, "endpointPublicAccess": False}}, "cannot both be false"),
        ({"kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.97.0.0/24"}}, "must not overlap"),
        ({"kubernetesNetworkConfig": {"serviceIpv4Cidr": "8.8.8.0/24"}}, "must be a range within"),
        ({"tags": {"aws:x": "y"}}, ""), ({"tags": {"k": "v" * 257}}, ""), ({"tags": {f"k{i}": "v" for i in range(51)}}, ""),
    ):
        refused(create, "InvalidParameterException", text, name="refused", **{**request, **changes})
    for name in ("", "-x", "a/b", "..", "a b", "ä", "a" * (CLUSTER_NAME + 1), "a\n", "a\x00"):
        refused(create, "InvalidParameterException", "name", name=name, **request)
    assert "refused" not in cloud.eks.list_clusters()["clusters"]
    for block in ("10.98.0.0/15", "10.98.0.0/29", "10.98.0.0", "nonsense", "256.0.0.0/16"):
        refused(cloud.ec2.create_vpc, "InvalidVpc.Range" if re.fullmatch(r"10\S+/\d+", block) else "InvalidParameterValue", CidrBlock=block)
    refused(cloud.ec2.create_subnet, "InvalidVpcID.NotFound", VpcId="vpc-0", CidrBlock="10.97.3.0/24")
    refused(cloud.ec2.create_subnet, "InvalidSubnet.Range", VpcId=world.vpc, CidrBlock="10.98.0.0/24")
    refused(cloud.ec2.create_subnet, "InvalidSubnet.Conflict", VpcId=world.vpc, CidrBlock="10.97.0.0/25")
    refused(cloud.ec2.create_subnet, "InvalidParameterValue", VpcId=world.vpc, CidrBlock="10.97.4.0/24", AvailabilityZone="mars-1a")
    refused(cloud.ec2.delete_vpc, "DependencyViolation", VpcId=world.vpc)


def test_bad_fields_of_roles(cloud, world):
    create = cloud.iam.create_role
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
    refused(create, "EntityAlreadyExists", "bad-node", RoleName="bad-node", AssumeRolePolicyDocument=trust)
    refused(create, "ValidationError", "length", RoleName="r" * (ROLE_NAME + 1), AssumeRolePolicyDocument=trust)
    refused(create, "ValidationError", RoleName="a/b", AssumeRolePolicyDocument=trust)
    for document in ("{", "[]", "{}", "x" * 10, "[" * (JSON_DEPTH + 1), json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Maybe"}]})):
        refused(create, "MalformedPolicyDocument", RoleName="malformed", AssumeRolePolicyDocument=document)
    refused(cloud.iam.attach_role_policy, "NoSuchEntity", RoleName="bad-node", PolicyArn="arn:aws:iam::aws:policy/Nothing")
    refused(cloud.iam.delete_role, "DeleteConflict", RoleName="bad-node")
    longest = "r" * ROLE_NAME
    create(RoleName=longest, AssumeRolePolicyDocument=trust)
    cloud.iam.delete_role(RoleName=longest)


def test_paths_do_not_leave_their_place(service, cloud, cluster):
    for path in ("/clusters/..", "/clusters/../clusters", "/clusters/%2e%2e", "/clusters/bad%2f..%2fx", "/clusters/bad/../bad", "//clusters", "/clusters/%00", "/clusters/%zz", "/%2fclusters"):
        answer = cloud.signed("GET", path)
        assert answer.status in (400, 403, 404) and answer.json["message"], (path, answer)
    for path in (
        "/api/v1/namespaces/default/../../../../etc/passwd", "/api/v1/namespaces/default/configmaps/..", "/api/v1/namespaces/default/configmaps/%2e%2e",
        "/api/v1/namespaces/default%2fconfigmaps/x", "/api/v1/namespaces/..%2fkube-system/secrets", "/api/v1//namespaces", "/api/v1/namespaces/./default",
        "/api/v1/namespaces/default/configmaps/a%00b", "/api/v1/namespaces/default/configmaps/%zz", "/../api/v1/namespaces", "/api/v1/namespaces/%2e%2e/configmaps/x",
        "/apis/apps/v1/namespaces/default/deployments/..%2f..%2fx/status", "/api/v1/nodes/..%2fx/proxy/logs", "/api/v1/nodes/x/proxy/..%2f..%2fetc",
    ):
        for method in ("GET", "PUT", "DELETE"):
            answer = cluster.request(method, path, config_map("x") if method == "PUT" else b"")
            assert answer.status in (400, 403, 404, 405), (method, path, answer)
    assert not (service.data / "x").exists()


# The API server.


def test_tokens_that_are_none(cluster, cloud, service):
    """Expired, from the future, for another cluster, changed, cut, forged: 401, and kubectl says so."""
    def token(name="bad", at=None, expires=60, secret=None, extra="", region=REGION):
        credentials = botocore.credentials.Credentials(cloud.credentials.access_key, secret or cloud.credentials.secret_key)
        request = botocore.awsrequest.AWSRequest("GET", f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15{extra}", headers={"x-k8s-aws-id": name})
        original = botocore.auth.get_current_datetime
        if at is not None:
            botocore.auth.get_current_datetime = lambda *_, **__: at
        try:
            botocore.auth.SigV4QueryAuth(credentials, "sts", region, expires=expires).add_auth(request)
        finally:
            botocore.auth.get_current_datetime = original
        return "k8s-aws-v1." + base64.urlsafe_b64encode(request.url.encode()).decode().rstrip("=")
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    minutes = datetime.timedelta(minutes=1)
    good = token()
    assert cluster.request("GET", "/api/v1/namespaces", token=good).status == 200
    assert cluster.request("GET", "/api/v1/namespaces", token=token(at=now - 14 * minutes)).status == 200, "tokens hold for 15 minutes"
    url = base64.urlsafe_b64decode(good.removeprefix("k8s-aws-v1.") + "==").decode()
    def forged(text):
        return "k8s-aws-v1." + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    bad = [
        token(at=now - 16 * minutes), token(at=now + 6 * minutes), token(name="other"), token(secret="x" * 40), token(expires=901), token(extra="&X-Amz-Expires=60"), "k8s-aws-v1.",
        "k8s-aws-v1.%%%", good[:-6], good + "A" * 5_000, good.replace("k8s-aws-v1.", "k8s-aws-v2."), "x", forged(url.replace("GetCallerIdentity", "AssumeRole")),
        forged(url.replace("https://", "http://")), forged(url.replace("amazonaws.com", "amazonaws.example")), forged(url + "&x-amz-expires=900"), forged(url + "&a=b"),
        forged(url.replace(".com/?", ".com/x?")), forged("https://" + "a" * 100), "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06bWFzdGVycyJ9.", "a.b.c", "..",
    ]
    # One changed character at each of many places.
    bad += [good[:i] + ("A" if good[i] != "A" else "B") + good[i + 1:] for i in range(12, len(good) - 1, max(1, len(good) // 40))]
    for value in bad:
        is_status(cluster.request("GET", "/api/v1/namespaces", token=value), 401, "Unauthorized")
    for value in (bad[0], bad[3], good[:-6]):
        result = cluster.kubectl("get", "pods", token=value, check=False)
        assert result.returncode == 1 and ("Unauthorized" in result.stdout or "must be logged in" in result.stdout), result.stdout
    assert send(cluster.host, cluster.port, cluster.authority, "GET", "/api/v1/namespaces", b"", {}).status == 401


def test_malformed_kubernetes_requests(cluster):
    request, maps = cluster.request, CONFIG_MAPS
    for answer, code, reason in (
        (request("POST", maps, b"{"), 400, "BadRequest"), (request("POST", maps, b""), 400, "BadRequest"), (request("POST", maps, b"[]"), 400, "BadRequest"),
        (request("POST", maps, b"\xff\xfe"), 400, "BadRequest"), (request("POST", maps, b"{}"), 422, "Invalid"),
        (request("POST", maps, b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}'), 400, "BadRequest"),
        (request("POST", maps, b'{"apiVersion":"v2","kind":"ConfigMap","metadata":{"name":"x"}}'), 400, "BadRequest"),
        (request("POST", maps, b'{"apiVersion":"v1","kind":"ConfigMap","metadata":[]}'), 400, "BadRequest"),
        (request("POST", maps, b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":5}}'), 400, "BadRequest"),
        (request("POST", maps, b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":1}}'), 400, "BadRequest"),
        (request("POST", maps, b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"other"}}'), 400, "BadRequest"),
        (request("POST", maps, b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}'), 422, "Invalid"),
        (request("POST", maps, config_map("Ä")), 422, "Invalid"), (request("POST", maps, config_map("a/b")), 422, "Invalid"), (request("POST", maps, config_map("..")), 422, "Invalid"),
        (request("POST", maps, config_map("x", {"a/b": "c"})), 422, "Invalid"), (request("POST", maps, config_map("x"), "text/html"), 415, "UnsupportedMediaType"),
        (request("POST", "/api/v1/namespaces/nowhere/configmaps", config_map("x")), 404, "NotFound"), (request("GET", maps + "/nobody"), 404, "NotFound"),
        (request("GET", "/api/v1/frobs"), 404, "NotFound"), (request("GET", "/apis/nowhere.example/v1/things"), 404, "NotFound"),
        (request("PUT", maps, config_map("x")), 405, "MethodNotAllowed"), (request("POST", maps + "/x", config_map("x")), 405, "MethodNotAllowed"),
        (request("PROPFIND", maps), 405, "MethodNotAllowed"), (request("GET", maps + "?labelSelector=a=!b"), 400, "BadRequest"),
        (request("GET", maps + "?labelSelector=a%20in%20("), 400, "BadRequest"), (request("GET", maps + "?fieldSelector=data.x=y"), 400, "BadRequest"),
        (request("GET", maps + "?limit=x"), 400, "BadRequest"), (request("GET", maps + "?continue=bogus&limit=1"), 400, "BadRequest"),
        (request("GET", maps + "?resourceVersion=x"), 422, "Invalid"), (request("GET", maps + "?watch=1&resourceVersion=x"), 422, "Invalid"),
        (request("GET", maps, Accept="image/png"), 406, "NotAcceptable"), (request("PUT", maps + "/x", config_map("y")), 400, "BadRequest"),
        (request("PATCH", "/api/v1/namespaces/default", b"{}", "application/frob-patch+json"), 415, "UnsupportedMediaType"),
        (request("PATCH", "/api/v1/namespaces/default", b"[{}]", "application/json-patch+json"), 422, "Invalid"),
        (request("PATCH", "/api/v1/namespaces/default", b"5", "application/merge-patch+json"), 400, "BadRequest"),
        (request("PATCH", "/api/v1/namespaces/default", b'[{"op":"remove","path":"/no/such"}]', "application/json-patch+json"), 422, "Invalid"),
        (request("DELETE", "/api/v1/namespaces/default"), 403, "Forbidden"),
        (request("DELETE", "/api/v1/namespaces/kube-node-lease", b'{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"x"}}'), 409, "Conflict"),
    ):
        is_status(answer, code, reason)
    assert request("GET", maps + "/x").status == 404


def test_names_at_their_limits(cluster):
    def create(name, **metadata):
        body = config_map(name)
        body["metadata"].update(metadata)
        return cluster.request("POST", CONFIG_MAPS, body)
    longest = "n" * OBJECT_NAME
    assert create(longest).status == 201 and cluster.request("GET", f"{CONFIG_MAPS}/{longest}").status == 200
    is_status(create("n" * (OBJECT_NAME + 1)), 422, "Invalid", "must be no more than 253")
    assert create("labelled", labels={"k": "v" * LABEL_VALUE}).status == 201
    is_status(create("over", labels={"k": "v" * (LABEL_VALUE + 1)}), 422, "Invalid", "must be no more than 63")
    is_status(create("over", labels={"k" * 64: "v"}), 422, "Invalid")
    assert create("annotated", annotations={"k": "v" * ((256 << 10) - 1)}).status == 201
    is_status(create("over", annotations={"k": "v" * (256 << 10)}), 422, "Invalid", "may not be more than 262144")
    is_status(cluster.request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n" * 64}}), 422, "Invalid")
    is_status(create("", generateName="Bad_"), 422, "Invalid")
    generated = create("", generateName="g" * OBJECT_NAME)
    assert generated.status == 201 and len(generated.json["metadata"]["name"]) <= OBJECT_NAME
    is_status(cluster.request("POST", CONFIG_MAPS, config_map("fat", {"k": "v" * (1 << 20), "l": "x"})), 422, "Invalid")
    for name in (longest, "labelled", "annotated", generated.json["metadata"]["name"]):
        assert cluster.request("DELETE", f"{CONFIG_MAPS}/{name}").status == 200


def test_bodies_that_are_too_much(cluster, service, tmp_path):
    """3 MiB and a byte, 10,001 levels, 10,001 patch operations: refused, and soon."""
    big = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"data":{"k":"' + b"v" * KUBERNETES_BODY + b'"}}'
    answers = [cluster.request("POST", CONFIG_MAPS, big) for _ in range(3)]
    for answer in answers:
        is_status(answer, 413, "RequestEntityTooLarge", "limit is 3145728")
    assert min(answer.seconds for answer in answers) < 0.5, [answer.seconds for answer in answers]
    answer = cluster.request("POST", CONFIG_MAPS, big[:KUBERNETES_BODY + 1], token="nobody")
    assert answer.status == 401 and answer.seconds < 2, answer
    (tmp_path / "big.json").write_bytes(big)
    result = cluster.kubectl("create", "--validate=false", "-f", tmp_path / "big.json", check=False)
    assert result.returncode != 0 and "Request entity too large: limit is 3145728" in result.stdout, result.stdout[-500:]
    deep = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"x":' + b"[" * (JSON_DEPTH + 1) + b"]" * (JSON_DEPTH + 1) + b"}"
    for body in (deep, b"[" * 1_000_000, b'{"a":' * 100_000):
        answer = cluster.request("POST", CONFIG_MAPS, body)
        is_status(answer, 400, "BadRequest")
        assert answer.seconds < 3, answer.seconds
    operations = json.dumps([{"op": "test", "path": "/kind", "value": "Namespace"}] * (PATCH_OPERATIONS + 1)).encode()
    is_status(cluster.request("PATCH", "/api/v1/namespaces/default", operations, "application/json-patch+json"), 413, None, "10000")
    is_status(cluster.request("PATCH", "/api/v1/namespaces/default", deep, "application/merge-patch+json"), 400)
    selector = "a in (" + ",".join(f"v{i}" for i in range(2000)) + ")"
    assert cluster.request("GET", CONFIG_MAPS + "?labelSelector=" + selector.replace(" ", "%20")).status in (200, 400, 414, 431)
    assert is_status(cluster.request("GET", CONFIG_MAPS + "/deep"), 404)


def test_what_is_no_http(service, cluster):
    """Bytes that are no TLS, no HTTP, too long a head, two lengths: the connection ends, the server does not."""
    def raw(port, authority, data, tls=True):
        with socket.create_connection((cluster.host, port), timeout=10) as plain:
            link = ssl.create_default_context(cafile=authority).wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain
            try:
                link.sendall(data)
                received = b""
                while not re.match(rb"HTTP/1\.1 \d+", received):
                    piece = link.recv(65536)
                    if not piece:
                        break
                    received += piece
                return received
            except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
                return b""
    for port, authority in ((service.port, service.env["AWS_CA_BUNDLE"]), (cluster.port, cluster.authority)):
        assert not re.match(rb"HTTP/1\.1 2", raw(port, authority, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", tls=False))
        raw(port, authority, os.urandom(4096) + b"\r\n\r\n", tls=False)
        for data, statuses in (
            (b"\x00\x01\x02\r\n\r\n", (400,)), (b"GET /\r\n\r\n", (400, 505)), (b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", (400, 431)),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400, 401, 403)),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", (400,)), (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", (400,)),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", (400, 413)), (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", (400, 401, 403, 404)),
        ):
            answer = raw(port, authority, data)
            status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else None
            assert status is None or status in statuses, (data[:60], answer[:200])
    assert cluster.request("GET", "/readyz").body == b"ok"


# Many at once.


def at_once(count, call):
    def guarded(index):
        try:
            return call(index)
        except ClientError as error:
            return error.response["Error"]["Code"]
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(guarded, range(count)))


def test_creating_the_same_at_once(cloud, cluster, world):
    answers = at_once(8, lambda index: cluster.request("POST", CONFIG_MAPS, config_map("twin", {"by": str(index)})))
    created = [answer for answer in answers if answer.status == 201]
    assert len(created) == 1, answers
    for answer in answers:
        if answer.status != 201:
            is_status(answer, 409, "AlreadyExists")
    assert cluster.request("GET", CONFIG_MAPS + "/twin").json["data"] == created[0].json["data"]
    version = created[0].json["metadata"]["resourceVersion"]
    body = {**config_map("twin"), "metadata": {"name": "twin", "resourceVersion": version}}
    answers = at_once(8, lambda index: cluster.request("PUT", CONFIG_MAPS + "/twin", {**body, "data": {"changed-by": str(index)}}))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7, answers
    answers = at_once(8, lambda index: cluster.request("DELETE", CONFIG_MAPS + "/twin"))
    assert sorted(answer.status for answer in answers) == [200] + [404] * 7, answers

    answers = at_once(8, lambda index: cloud.eks.create_cluster(name="twin", **world.request))
    assert len([a for a in answers if isinstance(a, dict)]) == 1 and answers.count("ResourceInUseException") == 7, answers
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
    answers = at_once(8, lambda index: cloud.iam.create_role(RoleName="twin", AssumeRolePolicyDocument=trust))
    assert len([a for a in answers if isinstance(a, dict)]) == 1 and answers.count("EntityAlreadyExists") == 7, answers
    answers = at_once(8, lambda index: cloud.ec2.create_subnet(VpcId=world.vpc, CidrBlock="10.97.9.0/24"))
    assert len([a for a in answers if isinstance(a, dict)]) == 1 and answers.count("InvalidSubnet.Conflict") == 7, answers

    # The same request, sent again while the first is on its way, is the same cluster; another with its token is not.
    answers = at_once(8, lambda index: cloud.eks.create_cluster(name="again", clientRequestToken="the-token", **world.request))
    assert len({a["cluster"]["arn"] + str(a["cluster"]["createdAt"]) for a in answers if isinstance(a, dict)}) == 1 and all(isinstance(a, dict) for a in answers), answers
    refused(cloud.eks.create_cluster, "InvalidParameterException", name="another", clientRequestToken="the-token", **world.request)
    for name in ("twin", "again"):
        at_once(4, lambda index: cloud.eks.delete_cluster(name=name))
    for name in ("twin", "again"):
        gone(cloud, name)


def test_names_of_clusters_and_node_groups_at_their_limits(cloud, world, cluster):
    longest = "c" * CLUSTER_NAME
    cloud.eks.create_cluster(name=longest, **world.request)
    active(cloud, longest)
    group = dict(clusterName=longest, subnets=world.subnets, nodeRole=world.roles["node"], scalingConfig={"minSize": 0, "maxSize": 1, "desiredSize": 0})
    for name in ("", "g" * (NODEGROUP_NAME + 1), "-g", "a/b", ".."):
        refused(cloud.eks.create_nodegroup, "InvalidParameterException", nodegroupName=name, **group)
    cloud.eks.create_nodegroup(nodegroupName="g" * NODEGROUP_NAME, **group)
    refused(cloud.eks.delete_cluster, "ResourceInUseException", "Cluster has nodegroups attached", name=longest)
    assert cloud.eks.describe_cluster(name=longest)["cluster"]["status"] == "ACTIVE"
    cloud.eks.delete_nodegroup(clusterName=longest, nodegroupName="g" * NODEGROUP_NAME)
    wait_for(lambda: not cloud.eks.list_nodegroups(clusterName=longest)["nodegroups"], "the node group deleted", every=0.05)
    cloud.eks.delete_cluster(name=longest)
    gone(cloud, longest)


def test_bad_fields_of_node_groups(cloud, world, cluster):
    good = dict(
        clusterName="bad", nodegroupName="refused", subnets=world.subnets, nodeRole=world.roles["node"], scalingConfig={"minSize": 0, "maxSize": 1, "desiredSize": 0})
    refused(cloud.eks.create_nodegroup, "ResourceNotFoundException", "No cluster found for name: nobody.", **{**good, "clusterName": "nobody"})
    for changes, text in (
        ({"scalingConfig": {"minSize": 3, "maxSize": 1, "desiredSize": 1}}, "can't be greater than"), ({"scalingConfig": {"minSize": -1, "maxSize": 1, "desiredSize": 0}}, ""),
        ({"scalingConfig": {"minSize": 0, "maxSize": 1, "desiredSize": 2}}, "can't be greater than"), ({"scalingConfig": {"minSize": 0, "maxSize": 10**18, "desiredSize": 0}}, ""),
        ({"scalingConfig": {"minSize": 0, "maxSize": 2**70, "desiredSize": 0}}, ""), ({"subnets": []}, ""), ({"subnets": ["subnet-0"]}, "does not exist"),
        ({"nodeRole": world.roles["cluster"]}, "service principals [ec2.amazonaws.com]"), ({"nodeRole": "x"}, "is not the ARN"), ({"instanceTypes": ["z9.huge"]}, "do not exist: [z9.huge]"),
        ({"labels": {"kubernetes.io/x": "y"}}, "reserved prefixes"), ({"labels": {"a b": "c"}}, "Invalid label"), ({"labels": {"k": "v" * 64}}, ""), ({"diskSize": 0}, "diskSize"),
        ({"taints": [{"key": "a b", "effect": "NO_SCHEDULE"}]}, "Invalid taint"), ({"taints": [{"key": "a", "effect": "MAYBE"}]}, "effect"), ({"amiType": "FROB"}, ""),
        ({"capacityType": "FREE"}, ""), ({"version": "1.2"}, "version"), ({"updateConfig": {"maxUnavailable": 0}}, ""),
        ({"warmPoolConfig": {"maxGroupPreparedCapacity": -2}}, "maxGroupPreparedCapacity"), ({"warmPoolConfig": {"minSize": 10**9}}, "minSize"),
        ({"warmPoolConfig": {"poolState": "Stopped"}}, "STOPPED"),
    ):
        refused(cloud.eks.create_nodegroup, "InvalidParameterException", text, **{**good, **changes})
    assert cloud.eks.list_nodegroups(clusterName="bad")["nodegroups"] == []
    refused(cloud.eks.describe_nodegroup, "ResourceNotFoundException", "refused", clusterName="bad", nodegroupName="refused")
    refused(cloud.eks.update_nodegroup_config, "ResourceNotFoundException", "refused", clusterName="bad", nodegroupName="refused", scalingConfig={"desiredSize": 1})


# The machine around it.


def test_a_vpc_whose_addresses_this_host_uses_already(cloud, world, cluster):
    """AWS may have two VPCs of one range; one host cannot: the cluster fails and says what to do, and can be deleted."""
    vpc = cloud.ec2.create_vpc(CidrBlock="10.97.0.0/22")["Vpc"]["VpcId"]
    subnets = [
        cloud.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.97.{i}.0/24", AvailabilityZone=REGION + zone)["Subnet"]["SubnetId"] for i, zone in enumerate("ab")]
    cloud.eks.create_cluster(name="overlap", **{**world.request, "resourcesVpcConfig": {"subnetIds": subnets}})

    def failed():
        found = cloud.eks.describe_cluster(name="overlap")["cluster"]
        return found if found["status"] == "FAILED" else None
    issue = wait_for(failed, "FAILED", timeout=20, every=0.1)["health"]["issues"][0]
    assert world.vpc in issue["message"] and "use another range" in issue["message"], issue
    assert cluster.ready()
    cloud.eks.delete_cluster(name="overlap")
    gone(cloud, "overlap")
    for subnet in subnets:
        cloud.ec2.delete_subnet(SubnetId=subnet)
    cloud.ec2.delete_vpc(VpcId=vpc)


def test_a_damaged_cluster_store(service, cloud, world, cluster):
    """One cluster's damaged file is that cluster's trouble: it says so, the others serve, and it can be deleted."""
    cloud.eks.create_cluster(name="damaged", **world.request)
    active(cloud, "damaged")
    service.stop()
    store = service.data / "clusters/damaged/store.db"
    store.write_bytes(b"this is no database" * 1000)
    service.start()

    def told():
        issues = cloud.eks.describe_cluster(name="damaged")["cluster"]["health"]["issues"]
        return issues and issues[0]
    issue = wait_for(told, "a health issue", timeout=20, every=0.1)
    assert issue["code"] == "ClusterUnreachable" and "not a database" in issue["message"], issue
    wait_for(cluster.ready, "the other cluster is back")
    assert store.read_bytes().startswith(b"this is no database"), "what may be mended is left as it is"
    cloud.eks.delete_cluster(name="damaged")
    gone(cloud, "damaged")


def group_status(cloud, name, *wanted):
    """Waits for a status of a node group and returns its health."""
    def check():
        group = cloud.eks.describe_nodegroup(clusterName="bad", nodegroupName=name)["nodegroup"]
        return group if group["status"] in wanted else None
    return wait_for(check, f"node group {name} {wanted}", timeout=60, every=0.1)


def delete_group(cloud, name):
    cloud.eks.delete_nodegroup(clusterName="bad", nodegroupName=name)
    wait_for(lambda: name not in cloud.eks.list_nodegroups(clusterName="bad")["nodegroups"], f"node group {name} deleted", timeout=60, every=0.1)


def test_containerd_is_missing(service, cloud, world, cluster, tmp_path):
    """With a PATH without it: the node group says what to install; the cluster and everything else go on; installed, the next group works."""
    for directory in reversed(("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")):
        for program in pathlib.Path(directory).glob("*"):
            link = tmp_path / program.name
            link.unlink(missing_ok=True)
            if program.name != "containerd":
                link.symlink_to(program)
    service.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        service.start()
    try:
        process = service.process.pid
        wait_for(cluster.ready, "the API server is back")
        sizes = {"minSize": 0, "maxSize": 1, "desiredSize": 1}
        cloud.eks.create_nodegroup(clusterName="bad", nodegroupName="bare", subnets=[world.subnets[0]], nodeRole=world.roles["node"], scalingConfig=sizes)
        group = group_status(cloud, "bare", "CREATE_FAILED")
        issue = group["health"]["issues"][0]
        assert issue["code"] == "AsgInstanceLaunchFailures" and "containerd" in issue["message"] and "apt-get install containerd" in issue["message"], issue
        assert issue["resourceIds"], issue
        answer = service.aws("eks", "describe-nodegroup", "--cluster-name", "bad", "--nodegroup-name", "bare")
        assert "apt-get install containerd" in json.dumps(answer)
        waiter = cloud.eks.get_waiter("nodegroup_active")
        with pytest.raises(Exception, match="CREATE_FAILED"):
            waiter.wait(clusterName="bad", nodegroupName="bare", WaiterConfig={"Delay": 1, "MaxAttempts": 3})
        assert cluster.request("POST", CONFIG_MAPS, config_map("goes-on")).status == 201
        delete_group(cloud, "bare")
        assert service.process.pid == process and service.process.poll() is None
    finally:
        service.stop()
        service.start()
    wait_for(cluster.ready, "the API server is back")
    assert cluster.request("GET", CONFIG_MAPS + "/goes-on").status == 200


def test_images_that_cannot_run(service, cloud, world, cluster):
    """A real node: what cannot be pulled or started waits with its reason, and says why in the pod's events."""
    sizes = {"minSize": 0, "maxSize": 2, "desiredSize": 1}
    cloud.eks.create_nodegroup(clusterName="bad", nodegroupName="tiny", subnets=[world.tiny], nodeRole=world.roles["node"], scalingConfig=sizes)
    group_status(cloud, "tiny", "ACTIVE")
    cluster.kubectl("create", "serviceaccount", "default", check=False)
    images = {
        "missing": ({"image": "127.0.0.1:1/no/such:1"}, ("ErrImagePull", "ImagePullBackOff"), "Failed to pull image"),
        "invalid": ({"image": "UPPER/case:x"}, ("InvalidImageName",), "InvalidImageName"),
        "never": ({"image": "127.0.0.1:1/no/such:1", "imagePullPolicy": "Never"}, ("ErrImageNeverPull",), "ErrImageNeverPull"),
    }
    for name, (container, _, _) in images.items():
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", **container}]}}
        answer = cluster.request("POST", "/api/v1/namespaces/default/pods", body)
        assert answer.status == 201, answer
    for name, (_, reasons, _) in images.items():
        def waits():
            statuses = cluster.request("GET", f"/api/v1/namespaces/default/pods/{name}").json["status"].get("containerStatuses", [])
            waiting = statuses[0]["state"].get("waiting", {}) if statuses else {}
            return waiting.get("reason") in reasons and waiting.get("message")
        wait_for(waits, f"{name}: {reasons}", timeout=30)
    for name, (_, _, event) in images.items():
        wait_for(lambda: event in cluster.kubectl("describe", "pod", name), f"an event of {name}", timeout=20)
    assert "back-off pulling" in cluster.kubectl("describe", "pod", "missing").lower() or "ErrImagePull" in cluster.kubectl("get", "pod", "missing")
    assert cluster.kubectl("logs", "missing", check=False).returncode != 0
    result = cluster.kubectl("exec", "missing", "--", "true", check=False)
    assert result.returncode != 0 and "container" in result.stdout, result.stdout
    assert cluster.kubectl("logs", "missing", "-c", "nobody", check=False).stdout.startswith("error: container nobody is not valid for pod missing")


def test_subnets_with_too_few_addresses(cloud, world, cluster):
    """The node above took most of a /28: a cluster is refused at once, a node group fails with the code EKS has for it."""
    free = cloud.ec2.describe_subnets(SubnetIds=[world.tiny])["Subnets"][0]["AvailableIpAddressCount"]
    assert free < 6, free
    request = {**world.request, "resourcesVpcConfig": {"subnetIds": [world.subnets[0], world.tiny]}}
    refused(cloud.eks.create_cluster, "InvalidParameterException", f"subnet {world.tiny} has {free} free addresses, EKS needs 6", name="crowded", **request)
    assert "crowded" not in cloud.eks.list_clusters()["clusters"]
    sizes = {"minSize": 0, "maxSize": 9, "desiredSize": 9}
    cloud.eks.create_nodegroup(clusterName="bad", nodegroupName="crowded", subnets=[world.tiny], nodeRole=world.roles["node"], scalingConfig=sizes)
    group = group_status(cloud, "crowded", "CREATE_FAILED")
    issue = group["health"]["issues"][0]
    assert issue["code"] == "InsufficientFreeAddresses" and world.tiny in issue["message"] and issue["resourceIds"] == [world.tiny], issue
    delete_group(cloud, "crowded")
    assert cloud.eks.describe_cluster(name="bad")["cluster"]["status"] == "ACTIVE"


def test_deleting_a_cluster_with_node_groups(service, cloud, cluster):
    result = service.aws("eks", "delete-cluster", "--name", "bad", check=False)
    assert result.returncode != 0 and "ResourceInUseException" in result.stdout and "nodegroups attached" in result.stdout, result.stdout
    assert cloud.eks.describe_cluster(name="bad")["cluster"]["status"] == "ACTIVE"
    for name in cluster.kubectl("get", "pods", "-o", "name").split():
        cluster.kubectl("delete", name, "--wait=false")
    delete_group(cloud, "tiny")


# The disk.


@pytest.fixture
def small_disk(tmp_path):
    """A service whose data directory is on 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=True)
    other = Service(tmp_path, {})
    other.data = disk / "data"
    try:
        other.start()
        yield other, disk
    finally:
        other.stop()
        clean_up(other)
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk(small_disk):
    """Writes are refused with a clear error, reads go on, what was acknowledged is there afterwards, and writes work again when there is space."""
    other, disk = small_disk
    cloud = Cloud(other)
    world = make_world(cloud, third_octet=128)
    cloud.eks.create_cluster(name="full", **world.request)
    active(cloud, "full")
    cluster = Kubernetes(other, "full", cloud)
    process = other.process.pid
    acknowledged, filler = {}, disk / "filler"

    def create(name):
        answer = cluster.request("POST", CONFIG_MAPS, config_map(name, {"k": name * 2000}))
        if answer.status == 201:
            acknowledged[name] = answer.json["metadata"]["uid"]
        return answer

    def check_all():
        items = {item["metadata"]["name"]: item["metadata"]["uid"] for item in cluster.request("GET", CONFIG_MAPS).json["items"]}
        for name, uid in acknowledged.items():
            assert items.get(name) == uid, f"{name} was acknowledged and is gone"

    for index in range(20):
        assert create(f"before-{index}").status == 201
    role = cloud.iam.create_user(UserName="kept")["User"]["Arn"]
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
    # The log may have room of its own for a few: write until it has not.
    refusal = wait_for(lambda: next((a for a in (create(f"full-{time.monotonic_ns()}") for _ in range(20)) if a.status != 201), None), "a write refused", timeout=30, every=0)
    status = is_status(refusal, 503, "ServiceUnavailable", "no space left")
    assert status["message"].startswith("storage is unavailable")
    for index in range(5):
        is_status(cluster.request("PATCH", CONFIG_MAPS + "/before-1", {"data": {"k": "v" * 20000}}, "application/merge-patch+json"), 503, "ServiceUnavailable")
    result = cluster.kubectl("create", "configmap", "by-kubectl", "--from-literal=k=" + "v" * 100_000, check=False)
    assert result.returncode != 0 and "no space left" in result.stdout, result.stdout
    check_all()
    assert cluster.request("GET", "/livez").status == 200
    users = 0

    def fill_records():
        nonlocal users
        try:
            cloud.iam.create_user(UserName=f"u{users}", Tags=[{"Key": "k", "Value": "v" * 256}])
        except ClientError as error:
            return error
        users += 1
    error = wait_for(fill_records, "an AWS write refused", timeout=30, every=0).response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 503 and error["Error"]["Code"] == "ServiceUnavailable" and "no space left" in error["Error"]["Message"], error
    error = refused(cloud.eks.create_cluster, "ServiceUnavailableException", "no space left", name="never", **world.request)
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 503
    refused(cloud.ec2.create_vpc, "Unavailable", "no space left", CidrBlock="10.97.64.0/20")
    assert cloud.eks.list_clusters()["clusters"] == ["full"] and cloud.iam.get_user(UserName="kept")["User"]["Arn"] == role
    assert cloud.eks.describe_cluster(name="full")["cluster"]["status"] == "ACTIVE"
    assert len(cloud.iam.list_users()["Users"]) >= min(users, 100)
    # A start on the full disk says what is wrong, or serves what there is.
    other.kill()
    result = eyrie(other, "env", "--data-dir", other.data)
    assert result.returncode == 0 and "AWS_ENDPOINT_URL" in result.stdout and "is not running" in result.stderr, result
    result = None
    try:
        result = eyrie(other, "serve", "--data-dir", other.data, "--listen", f"127.0.0.1:{other.port}", timeout=3)
    except subprocess.TimeoutExpired:
        pass
    if result is not None:
        explains(result, "pace left")
        print(result.stderr)
    filler.unlink()
    other.start()
    wait_for(cluster.ready, "ready again")
    check_all()
    assert cloud.iam.get_user(UserName="kept")["User"]["Arn"] == role
    assert process != other.process.pid
    # And without a restart.
    process = other.process.pid
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
    wait_for(lambda: create(f"again-{time.monotonic_ns()}").status == 503, "a write refused", timeout=30, every=0)
    filler.unlink()
    assert create("after").status == 201, "space is back: so are writes, at once"
    cloud.iam.create_user(UserName="after")
    check_all()
    assert other.process.pid == process and other.process.poll() is None
    cloud.eks.delete_cluster(name="full")
    gone(cloud, "full")


def test_nothing_is_left(service, cloud, cluster):
    cloud.eks.delete_cluster(name="bad")
    gone(cloud, "bad")
    log = (service.directory / "serve.log").read_text()
    assert "Fatal error" not in log and "Crash" not in log
    assert cloud.credentials.secret_key not in log and cluster.token not in log, "secrets are not logged"
    service.stop()
    service.has_ended = True
    assert service.process.returncode == 0
    wait_for(lambda: not set(leftovers()) - service.found or print(leftovers()), "nothing left on the host (see the output)", timeout=20, every=0.5)
