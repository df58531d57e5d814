import KubeAPI

/// Objects sorted by key, in chunks, so that an insertion moves little memory and a copy (a list's snapshot) costs nothing until the next change,
/// and then
/// one chunk. A value type.
struct SortedObjects: Sendable {
    /// Entries of a chunk; a chunk that reaches it is split. Small enough to copy in a microsecond, large enough that few chunks are searched.
    static let chunkLimit = 256

    struct Chunk: Sendable {
        /// Never empty.
        var keys: [String]
        var objects: [Object]
    }

    /// A place between entries: the entry at `index` of `chunk` comes next.
    struct Position {
        var chunk: Int
        var index: Int
    }

    private(set) var chunks: [Chunk] = []
    private(set) var count = 0

    /// Takes entries that are sorted by key and unique.
    init(sorted entries: [(key: String, object: Object)] = []) {
        var start = 0
        while start < entries.count {
            // Three quarters full: the next insertions split nothing.
            let end = min(entries.count, start + Self.chunkLimit * 3 / 4)
            chunks.append(Chunk(keys: entries[start..<end].map(\.key), objects: entries[start..<end].map(\.object)))
            start = end
        }
        count = entries.count
    }

    /// The first entry whose key is not less than `key`.
    func position(of key: String) -> Position {
        // The last chunk that begins at or before the key.
        var (low, high) = (0, chunks.count)
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].keys[0] <= key { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return Position(chunk: 0, index: 0) }
        let chunk = low - 1
        let keys = chunks[chunk].keys
        (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low == keys.count ? Position(chunk: chunk + 1, index: 0) : Position(chunk: chunk, index: low)
    }

    func entry(at position: Position) -> (key: String, object: Object)? {
        guard position.chunk < chunks.count else { return nil }
        let chunk = chunks[position.chunk]
        return (chunk.keys[position.index], chunk.objects[position.index])
    }

    func advanced(_ position: Position) -> Position {
        position.index + 1 < chunks[position.chunk].keys.count
            ? Position(chunk: position.chunk, index: position.index + 1) : Position(chunk: position.chunk + 1, index: 0)
    }

    /// Entries from `start` up to `end`.
    func distance(from start: Position, to end: Position) -> Int {
        guard start.chunk < end.chunk else { return start.chunk == end.chunk ? end.index - start.index : 0 }
        return chunks[start.chunk..<end.chunk].reduce(0) { $0 + $1.keys.count } - start.index + end.index
    }

    var end: Position { Position(chunk: chunks.count, index: 0) }

    subscript(key: String) -> Object? {
        guard let entry = entry(at: position(of: key)), entry.key == key else { return nil }
        return entry.object
    }

    /// Sets the object of `key` and gives the one it replaces.
    @discardableResult
    mutating func set(_ key: String, _ object: Object) -> Object? {
        var at = position(of: key)
        if let entry = entry(at: at), entry.key == key {
            chunks[at.chunk].objects[at.index] = object
            return entry.object
        }
        count += 1
        guard !chunks.isEmpty else {
            chunks = [Chunk(keys: [key], objects: [object])]
            return nil
        }
        // Between two chunks the end of the earlier one is the place.
        if at.index == 0, at.chunk > 0 { at = Position(chunk: at.chunk - 1, index: chunks[at.chunk - 1].keys.count) }
        chunks[at.chunk].keys.insert(key, at: at.index)
        chunks[at.chunk].objects.insert(object, at: at.index)
        if chunks[at.chunk].keys.count >= Self.chunkLimit { split(at.chunk, justInsertedAt: at.index) }
        return nil
    }

    private mutating func split(_ number: Int, justInsertedAt index: Int) {
        let chunk = chunks[number]
        // Keys that come in order (numbered names) leave full chunks behind, not half-empty ones.
        let isAppend = index == chunk.keys.count - 1 && number == chunks.count - 1
        let middle = isAppend ? chunk.keys.count - 1 : chunk.keys.count / 2
        chunks[number] = Chunk(keys: Array(chunk.keys[..<middle]), objects: Array(chunk.objects[..<middle]))
        chunks.insert(Chunk(keys: Array(chunk.keys[middle...]), objects: Array(chunk.objects[middle...])), at: number + 1)
    }

    /// Removes the object of `key` and gives it.
    @discardableResult
    mutating func remove(_ key: String) -> Object? {
        let at = position(of: key)
        guard let entry = entry(at: at), entry.key == key else { return nil }
        count -= 1
        chunks[at.chunk].keys.remove(at: at.index)
        chunks[at.chunk].objects.remove(at: at.index)
        if chunks[at.chunk].keys.isEmpty { chunks.remove(at: at.chunk) }
        return entry.object
    }
}
