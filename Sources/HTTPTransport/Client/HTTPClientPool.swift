internal import Synchronization

/// Clients that are kept by what they are for: an address, or an address with its trust. Bounded, because who is called is in the hands of others.
package final class HTTPClientPool<Key: Hashable & Sendable>: Sendable {
    private let limit: Int
    private let clients = Mutex<[Key: HTTPClient]>([:])

    /// `limit`: clients kept at most. When there are more, all are let go: those in use are held by their calls and end with them.
    package init(limit: Int) { self.limit = limit }

    /// The client of `key`, made of what `configuration` says when there is none. Throws what making it throws.
    package func client(for key: Key, configuration: () -> HTTPClient.Configuration) throws -> HTTPClient {
        try clients.withLock { clients in
            if let client = clients[key] { return client }
            let client = try HTTPClient(configuration: configuration())
            if clients.count >= limit { clients.removeAll() }
            clients[key] = client
            return client
        }
    }

    /// Closes all connections.
    package func close() async {
        let all = clients.withLock { clients in
            defer { clients.removeAll() }
            return Array(clients.values)
        }
        for client in all { await client.close() }
    }
}
