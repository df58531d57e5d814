import KubeAPI
import KubeClient
import Machines
import NodeIdentity
import Processes

/// The node that this host is, as its directory says it: by it the host is a node again after a restart, and leaves.
struct JoinedNode {
    var cluster: String
    /// URL and region of the service.
    var endpoint: String
    var region: String
    var nodeName: String
    /// The range of its pods, and the networks that know their addresses.
    var podRange: String
    var clusterNetworks: [String]
    /// Registry host to mirror URL.
    var mirrors: [String: String]

    private static func path(_ directory: DataDirectory) -> String { "\(directory.path)/joined.json" }

    /// Nil where the host is no node. Throws `CLIError` for a file that cannot be read: it is not to be taken for none.
    static func read(_ directory: DataDirectory) throws -> JoinedNode? {
        guard let bytes = SmallFile.read(path(directory)) else { return nil }
        guard let root = try? JSONDocument(bytes).root, let cluster = root["cluster"].string, let endpoint = root["endpoint"].string,
            let region = root["region"].string, let name = root["nodeName"].string, let pods = root["podRange"].string
        else {
            throw CLIError(
                what: "\(path(directory)) says which node this host is, and cannot be read.", why: nil,
                fix: "put back a copy, or remove the directory and join anew")
        }
        return JoinedNode(
            cluster: cluster, endpoint: endpoint, region: region, nodeName: name, podRange: pods, clusterNetworks: root["clusterNetworks"].strings,
            mirrors: root["registryMirrors"].stringMap)
    }

    func write(_ directory: DataDirectory) throws {
        let value: Value = [
            "cluster": .string(cluster), "endpoint": .string(endpoint), "region": .string(region), "nodeName": .string(nodeName),
            "podRange": .string(podRange), "clusterNetworks": Value(clusterNetworks), "registryMirrors": Value(mirrors),
        ]
        try SmallFile.write(Self.path(directory), value.jsonBytes)
    }

    static func remove(_ directory: DataDirectory) async throws { try await Command.run(["rm", "-f", path(directory)]) }

    func machine(_ directory: DataDirectory) -> JoinedMachine {
        JoinedMachine(directory: directory.path, name: nodeName, executable: Executable.path)
    }

    /// Throws `JoinProblem` for a range that is none.
    func configuration(_ host: HostSize) throws -> JoinedMachine.Configuration {
        .init(
            hostName: nodeName, milliCPU: host.vcpus * 1_000, memoryMiB: host.memoryMiB, podRange: podRange,
            podAddresses: try JoinableCluster.addresses(of: podRange), clusterNetworks: clusterNetworks, registryMirrors: mirrors)
    }
}
