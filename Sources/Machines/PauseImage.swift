internal import Crypto

/// The image of every pod's sandbox, made here: one static executable of a few machine instructions that sleeps for ever. No registry is needed for
/// it.
enum PauseImage {
    /// An OCI image archive holding the image under `name`, for `ctr images import`.
    static func archive(name: String) -> [UInt8] {
        var layer = Tar()
        layer.add("pause", executable, mode: "0000755")
        let layerBytes = layer.finished()
        let layerDigest = digest(layerBytes)
        let configuration = Array(
            """
            {"architecture":"\(architecture)","os":"linux","config":{"Entrypoint":["/pause"],"Env":["PATH=/"]},\
            "rootfs":{"type":"layers","diff_ids":["sha256:\(layerDigest)"]},"history":[{"created":"2026-01-01T00:00:00Z"}]}
            """.utf8)
        let configurationDigest = digest(configuration)
        let manifest = Array(
            """
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",\
            "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:\(configurationDigest)","size":\(configuration.count)},\
            "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:\(layerDigest)","size":\(layerBytes.count)}]}
            """.utf8)
        let manifestDigest = digest(manifest)
        let index = Array(
            """
            {"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:\(manifestDigest)",\
            "size":\(manifest.count),"annotations":{"io.containerd.image.name":"\(name)"}}]}
            """.utf8)
        var tar = Tar()
        tar.add("oci-layout", Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8))
        tar.add("index.json", index)
        tar.add("blobs/sha256/\(layerDigest)", layerBytes)
        tar.add("blobs/sha256/\(configurationDigest)", configuration)
        tar.add("blobs/sha256/\(manifestDigest)", manifest)
        return tar.finished()
    }

    private static func digest(_ bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }

    #if arch(arm64)
        private static let architecture = "arm64"
        private static let elfMachine: UInt16 = 183
        /// ppoll(NULL, 0, NULL, NULL) for ever: mov x0..x4, #0; mov x8, #73; svc #0; b back.
        private static let code: [UInt32] = [0xD280_0000, 0xD280_0001, 0xD280_0002, 0xD280_0003, 0xD280_0004, 0xD280_0928, 0xD400_0001, 0x17FF_FFF9]
        private static var codeBytes: [UInt8] { code.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (UInt32($0) * 8)) } } }
    #else
        private static let architecture = "amd64"
        private static let elfMachine: UInt16 = 62
        /// mov eax, 34 (pause); syscall; jmp back.
        private static let codeBytes: [UInt8] = [0xB8, 0x22, 0x00, 0x00, 0x00, 0x0F, 0x05, 0xEB, 0xF7]
    #endif

    /// An ELF64 executable of one loadable segment.
    static var executable: [UInt8] {
        let base: UInt64 = 0x40_0000
        let headers: UInt64 = 64 + 56
        let size = headers + UInt64(codeBytes.count)
        var elf: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        func put(_ value: UInt64, _ width: Int) { for i in 0..<width { elf.append(UInt8(truncatingIfNeeded: value >> UInt64(i * 8))) } }
        put(2, 2)  // ET_EXEC
        put(UInt64(elfMachine), 2)
        put(1, 4)
        put(base + headers, 8)  // entry
        put(64, 8)  // program headers
        put(0, 8)  // no sections
        put(0, 4)
        put(64, 2)
        put(56, 2)
        put(1, 2)
        put(0, 2)
        put(0, 2)
        put(0, 2)
        put(1, 4)  // PT_LOAD
        put(5, 4)  // read, execute
        put(0, 8)
        put(base, 8)
        put(base, 8)
        put(size, 8)
        put(size, 8)
        put(0x1000, 8)
        return elf + codeBytes
    }
}

/// A ustar archive of regular files.
struct Tar {
    private var bytes: [UInt8] = []

    mutating func add(_ name: String, _ content: [UInt8], mode: String = "0000644") {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int, width: Int) { for (i, c) in text.utf8.prefix(width).enumerated() { header[offset + i] = c } }
        func octal(_ value: Int, _ width: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        put(name, at: 0, width: 100)
        put(mode, at: 100, width: 7)
        put("0000000", at: 108, width: 7)
        put("0000000", at: 116, width: 7)
        put(octal(content.count, 11), at: 124, width: 11)
        put(octal(0, 11), at: 136, width: 11)
        put("        ", at: 148, width: 8)
        put("0", at: 156, width: 1)
        put("ustar", at: 257, width: 5)
        put("00", at: 263, width: 2)
        put(octal(header.reduce(0) { $0 + Int($1) }, 6) + "\0 ", at: 148, width: 8)
        bytes += header + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    func finished() -> [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }
}
