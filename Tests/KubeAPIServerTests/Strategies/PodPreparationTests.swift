import KubeAPI
import Testing

@testable import KubeAPIServer

/// What the server makes of pods before it stores them.
@Suite("Preparation of pods")
struct PodPreparationTests {
    private let reader = MemoryReader()

    private func created(_ pod: Value) throws -> Value {
        var pod = pod
        try PodStrategy().prepareForCreate(&pod, reader)
        return pod
    }

    private func pod(_ spec: Value, labels: Value = [:], annotations: Value = [:]) -> Value {
        ["metadata": ["name": "p", "labels": labels, "annotations": annotations], "spec": spec]
    }

    private static func container(_ more: Value = [:]) -> Value {
        var container: Value = ["name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"]
        for (key, value) in more.object ?? Members() { container[key] = value }
        return container
    }

    // MARK: Spread

    private static func constraint(_ selector: Value?) -> Value {
        var constraint: Value = ["maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["hash", "none"]]
        constraint["labelSelector"] = selector
        return constraint
    }

    @Test("the labels that a spread constraint names are written into its selector at creation, and that is valid")
    func spread() throws {
        let spec: Value = [
            "containers": [Self.container()], "restartPolicy": "Always", "dnsPolicy": "Default", "terminationGracePeriodSeconds": 1,
            "topologySpreadConstraints": [Self.constraint(["matchLabels": ["app": "a"]])],
        ]
        let made = try created(pod(spec, labels: ["app": "a", "hash": "1"]))
        let selector: Value = ["matchLabels": ["app": "a"], "matchExpressions": [["key": "hash", "operator": "In", "values": ["1"]]]]
        #expect(made[path: "spec", "topologySpreadConstraints"] == [Self.constraint(selector)])
        #expect(PodStrategy().validate(try Object(made)).isEmpty)
        // A pod that is written again keeps what it has.
        let object = try Object(made)
        #expect(PodStrategy().validateUpdate(object, old: object, subresource: "").isEmpty)
    }

    @Test("a key that the selector has itself is refused, as is one without a selector")
    func spreadConflicts() throws {
        func problems(_ selector: Value?) throws -> [String] {
            var errors = FieldErrors()
            let spec = try Object(["spec": ["topologySpreadConstraints": [Self.constraint(selector)]]])["spec"]
            PodSchedulingValidation(path: "spec").spread(spec["topologySpreadConstraints"].elements, &errors)
            return errors.causes.map { "\($0.field): \($0.message)" }
        }
        let place = "spec.topologySpreadConstraints[0].matchLabelKeys"
        let merged: Value = ["key": "hash", "operator": "In", "values": ["1"]]
        #expect(try problems(["matchExpressions": [merged]]) == [])
        let twice = ["\(place)[0]: Invalid value: \"hash\": exists in both matchLabelKeys and labelSelector"]
        #expect(try problems(["matchLabels": ["hash": "1"], "matchExpressions": [merged]]) == twice)
        #expect(try problems(["matchExpressions": [["key": "hash", "operator": "Exists"], merged]]) == twice)
        #expect(try problems(nil) == ["\(place): Forbidden: must not be specified when labelSelector is not set"])
    }

    // MARK: Fields of gates that are off

    private static let projected: Value = [
        [
            "name": "v",
            "projected": ["sources": [["clusterTrustBundle": ["path": "a"]], ["podCertificate": ["signerName": "s"]], ["secret": ["name": "x"]]]],
        ]
    ]

    @Test(
        "stop signals and projections whose gates are off are dropped from pods and templates",
        arguments: [
            ("", "pods", ["spec"]), ("apps", "deployments", ["spec", "template", "spec"]), ("batch", "jobs", ["spec", "template", "spec"]),
            ("batch", "cronjobs", ["spec", "jobTemplate", "spec", "template", "spec"]), ("", "podtemplates", ["template", "spec"]),
        ])
    func disabledFields(group: String, resource: String, path: [String]) throws {
        let row = try #require(ResourceTable.shared.rows.first { $0.group == group && $0.resource == resource })
        var object: Value = ["metadata": ["name": "x"]]
        object[path: path] = [
            "containers": [
                ["name": "a", "lifecycle": ["stopSignal": "SIGUSR1"]],
                ["name": "b", "lifecycle": ["stopSignal": "SIGUSR1", "preStop": ["sleep": ["seconds": 1]]]],
                ["name": "c", "lifecycle": ["preStop": ["sleep": ["seconds": 1]]]],
            ], "volumes": Self.projected,
        ]
        let given = object
        DisabledFields.drop(from: &object, row: row, old: nil)
        let expected: Value = [
            "containers": [
                ["name": "a"], ["name": "b", "lifecycle": ["preStop": ["sleep": ["seconds": 1]]]],
                ["name": "c", "lifecycle": ["preStop": ["sleep": ["seconds": 1]]]],
            ], "volumes": [["name": "v", "projected": ["sources": [[:], [:], ["secret": ["name": "x"]]]]]],
        ]
        #expect(object[path: path] == expected)
        // What is stored so stays.
        object = given
        DisabledFields.drop(from: &object, row: row, old: given)
        #expect(object == given)
    }

    // MARK: Status

    @Test("a status that says nothing of the observed generation keeps it, each condition too")
    func observedGeneration() throws {
        func condition(_ type: String, _ generation: Int64?, _ reason: String = "") -> Value {
            var condition: Value = ["type": .string(type), "status": "True", "reason": .string(reason)]
            if let generation { condition["observedGeneration"] = .int(generation) }
            return condition
        }
        let old = try Object(["status": ["observedGeneration": 3, "conditions": [condition("A", 2), condition("B", 3), condition("A", 1)]]])
        var new: Value = [
            "status": ["conditions": [condition("A", nil), condition("A", 0), condition("B", 5), condition("C", nil), condition("A", nil)]]
        ]
        try PodStrategy().prepareForUpdate(&new, old: old, subresource: "status", reader)
        #expect(new[path: "status", "observedGeneration"] == 3)
        #expect(
            new[path: "status", "conditions"] == [condition("A", 2), condition("A", 1), condition("B", 5), condition("C", nil), condition("A", nil)])
        new = ["status": ["observedGeneration": 4]]
        try PodStrategy().prepareForUpdate(&new, old: old, subresource: "status", reader)
        #expect(new[path: "status", "observedGeneration"] == 4 && new[path: "status", "conditions"] == nil)
    }

