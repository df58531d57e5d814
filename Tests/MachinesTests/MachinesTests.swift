import Glibc
import Nftables
import Processes
import Testing

@testable import Machines

/// What a machine is made of, as far as it can be told without root.
@Suite struct MachineFilesTests {
    private let paths = MachinePaths(machinesDirectory: "/data/machines", instanceID: "i-0123456789abcdef0")

    @Test("names of kernel objects fit their limits") func kernelNames() {
        #expect(paths.hostInterface.utf8.count <= 15)
        #expect(VPCNetwork(vpcID: "vpc-0123456789abcdef0", cidr: "10.0.0.0/16").bridge.utf8.count <= 15)
        #expect(MachinePaths.containerdSocket.utf8.count < 108)
    }

    @Test("a VPC's bridge has the same hardware address each time, and another VPC's has another") func hardwareAddresses() {
        let addresses = (0..<300).map { VPCNetwork(vpcID: "vpc-\($0)", cidr: "10.0.0.0/16").hardwareAddress }
        #expect(Set(addresses).count == 300 && addresses[7] == VPCNetwork(vpcID: "vpc-7", cidr: "10.1.0.0/16").hardwareAddress)
        #expect(addresses.allSatisfy { $0.hasPrefix("02:") && $0.utf8.count == 17 })
    }

    @Test("containerd keeps its state in the machine's directory and its socket on the machine's own /run") func containerd() {
        let toml = ContainerdConfiguration.toml(paths)
        #expect(toml.contains("root = \"/data/machines/i-0123456789abcdef0/containerd\""))
        #expect(toml.contains("address = \"/run/containerd/containerd.sock\""))
        #expect(toml.contains("restrict_oom_score_adj"))
    }

