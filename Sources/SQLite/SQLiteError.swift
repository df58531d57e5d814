internal import CSQLite

/// What SQLite answered, with its message and what was attempted.
package struct SQLiteError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The extended result code, for example 13 (`SQLITE_FULL`) or 778 (`SQLITE_IOERR_WRITE`).
    package var code: Int32
    package var message: String

    package init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }

    package var primaryCode: Int32 { code & 0xFF }
    /// No space on the device, or the database's own page limit.
    package var isFull: Bool { primaryCode == SQLITE_FULL }
    /// Reading or writing the files failed.
    package var isInputOutput: Bool { primaryCode == SQLITE_IOERR }
    /// Another connection holds the database.
    package var isBusy: Bool { primaryCode == SQLITE_BUSY || primaryCode == SQLITE_LOCKED }
    /// The file is no database or is damaged.
    package var isCorrupt: Bool { primaryCode == SQLITE_CORRUPT || primaryCode == SQLITE_NOTADB }

    package var description: String { "\(message) (SQLite \(code))" }
}