    // MARK: Warnings

    @Test("a new pod whose name is no label is warned of; updates warn of nothing")
    func warnings() throws {
        let object = try Object(["metadata": ["name": "a.b"], "spec": ["imagePullSecrets": [["name": ""]], "containers": []]])
        #expect(
            PodStrategy().warnings(object, old: nil) == [
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: "
                    + "[must not contain dots]",
                "spec.imagePullSecrets[0].name: invalid empty name \"\"",
            ])
        #expect(PodStrategy().warnings(object, old: try Object(["metadata": ["name": "a.b"], "spec": ["containers": []]])).isEmpty)
        #expect(PodStrategy().warnings(try Object(["metadata": ["name": "a"], "spec": [:]]), old: nil).isEmpty)
    }

    // MARK: AppArmor

    @Test("annotations with AppArmor profiles become fields, with a warning; what the fields say stays")
    func appArmor() throws {
        let prefix = "container.apparmor.security.beta.kubernetes.io/"
        let annotations: Value = [
            "\(prefix)a": "runtime/default", "\(prefix)b": "localhost/mine", "\(prefix)c": "unconfined", "\(prefix)d": "runtime/default",
            "\(prefix)e": "odd",
            "\(prefix)f": "localhost/ x",
        ]
        let own: Value = ["name": "c", "securityContext": ["appArmorProfile": ["type": "Unconfined"]]]
        let spec: Value = [
            "initContainers": [["name": "a"]],
            "containers": [["name": "b", "securityContext": ["privileged": false]], own, ["name": "e"], ["name": "f"]],
        ]
        let given = pod(spec, annotations: annotations)
        let made = try created(given)
        #expect(made[path: "spec", "initContainers"] == [["name": "a", "securityContext": ["appArmorProfile": ["type": "RuntimeDefault"]]]])
        let local: Value = ["type": "Localhost", "localhostProfile": "mine"]
        #expect(
            made[path: "spec", "containers"] == [
                ["name": "b", "securityContext": ["privileged": false, "appArmorProfile": local]], own, ["name": "e"], ["name": "f"],
            ])
        let told = ["a", "b", "e", "f"].map {
            "metadata.annotations[\(prefix)\($0)]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
        }
        #expect(PodStrategy().warningsBeforeCreate(given) == told)
        #expect(PodStrategy().warnings(try Object(made), old: nil).isEmpty)
    }

    @Test("an annotation that says what the pod's own profile says changes nothing, nor does one of a Windows pod")
    func appArmorOfPod() throws {
        let annotations: Value = ["container.apparmor.security.beta.kubernetes.io/c": "runtime/default"]
        let same = pod(["containers": [["name": "c"]], "securityContext": ["appArmorProfile": ["type": "RuntimeDefault"]]], annotations: annotations)
        #expect(try created(same)["spec"] == same["spec"])
        #expect(PodStrategy().warningsBeforeCreate(same).isEmpty)
        let windows = pod(["containers": [["name": "c"]], "os": ["name": "windows"]], annotations: annotations)
        #expect(try created(windows)["spec"] == windows["spec"])
        #expect(PodStrategy().warningsBeforeCreate(windows).isEmpty)
    }

    @Test("templates of pods are warned of AppArmor annotations without a field, at the template's place")
    func appArmorOfTemplates() throws {
        let key = "container.apparmor.security.beta.kubernetes.io/c"
        func warnings(_ context: Value) throws -> [String] {
            let template: Value = [
                "metadata": ["annotations": .object(Members([(key, .string("localhost/x"))]))],
                "spec": ["containers": [["name": "c", "securityContext": context]]],
            ]
            return WorkloadValidation.templateWarnings(try Object(["spec": ["template": template]]), old: nil)
        }
        #expect(
            try warnings([:]) == ["spec.template.metadata.annotations[\(key)]: deprecated since v1.30; use the \"appArmorProfile\" field instead"])
        #expect(try warnings(["appArmorProfile": ["type": "Unconfined"]]).isEmpty)
    }
}
