import NIOCore

/// Bytes that many responses send: they are kept once, however many send them.
package struct HTTPSharedBytes: Sendable {
    let buffer: ByteBuffer

    package init(_ bytes: [UInt8]) { buffer = ByteBuffer(bytes: bytes) }

    package var count: Int { buffer.readableBytes }
    package var bytes: [UInt8] { Array(buffer.readableBytesView) }
}

/// What a source has to send.
package enum HTTPBodyPiece: Sendable {
    case bytes(HTTPSharedBytes)
    /// Nothing now: `whenReady` tells when.
    case wait
    /// The response is complete.
    case end
    /// The response is cut off so that the client notices.
    case abort
}

/// A streamed body that its connection takes piece by piece, on its event loop, when it can write: for streams that wait most of the time and of
/// which there are very many. Nothing runs for one that waits.
///
/// One connection asks; `next`, `expire` and `cancel` are called on its event loop, one at a time, and must not block.
package protocol HTTPBodySource: AnyObject, Sendable {
    /// `expire` is called after this long; nil: never.
    var lifetime: Duration? { get }
    func next() -> HTTPBodyPiece
    /// Calls `wake` once, on any thread, as soon as `next` has something other than `wait`.
    func whenReady(_ wake: @escaping @Sendable () -> Void)
    /// The time is over: `next` is asked for what is still to be said, then for the end.
    func expire()
    /// The response is over, or the client gone. Once.
    func cancel()
}
