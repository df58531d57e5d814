import CRIProtocol
import HTTPTransport
import Logging
import SwiftProtobuf

/// The runtime's events: by the CRI's GetContainerEvents where the runtime has it (containerd 1.7 and later), else by containerd's own events service
/// on the same socket. Whenever the stream is lost it is reopened, and `.resynchronize` tells the consumer to list again.
extension CRIRuntime {
    package func events() -> AsyncStream<RuntimeEvent> {
        AsyncStream { continuation in
            let task = Task {
                var pause = Timeout.reconnect
                var source = EventSource.cri
                while !Task.isCancelled {
                    do {
                        let opened = ContinuousClock.now
                        try await follow(source, into: continuation)
                        if ContinuousClock.now - opened > Timeout.reconnectLongest { pause = Timeout.reconnect }
                    } catch {
                        let failure = Self.runtimeError(error)
                        if failure.code == .unimplemented, source == .cri {
                            source = .containerd
                            continue
                        }
                        if Task.isCancelled { break }
                        logger.warning("the runtime's event stream ended", metadata: ["error": "\(failure)"])
                    }
                    do { try await Task.sleep(for: pause) } catch { break }  // Cancelled: the consumer is gone.
                    pause = min(pause * 2, Timeout.reconnectLongest)
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    enum EventSource { case cri, containerd }

    private func follow(_ source: EventSource, into continuation: AsyncStream<RuntimeEvent>.Continuation) async throws {
        switch source {
        case .cri:
            let stream = try stream("/runtime.v1.RuntimeService/GetContainerEvents", Runtime_V1_GetEventsRequest())
            let confirmation = confirm(continuation)
            defer { confirmation.cancel() }
            for try await bytes in stream {
                let event = try Runtime_V1_ContainerEventResponse(serializedBytes: bytes)
                switch event.containerEventType {
                case .containerStartedEvent: continuation.yield(.started(id: event.containerID))
                case .containerStoppedEvent: continuation.yield(.exited(id: event.containerID))
                case .containerDeletedEvent: continuation.yield(.deleted(id: event.containerID))
                case .containerCreatedEvent, .UNRECOGNIZED: break
                }
            }
        case .containerd:
            var request = Containerd_Services_Events_V1_SubscribeRequest()
            request.filters = ["start", "exit", "oom"].map { "namespace==\"k8s.io\",topic==\"/tasks/\($0)\"" }
            let stream = try stream("/containerd.services.events.v1.Events/Subscribe", request)
            continuation.yield(.resynchronize)
            let confirmation = confirm(continuation)
            defer { confirmation.cancel() }
            for try await bytes in stream {
                let envelope = try Containerd_Services_Events_V1_Envelope(serializedBytes: bytes)
                if let event = try Self.event(of: envelope) { continuation.yield(event) }
            }
        }
    }

    /// The server gives no sign when it has taken a subscription, and events before that are lost: a second look a moment later, after an answer on
    /// the same connection, sees what they would have told.
    private func confirm(_ continuation: AsyncStream<RuntimeEvent>.Continuation) -> Task<Void, Never> {
        Task {
            do {
                try await Task.sleep(for: Self.Timeout.reconnect)
                _ = try await version()
                continuation.yield(.resynchronize)
            } catch {
                // The connection is gone, and with it the stream: the next one is confirmed anew.
            }
        }
    }

    /// Nil for events of processes that are not a container's first, such as the end of an exec session.
    static func event(of envelope: Containerd_Services_Events_V1_Envelope) throws -> RuntimeEvent? {
        switch envelope.topic {
        case "/tasks/start": return .started(id: try Containerd_Services_Events_V1_TaskStart(serializedBytes: envelope.event.value).containerID)
        case "/tasks/oom": return .outOfMemory(id: try Containerd_Services_Events_V1_TaskOOM(serializedBytes: envelope.event.value).containerID)
        case "/tasks/exit":
            let exit = try Containerd_Services_Events_V1_TaskExit(serializedBytes: envelope.event.value)
            return exit.id.isEmpty || exit.id == exit.containerID ? .exited(id: exit.containerID) : nil
        default: return nil
        }
    }
}
