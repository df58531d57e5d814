import CZlib

/// gzip of whole bodies, by the system's zlib.
package enum Gzip {
    /// Upstream: defaultGzipContentEncodingLevel. Fast; higher levels cost several times as much for a few per cent.
    package static let level: Int32 = 1
    /// A window of 32 KiB with gzip's head and trailer instead of zlib's.
    private static let windowBits: Int32 = 15 + 16
    private static let memoryLevel: Int32 = 8

    /// `bytes` compressed; nil when zlib has no memory.
    package static func compress(_ bytes: [UInt8], level: Int32 = level) -> [UInt8]? {
        var stream = z_stream()
        guard
            deflateInit2_(
                &stream, level, Z_DEFLATED, windowBits, memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { return nil }
        defer { deflateEnd(&stream) }
        guard let size = UInt32(exactly: bytes.count) else { return nil }
        let bound = Int(deflateBound(&stream, UInt(size)))
        var input = bytes  // zlib takes a pointer it may not write through, but is not declared so.
        var done = false
        var out = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            input.withUnsafeMutableBufferPointer { source in
                stream.next_in = source.baseAddress
                stream.avail_in = size
                stream.next_out = buffer.baseAddress
                stream.avail_out = UInt32(clamping: buffer.count)
                done = deflate(&stream, Z_FINISH) == Z_STREAM_END
                count = buffer.count - Int(stream.avail_out)
            }
        }
        guard done else { return nil }
        out.reserveCapacity(0)
        return out
    }

    /// What `bytes` are the gzip of, at most `limit` bytes; nil for more, and for bytes that are no gzip.
    package static func decompress(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
        var stream = z_stream()
        guard let size = UInt32(exactly: bytes.count), inflateInit2_(&stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { return nil }
        defer { inflateEnd(&stream) }
        var input = bytes
        var out: [UInt8] = []
        return input.withUnsafeMutableBufferPointer { source -> [UInt8]? in
            stream.next_in = source.baseAddress
            stream.avail_in = size
            var chunk = [UInt8](repeating: 0, count: 64 * 1024)
            while true {
                let (result, produced) = chunk.withUnsafeMutableBufferPointer { buffer -> (Int32, Int) in
                    stream.next_out = buffer.baseAddress
                    stream.avail_out = UInt32(buffer.count)
                    let result = inflate(&stream, Z_NO_FLUSH)
                    return (result, buffer.count - Int(stream.avail_out))
                }
                out.append(contentsOf: chunk[..<produced])
                guard out.count <= limit else { return nil }
                if result == Z_STREAM_END { return out }
                guard result == Z_OK, produced > 0 || stream.avail_in > 0 else { return nil }
            }
        }
    }
}
