import Glibc
import KubeControllers
import Processes
import Testing

@testable import ControlPlane

@Suite("Volumes' folders and disks")
struct VolumeFolderTests {
    @Test("what a volume is made of goes by what is asked and what the host has")
    func sizes() throws {
        #expect(try VolumeFolders.diskSize(.filesystem(bytes: 1 << 30), hasDevices: true, hasFilesystems: true) == 1 << 30)
        #expect(try VolumeFolders.diskSize(.filesystem(bytes: 1000), hasDevices: true, hasFilesystems: true) == 16 << 20)
        #expect(try VolumeFolders.diskSize(.filesystem(bytes: 1 << 30), hasDevices: true, hasFilesystems: false) == nil)
        #expect(try VolumeFolders.diskSize(.filesystem(bytes: 1 << 30), hasDevices: false, hasFilesystems: true) == nil)
        #expect(try VolumeFolders.diskSize(.block(bytes: 5000), hasDevices: true, hasFilesystems: false) == 8192)
        #expect(throws: ControlPlaneError.self) { try VolumeFolders.diskSize(.block(bytes: 1), hasDevices: false, hasFilesystems: true) }
        #expect(VolumeFolders.fileSize(-1) == 4096 && VolumeFolders.fileSize(.max) > 0)
    }

    @Test("a disk grows and never shrinks, a folder does not care, and names lead nowhere else", .enabled(if: LoopDevice.isAvailable))
    func disks() async throws {
        var template = Array("/tmp/volumes-XXXXXX".utf8CString)
        mkdtemp(&template)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let store = VolumeFolders(cluster: folder).store
        let path = try await store.create("pvc-1", .block(bytes: 1 << 20))
        #expect(path == "\(folder)/volumes/pvc-1/disk")
        func size() -> Int {
            var status = stat()
            return stat(path, &status) == 0 ? status.st_size : -1
        }
        #expect(size() == 1 << 20)
        #expect(try await store.expand("pvc-1", 2 << 20) && size() == 2 << 20)
        #expect(try await store.expand("pvc-1", 1 << 20) && size() == 2 << 20)
        // As clusters of earlier releases have them.
        try SmallFile.makeDirectory("\(folder)/volumes/pvc-2")
        #expect(try await !store.expand("pvc-2", 1 << 20))
        for name in ["..", "a/b", ""] { await #expect(throws: ControlPlaneError.self) { try await store.create(name, .filesystem(bytes: 1)) } }
        try await store.remove("pvc-1")
        #expect(size() == -1)
        try await store.remove("pvc-2")
        rmdir("\(folder)/volumes")
        rmdir(folder)
    }
}
