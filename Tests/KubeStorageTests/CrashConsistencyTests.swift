import Glibc
import KubeAPI
import KubeStorage
import Testing

/// Kills a process that writes, again and again, and looks whether everything it was told to be written is there.
@Suite(.serialized)
struct CrashConsistencyTests {
    /// Few in CI; `EYRIE_CRASH_ROUNDS` asks for as many as it takes to trust it.
    private static var rounds: Int { environment("EYRIE_CRASH_ROUNDS").flatMap { Int($0) } ?? 20 }
    private static let writers = 16
    private static let keysOfWriter = 4
    private static let directoryVariable = "EYRIE_CRASH_DIRECTORY"
    /// Where the child finds the pipe it acknowledges to.
    private static let pipeNumber: Int32 = 31

    private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// Each writer has keys of its own, and changes each of them again and again: the number in the value is that of the change. A change after
    /// which the
    /// number is a multiple of five is a deletion.
    @Test("(the process that is killed)", .enabled(if: environment(directoryVariable) != nil))
    func crashChild() async throws {
        let directory = try #require(Self.environment(Self.directoryVariable))
        let store = try SQLiteStore(path: "\(directory)/db")
        let entries = try await store.load(prefix: "").entries
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<Self.writers {
                group.addTask {
                    var revisions: [String: Int64] = [:]
                    for entry in entries where entry.key.hasPrefix("/w/\(writer)/") { revisions[entry.key] = entry.modRevision }
                    var number = Int(store.revision) * 10
                    while true {
                        number += 1
                        let key = "/w/\(writer)/\(number % Self.keysOfWriter)"
                        let deletes = number.isMultiple(of: 5) && revisions[key] != nil
                        let padding = String(repeating: "x", count: Int.random(in: 0..<3000))
                        let value = deletes ? nil : Array("{\"number\":\(number),\"padding\":\"\(padding)\"}".utf8)
                        do {
                            let revision = try await store.write(
                                StoreWrite(key: key, value: value, condition: revisions[key].map { .revision($0) } ?? .absent))
                            revisions[key] = deletes ? nil : revision
                            // One short write to a pipe is not torn.
                            let line = Array("\(key) \(number) \(deletes ? 0 : revision) \(revision)\n".utf8)
                            guard Glibc.write(Self.pipeNumber, line, line.count) == line.count else { return }
                        } catch {
                            Issue.record("write failed: \(error)")
                            return
                        }
                    }
                }
            }
        }
    }

    private struct Acknowledged {
        var number = 0
        /// 0: deleted.
        var storedRevision: Int64 = 0
        var revision: Int64 = 0
    }

    /// Runs the child until it has acknowledged `count` writes, then kills it. Gives the last acknowledgement of each key.
    private func runChild(in folder: Folder, until count: Int) throws -> [String: Acknowledged] {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], Self.pipeNumber)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        for output: Int32 in [1, 2] { posix_spawn_file_actions_addopen(&actions, output, "\(folder.path)/log", O_WRONLY | O_CREAT | O_APPEND, 0o600) }
        let arguments =
            ["/proc/self/exe", "--testing-library", "swift-testing", "--filter", "crashChild"].map { (text: String) in strdup(text) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = [strdup("\(Self.directoryVariable)=\(folder.path)")]
        for name in ["PATH", "HOME", "LD_LIBRARY_PATH"] { if let value = Self.environment(name) { variables.append(strdup("\(name)=\(value)")) } }
        variables.append(nil)
        defer { for pointer in arguments + variables { free(pointer) } }
        var child: pid_t = 0
        try #require(posix_spawn(&child, "/proc/self/exe", &actions, nil, arguments, variables) == 0)
        close(ends[1])
        defer { close(ends[0]) }

        var acknowledged: [String: Acknowledged] = [:]
        var line: [UInt8] = []
        var lines = 0
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let length = read(ends[0], &buffer, buffer.count)
            guard length > 0 else { break }
            for byte in buffer[..<length] {
                guard byte == UInt8(ascii: "\n") else {
                    line.append(byte)
                    continue
                }
                let fields = String(decoding: line, as: UTF8.self).split(separator: " ")
                line = []
                lines += 1
                try #require(fields.count == 4)
                acknowledged[String(fields[0])] = Acknowledged(
                    number: try #require(Int(fields[1])), storedRevision: try #require(Int64(fields[2])), revision: try #require(Int64(fields[3])))
                if lines == count { kill(child, SIGKILL) }
            }
        }
        var status: Int32 = 0
        waitpid(child, &status, 0)
        #expect(lines >= count, "the child ended by itself: see \(folder.path)/log")
        if lines >= count { unlink("\(folder.path)/log") }
        return acknowledged
    }

    @Test("R1: a process killed during concurrent writes loses no acknowledged write, and revisions go on")
    func kill9() async throws {
        let folder = try Folder()
        var highest: Int64 = 0
        for _ in 0..<Self.rounds {
            let acknowledged = try runChild(in: folder, until: Int.random(in: 20...400))
            let store = try SQLiteStore(path: folder.database)
            let (entries, revision) = try await store.load(prefix: "")
            #expect(revision >= highest && revision >= acknowledged.values.map(\.revision).max() ?? 0)
            highest = revision
            #expect(Set(entries.map(\.modRevision)).count == entries.count)
            #expect(entries.allSatisfy { $0.modRevision <= revision })
            let stored = Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0) })
            for (key, known) in acknowledged {
                // The writer's next change of this key may have been made without having been acknowledged: it was on its way when the process died.
                let next = known.number + Self.keysOfWriter
                if let entry = stored[key] {
                    let number = try Object(bytes: entry.value)["number"].int.map { Int($0) }
                    #expect(entry.modRevision == known.storedRevision || (number == next && entry.modRevision > known.revision), "\(key)")
                } else {
                    #expect(known.storedRevision == 0 || next.isMultiple(of: 5), "\(key) was lost")
                }
            }
            await store.close()
        }
    }
}
