import KubeAPI
import Testing

@testable import KubeAPIServer

/// What a strategy finds, as `field: message`.
private func problems(_ strategy: any ResourceStrategy, _ json: String) throws -> [String] {
    strategy.validate(try Object(json: json)).map { "\($0.field): \($0.message)" }
}

private func updateProblems(_ strategy: any ResourceStrategy, _ new: String, old: String, subresource: String = "") throws -> [String] {
    strategy.validateUpdate(try Object(json: new), old: try Object(json: old), subresource: subresource).map { "\($0.field): \($0.message)" }
}

@Suite("Validation of pods")
struct PodValidationTests {
    private let reader = MemoryReader()

    private func pod(_ container: String = "", _ spec: String = "") -> String {
        #"{"kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"\#(container.isEmpty ? "" : ",\(container)")}]\#(spec.isEmpty ? "" : ",\(spec)")}}"#
    }

    @Test("a plain pod is valid")
    func plain() throws { #expect(try problems(PodStrategy(), pod()) == []) }

    @Test("containers need names and images; names are labels and unique")
    func containers() throws {
        #expect(try problems(PodStrategy(), #"{"spec":{"containers":[]}}"#) == ["spec.containers: Required value"])
        #expect(
            try problems(PodStrategy(), #"{"spec":{"containers":[{}]}}"#)
                == ["spec.containers[0].name: Required value", "spec.containers[0].image: Required value"])
        #expect(
            try problems(PodStrategy(), #"{"spec":{"containers":[{"name":"a","image":"i"},{"name":"a","image":"i"}]}}"#)
                == [#"spec.containers[1].name: Duplicate value: "a""#])
        #expect(
            try problems(PodStrategy(), #"{"spec":{"containers":[{"name":"A_b","image":"i"}]}}"#).first
                == "spec.containers[0].name: Invalid value: \"A_b\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                + "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        )
        #expect(
            try problems(PodStrategy(), #"{"spec":{"containers":[{"name":"a","image":" i"}]}}"#)
                == [#"spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace"#])
    }

    @Test("each field of a container has its rule, in upstream's words")
    func containerFields() throws {
        let table: [(String, String)] = [
            (
                #""imagePullPolicy":"Later""#,
                #"spec.containers[0].imagePullPolicy: Unsupported value: "Later": supported values: "Always", "IfNotPresent", "Never""#
            ),
            (#""ports":[{"containerPort":0}]"#, "spec.containers[0].ports[0].containerPort: Required value"),
            (
                #""ports":[{"containerPort":70000}]"#,
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"
            ),
            (
                #""ports":[{"containerPort":1,"protocol":"X"}]"#,
                #"spec.containers[0].ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP""#
            ),
            (#""env":[{"value":"x"}]"#, "spec.containers[0].env[0].name: Required value"),
            (#""volumeMounts":[{"name":"v","mountPath":"/x"}]"#, #"spec.containers[0].volumeMounts[0].name: Not found: "v""#),
            (
                #""resources":{"limits":{"cpu":"1"},"requests":{"cpu":"2"}}"#,
                #"spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1"#
            ),
            (
                #""resources":{"limits":{"memory":"-1"}}"#,
                #"spec.containers[0].resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0"#
            ),
            (#""livenessProbe":{}"#, "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
            (
                #""livenessProbe":{"exec":{"command":["x"]},"successThreshold":2}"#,
                "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"
            ),
        ]
        for (field, expected) in table { #expect(try problems(PodStrategy(), pod(field)) == [expected], "\(field)") }
    }

    @Test("each field of a pod has its rule, in upstream's words")
    func podFields() throws {
        let table: [(String, String)] = [
            (
                #""restartPolicy":"Sometimes""#,
                #"spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never""#
            ),
            (#""volumes":[{"name":"v"}]"#, "spec.volumes[0]: Required value: must specify a volume type"),
            (#""volumes":[{"name":"v","emptyDir":{}},{"name":"v","emptyDir":{}}]"#, #"spec.volumes[1].name: Duplicate value: "v""#),
            (
                #""volumes":[{"name":"v","emptyDir":{},"hostPath":{"path":"/"}}]"#,
                "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"
            ),
            (#""volumes":[{"name":"v","secret":{}}]"#, "spec.volumes[0].secret.secretName: Required value"),
            (
                #""volumes":[{"name":"v","hostPath":{"path":"/a/../b"}}]"#,
                #"spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain '..'"#
            ),
            (
                #""tolerations":[{"operator":"Equal"}]"#,
                #"spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys""#
            ),
            (#""activeDeadlineSeconds":0"#, "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"),
        ]
        for (field, expected) in table { #expect(try problems(PodStrategy(), pod("", field)) == [expected], "\(field)") }
    }

    @Test("a pod's image and tolerations may change, nothing else of what it runs")
    func updates() throws {
        let old = pod(#""command":["a"]"#, #""tolerations":[{"key":"a","operator":"Exists"}],"nodeSelector":{}"#)
        #expect(try updateProblems(PodStrategy(), old.replacing(#""image":"i""#, with: #""image":"j""#), old: old) == [])
        #expect(try updateProblems(PodStrategy(), old.replacing(#","nodeSelector":{}"#, with: ""), old: old) == [])
        let more = old.replacing(#"[{"key":"a""#, with: #"[{"key":"b","operator":"Exists"},{"key":"a""#)
        #expect(try updateProblems(PodStrategy(), more, old: old) == [])
        let fewer = old.replacing(#"{"key":"a","operator":"Exists"}"#, with: "")
        #expect(
            try updateProblems(PodStrategy(), fewer, old: old)
                == ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"])
        #expect(
            try updateProblems(PodStrategy(), old.replacing(#"["a"]"#, with: #"["b"]"#), old: old) == [
                "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
                    + "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be "
                    + "set to 1 if it was previously negative)"
            ])
        let added = old.replacing(#"[{"name":"c""#, with: #"[{"name":"d","image":"i"},{"name":"c""#)
        #expect(try updateProblems(PodStrategy(), added, old: old) == ["spec.containers: Forbidden: pod updates may not add or remove containers"])
    }

    @Test("a new pod is pending with its class; a gated one says so")
    func creation() throws {
        func created(_ json: String) throws -> Value {
            var value = try Value(json: json)
            try PodStrategy().prepareForCreate(&value, reader)
            return value["status"] ?? .null
        }
        #expect(try created(pod()) == ["phase": "Pending", "qosClass": "BestEffort"])
        #expect(try created(pod(#""resources":{"requests":{"cpu":"1"}}"#))["qosClass"] == "Burstable")
        let full = #""resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"1000m","memory":"1024Mi"}}"#
        #expect(try created(pod(full))["qosClass"] == "Guaranteed")
        #expect(try created(pod(full, #""initContainers":[{"name":"i","image":"i"}]"#))["qosClass"] == "Burstable")
        #expect(try created(pod("", #""schedulingGates":[{"name":"a/b"}]"#))["conditions"]?.array?.first?["reason"] == "SchedulingGated")
    }
}

@Suite("Validation of workloads")
struct WorkloadValidationTests {
    private func deployment(
        _ spec: String = "", labels: String = #"{"app":"web"}"#, selector: String = #"{"matchLabels":{"app":"web"}}"#, policy: String = "Always"
    ) -> String {
        """
        {"kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":1,"selector":\(selector),"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":"25%",
        "maxUnavailable":"25%"}},"template":{"metadata":{"labels":\(labels)},"spec":{"restartPolicy":"\(policy)","containers":[{"name":"c","image":"i"}]}}\(spec)}}
        """
    }

    @Test("a deployment's selector is required, not empty, and picks its template's pods")
    func selectors() throws {
        #expect(try problems(DeploymentStrategy(), deployment()) == [])
        #expect(
            try problems(DeploymentStrategy(), deployment(labels: #"{"app":"api"}"#))
                == [#"spec.template.metadata.labels: Invalid value: {"app":"api"}: `selector` does not match template `labels`"#])
        #expect(try problems(DeploymentStrategy(), deployment(selector: "null")) == ["spec.selector: Required value"])
        #expect(
            try problems(DeploymentStrategy(), deployment(selector: "{}")) == [
                "spec.selector: Invalid value: {}: empty selector is invalid for deployment"
            ])
        #expect(
            try problems(DeploymentStrategy(), deployment(policy: "Never"))
                == [#"spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always""#])
    }

    @Test("numbers and rolling updates have their bounds")
    func bounds() throws {
        #expect(
            try problems(DeploymentStrategy(), deployment().replacing(#""replicas":1"#, with: #""replicas":-1"#))
                == ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"])
        let stuck = deployment().replacing("\"25%\"", with: "0")
        #expect(
            try problems(DeploymentStrategy(), stuck)
                == ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"])
    }

    @Test("a selector never changes")
    func immutableSelector() throws {
        let new = deployment(labels: #"{"app":"api"}"#, selector: #"{"matchLabels":{"app":"api"}}"#)
        #expect(
            try updateProblems(DeploymentStrategy(), new, old: deployment())
                == [#"spec.selector: Invalid value: {"matchLabels":{"app":"api"}}: field is immutable"#])
    }

    @Test("a stateful set's claims never change")
    func statefulSet() throws {
        func set(_ claims: String, replicas: Int = 1) -> String {
            """
            {"kind":"StatefulSet","metadata":{"name":"s"},"spec":{"replicas":\(replicas),"podManagementPolicy":"OrderedReady","updateStrategy":{"type":"RollingUpdate"},
            "selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}},
            "volumeClaimTemplates":\(claims)}}
            """
        }
        #expect(try updateProblems(StatefulSetStrategy(), set("[]", replicas: 3), old: set("[]")) == [])
        let changed = try updateProblems(StatefulSetStrategy(), set(#"[{"metadata":{"name":"d"}}]"#), old: set("[]"))
        #expect(
            changed.count == 1 && changed[0].hasPrefix("spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals'"))
    }

    @Test("a job picks its pods by its own uid, and they may not restart for ever")
    func job() throws {
        var value = try Value(
            json:
                #"{"kind":"Job","metadata":{"name":"j","uid":"u-1"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}"#
        )
        try JobStrategy().prepareForCreate(&value, MemoryReader())
        #expect(value[path: "spec", "selector", "matchLabels"] == ["batch.kubernetes.io/controller-uid": "u-1"])
        #expect(value[path: "spec", "template", "metadata", "labels", "job-name"] == "j")
        #expect(JobStrategy().validate(try Object(value)).isEmpty)
        value[path: "spec", "template", "spec", "restartPolicy"] = "Always"
        #expect(
            JobStrategy().validate(try Object(value)).map(\.message) == [#"Required value: valid values: "OnFailure", "Never""#])
    }
}

@Suite("Validation of other kinds")
struct OtherValidationTests {
    @Test("secrets keep their type, need what it promises, and have a size")
    func secrets() throws {
        func secret(_ type: String, _ data: String = "{}", _ more: String = "") -> String {
            #"{"kind":"Secret","metadata":{"name":"s"},"type":"\#(type)","data":\#(data)\#(more)}"#
        }
        #expect(try problems(SecretStrategy(), secret("Opaque", #"{"a":"Yg=="}"#)) == [])
        #expect(
            try problems(SecretStrategy(), secret("kubernetes.io/tls")) == ["data[tls.crt]: Required value", "data[tls.key]: Required value"])
        #expect(
            try problems(SecretStrategy(), secret("Opaque", #"{"a b":"Yg=="}"#))
                == [
                    "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
                        + "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                ])
        let big = String(repeating: "AAAA", count: 350_000)
        #expect(try problems(SecretStrategy(), secret("Opaque", #"{"a":"\#(big)"}"#)) == ["data: Too long: may not be more than 1048576 bytes"])
        #expect(
            try updateProblems(SecretStrategy(), secret("example/other"), old: secret("Opaque"))
                == [#"type: Invalid value: "example/other": field is immutable"#])
        let fixed = secret("Opaque", #"{"a":"Yg=="}"#, #","immutable":true"#)
        #expect(
            try updateProblems(SecretStrategy(), secret("Opaque", #"{"a":"Yw=="}"#, #","immutable":true"#), old: fixed)
                == ["data: Forbidden: field is immutable when `immutable` is set"])
        #expect(try problems(SecretStrategy(), secret("kubernetes.io/dockerconfigjson", #"{".dockerconfigjson":"e30="}"#)) == [])
        #expect(try problems(SecretStrategy(), secret("kubernetes.io/dockerconfigjson", #"{".dockerconfigjson":"eA=="}"#)).count == 1)
    }

    @Test("config maps check keys in both parts and stay when immutable")
    func configMaps() throws {
        #expect(
            try problems(ConfigMapStrategy(), #"{"data":{"a":"b"},"binaryData":{"a":"Yg=="}}"#)
                == [#"data[a]: Invalid value: "a": duplicate of key present in binaryData"#])
        #expect(try problems(ConfigMapStrategy(), #"{"data":{"..":"b"}}"#) == [#"data[..]: Invalid value: "..": must not be '..'"#])
        #expect(
            try updateProblems(ConfigMapStrategy(), #"{"data":{"a":"c"}}"#, old: #"{"immutable":true,"data":{"a":"b"}}"#)
                == [
                    "immutable: Forbidden: field is immutable when `immutable` is set", "data: Forbidden: field is immutable when `immutable` is set",
                ])
    }

    @Test("roles and bindings")
    func rbac() throws {
        let role = RoleStrategy(isNamespaced: true)
        #expect(
            try problems(role, #"{"rules":[{"apiGroups":[""],"resources":["pods"]}]}"#)
                == ["rules[0].verbs: Required value: verbs must contain at least one value"])
        #expect(
            try problems(role, #"{"rules":[{"verbs":["get"]}]}"#) == [
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ])
        #expect(
            try problems(role, #"{"rules":[{"verbs":["get"],"nonResourceURLs":["/x"]}]}"#)
                == [#"rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs"#])
        let binding = RoleBindingStrategy(isNamespaced: false)
        func bound(_ name: String, _ subjects: String = "[]") -> String {
            #"{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"\#(name)"},"subjects":\#(subjects)}"#
        }
        #expect(
            try updateProblems(binding, bound("b"), old: bound("a")) == [
                #"roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"b"}: cannot change roleRef"#
            ])
        #expect(try problems(binding, bound("a", #"[{"kind":"ServiceAccount","name":"x"}]"#)) == ["subjects[0].namespace: Required value"])
        #expect(
            try problems(binding, bound("a", #"[{"kind":"Robot","name":"x"}]"#))
                == [#"subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group""#])
    }

    @Test("namespaces are born active with their finalizer, and lose it only by finalizing")
    func namespaces() throws {
        var value = try Value(json: #"{"metadata":{"name":"web"}}"#)
        try NamespaceStrategy().prepareForCreate(&value, MemoryReader())
        #expect(value[path: "spec", "finalizers"] == ["kubernetes"] && value[path: "status", "phase"] == "Active")
        #expect(value[path: "metadata", "labels", "kubernetes.io/metadata.name"] == "web")
        var update = try Value(json: #"{"metadata":{"name":"web"},"spec":{}}"#)
        try NamespaceStrategy().prepareForUpdate(&update, old: try Object(value), subresource: "", MemoryReader())
        #expect(update[path: "spec", "finalizers"] == ["kubernetes"])
        var finalized = try Value(json: #"{"metadata":{"name":"web"},"spec":{"finalizers":[]}}"#)
        try NamespaceStrategy().prepareForUpdate(&finalized, old: try Object(value), subresource: "finalize", MemoryReader())
        #expect(finalized[path: "spec", "finalizers"] == [])
    }

    @Test("nodes, leases, priority classes, budgets and endpoint slices")
    func others() throws {
        #expect(
            try updateProblems(NodeStrategy(), #"{"spec":{"podCIDRs":["10.0.1.0/24"]}}"#, old: #"{"spec":{"podCIDRs":["10.0.0.0/24"]}}"#)
                == ["spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"])
        #expect(
            try problems(LeaseStrategy(), #"{"spec":{"leaseDurationSeconds":0}}"#) == [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"
            ])
        #expect(
            try problems(PriorityClassStrategy(), #"{"metadata":{"name":"x"},"value":2000000000}"#)
                == ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"])
        #expect(try problems(PriorityClassStrategy(), #"{"metadata":{"name":"system-node-critical"},"value":2000001000}"#) == [])
        #expect(try problems(PriorityClassStrategy(), #"{"metadata":{"name":"system-x"},"value":1}"#).count == 1)
        #expect(
            try updateProblems(PriorityClassStrategy(), #"{"metadata":{"name":"x"},"value":2}"#, old: #"{"metadata":{"name":"x"},"value":1}"#)
                == ["value: Forbidden: may not be changed in an update."])
        #expect(try problems(PodDisruptionBudgetStrategy(), #"{"spec":{"minAvailable":1,"maxUnavailable":"10%"}}"#).count == 1)
        #expect(
            try problems(EndpointSliceStrategy(), #"{"addressType":"IPv4","endpoints":[{"addresses":["x"]}]}"#).first?.hasPrefix(
                "endpoints[0].addresses[0]: Invalid")
                == true)
    }

    @Test("two empty forms of a field are the same to an update")
    func pruning() throws {
        let full = try Value(json: #"{"a":{},"b":[],"c":null,"d":{"e":null},"f":0,"g":[{"h":null}],"i":""}"#)
        #expect(full.pruned == (try Value(json: #"{"f":0,"g":[null],"i":""}"#)))
    }
}
