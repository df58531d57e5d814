import CAllocator
import CJemalloc
import Dispatch
import Glibc
import KubeStorage

// apiserver-bench serve DIRECTORY            an API server with TLS on a free port; prints `ready PORT`, ends on SIGTERM or when its input ends
// apiserver-bench fill DIRECTORY COUNT       pods into DIRECTORY/store.db
// apiserver-bench open DIRECTORY             a start on that store
// apiserver-bench store DIRECTORY COUNT WRITERS BYTES
// apiserver-bench path create|update|status|get|parse|tree|nothing COUNT
signal(SIGPIPE, SIG_IGN)
// As the service does.
_ = callocator_return_memory()

func run(_ arguments: [String]) async throws {
    func number(_ index: Int) throws -> Int {
        guard index < arguments.count, let number = Int(arguments[index]), number >= 0 else { throw BenchError("argument \(index) must be a number") }
        return number
    }
    guard arguments.count >= 3 else { throw BenchError("usage: apiserver-bench serve|fill|open|store|path …") }
    let directory = arguments[2]
    switch arguments[1] {
    case "serve":
        let store = try SQLiteStore(path: "\(directory)/store.db")
        let bench = try BenchServer(store: store)
        try await bench.start()
        let listener = try await bench.listen(directory: directory)
        print("ready \(listener.port)")
        fflush(nil)
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            DispatchQueue(label: "input").async {
                var byte: UInt8 = 0
                while read(0, &byte, 1) > 0 {}
                continuation.resume()
            }
        }
        await listener.stop(grace: .seconds(1))
        await bench.server.stop()
    case "fill": try await Measurements.fill(directory: directory, count: try number(3))
    case "open": try await Measurements.open(directory: directory)
    case "store": try await Measurements.store(directory: directory, count: try number(3), writers: try number(4), bytes: try number(5))
    case "path": try await Measurements.path(directory, count: try number(3))
    default: throw BenchError("no command \(arguments[1])")
    }
}

Task {
    do {
        try await run(CommandLine.arguments)
        exit(0)
    } catch {
        let line = Array("apiserver-bench: \(error)\n".utf8)
        _ = write(2, line, line.count)
        exit(1)
    }
}
dispatchMain()
