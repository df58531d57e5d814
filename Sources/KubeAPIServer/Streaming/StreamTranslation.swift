import HTTPTransport
import KubeAPI

/// exec and attach for clients of WebSocket that can say "no more input" (`v5.channel.k8s.io`): their messages become the streams of a SPDY connection to the kubelet,
/// and its streams their messages. Upstream: apiserver/pkg/util/proxy.StreamTranslatorHandler.
///
///     client ──[channel, bytes…]──▶ here ──streams 1, 3, 5 …──▶ kubelet ──▶ runtime
struct StreamTranslation: Sendable {
    /// The subprotocol of the client's side. Upstream: remotecommand.StreamProtocolV5Name.
    static let webSocketProtocol = "v5.channel.k8s.io"
    /// The form of the streams on the kubelet's side; the newest that runtimes know. Upstream: StreamProtocolV4Name.
    static let streamProtocol = "v4.channel.k8s.io"
    /// Bytes of the status a command ends with.
    private static let statusLimit = 64 << 10

    /// The first byte of a message. Upstream: remotecommand's stdinChannel and the following, StreamClose.
    private enum Channel {
        static let stdin: UInt8 = 0
        static let stdout: UInt8 = 1
        static let stderr: UInt8 = 2
        static let error: UInt8 = 3
        static let resize: UInt8 = 4
        static let close: UInt8 = 255
    }

    /// What the request asks for.
    let stdin: Bool
    let stdout: Bool
    let stderr: Bool
    let tty: Bool

    /// The streams in the order in which upstream opens them, by channel. A terminal has no errors of its own.
    private var channels: [(channel: UInt8, type: String)] {
        var channels = [(Channel.error, "error")]
        if stdin { channels.append((Channel.stdin, "stdin")) }
        if stdout { channels.append((Channel.stdout, "stdout")) }
        if stderr, !tty { channels.append((Channel.stderr, "stderr")) }
        if tty { channels.append((Channel.resize, "resize")) }
        return channels
    }

    /// A client's streams are odd.
    private static func stream(_ index: Int) -> UInt32 { UInt32(truncatingIfNeeded: 2 * index + 1) }

    /// Serves the client until the command, the client or the kubelet ends. `connect` opens the kubelet's connection; why it cannot is told the client as the command's end.
    func run(_ client: ByteTunnel, connect: () async throws -> ByteTunnel) async {
        do {
            let kubelet = try await connect()
            await join(client, kubelet)
            await kubelet.close()
        } catch {
            await end(client, Self.status(error))
        }
        await client.close()
    }

