import ArgumentParser
import Dispatch
import Glibc
import Logging

/// `eyrie serve`: the service in the foreground.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve", abstract: "Runs the service: the AWS endpoint and the control planes of all clusters.")
    static let defaultListen = "127.0.0.1:7443"

    @OptionGroup var data: DataDirectoryOption
    @Option(help: "HOST:PORT of the AWS endpoint. Port 0 takes a free one.") var listen = Self.defaultListen
    @Option(help: "The AWS region the service stands for.") var region = "us-west-2"
    @Option(name: .customLong("registry-mirror"), help: "REGISTRY=URL of a mirror for the nodes, such as docker.io=http://127.0.0.1:5000. May be repeated.")
    var mirrors: [String] = []
    @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning, error or critical.") var logLevel = "info"

    func run() async throws {
        guard let colon = listen.lastIndex(of: ":"), let port = Int(listen[listen.index(after: colon)...]), (0...65535).contains(port) else {
            throw ValidationError("--listen takes HOST:PORT, not \"\(listen)\"")
        }
        guard let level = Logger.Level(rawValue: logLevel) else { throw ValidationError("--log-level: \"\(logLevel)\" is no level") }
        LoggingSystem.bootstrap { label in
            var handler = LineLog(label)
            handler.logLevel = level
            return handler
        }
        var mirrorsByRegistry: [String: String] = [:]
        for mirror in mirrors {
            guard let equals = mirror.firstIndex(of: "=") else { throw ValidationError("--registry-mirror takes REGISTRY=URL, not \"\(mirror)\"") }
            mirrorsByRegistry[String(mirror[..<equals])] = String(mirror[mirror.index(after: equals)...])
        }
        let service = Service(
            configuration: .init(directory: data.directory, host: String(listen[..<colon]), port: port, region: region, mirrors: mirrorsByRegistry))
        try await service.run(until: Signals.terminate)
    }
}

/// The signals that end the service.
enum Signals {
    /// Returns at SIGTERM or SIGINT.
    @Sendable static func terminate() async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield() }
            source.activate()
            return source
        }
        for await _ in stream { break }
        for source in sources { source.cancel() }
    }
}
