import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Admission plug-ins")
struct AdmissionTests {
    private let reader = MemoryReader()
    private let ann = UserInfo(name: "ann")

    private func admitted(_ plugin: any AdmissionPlugin, _ resource: GroupResource, _ json: String, namespace: String = "default") async throws
        -> Value
    {
        let object = try Object(json: json)
        var attributes = AdmissionAttributes(
            operation: .create, user: ann, resource: GroupVersionResource(group: resource.group, version: "v1", resource: resource.resource),
            kind: object.groupVersionKind, subresource: "", namespace: namespace, name: object.metadata.name, object: object.value, oldObject: nil,
            dryRun: false)
        try await plugin.admit(&attributes)
        return attributes.object
    }

    private let pod = #"{"kind":"Pod","metadata":{"name":"p","namespace":"default"},"spec":{"containers":[{"name":"c","image":"i"}]}}"#

    @Test("NamespaceLifecycle refuses missing and terminating namespaces, and deleting the first ones")
    func namespaceLifecycle() async throws {
        let plugin = NamespaceLifecycle(reader: reader)
        #expect(try await refusal(plugin, .create, .pods, pod, user: ann) == #"namespaces "default" not found"#)
        try reader.set(.namespaces, #"{"kind":"Namespace","metadata":{"name":"default"},"status":{"phase":"Active"}}"#)
        #expect(try await refusal(plugin, .create, .pods, pod, user: ann) == nil)
        try reader.set(.namespaces, #"{"kind":"Namespace","metadata":{"name":"default"},"status":{"phase":"Terminating"}}"#)
        #expect(
            try await refusal(plugin, .create, .pods, pod, user: ann)
                == #"pods "p" is forbidden: unable to create new content in namespace default because it is being terminated"#)
        #expect(try await refusal(plugin, .update, .pods, pod, old: pod, user: ann) == nil)
        for name in ["default", "kube-system", "kube-public"] {
            let message = try await refusal(plugin, .delete, .namespaces, "{}", namespace: "", name: name, user: ann)
            #expect(message == "namespaces \"\(name)\" is forbidden: this namespace may not be deleted")
        }
        #expect(try await refusal(plugin, .delete, .namespaces, "{}", namespace: "", name: "web", user: ann) == nil)
    }

    @Test("a pod is not resized beyond what its node has")
    func podResize() async throws {
        let plugin = PodResizeValidator(reader: reader)
        func sized(_ cpu: String, _ memory: String, generation: Int = 2, node: String = #","nodeName":"n""#, more: String = "") -> String {
            #"{"kind":"Pod","metadata":{"name":"p","namespace":"default","generation":\#(generation)},"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"\#(cpu)","memory":"\#(memory)"}}}]\#(node)\#(more)}}"#
        }
        func refused(_ new: String, subresource: String = "resize") async throws -> String? {
            try await refusal(plugin, .update, .pods, new, old: sized("1", "1Gi", generation: 1), subresource: subresource, user: ann)
        }
        #expect(try await refused(sized("1", "1Gi")) == #"pods "p" is forbidden: node "n" not found"#)
        try reader.set(
            .nodes,
            #"{"metadata":{"name":"n","labels":{"kubernetes.io/os":"linux"}},"status":{"capacity":{"cpu":"9"},"allocatable":{"cpu":"3500m","memory":"4Gi"}}}"#
        )
        #expect(try await refused(sized("3500m", "4Gi")) == nil)
        let place = #"pods "p" is forbidden: node didn't have enough allocatable resources: "#
        #expect(try await refused(sized("3501m", "4Gi")) == place + "cpu, requested: 3501, allocatable: 3500")
        #expect(
            try await refused(sized("4", "5Gi"))
                == place + "cpu, requested: 4000, allocatable: 3500; memory, requested: 5368709120, allocatable: 4294967296")
        #expect(
            try await refused(sized("3", "1Gi", more: #","overhead":{"cpu":"1"}"#)) == place + "cpu, requested: 4000, allocatable: 3500")
        // What asks for nothing new, is on no node, or is no resize.
        #expect(try await refused(sized("9", "1Gi", generation: 1)) == nil)
        #expect(try await refused(sized("9", "1Gi", node: "")) == nil)
        #expect(try await refused(sized("9", "1Gi"), subresource: "status") == nil)
        try reader.set(
            .nodes, #"{"metadata":{"name":"n","labels":{"kubernetes.io/os":"windows"}},"status":{"allocatable":{"cpu":"9","memory":"9Gi"}}}"#)
        #expect(
            try await refused(sized("1", "2Gi")) == #"pods "p" is forbidden: pod resize is only supported on linux nodes, node "n" is "windows""#)
    }

    @Test("the refusal of a resize has a cause that programs can tell")
    func podResizeCause() async throws {
        let pod = try Object([
            "metadata": ["name": "p", "generation": 2], "spec": ["nodeName": "n", "containers": [["resources": ["requests": ["cpu": "2"]]]]],
        ])
        try reader.set(.nodes, #"{"metadata":{"name":"n"},"status":{"allocatable":{"cpu":"1"}}}"#)
        let attributes = AdmissionAttributes(
            operation: .update, user: ann, resource: GroupVersionResource(group: "", version: "v1", resource: "pods"), kind: pod.groupVersionKind,
            subresource: "resize", namespace: "default", name: "p", object: pod.value, oldObject: try Object(["metadata": ["name": "p"]]),
            dryRun: false)
        let error = await failure { try await PodResizeValidator(reader: reader).validate(attributes) }
        #expect(error?.code == 403 && error?.details?.causes.map(\.reason) == ["NodeCapacity"])
    }

    @Test("a pod gets the default account and its token mounted in every container")
    func serviceAccount() async throws {
        try reader.set(
            .serviceAccounts,
            #"{"kind":"ServiceAccount","metadata":{"name":"default","namespace":"default","uid":"1"},"imagePullSecrets":[{"name":"pull"}]}"#)
        let plugin = ServiceAccountAdmission(reader: reader)
        let json = #"{"metadata":{"name":"p"},"spec":{"initContainers":[{"name":"i","image":"i"}],"containers":[{"name":"c","image":"i"}]}}"#
        let spec = try #require(try await admitted(plugin, .pods, json)["spec"])
        #expect(spec["serviceAccountName"] == "default" && spec["serviceAccount"] == "default")
        #expect(spec["imagePullSecrets"] == [["name": "pull"]])
        let volume = try #require(spec["volumes"]?.array?.first)
        let name = try #require(volume["name"]?.string)
        #expect(name.hasPrefix("kube-api-access-") && name.count == 21)
        for list in ["containers", "initContainers"] {
            let mount = spec[list]?.array?.first?["volumeMounts"]?.array?.first
            #expect(mount == ["name": .string(name), "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"])
        }
        let sources = volume[path: "projected", "sources"]?.array
        #expect(sources?.first == ["serviceAccountToken": ["expirationSeconds": 3607, "path": "token"]])
        #expect(volume[path: "projected", "defaultMode"] == 420)
    }

    @Test("no token where pod or account say so, or where a container brings its own mount")
    func noToken() async throws {
        try reader.set(
            .serviceAccounts, #"{"kind":"ServiceAccount","metadata":{"name":"quiet","namespace":"default"},"automountServiceAccountToken":false}"#)
        try reader.set(.serviceAccounts, #"{"kind":"ServiceAccount","metadata":{"name":"default","namespace":"default"}}"#)
        let plugin = ServiceAccountAdmission(reader: reader)
        let quiet = #"{"metadata":{"name":"p"},"spec":{"serviceAccountName":"quiet","containers":[{"name":"c"}]}}"#
        #expect(try await admitted(plugin, .pods, quiet)[path: "spec", "volumes"] == nil)
        let off = #"{"metadata":{"name":"p"},"spec":{"automountServiceAccountToken":false,"containers":[{"name":"c"}]}}"#
        #expect(try await admitted(plugin, .pods, off)[path: "spec", "volumes"] == nil)
        let own =
            #"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","volumeMounts":[{"name":"x","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}]}}"#
        #expect(try await admitted(plugin, .pods, own)[path: "spec", "volumes"] == nil)
    }

    @Test("an account that is missing is refused by name; the default one is waited for")
    func missingAccount() async throws {
        let plugin = ServiceAccountAdmission(reader: reader)
        let named = pod.replacing(#""containers""#, with: #""serviceAccountName":"x","containers""#)
        #expect(
            try await refusal(plugin, .create, .pods, named, user: ann)
                == #"pods "p" is forbidden: error looking up service account default/x: serviceaccount "x" not found"#)
        async let waiting = admitted(plugin, .pods, pod)
        try await Task.sleep(for: .milliseconds(20))
        try reader.set(.serviceAccounts, #"{"kind":"ServiceAccount","metadata":{"name":"default","namespace":"default"}}"#)
        #expect(try await waiting[path: "spec", "serviceAccountName"] == "default")
    }

    @Test("a mirror pod is left alone, and may name neither accounts nor secrets")
    func mirrorPod() async throws {
        let plugin = ServiceAccountAdmission(reader: reader)
        let mirror = pod.replacing(#""namespace""#, with: #""annotations":{"kubernetes.io/config.mirror":"x"},"namespace""#)
        #expect(try await refusal(plugin, .create, .pods, mirror, user: ann) == nil)
        let named = mirror.replacing(#""containers""#, with: #""serviceAccountName":"x","containers""#)
        #expect(try await refusal(plugin, .create, .pods, named, user: ann)?.contains("a mirror pod may not reference service accounts") == true)
    }

    @Test("pods stay five minutes on nodes that fail, unless they say otherwise")
    func tolerations() async throws {
        let plugin = DefaultTolerationSeconds()
        let added = try #require(try await admitted(plugin, .pods, pod)[path: "spec", "tolerations"]?.array)
        #expect(added.compactMap { $0["key"]?.string } == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"])
        #expect(added.allSatisfy { $0["tolerationSeconds"] == 300 && $0["effect"] == "NoExecute" && $0["operator"] == "Exists" })
        let everything = pod.replacing(#""containers""#, with: #""tolerations":[{"operator":"Exists"}],"containers""#)
        #expect(try await admitted(plugin, .pods, everything)[path: "spec", "tolerations"]?.array?.count == 1)
    }

    @Test("priority comes from the class, the default class or zero, and is not the user's to name")
    func priority() async throws {
        let plugin = PriorityAdmission(reader: reader)
        let plain = try await admitted(plugin, .pods, pod)
        #expect(plain[path: "spec", "priority"] == 0 && plain[path: "spec", "preemptionPolicy"] == "PreemptLowerPriority")
        try reader.set(.priorityClasses, #"{"kind":"PriorityClass","metadata":{"name":"high"},"value":1000,"preemptionPolicy":"Never"}"#)
        let high = pod.replacing(#""containers""#, with: #""priorityClassName":"high","containers""#)
        let found = try await admitted(plugin, .pods, high)
        #expect(found[path: "spec", "priority"] == 1000 && found[path: "spec", "preemptionPolicy"] == "Never")
        let asked = pod.replacing(#""containers""#, with: #""priority":5,"containers""#)
        #expect(
            try await refusal(plugin, .create, .pods, asked, user: ann)?.contains("the integer value of priority (5) must not be provided") == true)
        let missing = pod.replacing(#""containers""#, with: #""priorityClassName":"none","containers""#)
        #expect(
            try await refusal(plugin, .create, .pods, missing, user: ann) == #"pods "p" is forbidden: no PriorityClass with name none was found"#)
        try reader.set(.priorityClasses, #"{"kind":"PriorityClass","metadata":{"name":"usual"},"value":7,"globalDefault":true}"#)
        let usual = try await admitted(plugin, .pods, pod)
        #expect(usual[path: "spec", "priority"] == 7 && usual[path: "spec", "priorityClassName"] == "usual")
        let second = #"{"kind":"PriorityClass","metadata":{"name":"second"},"value":8,"globalDefault":true}"#
        #expect(try await refusal(plugin, .create, .priorityClasses, second, namespace: "", user: ann)?.contains("already marked as default") == true)
    }

    @Test("new nodes are tainted until they were seen ready; claims get the newest default class; external addresses are denied")
    func others() async throws {
        let node = try await admitted(TaintNodesByCondition(), .nodes, #"{"kind":"Node","metadata":{"name":"n"}}"#, namespace: "")
        #expect(node[path: "spec", "taints"] == [["key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"]])
        for (name, time) in [("old", "2026-01-01T00:00:00Z"), ("new", "2026-02-01T00:00:00Z")] {
            try reader.set(
                .storageClasses,
                """
                {"kind":"StorageClass","metadata":{"name":"\(name)","creationTimestamp":"\(time)",
                "annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}
                """)
        }
        let claim = try await admitted(DefaultStorageClass(reader: reader), .persistentVolumeClaims, #"{"metadata":{"name":"c"},"spec":{}}"#)
        #expect(claim[path: "spec", "storageClassName"] == "new")
        let none = try await admitted(
            DefaultStorageClass(reader: reader), .persistentVolumeClaims, #"{"metadata":{"name":"c"},"spec":{"storageClassName":""}}"#)
        #expect(none[path: "spec", "storageClassName"] == "")
        func service(_ addresses: String) -> String { #"{"metadata":{"name":"s"},"spec":{"externalIPs":\#(addresses)}}"# }
        let plugin = DenyServiceExternalIPs()
        #expect(
            try await refusal(plugin, .create, .services, service(#"["1.2.3.4"]"#), user: ann)
                == #"services "s" is forbidden: Use of external IPs is denied by admission control."#)
        #expect(try await refusal(plugin, .update, .services, service(#"["1.2.3.4"]"#), old: service(#"["1.2.3.4","5.6.7.8"]"#), user: ann) == nil)
    }
}
