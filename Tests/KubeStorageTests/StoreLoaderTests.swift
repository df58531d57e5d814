import KubeAPI
import Testing

@testable import KubeStorage

@Suite("Loading a store")
struct StoreLoaderTests {
    /// A Pod's JSON of at least so many bytes.
    private static func pod(_ name: String, bytes: Int = 0) -> [UInt8] {
        Array("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"\(name)\"},\"data\":\"\(String(repeating: "x", count: bytes))\"}".utf8)
    }

    private static func key(_ number: Int) -> String { "/registry/pods/default/p-\(1_000_000 + number)" }

    private static func add(_ loader: StoreLoader, _ key: String, _ value: [UInt8], revision: Int64) throws {
        try value.withUnsafeBytes { try loader.add(key, $0, revision: revision) }
    }

    @Test("objects of many batches come sorted, each with its own bytes and revision", arguments: [nil, 1 << 30] as [Int64?])
    func batches(sizeInBytes: Int64?) throws {
        // Thrice what may wait at once.
        let count = 3 * StoreLoader.batchLimit * 64
        let bytes = StoreLoader.batchBytes / 64
        let loader = StoreLoader(sizeInBytes: sizeInBytes)
        for number in (0..<count).reversed() {
            try Self.add(loader, Self.key(number), Self.pod("p-\(number)", bytes: bytes), revision: Int64(number + 1))
        }
        let entries = loader.finish()
        #expect(entries.map(\.key) == (0..<count).map(Self.key))
        for (number, entry) in entries.enumerated() {
            #expect(entry.object.metadata.name == "p-\(number)")
            #expect(entry.object.metadata.resourceVersion == "\(number + 1)")
            #expect(entry.object["data"].string?.count == bytes)
        }
    }

    @Test("a value larger than a batch is loaded, and what comes before and after it")
    func large() throws {
        let loader = StoreLoader(sizeInBytes: nil)
        let sizes = [10, StoreLoader.batchBytes + 1, 20, 2 * StoreLoader.batchBytes, 30]
        for (number, bytes) in sizes.enumerated() { try Self.add(loader, Self.key(number), Self.pod("p", bytes: bytes), revision: 1) }
        #expect(loader.finish().map { $0.object["data"].string?.count } == sizes)
    }

    @Test("nothing is nothing, and what is no object ends the load")
    func damaged() throws {
        #expect(StoreLoader(sizeInBytes: 0).finish().isEmpty)
        for text in ["", "{", "[1]", "{\"kind\":\"Pod\"} "] {
            let loader = StoreLoader(sizeInBytes: nil)
            try Self.add(loader, Self.key(0), Self.pod("whole"), revision: 1)
            #expect(throws: StoreError.self) { try Self.add(loader, Self.key(1), Array(text.utf8), revision: 2) }
        }
    }
}
