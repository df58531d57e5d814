import ContainerRuntime
import Glibc
import KubeAPI
import Processes
import Testing

@testable import Kubelet

@Suite("What volumes hold")
struct VolumeStatisticsTests {
    /// A folder of the test's own.
    private func inFolder(_ body: (String) async throws -> Void) async throws {
        var template = Array("/tmp/stats-XXXXXX".utf8CString)
        mkdtemp(&template)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileTree.removeAll(folder) }
        try await body(folder)
    }

    @Test("a driver's answer is read by its units; what is no message is refused")
    func driver() throws {
        func usage(_ available: Int64, _ total: Int64, _ used: Int64, _ unit: Int64) -> [UInt8] {
            let amounts = ProtobufFields.field(1, available) + ProtobufFields.field(2, total) + ProtobufFields.field(3, used)
            return ProtobufFields.field(1, amounts + ProtobufFields.field(4, unit))
        }
        let figures = try VolumeFigures(driver: usage(70, 100, 30, 1) + usage(8, 9, 1, 2) + usage(5, 5, 5, 7))
        #expect(figures.capacity == 100 && figures.available == 70 && figures.used == 30)
        #expect(figures.inodes == 9 && figures.inodesFree == 8 && figures.inodesUsed == 1)
        #expect(try VolumeFigures(driver: []) == VolumeFigures())
        #expect(throws: VolumeError.self) { try VolumeFigures(driver: [0xFF]) }
        #expect(try ProtobufFields(CSIMessages.stats(handle: "v", at: "/t", staged: "/s")).text(3) == "/s")
    }

    @Test(
        "volumes are measured by what they are",
        arguments: [
            (["emptyDir": [:]], .folder), (["emptyDir": ["medium": "Memory"]], .filesystem), (["configMap": ["name": "c"]], .folder),
            (["hostPath": ["path": "/"]], nil), (["local": ["path": "/"]], .folder),
        ] as [(Value, MountedVolume.Measure?)])
    func measures(volume: Value, measure: MountedVolume.Measure?) throws {
        #expect(PodVolumes.measure(try Object(volume).root, isMount: false) == measure)
    }

    @Test("a folder's own files are counted, in the file system they are in; what is gone is told nothing of")
    func folder() async throws {
        try await inFolder { folder in
            try FileTree.write("\(folder)/file", [UInt8](repeating: 7, count: 100_000))
            let statistics = VolumeStatistics(csi: nil)
            let volumes = [
                MountedVolume(name: "data", path: folder, claim: "c", measure: .folder),
                MountedVolume(name: "gone", path: "\(folder)/none", claim: nil, measure: .filesystem),
            ]
            statistics.set(volumes, of: "u1")
            let usage = await statistics.usage(of: "u1")
            #expect(usage.map(\.volume.name) == ["data"])
            let figures = try #require(usage.first?.figures)
            #expect(figures.inodesUsed == 1)
            let (used, capacity) = (try #require(figures.used), try #require(figures.capacity))
            #expect(used >= 100_000 && used < 1 << 20 && capacity > used)
            // Kept for a while.
            try FileTree.write("\(folder)/more", [UInt8](repeating: 7, count: 2 << 20))
            #expect(await statistics.usage(of: "u1").first?.figures.used == used)
            statistics.set([], of: "u1")
            #expect(await statistics.usage(of: "u1").isEmpty)
            statistics.set(volumes, of: "u1")
            statistics.forget("u1")
            #expect(await statistics.usage(of: "u1").isEmpty)
        }
    }

    @Test("the kubelet tells of volumes in its summary with their claims, and in its metrics once for each claim")
    func server() async throws {
        try await inFolder { folder in
            var server = try KubeletServer.test(
                SimulatedRuntime(),
                pods: ["u1", "u2"].map { ["metadata": ["name": .string("web-\($0)"), "namespace": "default", "uid": .string($0)]] })
            let statistics = VolumeStatistics(csi: nil)
            for uid in ["u1", "u2"] { statistics.set([MountedVolume(name: "data", path: folder, claim: "c", measure: .filesystem)], of: uid) }
            server.volumes = statistics
            let summary = try Object(json: try await KubeletServer.text(of: server.ask("/stats/summary")))
            let volume = try #require(summary["pods"].elements.first?["volume"].elements.first)
            #expect(volume["name"].string == "data" && volume["pvcRef"]["name"].string == "c" && volume["pvcRef"]["namespace"].string == "default")
            #expect((volume["capacityBytes"].int ?? 0) > 0 && volume["inodesUsed"].int != nil)
            let short = try await KubeletServer.text(of: server.ask("/stats/summary?only_cpu_and_memory=true"))
            #expect(!short.contains("pvcRef"))
            let lines = try await KubeletServer.text(of: server.ask("/metrics")).split(separator: "\n")
            let capacity = lines.filter { $0.hasPrefix("kubelet_volume_stats_capacity_bytes{namespace=\"default\",persistentvolumeclaim=\"c\"} ") }
            #expect(capacity.count == 1)
            #expect(lines.contains("# TYPE kubelet_volume_stats_inodes_used gauge"))
        }
    }
}
