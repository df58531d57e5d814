import KubeAPI
import Testing

@testable import KubeAPIServer

/// One object of a kind, and what is wrong with it in upstream's words.
struct KindCase: Sendable, CustomStringConvertible {
    let strategy: any ResourceStrategy
    let object: String
    var old: String?
    let problems: [String]
    var description: String { "\(type(of: strategy)) \(object.prefix(80))" }

    func found() throws -> [String] {
        let new = try Object(json: object)
        let causes = try old.map { strategy.validateUpdate(new, old: try Object(json: $0), subresource: "") } ?? strategy.validate(new)
        return causes.map { "\($0.field): \($0.message)" }
    }
}

@Suite("Validation of kinds of networks, storage and devices") struct KindValidationTests {
    private static let backend = #""backend":{"service":{"name":"s","port":{"number":80}}}"#

    static let networkingCases: [KindCase] = [
        KindCase(
            strategy: IngressStrategy(),
            object: #"{"spec":{"rules":[{"host":"a.b","http":{"paths":[{"pathType":"Prefix","path":"/",\#(backend)}]}}]}}"#,
            problems: []),
        KindCase(
            strategy: IngressStrategy(), object: #"{"spec":{}}"#,
            problems: ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]),
        KindCase(
            strategy: IngressStrategy(),
            object: #"{"spec":{"rules":[{"http":{"paths":[{"pathType":"Exact","path":"a//b",\#(backend)},{\#(backend)}]}}]}}"#,
            problems: [
                #"spec.rules[0].http.paths[0].path: Invalid value: "a//b": must be an absolute path"#,
                #"spec.rules[0].http.paths[0].path: Invalid value: "a//b": must not contain '//'"#,
                "spec.rules[0].http.paths[1].pathType: Required value: pathType must be specified",
            ]),
        KindCase(
            strategy: IngressStrategy(), object: #"{"spec":{"defaultBackend":{"service":{"name":"s","port":{}}}}}"#,
            problems: ["spec.defaultBackend: Required value: port name or number is required"]),
        KindCase(
            strategy: IngressStrategy(), object: #"{"spec":{"defaultBackend":{"service":{"name":"1s","port":{"number":1}}}}}"#, problems: []),
        KindCase(
            strategy: IngressClassStrategy(), object: #"{"spec":{"controller":"a.b/c"}}"#, old: #"{"spec":{"controller":"a.b/d"}}"#,
            problems: [#"spec.controller: Invalid value: "a.b/c": field is immutable"#]),
        KindCase(
            strategy: IngressClassStrategy(),
            object: #"{"spec":{"controller":"a.b/c","parameters":{"kind":"K","name":"n","scope":"Namespace"}}}"#,
            problems: ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"]),
        KindCase(
            strategy: NetworkPolicyStrategy(),
            object: #"{"spec":{"podSelector":{},"ingress":[{"ports":[{"port":80,"endPort":70}],"from":[{}]}],"policyTypes":["Both"]}}"#,
            problems: [
                "spec.ingress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`",
                "spec.ingress[0].from[0]: Required value: must specify a peer",
                #"spec.policyTypes[0]: Unsupported value: "Both": supported values: "Ingress", "Egress""#,
            ]),
        KindCase(
            strategy: NetworkPolicyStrategy(),
            object: #"{"spec":{"egress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/16","except":["10.1.0.0/24"]}}]}]}}"#,
            problems: [#"spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "10.1.0.0/24": must be a strict subset of `cidr`"#]),
        KindCase(strategy: IPAddressStrategy(), object: #"{"spec":{}}"#, problems: ["spec.parentRef: Required value"]),
        KindCase(strategy: ServiceCIDRStrategy(), object: #"{"spec":{}}"#, problems: ["spec.cidrs: Required value: at least one CIDR required"]),
        KindCase(
            strategy: ServiceCIDRStrategy(), object: #"{"spec":{"cidrs":["10.1.0.0/16"]}}"#, old: #"{"spec":{"cidrs":["10.0.0.0/16"]}}"#,
            problems: [#"spec.cidrs[0]: Invalid value: "10.1.0.0/16": field is immutable"#]),
        KindCase(
            strategy: EndpointsStrategy(), object: #"{"subsets":[{"addresses":[{"ip":"127.0.0.1"}],"ports":[{"port":0,"protocol":"TCP"}]},{}]}"#,
            problems: [
                #"subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)"#,
                "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "subsets[1]: Required value: must specify `addresses` or `notReadyAddresses`",
            ]),
    ]

    static let storageCases: [KindCase] = [
        KindCase(
            strategy: StorageClassStrategy(), object: #"{"provisioner":"a/b","reclaimPolicy":"Recycle","volumeBindingMode":"Immediate"}"#,
            problems: [#"reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain""#]),
        KindCase(
            strategy: StorageClassStrategy(),
            object: #"{"provisioner":"a","reclaimPolicy":"Delete","volumeBindingMode":"Immediate","parameters":{"a":"b"}}"#,
            old: #"{"provisioner":"b","reclaimPolicy":"Delete","volumeBindingMode":"Immediate"}"#,
            problems: [
                "parameters: Forbidden: updates to parameters are forbidden.", "provisioner: Forbidden: updates to provisioner are forbidden.",
            ]),
        KindCase(
            strategy: VolumeAttributesClassStrategy(), object: #"{"driverName":"d"}"#,
            problems: ["parameters: Required value: must contain at least one key/value pair"]),
        KindCase(
            strategy: VolumeAttachmentStrategy(), object: #"{"spec":{"attacher":"a","nodeName":"n","source":{}}}"#,
            problems: ["spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"]),
        KindCase(
            strategy: CSINodeStrategy(), object: #"{"spec":{"drivers":[{"name":"d","nodeID":"n"},{"name":"d"}]}}"#,
            problems: ["spec.drivers[1].nodeID: Required value", #"spec.drivers[1].name: Duplicate value: "d""#]),
        KindCase(
            strategy: CSIDriverStrategy(),
            object:
                #"{"spec":{"podInfoOnMount":true,"storageCapacity":false,"seLinuxMount":false,"tokenRequests":[{"expirationSeconds":5}]}}"#,
            problems: [
                "spec.attachedRequired: Required value",
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
            ]),
        KindCase(
            strategy: CSIStorageCapacityStrategy(), object: #"{"storageClassName":"b"}"#, old: #"{"storageClassName":"a"}"#,
            problems: [#"storageClassName: Invalid value: "b": field is immutable"#]),
    ]

    static let deviceCases: [KindCase] = [
        KindCase(
            strategy: ResourceClaimStrategy(),
            object: #"{"spec":{"devices":{"requests":[{"name":"r","exactly":{"deviceClassName":"c","allocationMode":"ExactCount","count":1}}]}}}"#,
            problems: []),
        KindCase(
            strategy: ResourceClaimStrategy(), object: #"{"spec":{"devices":{"requests":[{"name":"r"}],"config":[{"requests":["x"]}]}}}"#,
            problems: [
                "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
                #"spec.devices.config[0].requests[0]: Invalid value: "x": must be the name of a request in the claim "#
                    + "or the name of a request and a subrequest separated by '/'",
                "spec.devices.config[0].opaque: Required value",
            ]),
        KindCase(
            strategy: ResourceSliceStrategy(), object: #"{"spec":{"driver":"d","pool":{"name":"p","resourceSliceCount":1}}}"#,
            problems: ["spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"]),
        KindCase(
            strategy: DeviceClassStrategy(), object: #"{"spec":{"selectors":[{}]}}"#, problems: ["spec.selectors[0].cel: Required value"]),
    ]

    @Test("networking", arguments: networkingCases) func networking(_ item: KindCase) throws { #expect(try item.found() == item.problems) }

    @Test("storage", arguments: storageCases) func storage(_ item: KindCase) throws { #expect(try item.found() == item.problems) }

    @Test("devices", arguments: deviceCases) func devices(_ item: KindCase) throws { #expect(try item.found() == item.problems) }

    @Test("the same text of two fields' errors stands once in the message")
    func aggregate() {
        let cause = StatusError.Cause(reason: "FieldValueInvalid", message: "Invalid value: 1: no", field: "a")
        let kind = GroupVersionKind(group: "", version: "v1", kind: "Pod")
        let error = StatusError.invalid(kind, "p", [cause, cause])
        #expect(error.message == #"Pod "p" is invalid: a: Invalid value: 1: no"# && error.details?.causes.count == 2)
    }

    @Test("what version 1 of an autoscaler cannot say is kept for version 2")
    func autoscalers() throws {
        let metrics: Value = [
            ["type": "Resource", "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": 80]]],
            ["type": "Pods", "pods": ["metric": ["name": "q"], "target": ["type": "AverageValue", "averageValue": "5"]]],
        ]
        let behavior: Value = ["scaleUp": ["policies": [["type": "Pods", "value": 4, "periodSeconds": 15]]]]
        let two: Value = ["metadata": ["name": "h"], "spec": ["maxReplicas": 3, "metrics": metrics, "behavior": behavior], "status": [:]]
        let one = AutoscalerConversion.toV1(two)
        #expect(one[path: "spec", "targetCPUUtilizationPercentage"] == 80)
        #expect(
            one[path: "metadata", "annotations", "autoscaling.alpha.kubernetes.io/metrics"]
                == #"[{"type":"Pods","pods":{"metricName":"q","targetAverageValue":"5"}}]"#)
        let back = AutoscalerConversion.toV2(one)
        #expect(ServedFixture.differences(back, two) == [])
    }
}
