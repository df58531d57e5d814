import KubeAPI
import Testing

@testable import CloudControllers

/// How large Fargate's machines are, and what it does not run.
@Suite struct FargateTests {
    private func pod(_ containers: [Value], init initContainers: [Value] = [], _ spec: [(String, Value)] = []) throws -> Object {
        var whole: Value = ["containers": .array(containers), "initContainers": .array(initContainers), "schedulerName": "fargate-scheduler"]
        for (key, value) in spec { whole[key] = value }
        return try Object([
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": "p", "namespace": "n", "uid": "u", "labels": ["eks.amazonaws.com/fargate-profile": "fp"]], "spec": whole,
        ])
    }

    private func container(_ cpu: String?, _ memory: String?) -> Value {
        var requests: Value = [:]
        if let cpu { requests["cpu"] = .string(cpu) }
        if let memory { requests["memory"] = .string(memory) }
        return ["name": "c", "resources": ["requests": requests]]
    }

    @Test(
        "a machine is the smallest that holds the pod's requests and 256 MiB for the node's own",
        arguments: [
            (nil, nil, "0.25vCPU 0.5GB"), ("250m", "256Mi", "0.25vCPU 0.5GB"), ("250m", "257Mi", "0.25vCPU 1GB"), ("251m", "256Mi", "0.5vCPU 1GB"),
            ("1", "8Gi", "2vCPU 9GB"), ("250m", "2Gi", "0.5vCPU 3GB"), ("4", "29Gi", "4vCPU 30GB"), ("4", "30Gi", "8vCPU 32GB"),
            ("16", "119Gi", "16vCPU 120GB"), ("9", nil, "16vCPU 32GB"), ("17", nil, nil), (nil, "120Gi", nil),
            (nil, "9223372036854775807", nil),
        ] as [(String?, String?, String?)])
    func capacity(_ cpu: String?, _ memory: String?, _ expected: String?) throws {
        #expect(FargateCapacity(for: try pod([container(cpu, memory)]))?.description == expected)
    }

    @Test("containers add up; of init containers the largest counts") func sums() throws {
        let large = container("3", "1Gi")
        #expect(
            FargateCapacity(for: try pod([container("1", "1Gi"), container("1", "1Gi")], init: [large, large]))
                == .init(milliCPU: 4_000, memoryMiB: 8_192))
        #expect(FargateCapacity(for: try pod([container("1", "1Gi"), container("1", "1Gi")])) == .init(milliCPU: 2_000, memoryMiB: 4_096))
    }

    private func message(_ pod: Object, claim: Object? = nil, volume: Object? = nil) -> String? {
        FargateRestrictions(claim: { _ in claim }, volume: { _ in volume }).message(for: pod)
    }

    @Test("what Fargate does not run is named in EKS's words") func restrictions() throws {
        #expect(message(try pod([["name": "c", "ports": [["containerPort": 80]]]])) == nil)
        let privileged: Value = ["name": "c", "securityContext": ["privileged": true], "ports": [["containerPort": 80, "hostPort": 80]]]
        #expect(
            message(try pod([privileged], [("hostNetwork", true)]))
                == "Pod not supported on Fargate: fields not supported: HostNetwork, invalid SecurityContext fields: Privileged, "
                + "port contains HostIP or HostPort")
        #expect(message(try pod([privileged], init: [privileged]))?.contains("Privileged,Privileged") == true)
        func adding(_ capability: Value) -> Value { ["name": "c", "securityContext": ["capabilities": ["drop": ["ALL"], "add": [capability]]]] }
        #expect(message(try pod([adding("NET_BIND_SERVICE")])) == nil)
        #expect(
            message(try pod([adding("NET_ADMIN"), adding("NET_ADMIN")]))
                == "Pod not supported on Fargate: invalid SecurityContext fields: Capabilities added: NET_ADMIN,Capabilities added: NET_ADMIN")
        let gpu: Value = ["name": "c", "resources": ["requests": ["nvidia.com/gpu": 1]]]
        #expect(message(try pod([gpu])) == "Pod not supported on Fargate: resources not supported: nvidia.com/gpu")
        #expect(message(try pod([container("32", nil)]))?.hasSuffix("no vCPU and memory combination holds the requests: cpu 32, memory 0") == true)
        let host: Value = [["name": "root", "hostPath": ["path": "/"]], ["name": "tmp", "emptyDir": [:]]]
        #expect(
            message(try pod([["name": "c"]], [("volumes", host)]))
                == "Pod not supported on Fargate: volumes not supported: root is of an unsupported volume Type")
    }

    @Test("a claim must be bound to a volume of EFS") func claims() throws {
        let pod = try pod([["name": "c"]], [("volumes", [["name": "data", "persistentVolumeClaim": ["claimName": "pvc"]]])])
        func claim(_ phase: String) throws -> Object {
            try Object([
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": ["name": "pvc"], "spec": ["volumeName": "pv"],
                "status": ["phase": .string(phase)],
            ])
        }
        func volume(_ driver: String) throws -> Object {
            try Object(["apiVersion": "v1", "kind": "PersistentVolume", "metadata": ["name": "pv"], "spec": ["csi": ["driver": .string(driver)]]])
        }
        let prefix = "Pod not supported on Fargate: volumes not supported: data not supported because: "
        #expect(message(pod) == prefix + "persistentvolumeclaim \"pvc\" not found")
        #expect(message(pod, claim: try claim("Pending")) == prefix + "PVC pvc not bound")
        #expect(
            message(pod, claim: try claim("Bound"), volume: try volume("ebs.csi.aws.com"))
                == prefix + "PVC pvc bound to invalid PV pv with CSI Driver: ebs.csi.aws.com")
        #expect(message(pod, claim: try claim("Bound"), volume: try volume("efs.csi.aws.com")) == nil)
    }

    @Test("a machine is for pods that Fargate can run, until they are gone") func wanted() throws {
        let waiting = try pod([["name": "c"]])
        #expect(FargatePod(waiting, isSupported: true).isWanted && !FargatePod(waiting, isSupported: false).isWanted)
        #expect(!FargatePod(try pod([container("17", nil)]), isSupported: true).isWanted)
        let bound = FargatePod(try pod([["name": "c"]], [("nodeName", "fargate-ip-10-0-0-4")]), isSupported: true)
        #expect(bound.isWanted && bound.nodeName == "fargate-ip-10-0-0-4" && bound.profile == "fp")
    }
}
