internal import CSQLite
internal import Glibc

/// One connection to a database file. Not Sendable: it belongs to one thread or serial queue, which also closes it.
///
/// Durability: WAL with synchronous=FULL, so that a `COMMIT` that returned is on the disk. The connection locks the file for itself as long as it is
/// open (locking_mode=EXCLUSIVE): two processes can never write the same database. Checkpoints are made by its owner (`checkpoint`), never by a
/// commit.
package final class Connection {
    /// How long to wait for another process that is about to let go of the file.
    static let busyTimeoutMilliseconds: Int32 = 2000

    private var handle: OpaquePointer?
    private var statements: [String: Statement] = [:]
    /// Pages in the write-ahead log after the last commit; kept by SQLite's hook.
    private let walPageCount = UnsafeMutablePointer<Int32>.allocate(capacity: 1)

    /// Opens or creates the database at `path` with mode 0600. Throws `SQLiteError`.
    package init(path: String) throws(SQLiteError) {
        walPageCount.initialize(to: 0)
        // SQLite gives the log the mode of the database, so it is enough to make that one private first.
        let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SQLiteError(code: SQLITE_CANTOPEN, message: "cannot open \(path): \(String(cString: strerror(errno)))") }
        let madePrivate = fchmod(file, 0o600)
        Glibc.close(file)
        guard madePrivate == 0 else {
            throw SQLiteError(code: SQLITE_PERM, message: "cannot make \(path) private: \(String(cString: strerror(errno)))")
        }

        let code = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK else {
            let error = SQLiteError(code: code, message: "cannot open \(path): \(lastMessage)")
            sqlite3_close_v2(handle)
            handle = nil
            throw error
        }
        sqlite3_busy_timeout(handle, Self.busyTimeoutMilliseconds)
        try execute("PRAGMA locking_mode=EXCLUSIVE")
        try execute("PRAGMA journal_mode=WAL")
        try execute("PRAGMA synchronous=FULL")
        try execute("PRAGMA foreign_keys=ON")
        // Also takes the place of SQLite's own automatic checkpoint, which would make some commit wait for it.
        sqlite3_wal_hook(
            handle,
            { counter, _, _, pages in
                counter?.assumingMemoryBound(to: Int32.self).pointee = pages
                return SQLITE_OK
            }, walPageCount)
    }

    deinit {
        close()
        walPageCount.deallocate()
    }

    private var lastMessage: String { sqlite3_errmsg(handle).map { String(cString: $0) } ?? "out of memory" }

    func error(_ code: Int32, _ attempted: String) -> SQLiteError { SQLiteError(code: code, message: "\(attempted): \(lastMessage)") }

    /// Runs statements that give no rows. Throws `SQLiteError`.
    package func execute(_ sql: String) throws(SQLiteError) {
        guard handle != nil else { throw SQLiteError(code: SQLITE_MISUSE, message: "the database is closed") }
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw error(code, String(sql.prefix(80))) }
    }

    /// The prepared statement of `sql`, made once and kept. It is reset and its bindings are cleared.
    package func statement(_ sql: String) throws(SQLiteError) -> Statement {
        if let statement = statements[sql] {
            statement.reset()
            return statement
        }
        guard let handle else { throw SQLiteError(code: SQLITE_MISUSE, message: "the database is closed") }
        var pointer: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &pointer, nil)
        guard code == SQLITE_OK, let pointer else { throw error(code, String(sql.prefix(80))) }
        let statement = Statement(pointer, connection: self, sql: sql)
        statements[sql] = statement
        return statement
    }

    /// Runs `body` in one transaction: committed (and on disk) when this returns, undone when it throws. Rethrows `body`'s error; throws
    /// `SQLiteError` when the
    /// commit fails.
    package func transaction<T>(_ body: () throws -> T) throws -> T {
        try execute("BEGIN IMMEDIATE")
        do {
            let result = try body()
            for statement in statements.values { statement.reset() }
            try execute("COMMIT")
            return result
        } catch {
            for statement in statements.values { statement.reset() }
            // A full disk may have made SQLite undo the transaction already.
            if sqlite3_get_autocommit(handle) == 0 { try execute("ROLLBACK") }
            throw error
        }
    }

    /// Pages in the write-ahead log as of the last commit.
    package var walPages: Int { Int(walPageCount.pointee) }

    /// Copies the log's pages into the database, so that the log is written from its beginning again. Throws `SQLiteError`.
    package func checkpoint() throws(SQLiteError) {
        let code = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, nil, nil)
        guard code == SQLITE_OK else { throw error(code, "checkpoint") }
        walPageCount.pointee = 0
    }

    /// Closes the database; further use throws. The log is merged into the database.
    package func close() {
        for statement in statements.values { statement.finalize() }
        statements = [:]
        sqlite3_close_v2(handle)
        handle = nil
    }
}

