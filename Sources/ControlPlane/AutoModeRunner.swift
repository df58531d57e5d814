package import AutoMode
internal import KubeAPI
internal import KubeClient
internal import Logging
internal import Synchronization

/// What a control plane is told of EKS Auto Mode. It may change while it runs.
package final class AutoModeSwitch: Sendable {
    private struct State {
        var settings: AutoModeSettings?
        var listener: AsyncStream<AutoModeSettings?>.Continuation?
    }

    private let state: Mutex<State>

    /// Nil: Auto Mode is off.
    package init(_ settings: AutoModeSettings? = nil) { state = Mutex(State(settings: settings)) }

    /// Nil switches it off.
    package func set(_ settings: AutoModeSettings?) {
        state.withLock { state in
            guard state.settings != settings else { return }
            state.settings = settings
            state.listener?.yield(settings)
        }
    }

    package var settings: AutoModeSettings? { state.withLock(\.settings) }

    /// The settings now, then each change. One listener: the last who asked.
    func values() -> AsyncStream<AutoModeSettings?> {
        let (stream, continuation) = AsyncStream.makeStream(of: AutoModeSettings?.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { state in
            state.listener?.finish()
            state.listener = continuation
            continuation.yield(state.settings)
        }
        return stream
    }
}

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
    func run(_ autoMode: AutoModeSwitch) async {
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
