"""A cluster through the official Python client, with objects as they are on the wire, and through kubectl."""
import contextlib
import json
import subprocess
import urllib.parse

import kubernetes
import pytest
from conftest import wait_for
from kubernetes.client.rest import ApiException
from kubernetes.watch.watch import iter_resp_lines

# How long a watch waits for its next event, in seconds.
NEXT_EVENT = 30
PATCHES = {"merge": "merge-patch", "strategic": "strategic-merge-patch", "json": "json-patch", "apply": "apply-patch"}


class Answer:
    """What came back of one request."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.data

    @property
    def json(self):
        return json.loads(self.body)


class Watch:
    """An open watch; events are read one after the other."""

    def __init__(self, response):
        self.response = response
        self.lines = iter_resp_lines(response)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.response.close()

    def event(self):
        """The next event whatever it is, as (type, object)."""
        event = json.loads(next(self.lines))
        return event["type"], event["object"]

    def next(self, kind, where=lambda object: True):
        """Skips events until one of that type whose object is as asked, and returns the object."""
        seen = []
        try:
            while True:
                event, object = self.event()
                if event == kind and where(object):
                    return object
                seen.append((event, object.get("metadata", {}).get("name")))
        except (StopIteration, OSError) as end:
            raise AssertionError(f"no such {kind} event before the watch ended; seen: {seen}") from end
        except Exception as end:
            raise AssertionError(f"no such {kind} event within {NEXT_EVENT} s; seen: {seen}") from end


class Resource:
    """The objects of one resource, in a namespace or none."""

    def __init__(self, cluster, api_version, plural, namespace=None):
        self.cluster, self.api_version, self.plural = cluster, api_version, plural
        prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        self.base = f"{prefix}/namespaces/{namespace}/{plural}" if namespace else f"{prefix}/{plural}"

    def path(self, name=None, sub=None):
        return "/".join(part for part in (self.base, name, sub) if part)

    def create(self, object, name=None, sub=None, **query):
        return self.cluster.request("POST", self.path(name, sub), object, query).json

    def get(self, name, sub=None, **query):
        return self.cluster.request("GET", self.path(name, sub), query=query).json

    def list(self, **query):
        return self.cluster.request("GET", self.path(), query=query).json

    def names(self, **query):
        return [item["metadata"]["name"] for item in self.list(**query)["items"]]

    def replace(self, object, sub=None, **query):
        return self.cluster.request("PUT", self.path(object["metadata"]["name"], sub), object, query).json

    def update(self, name, change, sub=None):
        """Reads, changes and writes, again when somebody else wrote in between."""
        while True:
            object = self.get(name)
            change(object)
            try:
                return self.replace(object, sub)
            except ApiException as error:
                if error.status != 409:
                    raise

    def patch(self, name, patch, kind="merge", sub=None, **query):
        return self.cluster.request("PATCH", self.path(name, sub), patch, query, content=f"application/{PATCHES[kind]}+json").json

    def apply(self, name, text, **query):
        """Server-side apply of YAML text, just as it stands."""
        query = {"fieldManager": "conformance", **query}
        return self.cluster.request("PATCH", self.path(name), text, query, content="application/apply-patch+yaml").json

    def delete(self, name, options=None, **query):
        return self.cluster.request("DELETE", self.path(name), options, query).json

    def delete_collection(self, options=None, **query):
        return self.cluster.request("DELETE", self.path(), options, query).json

    def gone(self, name):
        try:
            self.get(name)
            return False
        except ApiException as error:
            if error.status != 404:
                raise
            return True

    def wait_gone(self, name, timeout=60):
        wait_for(lambda: self.gone(name), f"{self.plural}/{name} is gone", timeout=timeout, every=0.05)

    def wait(self, name, condition, what, timeout=60, sub=None):
        """Waits until condition(object) is true, and returns the object."""
        seen = {}
        def check():
            object = seen["last"] = self.get(name, sub)
            return object if condition(object) else None
        try:
            return wait_for(check, f"{self.plural}/{name}: {what}", timeout=timeout, every=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}; {json.dumps(seen.get('last', {}).get('status'))}") from None

    def watch(self, **query):
        query = {"watch": "true", "timeoutSeconds": 120, **query}
        return Watch(self.cluster.open("GET", self.path(), query, timeout=NEXT_EVENT))


class Cluster:
    def __init__(self, service, name, nodes):
        self.service, self.name = service, name
        self.kubeconfig = service.directory / f"kubeconfig-{name}"
        self.env = dict(service.env, KUBECONFIG=str(self.kubeconfig))
        made = subprocess.run(
            [service.binary, "up", name, "--data-dir", service.data, "--nodes", str(nodes)], env=self.env, text=True, timeout=120,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert made.returncode == 0, made.stdout
        self.client = kubernetes.config.new_client_from_config(str(self.kubeconfig))

    def open(self, method, path, query, body=None, headers=None, timeout=60):
        """Sends a request with the official client's connections and credentials; its answer is not read yet."""
        fields = {"Accept": "application/json", **(headers or {})}
        self.client.update_params_for_auth(fields, [], ["BearerToken"])
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        url = f"{self.client.configuration.host}{path}?{urllib.parse.urlencode(query or {})}"
        return self.client.rest_client.pool_manager.request(
            method, url, body=body, headers=fields, preload_content=False, timeout=timeout, retries=False)

    def request(self, method, path, body=None, query=None, content="application/json", **headers):
        """One request; a status of failure raises the client's exception."""
        response = self.open(method, path, query, body, {"Content-Type": content, **headers})
        response.read(cache_content=True)
        if response.status >= 400:
            raise ApiException(http_resp=Failed(response))
        return Answer(response)

    def get(self, path, **headers):
        """A document at a path."""
        return self.request("GET", path, **headers).json

    def resource(self, api_version, plural, namespace=None):
        return Resource(self, api_version, plural, namespace)

    def core(self, plural, namespace=None):
        return Resource(self, "v1", plural, namespace)

    def kubectl(self, *arguments, check=True, input=None, timeout=60):
        result = subprocess.run(
            [self.service.kubectl_binary, *map(str, arguments)], env=self.env, input=input, text=True, timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {result.stdout}")
        return result.stdout if check else result

    @contextlib.contextmanager
    def namespace(self, **labels):
        """A namespace of the test's own with its default service account; deleted afterwards, without waiting."""
        namespaces = self.core("namespaces")
        name = namespaces.create({"metadata": {"generateName": "conformance-", "labels": labels}})["metadata"]["name"]
        wait_for(lambda: not self.core("serviceaccounts", name).gone("default"), "the default service account exists", every=0.02)
        try:
            yield name
        finally:
            with contextlib.suppress(ApiException):
                namespaces.delete(name)


class Failed:
    """A response in the form the client's exception takes it."""

    def __init__(self, response):
        self.status, self.reason, self.data = response.status, response.reason, response.data
        self.getheaders = lambda: response.headers


@contextlib.contextmanager
def refused(code, *messages):
    """The block must end with the API server's refusal with that code, whose text has the messages."""
    with pytest.raises(ApiException) as error:
        yield error
    body = error.value.body.decode() if isinstance(error.value.body, bytes) else error.value.body
    assert error.value.status == code, f"{error.value.status}: {body}"
    message = json.loads(body)["message"]
    for text in messages:
        assert text in message, message