/// A prepared statement: bind, then step through its rows.
package final class Statement {
    private var pointer: OpaquePointer?
    private unowned let connection: Connection
    private let sql: String

    init(_ pointer: OpaquePointer, connection: Connection, sql: String) {
        self.pointer = pointer
        self.connection = connection
        self.sql = sql
    }

    func finalize() {
        sqlite3_finalize(pointer)
        pointer = nil
    }

    /// Ends the reading of rows. A statement that is read to its end, or `run`, needs it not.
    package func reset() {
        // The code that reset repeats is the last step's error, already thrown there.
        sqlite3_reset(pointer)
        sqlite3_clear_bindings(pointer)
    }

    private func check(_ code: Int32) throws(SQLiteError) {
        guard code == SQLITE_OK else { throw connection.error(code, String(sql.prefix(80))) }
    }

    /// SQLite's mark for "copy the bytes before returning".
    private var copied: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

    /// Binds the parameter at `index`, counted from 1; nil binds null. Gives the statement, for chaining.
    @discardableResult
    package func bind(_ index: Int32, _ value: Int64?) throws(SQLiteError) -> Statement {
        try check(value.map { sqlite3_bind_int64(pointer, index, $0) } ?? sqlite3_bind_null(pointer, index))
        return self
    }

    @discardableResult
    package func bind(_ index: Int32, _ value: String?) throws(SQLiteError) -> Statement {
        guard var value else {
            try check(sqlite3_bind_null(pointer, index))
            return self
        }
        let code = value.withUTF8 { bytes in
            // An empty buffer may have no address, which SQLite would take for null.
            bytes.withMemoryRebound(to: CChar.self) {
                sqlite3_bind_text64(pointer, index, $0.baseAddress ?? Self.empty, UInt64($0.count), copied, UInt8(SQLITE_UTF8))
            }
        }
        try check(code)
        return self
    }

    @discardableResult
    package func bind(_ index: Int32, _ value: [UInt8]?) throws(SQLiteError) -> Statement {
        guard let value else {
            try check(sqlite3_bind_null(pointer, index))
            return self
        }
        let code =
            value.isEmpty
            ? sqlite3_bind_zeroblob(pointer, index, 0)
            : value.withUnsafeBytes { sqlite3_bind_blob64(pointer, index, $0.baseAddress, UInt64($0.count), copied) }
        try check(code)
        return self
    }

    nonisolated(unsafe) private static let empty: UnsafePointer<CChar> = UnsafePointer(strdup(""))

    /// Goes to the next row; false when there is none. Throws `SQLiteError`.
    package func step() throws(SQLiteError) -> Bool {
        let code = sqlite3_step(pointer)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default:
            let error = connection.error(code, String(sql.prefix(80)))
            sqlite3_reset(pointer)
            throw error
        }
    }

    /// Runs a statement that gives no rows, and resets it. Throws `SQLiteError`.
    package func run() throws(SQLiteError) {
        while try step() {}
        reset()
    }

    /// The column at `index`, counted from 0, of the current row.
    package func int64(_ index: Int32) -> Int64 { sqlite3_column_int64(pointer, index) }
    package func isNull(_ index: Int32) -> Bool { sqlite3_column_type(pointer, index) == SQLITE_NULL }

    package func text(_ index: Int32) -> String {
        guard let bytes = sqlite3_column_text(pointer, index) else { return "" }
        return String(decoding: UnsafeBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(pointer, index))), as: UTF8.self)
    }

    /// Shows a column's bytes without copying them. They live until the statement goes on.
    package func withBlob<T>(_ index: Int32, _ body: (UnsafeRawBufferPointer) throws -> T) rethrows -> T {
        let bytes = sqlite3_column_blob(pointer, index)
        return try body(UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(sqlite3_column_bytes(pointer, index))))
    }

    package func blob(_ index: Int32) -> [UInt8] {
        guard let bytes = sqlite3_column_blob(pointer, index) else { return [] }
        return Array(UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(pointer, index))))
    }
}