    @Test(
        "a machine's agent is asked to end its pods where there is a time for it",
        arguments: [
            ("30", Duration.seconds(35)), ("30\n", .seconds(35)), ("0", nil), ("", nil), (nil, nil), ("x", nil), ("99999999999999999999", nil),
        ])
    func shutdownGrace(text: String?, grace: Duration?) { #expect(LinuxMachines.shutdownGrace(text) == grace) }

    @Test("what a machine's process starts from is read as it was written, and not when it is cut short") func run() {
        let run = MachineRun(instanceID: "i-1", hostName: "n1", networkNamespace: "/run/netns/n", controlGroups: ["/a", "/b"])
        #expect(MachineRun(run.text) == run)
        #expect(MachineRun("") == nil && MachineRun("i-1\nn1\n/run/netns/n\n") == nil)
    }

    @Test("a machine is found by its process's id and start time, and a record of another process is none") func running() throws {
        var template = Array("/tmp/eyrie-machine-XXXXXX".utf8CString)
        let directory = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
        let machine = JoinedMachine(directory: directory, name: "n1", executable: "")
        #expect(machine.process == nil && machine.paths.cgroup == "/eyrie/n1")
        try SmallFile.makeDirectory(machine.paths.directory)
        let own = try #require(ProcessIdentity(pid: getpid()))
        try SmallFile.write(machine.paths.process, Array("{\"pid\":\(own.pid),\"startTime\":\(own.startTime)}".utf8))
        #expect(machine.process == own)
        try SmallFile.write(machine.paths.process, Array("{\"pid\":\(own.pid),\"startTime\":\(own.startTime + 1)}".utf8))
        #expect(machine.process == nil)
        try Command.runBlocking(["rm", "-rf", directory])
    }

    @Test("pods of a joined node have its address where theirs are not known, and their own elsewhere") func joinedRules() {
        let rules = JoinedNetwork.rules(podRange: "10.201.3.0/24", clusterNetworks: ["10.200.0.0/16", "10.201.0.0/16"])
        #expect(rules.contains("elements = { 10.200.0.0/16, 10.201.0.0/16, 10.201.3.0/24 }"))
        #expect(rules.contains("ip saddr 10.201.3.0/24 ip daddr != @known"))
        // The table is made anew, so that a range that went is gone.
        #expect(rules.contains("delete table ip eyrie-node"))
    }

    @Test("a mirror comes before its registry") func mirrors() {
        let hosts = ContainerdConfiguration.hosts(registry: "docker.io", mirror: "http://169.254.171.1:5000")
        #expect(hosts.contains("[host.\"http://169.254.171.1:5000\"]"))
    }

    @Test("the sandbox image is an executable the kernel takes, in an archive that tar reads") func pauseImage() throws {
        var template = Array("/tmp/eyrie-pause-XXXXXX".utf8CString)
        let directory = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
        try SmallFile.write("\(directory)/pause", PauseImage.executable, mode: 0o700)
        let pid = try Command.spawnSession(["\(directory)/pause"], log: "/dev/null")
        let process = try #require(ProcessIdentity(pid: pid), "the executable ended at once")
        process.kill()
        try SmallFile.write("\(directory)/pause.tar", PauseImage.archive(name: "example/pause:1"))
        let list = try Command.runBlocking(["tar", "-tf", "\(directory)/pause.tar"])
        #expect(list.contains("index.json") && list.contains("blobs/sha256/"))
        try Command.runBlocking(["rm", "-rf", directory])
    }

    @Test("a machine is prepared when its agent says so, and not before") func prepared() async throws {
        var template = Array("/tmp/eyrie-machines-XXXXXX".utf8CString)
        let directory = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
        let machines = LinuxMachines(.init(directory: directory, executable: ""), networks: VPCNetworks(directory: directory))
        let paths = machines.paths("i-1")
        try SmallFile.makeDirectory(paths.directory)
        #expect(try await !machines.isPrepared("i-1", patience: .milliseconds(1)))
        async let isPrepared = machines.isPrepared("i-1", patience: .seconds(60))
        try SmallFile.write(paths.prepared, [])
        #expect(try await isPrepared)
        #expect(try await machines.isPrepared("i-1", patience: .seconds(60)))
        try Command.runBlocking(["rm", "-rf", directory])
    }

    @Test(
        "overlapping VPCs are recognised",
        arguments: [
            ("10.0.0.0/16", "10.0.128.0/20", true), ("10.0.0.0/16", "10.1.0.0/16", false), ("10.0.0.0/8", "10.9.0.0/16", true),
            ("x", "10.0.0.0/8", false),
        ])
    func overlap(a: String, b: String, expected: Bool) { #expect(VPCNetworks.overlap(a, b) == expected) }
}

/// Programs and processes.
@Suite struct ProcessesTests {
    @Test("output and exit code of a program are told") func run() async throws {
        #expect(try await Command.run(["cat"], input: "through") == "through")
        let error = await #expect(throws: CommandError.self) { try await Command.run(["sh", "-c", "echo why >&2; exit 3"]) }
        #expect(error?.code == 3)
        #expect(error?.description.contains("why") == true)
    }

    @Test("a program that does not exist is named") func missing() async {
        let error = await #expect(throws: CommandError.self) { try await Command.run(["no-such-program-here"]) }
        #expect(error?.description.contains("no-such-program-here") == true)
    }

    @Test("a large input and output do not dead-lock") func largeStreams() async throws {
        let text = String(repeating: "0123456789abcdef", count: 20_000)
        #expect(try await Command.run(["cat"], input: text) == text)
    }

    @Test("a process's end is noticed, and its id is not mistaken for another's") func identity() async throws {
        let pid = try Command.spawnSession(["sleep", "60"], log: "/dev/null")
        let process = try #require(ProcessIdentity(pid: pid))
        #expect(process.isRunning)
        #expect(!ProcessIdentity(pid: pid, startTime: process.startTime + 1).isRunning)
        async let ended: Void = process.waitForExit()
        process.kill()
        await ended
        #expect(!process.isRunning)
    }

    @Test("files are replaced whole and private") func files() throws {
        var template = Array("/tmp/eyrie-file-XXXXXX".utf8CString)
        let directory = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
        let path = "\(directory)/deep/er/file"
        try SmallFile.makeDirectory("\(directory)/deep/er")
        try SmallFile.write(path, Array("one".utf8))
        try SmallFile.write(path, Array("two".utf8))
        #expect(SmallFile.readText(path) == "two")
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(SmallFile.read("\(directory)/none") == nil)
        try Command.runBlocking(["rm", "-rf", directory])
    }
}

/// Load balancers' rules.
@Suite struct HostBalancersTests {
    private func fragment(_ nodes: [String], _ ranges: [String] = []) -> RuleFragment {
        let port = HostBalancers.Port(transport: "tcp", port: 80, nodePort: 30080)
        return HostBalancers.fragment(.init(address: "10.0.0.9", ports: [port], nodes: nodes, sourceRanges: ranges), 1)
    }

    @Test("a port leads to one of the nodes") func nodes() {
        #expect(fragment(["10.0.0.1"]).chains["balancer-1-tcp-80"] == ["meta l4proto tcp dnat ip to 10.0.0.1:30080"])
        let two = fragment(["10.0.0.1", "10.0.0.2"])
        #expect(
            two.chains["balancer-1-tcp-80"]
                == ["meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.0.0.1 . 30080, 1 : 10.0.0.2 . 30080 }"])
        #expect(two.elements[NftElement("balancers", "10.0.0.9 . tcp . 80")] == "goto balancer-1-tcp-80")
    }

    @Test("without nodes the address is there and its ports are refused") func noNodes() {
        #expect(fragment([]).elements == [NftElement("addresses", "10.0.0.9"): ""])
    }

    @Test("source ranges come first, everybody else is dropped") func ranges() {
        #expect(fragment([], ["10.0.0.0/8"]).chains["firewall-1"] == ["ip saddr 10.0.0.0/8 return", "drop"])
    }
}
