import ContainerRuntime
import Glibc
import HTTPTransport
import KubeAPI
import Logging
import Processes
import Testing

@testable import Kubelet

/// Logs of containers that log much.
struct LogRotationTests {
    private static let directory = "/tmp/kubelet-logs-XXXXXX"

    /// A folder of logs, and a container of a simulated runtime that writes to one in it.
    private func withContainer(
        policy: LogPolicy = LogPolicy(), _ body: (SimulatedRuntime, ContainerLogRotator, RuntimeContainerStatus) async throws -> Void
    ) async throws {
        var template = Array(Self.directory.utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError(operation: "mkdtemp", path: "/tmp", code: errno) }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileTree.removeAll(folder) }  // What is left of a failed test is in /tmp.
        var configuration = SimulatedRuntime.Configuration()
        configuration.images = ["i:1"]
        let runtime = SimulatedRuntime(configuration)
        var sandbox = PodSandboxConfig(metadata: PodSandboxMetadata(name: "web", namespace: "default", uid: "u1"))
        sandbox.logDirectory = folder + "/default_web_u1"
        try FileTree.makeDirectories(sandbox.logDirectory + "/main")
        var config = ContainerConfig(name: "main", attempt: 0, image: "i:1")
        config.logPath = "main/0.log"
        let id = try await runtime.runPodSandbox(sandbox)
        let container = try await runtime.createContainer(sandbox: id, config: config, sandboxConfig: sandbox)
        try await runtime.startContainer(container)
        let rotator = ContainerLogRotator(
            policy: policy, directory: folder, runtime: runtime, now: { Timestamp(seconds: 1_800_000_000) }, logger: Logger(label: "logs"))
        try await body(runtime, rotator, try await runtime.containerStatus(container))
    }

    private func names(_ path: String) throws -> [String] { try FileTree.list(String(path.prefix { $0 != "." }.dropLast())) }

    @Test("the oldest files go, those that stay are compressed, and what an interrupted rotation left is removed")
    func plan() {
        let names = ["/l/0.log.20260101-000003", "/l/0.log.20260101-000001.gz", "/l/0.log.20260101-000002.gz", "/l/0.log.20260101-000002"]
        let plan = LogRotationPlan(names + ["/l/0.log.20260101-000003.tmp"], maximumFiles: 4)
        #expect(plan.removed == ["/l/0.log.20260101-000002", "/l/0.log.20260101-000003.tmp", "/l/0.log.20260101-000001.gz"])
        #expect(plan.compressed == ["/l/0.log.20260101-000003"])
        #expect(LogRotationPlan(["/l/0.log.1"], maximumFiles: 2).removed == ["/l/0.log.1"])
        #expect(LogRotationPlan([], maximumFiles: 0) == LogRotationPlan([], maximumFiles: 5))
    }

    @Test("a log's later name says when, and the count of restarts is still read off it")
    func name() {
        let name = ContainerLogFiles.rotatedName("/l/12.log", Timestamp(seconds: 1_800_000_000))
        #expect(name == "/l/12.log.20270115-080000")
    }

    @Test("a log that has reached its size goes on in a new file, a small one and another container's do not")
    func rotates() async throws {
        var policy = LogPolicy()
        policy.maximumBytes = 10
        try await withContainer(policy: policy) { runtime, rotator, status in
            let path = status.logPath
            try FileTree.write(path, Array("123456789".utf8))
            try FileTree.write(path.replacing("0.log", with: "10.log"), Array("1234567890".utf8))
            rotator.note(podUID: "u1", Given.status([], [status]))
            await rotator.rotateLarge()
            #expect(try names(path) == ["0.log", "10.log"])
            try FileTree.write(path, Array("1234567890".utf8))
            await rotator.rotateLarge()
            #expect(try names(path) == ["0.log.20270115-080000", "10.log"])
            #expect(await runtime.journal.last == "reopenContainerLog main")
            // The runtime is asked for a file that somebody removed.
            await rotator.rotateLarge()
            #expect(await runtime.journal.suffix(2) == ["reopenContainerLog main", "reopenContainerLog main"])
            rotator.note(podUID: "u1", Given.status([], []))
            try FileTree.write(path, Array("1234567890".utf8))
            await rotator.rotateLarge()
            #expect(try names(path) == ["0.log", "0.log.20270115-080000", "10.log"], "one that has ended stays as it is")
            try ContainerLogFiles.removeAll(path)
            #expect(try names(path) == ["10.log"])
        }
    }

    @Test("a runtime that does not turn to a new file leaves the old one in its place")
    func fails() async throws {
        try await withContainer { runtime, rotator, status in
            try FileTree.write(status.logPath, [1])
            await #expect(throws: RuntimeError.self) { try await rotator.rotate("gone", status.logPath) }
            #expect(try names(status.logPath) == ["0.log"])
        }
    }

    @Test("what is compressed can be read again")
    func compresses() throws {
        try withDirectory { (directory: String) throws -> Void in
            let text = [UInt8]((0..<600_000).map { UInt8(truncatingIfNeeded: $0 / 7) })
            try FileTree.write(directory + "/0.log.1", text)
            try ContainerLogFiles.compress(directory + "/0.log.1")
            #expect(try FileTree.list(directory) == ["0.log.1.gz"])
            #expect(Gzip.decompress(try FileTree.read(directory + "/0.log.1.gz"), limit: 1 << 20) == text)
        }
    }

    @Test("who follows a log misses nothing when it is rotated, not what is written to the old file late either")
    func follows() async throws {
        func append(_ text: String, to path: String) throws {
            let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
            try FileTree.check(descriptor, "open", path)
            defer { close(descriptor) }
            try FileTree.write(descriptor, Array((text.isEmpty ? "" : "2026-01-01T00:00:01Z stdout F \(text)\n").utf8), path)
        }
        try await withContainer { runtime, _, status in
            let (path, old) = (status.logPath, status.logPath + ".1")
            try append("a", to: path)
            var options = ContainerLogOptions()
            options.follow = true
            let pleg = PLEG(runtime: runtime, relistPeriod: .seconds(60), logger: Logger(label: "logs"))
            let stream = ContainerLogStream(runtime: runtime, pleg: pleg, watcher: try FileWatcher(), options: options)
            let written = Written()
            let following = Task { try await stream.send(path: path, containerID: status.id, to: written.writer) }
            #expect(await eventually { written.text == "a\n" })
            try ContainerLogFiles.rename(path, old)
            try append("b", to: old)
            try append("", to: path)
            #expect(await eventually { written.text == "a\nb\n" })
            try append("c", to: old)
            #expect(await eventually { written.text == "a\nb\nc\n" })
            try append("d", to: path)
            #expect(await eventually { written.text == "a\nb\nc\nd\n" })
            following.cancel()
        }
    }
}
