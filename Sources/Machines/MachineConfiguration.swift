/// What a machine is: the "instance" behind a node.
package struct MachineConfiguration: Sendable, Codable, Equatable {
    /// `i-0123456789abcdef0`.
    package var instanceID: String
    /// The private DNS name: `ip-10-0-1-17.us-east-1.compute.internal`.
    package var hostName: String
    /// The instance's size, which its cgroup is held to; thousandths of a vCPU.
    package var milliCPU: Int
    package var memoryMiB: Int
    package var network: Network
    /// The instance's secondary addresses, which pods get.
    package var podAddresses: [String]
    /// Registry host to the mirror's base URL, for containerd's hosts.toml.
    package var registryMirrors: [String: String]
    /// Seconds that the agent has to end what runs before the machine ends; 0: it is not asked.
    package var shutdownGrace: Int64 = 0

    /// The machine's place in its VPC.
    package struct Network: Sendable, Codable, Equatable {
        package var vpcID: String
        package var vpcCIDR: String
        /// The subnet's router: the first address of its block.
        package var gateway: String
        package var address: String
        package var prefixLength: Int

        package init(vpcID: String, vpcCIDR: String, gateway: String, address: String, prefixLength: Int) {
            self.vpcID = vpcID
            self.vpcCIDR = vpcCIDR
            self.gateway = gateway
            self.address = address
            self.prefixLength = prefixLength
        }
    }

    package init(
        instanceID: String, hostName: String, milliCPU: Int, memoryMiB: Int, network: Network, podAddresses: [String],
        registryMirrors: [String: String] = [:]
    ) {
        self.instanceID = instanceID
        self.hostName = hostName
        self.milliCPU = milliCPU
        self.memoryMiB = memoryMiB
        self.network = network
        self.podAddresses = podAddresses
        self.registryMirrors = registryMirrors
    }
}

/// Where a machine keeps its things: all below one directory of the service's data, and named objects of the kernel that carry the instance's id.
package struct MachinePaths: Sendable {
    package var directory: String
    package var instanceID: String

    package init(machinesDirectory: String, instanceID: String) {
        directory = "\(machinesDirectory)/\(instanceID)"
        self.instanceID = instanceID
    }

    package var configuration: String { "\(directory)/machine" }
    package var process: String { "\(directory)/process.json" }
    /// The seconds of `shutdownGrace`, for whoever ends the machine.
    package var shutdownGrace: String { "\(directory)/shutdown-grace" }
    package var log: String { "\(directory)/machine.log" }
    package var containerdConfiguration: String { "\(directory)/containerd.toml" }
    package var containerdRoot: String { "\(directory)/containerd" }
    package var kubelet: String { "\(directory)/kubelet" }
    package var podLogs: String { "\(directory)/pods" }
    /// Manifests of static pods.
    package var manifests: String { "\(directory)/manifests" }
    package var registryHosts: String { "\(directory)/certs.d" }
    package var cniConfiguration: String { "\(directory)/net.d" }
    /// The CNI configuration list, with the addresses of pods.
    package var cniList: String { "\(cniConfiguration)/10-eyrie.conflist" }
    package var cniBinaries: String { "\(directory)/cni-bin" }
    package var addressPool: String { "\(directory)/addresses.json" }
    package var pauseImage: String { "\(directory)/pause.tar" }
    /// Made by the agent of a machine that waits to join, once all is ready but for that.
    package var prepared: String { "\(directory)/prepared" }
    /// Files that the node's agent starts from (credentials: mode 0600).
    package var bootstrap: String { "\(directory)/bootstrap" }
    package var networkNamespace: String { "eyrie-\(instanceID)" }
    package var networkNamespacePath: String { "/run/netns/\(networkNamespace)" }
    /// The cgroup below each hierarchy's root.
    package var cgroup: String { "/eyrie/\(instanceID)" }
    /// The host's end of the machine's cable: at most 15 bytes.
    package var hostInterface: String { Self.hostInterface(of: instanceID) }
    static func hostInterface(of instanceID: String) -> String { "ey" + String(instanceID.suffix(12)) }
    /// containerd's socket, on the /run that only the machine sees.
    package static let containerdSocket = "/run/containerd/containerd.sock"
    package static let pauseImageName = "registry.k8s.io/pause:3.10.1"
}
