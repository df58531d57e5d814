import ArgumentParser

/// `eyrie interrupt`: takes a spot instance back, as AWS does when it needs the capacity.
struct InterruptCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "interrupt", abstract: "Gives a spot instance the two minutes' notice after which it is taken back.")

    private static let version = "2016-11-15"

    @OptionGroup var data: DataDirectoryOption
    @Argument(help: "The node, or the instance's id.") var name: String

    func run() async throws {
        let client = try ServiceClient(data.directory)
        do {
            let id = try await instance(client)
            do { _ = try await client.query("ec2", Self.version, "SendSpotInstanceInterruptions", [("InstanceId", id)]) } catch let refused
                as ServiceClient.Refused
            {
                throw CLIError(
                    what: "Instance \(id) is not interrupted.", why: refused.message,
                    fix: refused.code == "UnsupportedOperation" ? "make a node group of spot instances: --capacity-type SPOT" : nil)
            }
            await client.close()
            print("Instance \(id) is taken in two minutes; its pods are evicted now.")
        } catch {
            await client.close()
            throw error
        }
    }

    private func instance(_ client: ServiceClient) async throws -> String {
        if name.hasPrefix("i-") { return name }
        let filters = [("private-dns-name", name), ("instance-state-name", "running")].enumerated().flatMap { index, filter in
            [("Filter.\(index + 1).Name", filter.0), ("Filter.\(index + 1).Value.1", filter.1)]
        }
        let answer = try await client.query("ec2", Self.version, "DescribeInstances", filters)
        guard let id = ServiceClient.xml("instanceId", in: answer).first else {
            throw CLIError(what: "There is no node \(name).", why: nil, fix: "kubectl get nodes")
        }
        return id
    }
}
