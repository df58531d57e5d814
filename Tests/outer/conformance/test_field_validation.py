"""test/e2e/apimachinery/field_validation.go"""
import json

from .cluster import refused
from .definitions import ANYTHING, definition

DEPLOYMENT = """{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "my-dep", %s "labels": {"app": "nginx"}}, "spec": {%s
  "selector": {"matchLabels": {"app": "nginx"}},
  "template": {"metadata": {"labels": {"app": "nginx"}}, "spec": {"containers": [{"name": "nginx", "image": "nginx:latest"}]}}}}"""

SPEC = {
    "foo": {"type": "string"},
    "cronSpec": {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
    "ports": {
        "type": "array", "x-kubernetes-list-map-keys": ["containerPort", "protocol"], "x-kubernetes-list-type": "map",
        "items": {
            "type": "object", "required": ["containerPort", "protocol"], "properties": {
                "containerPort": {"format": "int32", "type": "integer"}, "hostIP": {"type": "string"}, "hostPort": {"format": "int32", "type": "integer"},
                "name": {"type": "string"}, "protocol": {"type": "string"}}}}}


def schema(preserving=False, **more):
    spec = {"type": "object", "properties": {**SPEC, **more}}
    if preserving:
        spec["x-kubernetes-preserve-unknown-fields"] = True
    return {"type": "object", "properties": {"spec": spec}}


def resource(custom, spec, root="", metadata=""):
    """YAML of an object, with what a test adds at the root, in the metadata and in the specification."""
    return f"""
apiVersion: {custom.group}/v1
kind: {custom.kind}
metadata:
  name: mytest
{metadata}  finalizers:
  - test-finalizer
{root}spec:
{spec}  cronSpec: "* * * * */5"
  ports:
  - name: x
    containerPort: 80
    protocol: TCP
"""


def apply(custom, text):
    applied = custom.objects().apply("mytest", text, fieldValidation="Strict")
    # The finalizer would keep the definition.
    custom.objects().patch("mytest", {"metadata": {"finalizers": None}})
    return applied


def test_unknown_and_duplicate_fields(cluster, namespace):
    """[sig-api-machinery] FieldValidation should detect unknown and duplicate fields of a typed object [Conformance]"""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    with refused(400, 'strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"'):
        cluster.request("POST", path, DEPLOYMENT % ("", '"unknownField": "foo", "replicas": 2, "replicas": 3,'), {"fieldValidation": "Strict"})
    assert cluster.resource("apps/v1", "deployments", namespace).names() == []


def test_unknown_metadata(cluster, namespace):
    """[sig-api-machinery] FieldValidation should detect unknown metadata fields of a typed object [Conformance]"""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    with refused(400, 'strict decoding error: unknown field "metadata.unknownMeta"'):
        cluster.request("POST", path, DEPLOYMENT % ('"unknownMeta": "foo",', ""), {"fieldValidation": "Strict"})


def test_a_valid_custom_resource(cluster):
    """[sig-api-machinery] FieldValidation should create/apply a valid CR for CRD with validation schema [Conformance]"""
    with definition(cluster, scope="Cluster", schema=schema()) as custom:
        applied = apply(custom, resource(custom, "  foo: foo1\n"))
        assert applied["spec"]["foo"] == "foo1" and applied["spec"]["ports"][0]["containerPort"] == 80


def test_unknown_fields_without_a_schema(cluster):
    """[sig-api-machinery] FieldValidation should create/apply a CR with unknown fields for CRD with no validation schema [Conformance]"""
    with definition(cluster, scope="Cluster", schema=ANYTHING) as custom:
        assert apply(custom, resource(custom, "  unknown: uk1\n"))["spec"]["unknown"] == "uk1"


def test_extra_properties(cluster):
    """[sig-api-machinery] FieldValidation should create/apply an invalid CR with extra properties for CRD with validation schema [Conformance]"""
    with definition(cluster, scope="Cluster", schema=schema()) as custom:
        with refused(500, ".unknownField: field not declared in schema"):
            apply(custom, resource(custom, "  foo: foo1\n", root="unknownField: unknown\n"))


def test_unknown_metadata_of_embedded_objects(cluster):
    """[sig-api-machinery] FieldValidation should detect unknown metadata fields in both the root and embedded object of a CR [Conformance]"""
    template = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}}, "spec": {"type": "object"}}}
    embedded = """  template:
    apiversion: foo/v1
    kind: Sub
    metadata:
      unknownSubMeta: unknown
      name: subobject
      namespace: default
"""
    with definition(cluster, scope="Cluster", schema=schema(preserving=True, template=template)) as custom:
        with refused(500, ".spec.template.metadata.unknownSubMeta: field not declared in schema"):
            apply(custom, resource(custom, embedded + "  foo: foo1\n", metadata="  unknownMeta: unknown\n"))


def test_duplicates_where_unknown_fields_are_kept(cluster):
    """[sig-api-machinery] FieldValidation should detect duplicates in a CR when preserving unknown fields [Conformance]"""
    with definition(cluster, scope="Cluster", schema=schema(preserving=True)) as custom:
        text = resource(custom, "  unknown: uk1\n  foo: foo1\n  foo: foo2\n")
        with refused(400) as error:
            apply(custom, text)
        line = next(number for number, content in enumerate(text.split("\n"), 1) if "foo2" in content)
        assert f'line {line}: key "foo" already set in map' in json.loads(error.value.body)["message"]
