// The life of nodes and tools under one name, for programs that need more than one part of it. The parts are modules of
// their own because most programs need one only: a monitor has no use for YAML and processes, a tool none for a
// supervisor. RemoteTools, the client of a supervisor, and its actions are with the transport that they need.
@_exported public import MeshMonitoring
@_exported public import MeshSupervision
@_exported public import MeshToolSDK

@_exported public import struct MeshEventsNATS.RemoteTools
@_exported public import enum MeshEventsNATS.ToolAction
@_exported public import struct MeshEventsNATS.ToolControlResult
@_exported public import struct MeshEventsNATS.ToolRefusal
@_exported public import struct MeshEventsNATS.ToolRequest
@_exported public import struct MeshEventsNATS.ToolRollout
