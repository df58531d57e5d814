import AWSProtocol
import Testing

@testable import AWSServices
@testable import ClusterLifecycle

@Suite struct UserDataTests {
    private func template(_ text: String, image: String? = nil) throws -> NodegroupTemplate {
        let encoded = Base64URL.encodeStandard(Array(text.utf8))
        var data: [String: AWSJSON] = ["UserData": .string(encoded)]
        if let image { data["ImageId"] = .string(image) }
        return try NodegroupTemplate(LaunchTemplateFacts(id: "lt-1", name: "t", version: 1, data: .object(data)))
    }

    private func settings(_ text: String, image: String? = nil) throws -> KubeletSettings {
        try KubeletSettings(try template(text, image: image))
    }

    private func archive(_ parts: [(type: String, text: String)]) -> String {
        let bodies = parts.map { "--==X==\r\nContent-Type: \($0.type); charset=\"us-ascii\"\r\n\r\n\($0.text)\r\n" }
        return "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"==X==\"\r\n\r\n" + bodies.joined() + "--==X==--\r\n"
    }

    private func config(_ kubelet: String) -> String {
        "---\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n" + kubelet
    }

    @Test("settings of all NodeConfigs are taken over, the last wins; what does nothing is named")
    func nodeConfigs() throws {
        let first = config(
            """
                config:
                  maxPods: 20
                  imageGCHighThresholdPercent: 70
                  podPidsLimit: 512
                  kubeReserved: {cpu: 100m}
                  registerWithTaints: [{key: a, value: b, effect: NoSchedule}]
                flags:
                - --node-labels=team=x,node.kubernetes.io/kind=y
                - --v=4
            """)
        let second = config("    config: {maxPods: 30, clusterDNS: [10.0.0.10]}\n    flags: ['--register-with-taints=c:NoExecute,a=z:NoSchedule']\n")
        let type = NodeConfig.contentType
        let found = try settings(archive([(type, first), ("text/x-shellscript", "#!/bin/sh\nexit 1"), (type, second)]))
        #expect(found.maxPods == 30 && found.labels == ["team": "x", "node.kubernetes.io/kind": "y"] && found.clusterDNS == ["10.0.0.10"])
        #expect(found.node?.podPidsLimit == 512)
        #expect(found.kubeReserved == ["cpu": "100m"] && found.systemReserved.isEmpty)
        #expect(found.taints == [NodeTaint(key: "c", effect: "NoExecute"), NodeTaint(key: "a", value: "z", effect: "NoSchedule")])
        #expect(
            found.ignored == ["spec.kubelet.config.imageGCHighThresholdPercent", "the kubelet's flag --v", "a part of type text/x-shellscript"])
    }

    @Test("pods of ordinary priority have what critical pods do not need of the node's time, unless there is a list of priorities")
    func shutdown() throws {
        func periods(_ config: String) throws -> [[Int64]]? {
            let node = try settings(archive([(NodeConfig.contentType, self.config("    config: {\(config)}\n"))])).node
            return node?.shutdownPeriods.map { [$0.priority, $0.seconds] }
        }
        #expect(try periods("maxPods: 5") == nil)
        #expect(try periods("shutdownGracePeriod: 0s") == [])
        #expect(try periods("shutdownGracePeriod: 1m30s") == [[0, 90], [2_000_000_000, 0]])
        #expect(try periods("shutdownGracePeriod: 30s, shutdownGracePeriodCriticalPods: 10s") == [[0, 20], [2_000_000_000, 10]])
        let list = "shutdownGracePeriodByPodPriority: [{priority: 100, shutdownGracePeriodSeconds: 7}, {priority: 0, shutdownGracePeriodSeconds: 5}]"
        #expect(try periods(list) == [[100, 7], [0, 5]])
    }

    @Test("what the kubelet makes of the host's swap is taken over")
    func swap() throws {
        let text = config("    config: {memorySwap: {swapBehavior: LimitedSwap}, failSwapOn: true}\n    flags: ['--fail-swap-on=false']\n")
        let node = try settings(archive([(NodeConfig.contentType, text)])).node
        #expect(node?.swapBehavior == "LimitedSwap" && node?.failSwapOn == false)
    }

    @Test("how much containers may log, and what of them is killed, is taken over")
    func containers() throws {
        let text = config(
            "    config: {containerLogMaxSize: 50Mi, containerLogMaxFiles: 3, singleProcessOOMKill: true}\n    flags: ['--container-log-max-files=4']\n"
        )
        let node = try settings(archive([(NodeConfig.contentType, text)])).node
        #expect(node?.containerLogMaxSize == "50Mi" && node?.containerLogMaxFiles == 4 && node?.singleProcessOOMKill == true)
    }

    @Test("when pods are evicted is taken over signal by signal; a flag takes the place of all")
    func evictions() throws {
        let first = config("    config: {evictionHard: {memory.available: 5%}, evictionSoft: {pid.available: 20%}, evictionMaxPodGracePeriod: 9}\n")
        let second = config(
            """
                config:
                  evictionHard: {nodefs.available: 1Gi}
                  evictionSoftGracePeriod: {pid.available: 1m30s}
                  evictionMinimumReclaim: {nodefs.available: 500Mi}
                  evictionPressureTransitionPeriod: 30s

            """)
        let node = try #require(try settings(archive([first, second].map { (NodeConfig.contentType, $0) })).node)
        #expect(node.evictionHard == ["memory.available": "5%", "nodefs.available": "1Gi"] && node.evictionMaxPodGracePeriod == 9)
        #expect(node.evictionSoft == ["pid.available": "20%"] && node.evictionSoftGracePeriod == ["pid.available": 90])
        #expect(node.evictionMinimumReclaim == ["nodefs.available": "500Mi"] && node.evictionPressureTransitionPeriod == 30)
        let flag = config(
            "    config: {evictionHard: {memory.available: 5%}}\n    flags: ['--eviction-hard=memory.available<1Gi,pid.available<9%']\n")
        #expect(
            try settings(archive([(NodeConfig.contentType, flag)])).node?.evictionHard == [
                "memory.available": "1Gi", "pid.available": "9%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
            ])
    }

    @Test("a machine is given the time of all its pods")
    func machineGrace() throws {
        let text = archive([(NodeConfig.contentType, config("    config: {shutdownGracePeriod: 30s, shutdownGracePeriodCriticalPods: 10s}\n"))])
        #expect(try settings(text).node?.shutdownGrace == 30)
    }

    @Test("parts may be in base 64, and an archive may lack its end")
    func encodings() throws {
        let part = Base64URL.encodeStandard(Array(config("    config: {maxPods: 11}\n").utf8))
        let text =
            "Content-Type: multipart/mixed; boundary=B\n\n--B\nContent-Transfer-Encoding: base64\nContent-Type: application/node.eks.aws\n\n\(part)\n"
        #expect(try settings(text).maxPods == 11 && settings("").maxPods == nil)
        #expect(UserData(archive: Array("Content-Type: multipart/mixed; boundary=B\n\nprologue".utf8))?.parts.isEmpty == true)
    }

    @Test(
        "what is no archive is refused, unless the image is the user's",
        arguments: ["#!/bin/bash\necho", "Content-Type: multipart/mixed\n\n", "Content-Type: text/plain; boundary=B\n\n--B--"])
    func noArchive(_ text: String) throws {
        let error = #expect(throws: AWSError.self) { _ = try settings(text) }
        #expect(error?.code == "Ec2LaunchTemplateInvalidConfiguration" && error?.message == "User data was not in the MIME multipart format.")
        #expect(try settings("#!/bin/bash\n", image: "ami-1").ignored == ["a part of type text/x-shellscript"])
        #expect(try settings(config("    config: {maxPods: 5}\n"), image: "ami-1").maxPods == 5)
        #expect(try settings(config("    flags: ['--pod-max-pids=99']\n"), image: "ami-1").node?.podPidsLimit == 99)
    }

    @Test(
        "what a node would not come up with is refused",
        arguments: [
            ("    config: {maxPods: -1}\n", "maxPods"), ("    config: {maxPods: x}\n", "maxPods"), ("    flags: ['--max-pods=1e9']\n", "maxPods"),
            ("    config: {kubeReserved: {cpu: much}}\n", "no quantity"), ("    flags: ['--node-labels=a b=c']\n", "invalid label"),
            ("    flags: ['--node-labels=kubernetes.io/role=x']\n", "unknown 'kubernetes.io'"),
            ("    flags: ['--register-with-taints=a=b:Never']\n", "invalid taint"), ("    flags: ['--register-with-taints=']\n", ""),
            ("    config: {podPidsLimit: many}\n", "podPidsLimit"), ("    flags: ['--pod-max-pids=x']\n", "podPidsLimit"),
            ("    config: {containerLogMaxSize: big}\n", "containerLogMaxSize must be a quantity"),
            ("    config: {containerLogMaxFiles: 1}\n", "containerLogMaxFiles must be a number, > 1"),
            ("    config: {memorySwap: {swapBehavior: UnlimitedSwap}}\n", "memorySwap.swapBehavior must be one of"),
            ("    flags: ['--fail-swap-on=maybe']\n", "failSwapOn"),
            ("    config: {evictionHard: {memory.free: 1Gi}}\n", "unsupported eviction signal memory.free"),
            ("    config: {evictionHard: {memory.available: 101%}}\n", "invalid value 101%"),
            ("    config: {evictionHard: {memory.available: '0'}}\n", "must be positive"),
            ("    config: {evictionHard: 5}\n", "must be a map"),
            (
                "    config: {evictionSoft: {memory.available: 1Gi}}\n",
                "grace period must be specified for the soft eviction threshold memory.available"
            ),
            ("    config: {evictionSoftGracePeriod: {memory.available: -3s}}\n", "not negative"),
            ("    flags: ['--eviction-hard=memory.available']\n", "must be a map"),
            ("    config: {shutdownGracePeriod: 30}\n", "shutdownGracePeriod must be a duration"),
            ("    config: {shutdownGracePeriod: 500ms}\n", "either zero or otherwise >= 1 sec"),
            ("    config: {shutdownGracePeriod: 48h}\n", "at most a day"),
            ("    config: {shutdownGracePeriodCriticalPods: 10s}\n", "must be <= shutdownGracePeriod"),
            (
                "    config: {shutdownGracePeriod: 5s, shutdownGracePeriodByPodPriority: [{priority: 0, shutdownGracePeriodSeconds: 1}]}\n",
                "at the same time"
            ),
            ("    config: {shutdownGracePeriodByPodPriority: [{priority: 0}]}\n", "must be a list"),
            ("    config: {shutdownGracePeriodByPodPriority: 3}\n", "must be a list"),
            ("\tx: [\n", "not YAML"),
        ])
    func refused(_ kubelet: String, _ reason: String) throws {
        let text = archive([(NodeConfig.contentType, config(kubelet))])
        guard !reason.isEmpty else {
            #expect(try settings(text).taints.isEmpty)
            return
        }
        let error = #expect(throws: AWSError.self) { _ = try settings(text) }
        #expect(error?.code == "NodeCreationFailure" && error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }

    @Test("a NodeConfig is one")
    func otherKinds() {
        for document in ["apiVersion: v1\nkind: Pod\n", "[]", "null"] {
            let error = #expect(throws: AWSError.self) { _ = try settings(archive([(NodeConfig.contentType, document)])) }
            #expect(error?.message.contains("is no NodeConfig of node.eks.aws/v1alpha1") == true)
        }
    }

    @Test("user data beyond 16 KB and archives of too many parts are none")
    func limits() {
        let header = "Content-Type: multipart/mixed; boundary=B\n\n"
        #expect(UserData(archive: Array((header + String(repeating: "x", count: 16_384)).utf8)) == nil)
        #expect(UserData(archive: Array((header + String(repeating: "--B\n\n", count: 200)).utf8)) == nil)
    }
}
