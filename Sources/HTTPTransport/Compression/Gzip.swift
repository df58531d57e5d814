import CZlib

/// gzip of whole bodies, by the system's zlib.
package enum Gzip {
    /// Upstream: defaultGzipContentEncodingLevel. Fast; higher levels cost several times as much for a few per cent.
    package static let level: Int32 = 1
    /// A window of 32 KiB with gzip's head and trailer instead of zlib's.
    fileprivate static let windowBits: Int32 = 15 + 16
    fileprivate static let memoryLevel: Int32 = 8

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

/// gzip of a body that is sent while it is made. Belongs to one task.
package final class GzipStream {
    private let stream: UnsafeMutablePointer<z_stream>

    /// Nil when zlib has no memory.
    package init?(level: Int32 = Gzip.level) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard
            deflateInit2_(
                stream, level, Z_DEFLATED, Gzip.windowBits, Gzip.memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
                == Z_OK
        else { return nil }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// What is to be sent after `bytes` (fewer than 4 GiB) came; may be empty unless it is the last. Nil: zlib failed, and the body cannot be
    /// finished.
    package func compress(_ bytes: inout [UInt8], isLast: Bool) -> [UInt8]? {
        guard let size = UInt32(exactly: bytes.count) else { return nil }
        // Room for all that comes of these bytes, and for what zlib held back before.
        let bound = Int(deflateBound(stream, UInt(size))) + 64 * 1024
        return bytes.withUnsafeMutableBufferPointer { source -> [UInt8]? in
            stream.pointee.next_in = source.baseAddress
            stream.pointee.avail_in = size
            var whole: [UInt8] = []
            while true {
                var result: Int32 = Z_OK
                let piece = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = UInt32(clamping: buffer.count)
                    result = deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
                    count = buffer.count - Int(stream.pointee.avail_out)
                }
                if whole.isEmpty { whole = piece } else { whole += piece }
                if result == Z_STREAM_END { return whole }
                // Z_BUF_ERROR: nothing was left to do.
                guard result == Z_OK || result == Z_BUF_ERROR else { return nil }
                if stream.pointee.avail_out > 0 { return isLast ? nil : whole }
            }
        }
    }
}
