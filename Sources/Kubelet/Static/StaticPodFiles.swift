import Glibc
import KubeAPI
import Logging

/// Pods that a folder of manifests tells of. Upstream: pkg/kubelet/config's file source and applyDefaults.
struct StaticPodFiles: Sendable {
    let folder: String
    let nodeName: String
    let logger: Logger

    /// A manifest larger than this is no manifest.
    private static let sizeLimit = 1 << 20

    /// Blocks. Files that cannot be read are passed over and logged; of two that tell of one pod the first counts.
    func read(now: Timestamp) -> [String: Pod] {
        var pods: [String: Pod] = [:]
        let names = (try? FileTree.list(folder)) ?? []  // No folder: no pods.
        for name in names where !name.hasPrefix(".") {
            let path = "\(folder)/\(name)"
            do {
                guard let status = try FileTree.status(path, follow: true), status.st_mode & S_IFMT == S_IFREG else { continue }
                let pod = try Self.pod(try FileTree.read(path, limit: Self.sizeLimit), path: path, nodeName: nodeName, now: now)
                if pods[pod.key] == nil { pods[pod.key] = pod }
            } catch {
                logger.error("a manifest cannot be used", metadata: ["path": "\(path)", "error": "\(error)"])
            }
        }
        return pods
    }

    /// The pod of a manifest, JSON or YAML. Its uid is a digest of what the manifest says, so a changed one is another pod. Throws what is wrong.
    static func pod(_ bytes: [UInt8], path: String, nodeName: String, now: Timestamp) throws -> Pod {
        var value = try Value(json: try YAMLDecoder.decode(bytes).json)
        guard value["kind"]?.string == "Pod", value["apiVersion"]?.string == "v1" else { throw VolumeError("\(path) is no Pod of v1") }
        let name = value[path: "metadata", "name"]?.string ?? ""
        guard !name.isEmpty else { throw VolumeError("the pod of \(path) has no name") }
        Defaults.apply(&value, kind: GroupVersionKind(apiVersion: "v1", kind: "Pod"))
        let given = value[path: "metadata", "uid"]?.string ?? ""
        let uid = given.isEmpty ? digest(Array("host:\(nodeName)file:\(path)".utf8) + value.jsonBytes) : given
        value[path: "metadata", "uid"] = .string(uid)
        value[path: "metadata", "name"] = .string("\(name)-\(nodeName.lowercased())")
        if (value[path: "metadata", "namespace"]?.string ?? "").isEmpty { value[path: "metadata", "namespace"] = "default" }
        value[path: "metadata", "annotations", "kubernetes.io/config.hash"] = .string(uid)
        value[path: "metadata", "annotations", "kubernetes.io/config.source"] = "file"
        value[path: "metadata", "annotations", "kubernetes.io/config.seen"] = .string(now.rfc3339)
        value[path: "spec", "nodeName"] = .string(nodeName)
        // Nobody would bring it back. Upstream: applyDefaults tolerates all NoExecute taints.
        value[path: "spec", "tolerations"] = .array(
            (value[path: "spec", "tolerations"]?.array ?? []) + [["operator": "Exists", "effect": "NoExecute"]])
        value["status"] = ["phase": "Pending"]
        return Pod(try Object(value))
    }

    /// 128 bits as 32 hex digits: two FNV-1a digests from different beginnings.
    private static func digest(_ bytes: [UInt8]) -> String {
        var (a, b): (UInt64, UInt64) = (0xcbf2_9ce4_8422_2325, 0x9ae1_6a3b_2f90_404f)
        for byte in bytes {
            a = (a ^ UInt64(byte)) &* 0x100_0000_01b3
            b = (b ^ UInt64(byte)) &* 0x100_0000_01b3 ^ (b >> 29)
        }
        return [a, b].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
