/// How a Node says that traffic is shifted away from its zone: whoever spreads traffic reads it.
package enum ZonalShift {
    package static let annotation = "eyrie.dev/zonal-shift"
}
