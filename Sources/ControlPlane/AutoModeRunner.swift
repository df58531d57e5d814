internal import AutoMode
internal import KubeAPI
internal import KubeClient
internal import Logging

/// Runs EKS Auto Mode in a control plane while it is switched on, and cleans up after it when it is switched off.
struct AutoModeRunner: Sendable {
    private static let retry = Duration.seconds(5)

    let provider: any NodeProvider
    let client: KubeClient
    let reader: KubeClient
    let informers: InformerFactory
    /// Has the add-ons of the nodes: what serves names and Services is part of Auto Mode's nodes.
    let addons: @Sendable () async throws -> Void
    let logger: Logger

    /// Until the task is cancelled.
    func run(_ autoMode: LiveSetting<AutoModeSettings?>) async {
        var current: Task<Void, Never>?
        for await settings in autoMode.values() {
            current?.cancel()
            await current?.value
            current = Task { await follow(settings) }
        }
        current?.cancel()
        await current?.value
    }

    private func follow(_ settings: AutoModeSettings?) async {
        guard let settings else {
            return await insist("EKS Auto Mode is off, and some of its objects are left") { try await AutoMode.remove(client) }
        }
        await insist("the add-ons of EKS Auto Mode could not be installed", addons)
        await AutoMode(client: client, reader: reader, shared: informers, provider: provider, settings: settings, logger: logger).run()
    }

    private func insist(_ complaint: String, _ body: @Sendable () async throws -> Void) async {
        while !Task.isCancelled {
            do { return try await body() } catch {
                guard !Task.isCancelled else { return }
                logger.warning("\(complaint); it is tried again", metadata: ["error": "\(error)"])
            }
            do { try await Task.sleep(for: Self.retry) } catch { return }
        }
    }
}
