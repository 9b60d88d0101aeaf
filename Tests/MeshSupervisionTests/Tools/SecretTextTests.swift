import MeshEvents
import Testing

@testable import MeshSupervision

/// What is secret by value is removed before anything is cut.
@Suite struct SecretTextTests {
    @Test func valuesOfSecretKeysAreRemovedFromOtherTexts() {
        let tool = ToolSpecification(
            name: "t",
            version: "1",
            command: ["t"],
            configuration: [
                "model": "base-of-trees", "password": "hunter-two-three", "licence": "maple-sap-run-5",
                "store": ["tokens": ["oak-leaf-fall-1", 123_456_789], "user": "ada-of-lab"],
                "open_key": "shown-as-it-is",
            ],
            publish: ["open_key"],
            secrets: ["licence"]
        )
        let text = "base-of-trees hunter-two-three maple-sap-run-5 oak-leaf-fall-1 123456789 ada-of-lab shown-as-it-is"
        let hidden = Redaction.placeholder
        let expected = "base-of-trees \(hidden) \(hidden) \(hidden) \(hidden) ada-of-lab shown-as-it-is"
        #expect(tool.redaction().redact(text) == expected)
    }

    @Test func whatAToolSaysOfItselfIsCutAfterItsSecretsAreRemoved() {
        var works = ToolWorks()
        let secret = "plum-Orchard-tree-walks-9"
        for length in [170, 190, 199, 290] {
            _ = works.apply(
                .says(String(repeating: "x", count: length) + " " + secret),
                of: "t",
                RestartPolicy(),
                .restart,
                Redaction(confidential: [secret])
            ) { { .zero } }
            #expect(works.status.text?.contains("plum") == false, "\(works.status.text ?? "")")
        }
    }
}