    private func join(_ client: ByteTunnel, _ kubelet: ByteTunnel) async {
        let channels = channels
        var opening: [UInt8] = []
        var streams: [UInt8: UInt32] = [:]
        for (index, (channel, type)) in channels.enumerated() {
            streams[channel] = Self.stream(index)
            opening += SPDYFrame.open(Self.stream(index), [("streamtype", type)], isFirst: index == 0)
        }
        do {
            try await kubelet.write(opening)
            // An empty message tells that the streams are open. Upstream: createWebSocketStreams.
            let first = streams[Channel.stdout] != nil ? Channel.stdout : streams[Channel.stderr] != nil ? Channel.stderr : Channel.error
            try await client.write(WebSocketFrame.message([first], isText: false))
        } catch { return }  // Who has gone misses nothing.
        await withTaskGroup(of: Void.self) { [streams] group in
            group.addTask { await takeInput(client, kubelet, streams) }
            group.addTask { await giveOutput(kubelet, client, streams) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Until the client goes.
    private func takeInput(_ client: ByteTunnel, _ kubelet: ByteTunnel, _ streams: [UInt8: UInt32]) async {
        var hasInput = stdin
        await WebSocketInput.read(client) { message in
            guard let channel = message.first else { return }
            if channel == Channel.close {
                guard message.dropFirst().first == Channel.stdin, hasInput, let stream = streams[Channel.stdin] else { return }
                hasInput = false
                try await kubelet.write(SPDYFrame.data(stream, [], isLast: true))
            } else if channel == Channel.resize || channel == Channel.stdin && hasInput, message.count > 1, let stream = streams[channel] {
                try await kubelet.write(SPDYFrame.data(stream, Array(message.dropFirst())))
            }
        }
    }

    /// Until all streams are over, or the kubelet goes; then the client is told how the command ended.
    private func giveOutput(_ kubelet: ByteTunnel, _ client: ByteTunnel, _ streams: [UInt8: UInt32]) async {
        var decoder = SPDYDecoder()
        let outputs = [Channel.stdout, Channel.stderr].reduce(into: [UInt32: UInt8]()) { found, channel in
            if let stream = streams[channel] { found[stream] = channel }
        }
        var open = Set(outputs.keys)
        if let stream = streams[Channel.error] { open.insert(stream) }
        var status: [UInt8] = []
        do {
            while !open.isEmpty, let bytes = try await kubelet.read() {
                for event in try decoder.feed(bytes) {
                    switch event {
                    case .data(let stream, let bytes, let isLast):
                        if let channel = outputs[stream] {
                            if !bytes.isEmpty { try await client.write(WebSocketFrame.message([channel] + bytes, isText: false)) }
                        } else if stream == streams[Channel.error] {
                            status += bytes.prefix(Self.statusLimit - status.count)
                        }
                        if isLast { open.remove(stream) }
                    case .reset(let stream): open.remove(stream)
                    case .ping(let id): try await kubelet.write(SPDYFrame.ping(id))
                    case .goAway: break
                    }
                }
            }
        } catch {
            // A kubelet that breaks off after it has said how the command ended has said enough.
            if status.isEmpty, !Task.isCancelled { return await end(client, Self.status(error)) }
        }
        // The client has gone.
        if Task.isCancelled { return }
        guard status.isEmpty else { return await end(client, status) }
        // All streams over and nothing said is upstream's success; a connection that just ends has lost the command.
        await end(client, open.isEmpty ? Self.success : Self.status(HTTPError.connectionClosed))
    }

    /// The last message and the closure.
    private func end(_ client: ByteTunnel, _ status: [UInt8]) async {
        do {
            try await client.write(WebSocketFrame.message([Channel.error] + status, isText: false))
            try await client.write(WebSocketFrame.closing)
        } catch { return }  // The client has gone: there is nobody to tell.
    }

    private static let success = Array(#"{"metadata":{},"status":"Success"}"#.utf8)

    /// A failure as the status of the command. Upstream: writeStatus.
    private static func status(_ error: any Error) -> [UInt8] {
        var value: Value
        switch error {
        case let error as StatusError: value = error.value
        case HTTPError.upgradeRefused(_, let body):
            // What is no Status is a text.
            let text = String(decoding: body.prefix(statusLimit), as: UTF8.self).trimmed
            let refusal = (try? Object(bytes: body)).flatMap { StatusError(status: $0) }
            value = (refusal ?? .internalError("unable to upgrade connection: \(text)")).value
        default: value = StatusError.internalError("\(error)").value
        }
        value["kind"] = nil
        value["apiVersion"] = nil
        return Array(value.jsonString.utf8)
    }
}

/// What a client sends by WebSocket, message by message.
enum WebSocketInput {
    /// Until the client goes, breaks the rules (it is told so), or `take` throws. Pings are answered.
    static func read(_ client: ByteTunnel, _ take: ([UInt8]) async throws -> Void) async {
        var decoder = WebSocketDecoder()
        do {
            while let bytes = try await client.read() {
                for event in try decoder.feed(bytes) {
                    switch event {
                    case .closing: return
                    case .ping(let payload): try await client.write(WebSocketFrame.pong(payload))
                    case .message(let message): try await take(message)
                    }
                }
            }
        } catch let failure as WebSocketDecoder.Failure {
            do { try await client.write(WebSocketFrame.closing(failure.code)) } catch { return }  // It does not listen either.
        } catch { return }  // One of both has gone; the other is closed.
    }
}

/// port-forward for clients of WebSocket: the bytes of their SPDY connection come in messages. Upstream: apiserver/pkg/util/proxy.TunnelingHandler.
enum PortForwardTunnel {
    /// The subprotocol of the client's side. Upstream: portforward.WebsocketsSPDYTunnelingPortForwardV1.
    static let webSocketProtocol = "SPDY/3.1+portforward.k8s.io"
    /// The form of the streams on the kubelet's side. Upstream: PortForwardV1Name.
    static let streamProtocol = "portforward.k8s.io"

    /// Carries bytes both ways until one side has gone.
    static func run(_ client: ByteTunnel, _ kubelet: ByteTunnel) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await WebSocketInput.read(client) { bytes in if !bytes.isEmpty { try await kubelet.write(bytes) } }
            }
            group.addTask {
                do {
                    while let bytes = try await kubelet.read() { try await client.write(WebSocketFrame.message(bytes, isText: false)) }
                    try await client.write(WebSocketFrame.closing)
                } catch { return }  // One of both has gone; the other is closed.
            }
            await group.next()
            group.cancelAll()
        }
        await kubelet.close()
        await client.close()
    }
}
