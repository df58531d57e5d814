import KubeAPI
import KubeClient
import Machines

/// Waits, as the node itself, until its Node is Ready.
struct NodeReadiness {
    let machine: JoinedMachine
    let nodeName: String

    /// Images are there, so a node that is not Ready by then has a trouble of its own.
    private static let patience = Duration.seconds(120)
    /// Between watches that end.
    private static let pause = Duration.seconds(1)

    /// Throws `CLIError` when it does not become so in time: the machine keeps trying.
    func wait(_ progress: Progress) async throws {
        let files = try NodeBootstrapFiles(machine.paths)
        let transport = try files.transport(files.certificates.client, userAgent: "kubelet")
        let client = KubeClient(transport: transport)
        progress.waiting("Node: waiting until it is Ready")
        let isReady = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await watch(client) }
            group.addTask {
                do { try await Task.sleep(for: Self.patience) } catch { return false }  // The other was first.
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
        await transport.close()
        guard isReady else {
            throw CLIError(
                what: "Node \(nodeName) is not Ready after \(Self.patience.components.seconds) s; it keeps trying.",
                why: machine.report.isEmpty ? nil : "The end of its log: \(machine.report)",
                fix: "read \(machine.paths.log), and run the same command again to go on waiting")
        }
        progress.done("Node Ready", detail: nodeName)
    }

    private func watch(_ client: KubeClient) async -> Bool {
        while !Task.isCancelled {
            do {
                for try await event in try await client.watch(.nodes, options: ListOptions(fieldSelector: "metadata.name=\(nodeName)"))
                where event.kind != .deleted && Self.isReady(event.object) { return true }
            } catch {
                // The API server is away, or does not answer yet: asked again.
            }
            do { try await Task.sleep(for: Self.pause) } catch { return false }  // Cancelled.
        }
        return false
    }

    private static func isReady(_ node: Object) -> Bool {
        node["status"]["conditions"].elements.contains { $0["type"].string == "Ready" && $0["status"].string == "True" }
    }
}
