/// An answer that has arrived whole.
package struct HTTPAnswer: Sendable {
    package var status: Int
    package var fields: HTTPFields
    package var body: [UInt8]
}

extension HTTPClient {
    /// Posts a body and returns the whole answer, which must be complete within `timeout` and have `limit` bytes at most. With `repeats`, a post that met
    /// a connection its server was just closing is sent once more, on a new one: for what may be asked more than once. Throws `HTTPError`, or
    /// `CancellationError`. Upstream: net/http.Client with its Timeout.
    package func post(
        _ body: [UInt8], to target: String, fields: HTTPFields, timeout: Duration, limit: Int, repeats: Bool
    ) async throws -> HTTPAnswer {
        try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
            group.addTask {
                let response: HTTPClientResponse
                do {
                    response = try await self.execute("POST", target, fields: fields, body: body, timeout: timeout)
                } catch HTTPError.connectionClosed where repeats {
                    response = try await self.execute("POST", target, fields: fields, body: body, timeout: timeout)
                }
                return HTTPAnswer(status: response.status, fields: response.fields, body: try await response.body.collect(limit: limit))
            }
            group.addTask {
                try await Task.sleep(for: timeout)
                throw HTTPError.timeout("")
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw HTTPError.connectionClosed }
            return first
        }
    }
}
