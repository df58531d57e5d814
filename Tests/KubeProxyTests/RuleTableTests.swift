import Nftables
import Testing

/// A table's changes are what has to be done, and no more.
@Suite struct RuleTableTests {
    private func fragment(_ elements: [String: String]) -> RuleFragment {
        var fragment = RuleFragment()
        for (key, value) in elements { fragment.elements[NftElement("m", key)] = value }
        return fragment
    }

    private func made() -> RuleTable {
        var table = RuleTable(name: "ip t", base: "map m { type mark : mark; }")
        table.set("a", fragment(["1": "10", "2": "20"]))
        _ = table.wholeTable()
        return table
    }

    @Test("one element's change is two commands") func oneElement() {
        var table = made()
        table.set("a", fragment(["1": "10", "2": "21"]))
        #expect(table.takeChanges() == "delete element ip t m { 2 }\nadd element ip t m { 2 : 21 }\n")
        #expect(table.takeChanges() == nil)
    }

    @Test("a change that is taken back is none") func takenBack() {
        var table = made()
        table.set("a", nil)
        table.set("a", fragment(["1": "10", "2": "20"]))
        #expect(table.takeChanges() == nil)
    }

    @Test("the owner who sorts first has an element that two claim, whoever came first") func claims() {
        for order in [["b", "c"], ["c", "b"]] {
            var table = made()
            for owner in order { table.set(owner, fragment(["9": owner == "b" ? "90" : "91"])) }
            #expect(table.value(NftElement("m", "9")) == "90")
            _ = table.takeChanges()
            table.set("b", nil)
            #expect(table.takeChanges() == "delete element ip t m { 9 }\nadd element ip t m { 9 : 91 }\n")
            table.set("c", nil)
            #expect(table.takeChanges() == "delete element ip t m { 9 }\n")
        }
    }

    @Test("chains and sets come before what names them and go after it") func order() {
        var table = made()
        var fragment = RuleFragment()
        fragment.sets["s"] = "type ipv4_addr;"
        fragment.chains["c"] = ["ip saddr @s accept"]
        fragment.elements[NftElement("v", "1")] = "goto c"
        table.set("b", fragment)
        #expect(
            table.takeChanges()
                == """
                add chain ip t c
                flush chain ip t c
                add set ip t s { type ipv4_addr; }
                add rule ip t c ip saddr @s accept
                add element ip t v { 1 : goto c }

                """)
        table.set("b", nil)
        #expect(table.takeChanges() == "flush chain ip t c\ndelete element ip t v { 1 }\ndelete chain ip t c\ndelete set ip t s\n")
    }

    @Test("the whole table is all owners' and begins from nothing") func whole() {
        var table = made()
        #expect(
            table.wholeTable()
                == "add table ip t\ndelete table ip t\ntable ip t {\nmap m { type mark : mark; }\n}\nadd element ip t m { 1 : 10, 2 : 20 }\n")
    }
}
