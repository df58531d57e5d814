/// Stands in for the transport's own, which is of NIO: what is fuzzed has no connection.
package protocol HTTPBodySource: AnyObject, Sendable {}
