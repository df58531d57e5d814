import AWSProtocol
import ArgumentParser
import Dispatch
import Glibc
import Logging

/// `eyrie serve`: the service in the foreground.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Runs the service: the AWS endpoint and the control planes of all clusters.")
    static let defaultListen = "127.0.0.1:7443"

    @OptionGroup var data: DataDirectoryOption
    @Option(help: "HOST:PORT of the AWS endpoint. Port 0 takes a free one.") var listen = Self.defaultListen
    @Option(help: "The AWS region the service stands for.") var region = "us-west-2"
    @Option(
        name: .customLong("registry-mirror"),
        help: "REGISTRY=URL of a mirror for the nodes, such as docker.io=http://127.0.0.1:5000. May be repeated.")
    var mirrors: [String] = []
    @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning, error or critical.") var logLevel = "info"

    /// Everything a flag can be wrong in is told before anything is touched.
    func validate() throws {
        _ = try address()
        _ = try level()
        _ = try mirrorsByRegistry()
        // A region stands in host names, ARNs and labels. Upstream: aws-iam-authenticator's region pattern, in lower case as AWS's are.
        let isSound = region.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
        guard isSound, (1...63).contains(region.utf8.count), !region.hasPrefix("-"), !region.hasSuffix("-") else {
            throw ValidationError("--region takes a name such as us-west-2, not \"\(region)\"")
        }
    }

    func run() async throws {
        let level = try level()
        LoggingSystem.bootstrap { label in
            var handler = LineLog(label)
            handler.logLevel = level
            return handler
        }
        let (host, port) = try address()
        let service = Service(
            configuration: .init(directory: data.directory, host: host, port: port, region: region, mirrors: try mirrorsByRegistry()))
        do { try await service.run(until: Signals.terminate) } catch let failure as ServiceUnavailable {
            throw CLIError(
                what: "The service cannot write to its data directory \(data.directory.path).", why: failure.reason,
                fix: "free some space, or give another directory: --data-dir DIRECTORY")
        }
    }

    private func address() throws -> (host: String, port: Int) {
        guard let colon = listen.lastIndex(of: ":"), colon != listen.startIndex, let port = Int(listen[listen.index(after: colon)...]),
            (0...65535).contains(port)
        else { throw ValidationError("--listen takes HOST:PORT, not \"\(listen)\"") }
        return (String(listen[..<colon]), port)
    }

    private func level() throws -> Logger.Level {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError("--log-level takes trace, debug, info, notice, warning, error or critical, not \"\(logLevel)\"")
        }
        return level
    }

    private func mirrorsByRegistry() throws -> [String: String] {
        var found: [String: String] = [:]
        for mirror in mirrors {
            guard let equals = mirror.firstIndex(of: "="), equals != mirror.startIndex else {
                throw ValidationError("--registry-mirror takes REGISTRY=URL, not \"\(mirror)\"")
            }
            let url = String(mirror[mirror.index(after: equals)...])
            guard RegistryRelay.parse(url) != nil else {
                throw ValidationError("--registry-mirror takes a URL of the form http://HOST:PORT, not \"\(url)\"")
            }
            found[String(mirror[..<equals])] = url
        }
        return found
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
