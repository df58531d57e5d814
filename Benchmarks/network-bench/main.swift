import CAllocator
import CJemalloc
import Dispatch
import Glibc

// network-bench proxy SERVICES CHANGES      the service proxy: all Services from nothing, then one endpoint's change after another
// network-bench names SERVICES SECONDS      the cluster's DNS on one core, asked from the other
// network-bench path SERVICES ROUNDS        connections by the proxy's rules beside connections by one hand-written rule
// Each needs root and works in namespaces of its own, which end with it. Each figure is one line of JSON, with all its samples.
// What it runs of itself within them: `within …`, and the programs of Traffic and NameQuestions.
signal(SIGPIPE, SIG_IGN)
// As a node's agent does.
_ = callocator_return_memory()

func run(_ arguments: [String]) async throws {
    func number(_ index: Int) throws -> Int {
        guard index < arguments.count, let number = Int(arguments[index]), number > 0 else { throw BenchError("argument \(index) must be a number") }
        return number
    }
    func text(_ index: Int) throws -> String {
        guard index < arguments.count else { throw BenchError("argument \(index) is missing") }
        return arguments[index]
    }
    switch try text(1) {
    case "proxy", "path": try Enclosure.enter(arguments)
    case "names": try Enclosure.enter(arguments, core: 0)
    case "within":
        try Enclosure.begin()
        switch try text(2) {
        case "proxy": try await ProxyBench.run(services: try number(3), changes: try number(4))
        case "names": try await NameBench.run(services: try number(3), seconds: try number(4))
        case "path": try await PathBench.run(services: try number(3), rounds: try number(4))
        default: throw BenchError("no command \(arguments[2])")
        }
    case "serve": try Traffic.serve(port: try number(2))
    case "connect": try Traffic.connect(host: try text(2), port: try number(3), count: try number(4), how: try text(5))
    case "transfer": try Traffic.transfer(host: try text(2), port: try number(3), megabytes: try number(4), how: try text(5))
    case "ask":
        guard let kind = NameQuestion(rawValue: try text(3)) else { throw BenchError("no questions of kind \(arguments[3])") }
        var questions = NameQuestions(kind: kind, isStream: try text(2) == "tcp", names: try number(5))
        try questions.run(seconds: try number(4))
    default: throw BenchError("usage: network-bench proxy|names|path …")
    }
}

Task {
    do {
        try await run(CommandLine.arguments)
        exit(0)
    } catch {
        let line = Array("network-bench: \(error)\n".utf8)
        _ = write(2, line, line.count)
        exit(1)
    }
}
dispatchMain()
