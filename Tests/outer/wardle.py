"""The extension API server of k8s.io/sample-apiserver, as little of it as clients need, with one kind: Flunder."""
import json
import uuid

from secure_server import JSONHandler, SecureServer

GROUP = "wardle.example.com"
GROUP_VERSION = f"{GROUP}/v1alpha1"
API_SERVICE = f"v1alpha1.{GROUP}"


class Wardle(JSONHandler):
    """Keeps its objects in the server, by namespace and name, with (user, groups) of each reader."""

    def failure(self, code, reason, message):
        self.answer(code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code})

    def place(self):
        """The namespace and name of the path, "" for what it does not say; None for a path of another kind."""
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:3] != ["apis", *GROUP_VERSION.split("/")] or "flunders" not in parts:
            return None
        namespace = parts[4] if parts[3] == "namespaces" else ""
        return namespace, "" if parts[-1] == "flunders" else parts[-1]

    def found(self, namespace, name):
        return [object for (space, own), object in self.server.flunders.items() if namespace in ("", space) and name in ("", own)]

    def missing(self, name):
        self.failure(404, "NotFound", f'flunders.{GROUP} "{name}" not found')

    def do_GET(self):
        if self.path.split("?")[0].strip("/") == f"apis/{GROUP_VERSION}":
            return self.answer(200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": [
                {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "verbs": ["create", "delete", "get", "list"],
                 "shortNames": ["fl"]}]})
        place = self.place()
        if place is None:
            return self.failure(404, "NotFound", "the server could not find the requested resource")
        self.server.users.append((self.headers["X-Remote-User"], self.headers.get_all("X-Remote-Group")))
        objects = self.found(*place)
        if not place[1]:
            return self.answer(200, {"kind": "FlunderList", "apiVersion": GROUP_VERSION, "metadata": {"resourceVersion": "1"}, "items": objects})
        self.answer(200, objects[0]) if objects else self.missing(place[1])

    def do_POST(self):
        object = self.body()
        namespace, _ = self.place()
        object["metadata"].update(namespace=namespace, uid=str(uuid.uuid4()), resourceVersion="1", creationTimestamp="2026-01-01T00:00:00Z")
        self.server.flunders[namespace, object["metadata"]["name"]] = object
        self.answer(201, object)

    def do_DELETE(self):
        if self.headers.get("Content-Length"):
            self.body()
        place = self.place()
        if not self.found(*place):
            return self.missing(place[1])
        object = self.server.flunders.pop(place)
        self.answer(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {
            "name": place[1], "group": GROUP, "kind": "flunders", "uid": object["metadata"]["uid"]}})


class WardleServer(SecureServer):
    """The server behind the Service `wardle` of a namespace. It lets in only who shows the front proxy's certificate: `clients` is the data of the
    config map kube-system/extension-apiserver-authentication."""

    def __init__(self, directory, namespace, clients):
        assert json.loads(clients["requestheader-username-headers"]) == ["X-Remote-User"]
        super().__init__(Wardle, directory, namespace, "wardle", authority=clients["requestheader-client-ca-file"])
        self.server.flunders, self.server.users = {}, []

    @property
    def users(self):
        return self.server.users

    def api_service(self):
        return {
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": API_SERVICE},
            "spec": {
                "group": GROUP, "version": "v1alpha1", "groupPriorityMinimum": 2000, "versionPriority": 15,
                "service": {"namespace": self.namespace, "name": self.name}, "caBundle": self.bundle}}
