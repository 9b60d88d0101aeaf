// What the code of the README and of the guide takes for granted. Each block is compiled as a function of its own that is
// given the values below; the types that a document declares are known to all its blocks. See check.py.
import Foundation
import LocalNATSServer
import Logging
import MeshEvents
import MeshEventsNATS
import MeshEventsSigning
import MeshEventsTesting
import MeshLifecycle
import NATSClient
import ServiceLifecycle
import Testing
import UnixSignals

func alert(_ event: Event) async throws {}
func train(_ epoch: Int, _ rate: Double) async throws -> Double { rate / Double(epoch) }
