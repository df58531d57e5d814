import Glibc
import KubeAPI
import KubeStorage
import Synchronization
import Testing

/// A folder that is removed with its content at the end of a test.
final class Folder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/eyrie-storage-XXXXXX".utf8CString)
        path = try template.withUnsafeMutableBufferPointer { buffer in
            let address = try #require(buffer.baseAddress)
            return String(cString: try #require(mkdtemp(address)))
        }
    }

    deinit {
        for name in ["db", "db-wal", "db-shm", "db-journal"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    var database: String { "\(path)/db" }
}

/// Both implementations of `Store`, for tests of what they share.
enum StoreKind: String, CaseIterable, CustomTestStringConvertible {
    case memory, sqlite
    var testDescription: String { rawValue }

    func make(in folder: Folder) throws -> any Store {
        switch self {
        case .memory: MemoryStore()
        case .sqlite: try SQLiteStore(path: folder.database)
        }
    }
}

func object(_ name: String, namespace: String = "default", number: Int = 0, labels: [String: String] = [:]) throws -> Object {
    try Object([
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": ["name": .string(name), "namespace": .string(namespace), "labels": Value(labels)],
        "data": ["number": .string(String(number))],
    ])
}

extension Object {
    var number: Int { self["data"]["number"].string.flatMap { Int($0) } ?? -1 }
}

let configMaps = "/registry/configmaps/"

func key(_ name: String, namespace: String = "default") -> String { "\(configMaps)\(namespace)/\(name)" }

func mode(of path: String) throws -> mode_t {
    var status = stat()
    try #require(stat(path, &status) == 0)
    return status.st_mode & 0o777
}

/// A value that several tasks of a test change.
final class Locked<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    init(_ value: Value) { mutex = Mutex(value) }
    func withLock<T: Sendable>(_ body: (inout Value) -> T) -> T { mutex.withLock { body(&$0) } }
}
