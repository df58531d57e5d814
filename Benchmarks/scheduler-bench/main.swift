import CAllocator
import CJemalloc
import Dispatch
import Glibc

// scheduler-bench served DIRECTORY NODES [WORKLOAD]   through an API server of this process, on stores in DIRECTORY
// scheduler-bench alone NODES [WORKLOAD]              the scheduler with an API that costs nothing
// scheduler-bench envelope DIRECTORY NODES PODS SECONDS  a control plane with all controllers on simulated nodes: pods, then 20 changes a second
// scheduler-bench idle DIRECTORY PODS                 the same with a hundred nodes, doing nothing
// Each figure is one line of JSON.
signal(SIGPIPE, SIG_IGN)
// As the service does.
_ = callocator_return_memory()

func run(_ arguments: [String]) async throws {
    func number(_ index: Int) throws -> Int {
        guard index < arguments.count, let number = Int(arguments[index]), number > 0 else { throw BenchError("argument \(index) must be a number") }
        return number
    }
    func workloads(_ nodes: Int, _ index: Int) -> [Workload] {
        let all = Workload.all(nodes: nodes)
        return index < arguments.count ? all.filter { $0.name == arguments[index] } : all
    }
    guard arguments.count >= 3 else { throw BenchError("usage: scheduler-bench served|alone|envelope|idle …") }
    switch arguments[1] {
    case "served": for workload in workloads(try number(3), 4) { try await Throughput.served(workload, directory: arguments[2]) }
    case "alone": for workload in workloads(try number(2), 3) { try await Throughput.alone(workload) }
    case "envelope":
        let envelope = try await Envelope.start(directory: arguments[2], nodes: try number(3))
        try await envelope.idle(seconds: 20, what: "idle nodes")
        try await envelope.deploy(pods: try number(4))
        try await envelope.idle(seconds: 20, what: "idle pods")
        try await envelope.churn(rate: 20, seconds: try number(5), pods: try number(4))
        await envelope.controlPlane.stop()
    case "idle":
        let envelope = try await Envelope.start(directory: arguments[2], nodes: 100)
        try await envelope.deploy(pods: try number(3))
        try await envelope.idle(seconds: 60, what: "idle")
        await envelope.controlPlane.stop()
    default: throw BenchError("no command \(arguments[1])")
    }
}

Task {
    do {
        try await run(CommandLine.arguments)
        exit(0)
    } catch {
        let line = Array("scheduler-bench: \(error)\n".utf8)
        _ = write(2, line, line.count)
        exit(1)
    }
}
dispatchMain()
