import ArgumentParser
import ControlPlane
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import Logging
import Machines
import NodeIdentity

/// `eyrie node leave`: drains the node that this host is, ends its machine, and deletes the Node where the AWS credentials of the environment may.
struct LeaveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "leave", abstract: "Drains this host's node and takes it out of its cluster.")

    @OptionGroup var data: NodeDirectoryOption
    @Option(help: "Seconds for the pods to end.") var wait = 120
    @Flag(help: "Leave without waiting for pods, and also when the cluster does not answer.") var force = false

    func validate() throws {
        guard (0...86_400).contains(wait) else { throw ValidationError("--wait takes 0 to 86400 seconds") }
    }

    func run() async throws {
        LoggingSystem.bootstrap { label in
            var handler = LineLog(label)
            handler.logLevel = .error
            return handler
        }
        let directory = data.directory
        guard let node = try JoinedNode.read(directory) else {
            print("By \(directory.path) this host is no node: there is nothing to leave.")
            return
        }
        guard geteuid() == 0 else {
            throw CLIError(what: "A node is taken out by root.", why: nil, fix: "sudo -E \(Executable.path) node leave --data-dir \(directory.path)")
        }
        let (machine, progress) = (node.machine(directory), Progress())
        progress.header("Node \(node.nodeName) leaves cluster \"\(node.cluster)\"")
        // Nil where joining had not come so far.
        let files = try? NodeBootstrapFiles(machine.paths)
        if let files, !force { try await drain(node, files, progress) }
        try await machine.end()
        progress.done("Machine ended")
        if let files, await delete(node, files) {
            progress.done("Node deleted", detail: node.nodeName)
        } else {
            progress.note("A node may not delete itself. As somebody who may: kubectl delete node \(node.nodeName)")
        }
        try await JoinedNode.remove(directory)
    }

    /// As the node itself, which may evict its own pods.
    private func drain(_ node: JoinedNode, _ files: NodeBootstrapFiles, _ progress: Progress) async throws {
        progress.waiting("Pods: waiting for them to end")
        let transport = try files.transport(files.certificates.client, userAgent: "eyrie")
        let isDrained: Bool
        do {
            isDrained = try await NodeDrain(client: KubeClient(transport: transport), nodeName: node.nodeName, patience: .seconds(wait)).run()
            await transport.close()
        } catch {
            await transport.close()
            throw CLIError(
                what: "Node \(node.nodeName) cannot be drained.", why: "\(error)", fix: "mend the cause, or leave its pods: eyrie node leave --force")
        }
        guard isDrained else {
            throw CLIError(
                what: "Pods of node \(node.nodeName) have not ended after \(wait) s.", why: "A disruption budget may keep them, or they take longer.",
                fix: "kubectl get pods -A --field-selector spec.nodeName=\(node.nodeName)     or     eyrie node leave --force")
        }
        progress.done("Pods ended")
    }

    /// Whether the Node is gone. By the AWS credentials of the environment: whoever joins nodes may often delete them.
    private func delete(_ node: JoinedNode, _ files: NodeBootstrapFiles) async -> Bool {
        guard let keys = JoinEnvironment().keys else { return false }
        do {
            let enrolment = NodeEnrolment(endpoint: node.endpoint, region: node.region, rootsPEM: nil)
            let transport = try files.transport(.bearerToken { enrolment.token(node.cluster, keys) }, userAgent: "eyrie")
            defer { Task { await transport.close() } }
            try await KubeClient(transport: transport).delete(.nodes, name: node.nodeName)
            return true
        } catch let error as StatusError where error.isNotFound { return true } catch {
            return false  // Not allowed, or nobody there: its user is told what is left to do.
        }
    }
}
