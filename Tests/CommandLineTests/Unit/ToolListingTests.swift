import Testing

@testable import mesh_events

@Suite struct ToolListingTests {
    private func lists(_ listing: inout ToolListing, _ counts: [Int]) -> [Bool] {
        var results: [Bool] = []
        for count in counts { results.append(listing.lists(count)) }
        return results
    }

    @Test func toolsAreNotListedBeforeTheyAreInstalled() {
        var listing = ToolListing(planned: 2)
        #expect(lists(&listing, [0, 1, 2]) == [false, false, false])
        listing.isApplied = true
        #expect(lists(&listing, [2, 1, 0]) == [true, true, true])
    }

    @Test func aNodeWithoutToolsListsNoneButDoesAfterItsLastToolWasRemoved() {
        var listing = ToolListing(planned: 0)
        listing.isApplied = true
        #expect(lists(&listing, [0, 1, 0, 0]) == [false, true, true, true])
    }
}
